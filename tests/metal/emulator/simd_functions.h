// Metal's functions over the 32 lanes of a SIMD-group.
#pragma once

#include "metal_stdlib.h"

namespace emulator {

template <typename T>
inline T shuffle(T value, int source_lane, Site site) {
  static_assert(sizeof(T) <= sizeof(uint64_t), "one register a lane");
  uint64_t bits = 0;
  __builtin_memcpy(&bits, &value, sizeof(T));
  bits = exchange(bits, source_lane, site);
  __builtin_memcpy(&value, &bits, sizeof(T));
  return value;
}

// Past either end of the SIMD-group a lane keeps its own value.
inline int lane_or_self(int lane) {
  return lane >= 0 && lane < 32 ? lane : int(thread_ids().lane);
}

} // namespace emulator

namespace metal {

template <typename T>
inline T simd_shuffle(
    T value,
    ushort lane,
    const char* file = __builtin_FILE(),
    int line = __builtin_LINE()) {
  return emulator::shuffle(value, lane, {"simd_shuffle", file, line});
}

template <typename T>
inline T simd_shuffle_xor(
    T value,
    ushort mask,
    const char* file = __builtin_FILE(),
    int line = __builtin_LINE()) {
  const int lane = int(emulator::thread_ids().lane) ^ mask;
  return emulator::shuffle(value, lane, {"simd_shuffle_xor", file, line});
}

template <typename T>
inline T simd_shuffle_down(
    T value,
    ushort delta,
    const char* file = __builtin_FILE(),
    int line = __builtin_LINE()) {
  const int lane =
      emulator::lane_or_self(int(emulator::thread_ids().lane) + delta);
  return emulator::shuffle(value, lane, {"simd_shuffle_down", file, line});
}

template <typename T>
inline T simd_shuffle_up(
    T value,
    ushort delta,
    const char* file = __builtin_FILE(),
    int line = __builtin_LINE()) {
  const int lane =
      emulator::lane_or_self(int(emulator::thread_ids().lane) - delta);
  return emulator::shuffle(value, lane, {"simd_shuffle_up", file, line});
}

inline float simd_sum(
    float value,
    const char* file = __builtin_FILE(),
    int line = __builtin_LINE()) {
  return emulator::sum_of_lanes(value, {"simd_sum", file, line});
}

} // namespace metal
