// What Python calls: plans as they ship, and their execution on the CPU. All
// names are C's, all sizes int64.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

// A problem and the GPU that it is planned for.
struct RunnerProblem {
  int64_t contraction; // 0 Output, 1 InputGrad, 2 WeightGrad
  int64_t batch;
  int64_t in[3];
  int64_t kernel[3];
  int64_t out[3];
  int64_t stride[3];
  int64_t padding[3]; // low
  int64_t dilation[3];
  int64_t c_in;
  int64_t c_out;
  int64_t groups;
  int64_t element; // 0 float32, 1 float16, 2 bfloat16
  int64_t has_bias;
  int64_t generation;
  int64_t first_misalign; // bytes past a multiple of 16
  int64_t second_misalign;
};

struct RunnerOptions {
  int64_t order; // 0 forward, 1 reverse, 2 random
  int64_t seed;
  int64_t permuted_layout;
  int64_t last_groups_only; // of each launch, this many; 0: all
  // Larger arrays are passed by this many of their last bytes, the operands'
  // others are zeros; 0: all of every array.
  int64_t tail_bytes;
};

// Of all launches of a plan together, but for the largest threadgroup.
struct RunnerCounts {
  uint64_t multiply_adds;
  uint64_t loads;
  uint64_t stores;
  uint64_t barriers;
  uint64_t threadgroup_bytes;
};

// The plan as JSON, or {"error": text}. Valid until the next call.
const char* runner_plan(const RunnerProblem* problem);

// The number of errors found; runner_errors() has their texts, or that of an
// exception. `result` is null where it is not wanted.
int64_t runner_run(
    const RunnerProblem* problem,
    const RunnerOptions* options,
    const void* first,
    const void* second,
    const void* bias,
    void* result,
    RunnerCounts* counts);
const char* runner_errors();

int64_t runner_specialisations();
const char* runner_name(int64_t index);
const char* runner_kernel(int64_t index);
const char* runner_text(int64_t index); // all but the prelude
const char* runner_metal_text(int64_t index);
}
