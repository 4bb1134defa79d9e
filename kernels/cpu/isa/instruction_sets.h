// The instruction sets this build holds; see dispatch.cpp.
#pragma once

#include "kernels.h"

namespace mlx_convt::cpu {

extern const InstructionSet kBaseline;
extern const InstructionSet kAvx2;
extern const InstructionSet kAvx512;

} // namespace mlx_convt::cpu
