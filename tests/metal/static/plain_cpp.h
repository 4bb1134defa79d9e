// The rules of Metal up to 4.0, in plain C++: no generic address space, so that
// no pointer turns into one of another space.
#pragma once

#define DEVICE __attribute__((address_space(1)))
#define CONSTANT const __attribute__((address_space(2)))
#define THREADGROUP __attribute__((address_space(3)))
#define THREAD
#define KERNEL_FUNCTION
#define TG_ARRAY(T, name, ...) static THREADGROUP T name __VA_ARGS__

typedef _Float16 half;
typedef __bf16 bfloat;

#include "metal_library.h"

// Metal has no arithmetic functions for bfloat.
namespace metal {
template <>
bfloat min(bfloat, bfloat) = delete;
template <>
bfloat max(bfloat, bfloat) = delete;
template <>
bfloat simd_shuffle(bfloat, ushort) = delete;
template <>
bfloat simd_shuffle_xor(bfloat, ushort) = delete;
template <>
bfloat simd_shuffle_up(bfloat, ushort) = delete;
template <>
bfloat simd_shuffle_down(bfloat, ushort) = delete;
} // namespace metal
