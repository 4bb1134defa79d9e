#include "instruction_sets.h"
#include "simd.h"

namespace mlx_convt::cpu {

// 32 vector registers: 14 x 2 sums, 2 of B, 1 broadcast.
constinit const InstructionSet kAvx512 =
    instruction_set_of<64, 14>("avx512", has_avx512);

} // namespace mlx_convt::cpu
