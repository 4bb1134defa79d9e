#include "instruction_sets.h"
#include "simd.h"

namespace mlx_convt::cpu {

// 16 vector registers: 6 x 2 sums, 2 of B, 1 broadcast.
constinit const InstructionSet kAvx2 =
    instruction_set_of<32, 6>("avx2", has_avx2);

} // namespace mlx_convt::cpu
