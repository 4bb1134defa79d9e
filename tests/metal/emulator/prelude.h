// The names that the kernels are written in, for the CPU. A kernel's text lives
// in a namespace of its own, which then also holds its declared_threads.
#pragma once

#include "simd_functions.h"
#include "simdgroup_matrix.h"

using namespace metal;

#define DEVICE
#define CONSTANT
#define THREADGROUP
#define THREAD
#define METAL_FUNC inline __attribute__((always_inline))
#define KERNEL(threads)                       \
  constexpr int declared_threads = (threads); \
  void
#define BUFFER(n)
#define KERNEL_IDS
#define KERNEL_IDS_INIT                                            \
  const emulator::ThreadIds ids = emulator::thread_ids();          \
  [[maybe_unused]] const uint3 tgid(                               \
      ids.threadgroup[0], ids.threadgroup[1], ids.threadgroup[2]); \
  [[maybe_unused]] const uint sg = ids.simd_group;                 \
  [[maybe_unused]] const uint lane = ids.lane;
#define TG_ARRAY(T, name, ...)                                         \
  T(&name)                                                             \
  __VA_ARGS__ =                                                        \
      *reinterpret_cast<T(*) __VA_ARGS__>(emulator::threadgroup_array( \
          #name, __LINE__, sizeof(T __VA_ARGS__), alignof(T)))
#define UNROLL
