// What every processor of the architecture has: SSE2 or NEON.
#include "instruction_sets.h"
#include "simd.h"

namespace mlx_convt::cpu {

// 16 vector registers on x86-64: 6 x 2 sums, 2 of B, 1 broadcast.
constinit const InstructionSet kBaseline =
    instruction_set_of<16, 6>("baseline", has_baseline);

} // namespace mlx_convt::cpu
