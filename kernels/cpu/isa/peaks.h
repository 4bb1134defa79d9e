// Loops that do nothing but what the machine does best; see vector.h for how
// they are compiled.
#pragma once

#include "tiles.h"

namespace mlx_convt::cpu {
namespace {

template <typename T, int Bytes>
struct Peaks {
  using V = typename VectorOf<T, Bytes>::type;
  // Two units with a latency of four, and some to spare.
  static constexpr int kChains = 12;
  static constexpr int64_t kRoundFlops = 2 * kChains * (Bytes / sizeof(T));

  static T multiply_add(int64_t rounds, T factor, T term) {
    V acc[kChains];
    for (int i = 0; i < kChains; ++i) {
      acc[i] = V{} + T(i);
    }
    const V a = V{} + factor, b = V{} + term;
    for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 16
      for (int i = 0; i < kChains; ++i) {
        acc[i] = acc[i] * a + b;
      }
    }
    V sum{};
    for (int i = 0; i < kChains; ++i) {
      sum += acc[i];
    }
    return sum_lanes<T, Bytes>(sum);
  }

  // Of vectors that are loaded or stored together.
  static constexpr int kVectors = 4;
  static constexpr int64_t kStep = kVectors * (Bytes / sizeof(T));

  static T read(const T* from, int64_t count) {
    V sums[kVectors] = {};
    for (int64_t i = 0; i + kStep <= count; i += kStep) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) {
        sums[j] += load<V>(from + i + j * (Bytes / sizeof(T)));
      }
    }
    return sum_lanes<T, Bytes>(sums[0] + sums[1] + sums[2] + sums[3]);
  }

  static void write(T* to, int64_t count, T value) {
    const V v = V{} + value;
    for (int64_t i = 0; i + kStep <= count; i += kStep) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) {
        store(to + i + j * (Bytes / sizeof(T)), v);
      }
    }
  }

  static constexpr PeakLoops<T> table() {
    return {kRoundFlops, multiply_add, read, write};
  }
};

} // namespace
} // namespace mlx_convt::cpu
