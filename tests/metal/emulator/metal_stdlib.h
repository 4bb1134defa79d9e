// Stands in for <metal_stdlib>: what the kernels use of it, and no more.
#pragma once

#include "kernel_calls.h"
#include "vectors.h"

namespace metal {

template <typename T>
constexpr T min(T a, T b) {
  return b < a ? b : a;
}

template <typename T>
constexpr T max(T a, T b) {
  return a < b ? b : a;
}

inline float fma(float a, float b, float c) {
  // In assembly, for an increment in C++ would be instrumented.
  asm("incq %0" : "+m"(emulator::fma_calls));
  return __builtin_fmaf(a, b, c);
}

enum class mem_flags : unsigned {
  mem_none = 0,
  mem_device = 1,
  mem_threadgroup = 2,
};

constexpr mem_flags operator|(mem_flags a, mem_flags b) {
  return mem_flags(unsigned(a) | unsigned(b));
}

constexpr bool has_flag(mem_flags flags, mem_flags flag) {
  return (unsigned(flags) & unsigned(flag)) != 0;
}

inline void threadgroup_barrier(
    mem_flags flags,
    const char* file = __builtin_FILE(),
    int line = __builtin_LINE()) {
  emulator::threadgroup_barrier(
      has_flag(flags, mem_flags::mem_device),
      has_flag(flags, mem_flags::mem_threadgroup),
      {"threadgroup_barrier", file, line});
}

inline void simdgroup_barrier(
    mem_flags flags,
    const char* file = __builtin_FILE(),
    int line = __builtin_LINE()) {
  emulator::simdgroup_barrier(
      has_flag(flags, mem_flags::mem_device),
      has_flag(flags, mem_flags::mem_threadgroup),
      {"simdgroup_barrier", file, line});
}

} // namespace metal
