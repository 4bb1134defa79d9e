// The instruction sets of this build that this processor has.
#pragma once

#include <vector>

#include "cpu/isa/instruction_sets.h"

namespace test {

using mlx_convt::cpu::InstructionSet;

#if defined(__x86_64__)
inline const std::vector<const InstructionSet*> kBuilt = {
    &mlx_convt::cpu::kAvx512,
    &mlx_convt::cpu::kAvx2,
    &mlx_convt::cpu::kBaseline};
#else
inline const std::vector<const InstructionSet*> kBuilt = {
    &mlx_convt::cpu::kBaseline};
#endif

inline std::vector<const InstructionSet*> instruction_sets() {
  std::vector<const InstructionSet*> sets;
  for (auto* set : kBuilt) {
    if (set->is_supported()) {
      sets.push_back(set);
    }
  }
  return sets;
}

} // namespace test
