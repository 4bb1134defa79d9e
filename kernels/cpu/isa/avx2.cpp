#include "instruction_sets.h"
#include "simd.h"

namespace mlx_convt::cpu {

// 16 vector registers: 6 x 2 sums, 2 of B, 1 broadcast.
constinit const InstructionSet kAvx2 = instruction_set_of<32, 6>("avx2", [] {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
});

} // namespace mlx_convt::cpu
