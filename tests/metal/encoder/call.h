// What Python calls: ConvTranspose::eval_gpu on the device that stands in for
// Metal. All names are C's, all sizes int64.
#pragma once

#include <cstdint>

extern "C" {

struct CallOperand {
  int64_t rank;
  int64_t shape[5];
  const void* values; // null: whatever is in the memory
  int64_t misalign; // bytes past a multiple of 16
  int64_t is_row_contiguous;
};

struct Call {
  int64_t contraction; // 0 Output, 1 InputGrad, 2 WeightGrad
  int64_t rank;
  int64_t stride[3];
  int64_t padding_lo[3];
  int64_t padding_hi[3];
  int64_t dilation[3];
  int64_t output_padding[3];
  int64_t groups;
  int64_t dtype; // 0 float32, 1 float16, 2 bfloat16, 3 float64
  int64_t operand_count;
  CallOperand operands[3]; // as the primitive takes them
  // The device.
  int64_t generation;
  int64_t most_threads;
  int64_t most_bytes;
  const char* refused; // the function that does not compile, or ""
};

// As JSON, what the device was told and the error, if any. The text, and all
// memory that it names, is valid until the next call.
const char* call_eval(const Call* call);

// The same of compile_gpu_kernels.
const char* call_compile();

// Runs what the last call_eval encoded and copies its result; the errors found.
const char* call_execute(void* result);

// The text that a library was compiled from, or null.
const char* call_text(const char* library);

// Another device, which has compiled nothing.
void call_replace_device();
}
