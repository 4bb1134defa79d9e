#include "instruction_sets.h"
#include "simd.h"

namespace mlx_convt::cpu {

// As avx512.cpp, and products of bfloat16 pairs.
constinit const InstructionSet kAvx512Bf16 =
    instruction_set_of<64, 14>("avx512bf16", has_avx512bf16);

} // namespace mlx_convt::cpu
