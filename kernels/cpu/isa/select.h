// Chooses an instruction set at run time.
#pragma once

#include <vector>

#include "kernels.h"

namespace mlx_convt::cpu {

// The first of `sets`, best first, that this processor can run, or the one
// that MLX_CONVT_INSTRUCTION_SET names.
const InstructionSet& select(const std::vector<const InstructionSet*>& sets);

} // namespace mlx_convt::cpu
