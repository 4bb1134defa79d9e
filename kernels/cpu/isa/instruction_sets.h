// The instruction sets this build holds; see dispatch_*.cpp.
#pragma once

#include "kernels.h"

namespace mlx_convt::cpu {

// Not in the files of their sets, whose flags they must run without.
bool has_baseline();
bool has_avx2();
bool has_avx512();
bool has_avx512bf16();

extern const InstructionSet kBaseline;
extern const InstructionSet kAvx2;
extern const InstructionSet kAvx512;
extern const InstructionSet kAvx512Bf16;

} // namespace mlx_convt::cpu
