#include "eval.h"

#include <algorithm>
#include <cstdint>
#include <new>

#include "../primitive.h"
#include "algorithms.h"
#include "huge_pages.h"
#include "isa/kernels.h"
#include "mlx/allocator.h"
#include "mlx/backend/cpu/encoder.h"
#include "scratch.h"
#include "thread_pool.h"

namespace mlx_convt {

cpu::Scalar cpu::scalar_of(mx::Dtype dtype) {
  switch (dtype.val()) {
    case mx::Dtype::Val::float32:
      return Scalar::F32;
    case mx::Dtype::Val::float16:
      return Scalar::F16;
    case mx::Dtype::Val::bfloat16:
      return Scalar::BF16;
    case mx::Dtype::Val::float64:
      return Scalar::F64;
    default:
      throw std::logic_error("[mlx_convt] not a floating dtype.");
  }
}

namespace {

// Bytes of a cache line. MLX's allocations on Linux begin 8 bytes off: every
// vector stored there would touch two lines, up to a tenth of a layer's time.
constexpr size_t kLine = 64;

// `data` has a line more than the array needs.
void set_aligned(mx::array& array, mx::allocator::Data data) {
  auto address = reinterpret_cast<std::uintptr_t>(data.buffer().raw_ptr());
  auto offset = static_cast<int64_t>(-address % kLine);
  mx::array::Flags flags;
  flags.contiguous = true;
  flags.row_contiguous = true;
  auto& shape = array.shape();
  flags.col_contiguous = array.size() <= 1 ||
      array.size() ==
          static_cast<size_t>(*std::max_element(shape.begin(), shape.end()));
  array.set_data(std::move(data), array.size(), array.strides(), flags, offset);
}

} // namespace

void ConvTranspose::eval_cpu(
    const std::vector<mx::array>& inputs,
    std::vector<mx::array>& outputs) {
  auto& result = outputs[0];
  for (auto& input : inputs) {
    if (!input.flags().row_contiguous) {
      throw std::runtime_error(
          "[" + function_name(window_.rank) +
          "] an operand that is not row contiguous reached evaluation.");
    }
  }
  bool has_bias = inputs.size() > 2;
  cpu::Problem problem{
      contraction_,
      bind(contraction_, window_, inputs[0], inputs[1]),
      cpu::scalar_of(result.dtype()),
      has_bias};
  check_forced(forced_, problem, window_.rank);
  // A bad setting is an error here, not in the task.
  cpu::num_threads();
  cpu::active();
  // MLX's allocator returns null where the system has no memory left.
  auto data = mx::allocator::malloc(result.nbytes() + kLine);
  if (!data.buffer().ptr()) {
    std::ostringstream text;
    text << "[" << function_name(window_.rank) << "] no memory for a result of "
         << result.nbytes() << " bytes. Got output shape " << result.shape()
         << ".";
    throw std::runtime_error(text.str());
  }
  // Freed results up to mx.set_cache_limit are MLX's to reuse; others are
  // fresh.
  cpu::advise_huge_pages(data.buffer().raw_ptr(), result.nbytes());
  set_aligned(result, std::move(data));
  if (result.size() == 0) {
    return;
  }
  cpu::Buffers buffers{
      inputs[0].data<void>(),
      inputs[1].data<void>(),
      has_bias ? inputs[2].data<void>() : nullptr,
      result.data<void>()};
  auto& encoder = mx::cpu::get_command_encoder(stream());
  for (auto& input : inputs) {
    encoder.set_input_array(input);
  }
  encoder.set_output_array(result);
  encoder.dispatch([forced = forced_, problem, buffers, rank = window_.rank] {
    try {
      cpu::run(forced, problem, buffers);
    } catch (const cpu::NoMemory& error) {
      throw std::runtime_error(
          "[" + function_name(rank) + "] no memory for " +
          std::to_string(error.bytes) + " bytes of packed weights or sums.");
    } catch (const std::bad_alloc&) {
      throw std::runtime_error(
          "[" + function_name(rank) + "] no memory to plan the phases of " +
          std::to_string(problem.geometry.stride[0]) + " x " +
          std::to_string(problem.geometry.stride[1]) + " x " +
          std::to_string(problem.geometry.stride[2]) + " strides.");
    }
  });
}

} // namespace mlx_convt
