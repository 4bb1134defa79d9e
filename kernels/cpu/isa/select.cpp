#include "select.h"

#include "instruction_sets.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace mlx_convt::cpu {

bool has_baseline() {
  return true;
}

std::vector<const InstructionSet*> supported_sets() {
  auto sets = built_sets();
  std::erase_if(sets, [](auto* set) { return !set->is_supported(); });
  return sets;
}

const InstructionSet& select() {
  const char* forced = std::getenv("MLX_CONVT_INSTRUCTION_SET");
  std::string names;
  for (auto* set : supported_sets()) {
    if (!forced || !*forced || std::string(forced) == set->name) {
      return *set;
    }
    names += (names.empty() ? "" : ", ") + std::string(set->name);
  }
  throw std::runtime_error(
      "[mlx_convt] MLX_CONVT_INSTRUCTION_SET must be one of " + names +
      " on this processor. Got " + forced + ".");
}

const InstructionSet& active() {
  static const InstructionSet& set = select();
  return set;
}

const char* instruction_set() {
  return active().name;
}

template <>
const Kernels<float>& kernels<float>() {
  return active().f32;
}
template <>
const Kernels<double>& kernels<double>() {
  return active().f64;
}
template <>
const Kernels<BFloatPair>& kernels<BFloatPair>() {
  return active().bf16_pairs;
}
template <>
const Copies<float>& copies<float>() {
  return active().copy_f32;
}
template <>
const Copies<Half>& copies<Half>() {
  return active().copy_f16;
}
template <>
const Copies<BFloat>& copies<BFloat>() {
  return active().copy_bf16;
}
template <>
const Copies<BFloatPair>& copies<BFloatPair>() {
  return active().copy_bf16_pairs;
}
template <>
const Copies<double>& copies<double>() {
  return active().copy_f64;
}
template <>
const PeakLoops<float>& peak_loops<float>() {
  return active().peak_f32;
}
template <>
const PeakLoops<double>& peak_loops<double>() {
  return active().peak_f64;
}

} // namespace mlx_convt::cpu
