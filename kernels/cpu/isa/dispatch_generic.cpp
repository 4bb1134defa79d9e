#include "instruction_sets.h"
#include "select.h"

namespace mlx_convt::cpu {

std::vector<const InstructionSet*> built_sets() {
  return {&kBaseline};
}

} // namespace mlx_convt::cpu
