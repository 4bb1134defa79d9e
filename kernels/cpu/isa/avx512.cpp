#include "instruction_sets.h"
#include "simd.h"

namespace mlx_convt::cpu {

// 32 vector registers: 14 x 2 sums, 2 of B, 1 broadcast.
constinit const InstructionSet kAvx512 =
    instruction_set_of<64, 14>("avx512", [] {
      return __builtin_cpu_supports("avx512f") &&
          __builtin_cpu_supports("avx512bw") &&
          __builtin_cpu_supports("avx512dq") &&
          __builtin_cpu_supports("avx512vl");
    });

} // namespace mlx_convt::cpu
