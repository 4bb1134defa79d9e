#include "../primitive.h"

namespace mlx_convt {

const char* gpu_kernels() {
  return "none";
}

std::vector<std::string> compile_gpu_kernels() {
  return {};
}

void ConvTranspose::eval_gpu(
    const std::vector<mx::array>&,
    std::vector<mx::array>&) {
  throw std::runtime_error(
      "[" + function_name(window_.rank) +
      "] mlx_convt has no GPU kernels in this build. Call it with "
      "stream=mx.cpu, or mx.set_default_device(mx.cpu).");
}

} // namespace mlx_convt
