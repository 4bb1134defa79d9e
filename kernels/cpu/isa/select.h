// Chooses an instruction set at run time.
#pragma once

#include <vector>

#include "kernels.h"

namespace mlx_convt::cpu {

// What this build holds, best first; see dispatch_*.cpp.
std::vector<const InstructionSet*> built_sets();

// Those of them that this processor can run, `baseline` at least.
std::vector<const InstructionSet*> supported_sets();

// The first of these, or the one that MLX_CONVT_INSTRUCTION_SET names.
const InstructionSet& select();

} // namespace mlx_convt::cpu
