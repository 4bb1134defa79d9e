#include "instruction_sets.h"
#include "select.h"

namespace mlx_convt::cpu {

const InstructionSet& active() {
  static const InstructionSet& set = select({&kBaseline});
  return set;
}

} // namespace mlx_convt::cpu
