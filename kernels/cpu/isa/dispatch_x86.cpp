#include "instruction_sets.h"
#include "select.h"

namespace mlx_convt::cpu {

// All that CMakeLists.txt lets the compiler use; popcnt comes with -mavx2. Not
// prfchw, for prefetchw is a hint: Intel's before Broadwell take it for a NOP.
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("f16c") && __builtin_cpu_supports("popcnt");
}

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") &&
      __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

bool has_avx512bf16() {
  return has_avx512() && __builtin_cpu_supports("avx512bf16");
}

std::vector<const InstructionSet*> built_sets() {
  return {&kAvx512Bf16, &kAvx512, &kAvx2, &kBaseline};
}

} // namespace mlx_convt::cpu
