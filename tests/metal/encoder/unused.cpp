// The rest of ConvTranspose, which nothing here calls.
#include <stdexcept>

#include "cpu/eval.h"
#include "primitive.h"

namespace mlx_convt {
namespace {

[[noreturn]] void refuse() {
  throw std::logic_error("not a part of this test");
}

} // namespace

cpu::Scalar cpu::scalar_of(mx::Dtype) {
  refuse();
}

void ConvTranspose::eval_cpu(
    const std::vector<mx::array>&,
    std::vector<mx::array>&) {
  refuse();
}

std::vector<mx::array> ConvTranspose::jvp(
    const std::vector<mx::array>&,
    const std::vector<mx::array>&,
    const std::vector<int>&) {
  refuse();
}

std::vector<mx::array> ConvTranspose::vjp(
    const std::vector<mx::array>&,
    const std::vector<mx::array>&,
    const std::vector<int>&,
    const std::vector<mx::array>&) {
  refuse();
}

std::pair<std::vector<mx::array>, std::vector<int>> ConvTranspose::vmap(
    const std::vector<mx::array>&,
    const std::vector<int>&) {
  refuse();
}

} // namespace mlx_convt
