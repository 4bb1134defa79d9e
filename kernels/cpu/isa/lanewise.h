// The arithmetic without a matrix product: along channels for depthwise
// layers, along the width for very few channels. See vector.h for how it is
// compiled.
#pragma once

#include "vector.h"

namespace mlx_convt::cpu {
namespace {

template <typename T, int Bytes>
struct Lanewise {
  using V = typename VectorOf<T, Bytes>::type;
  static constexpr int kLanes = Bytes / sizeof(T);

  // Vectors j, j + 1, ... j + NV - 1 of one row; `valid` values count.
  template <int NV>
  static void diagonal_of(
      const T* a,
      int n,
      Stretches stretches,
      const T* b,
      T* to,
      const T* before,
      int valid) {
    V acc[NV] = {};
    for (int64_t s = 0; s < stretches.count; ++s) {
      const T* b_row = b + stretches.data[s].b;
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) {
        acc[v] += load<V>(a + s * n + v * kLanes) * load<V>(b_row + v * kLanes);
      }
    }
    if (valid >= NV * kLanes) {
      for (int v = 0; v < NV; ++v) {
        store(to + v * kLanes, load<V>(before + v * kLanes) + acc[v]);
      }
    } else {
      T values[NV * kLanes];
      for (int v = 0; v < NV; ++v) {
        store(values + v * kLanes, acc[v]);
      }
      for (int l = 0; l < valid; ++l) {
        to[l] = before[l] + values[l];
      }
    }
  }

  static void diagonal(
      int m,
      int n,
      const T* a,
      Stretches stretches,
      const T* b,
      TileRows<T> c) {
    for (int i = 0; i < m; ++i) {
      T* to = c.rows[i] + c.first;
      const T* before = c.init ? c.init : to;
      int j = 0;
      for (; j + 4 * kLanes <= n; j += 4 * kLanes) {
        diagonal_of<4>(a + j, n, stretches, b + j, to + j, before + j, n - j);
      }
      for (; j < n; j += kLanes) {
        diagonal_of<1>(a + j, n, stretches, b + j, to + j, before + j, n - j);
      }
      a += kPitch<T>;
    }
  }

  static void diagonal_transposed(
      int64_t depth,
      int taps,
      int n,
      const T* a,
      const T* b,
      T* c) {
    for (int t = 0; t < taps; ++t) {
      for (int j = 0; j < n; j += kLanes) {
        V acc = {};
        const T* a_row = a + t * n + j;
        const T* b_row = b + j;
        for (int64_t p = 0; p < depth; ++p) {
          acc +=
              load<V>(a_row + p * kPitch<T>) * load<V>(b_row + p * kPitch<T>);
        }
        T values[kLanes];
        store(values, acc);
        for (int l = 0; l < kLanes && j + l < n; ++l) {
          c[t * n + j + l] += values[l];
        }
      }
    }
  }

  // NV vectors of the sums at once.
  template <int NV>
  static void combine_of(
      int64_t count,
      const T* const* sources,
      const T* weights,
      int64_t t,
      T* out) {
    V acc[NV] = {};
    for (int64_t i = 0; i < count; ++i) {
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) {
        acc[v] += weights[i] * load<V>(sources[i] + t + v * kLanes);
      }
    }
    for (int v = 0; v < NV; ++v) {
      T* to = out + t + v * kLanes;
      store(to, load<V>(to) + acc[v]);
    }
  }

  static void combine(
      int64_t n,
      int64_t count,
      const T* const* sources,
      const T* weights,
      T* out) {
    int64_t t = 0;
    for (; t + 4 * kLanes <= n; t += 4 * kLanes) {
      combine_of<4>(count, sources, weights, t, out);
    }
    for (; t < n; t += kLanes) {
      combine_of<1>(count, sources, weights, t, out);
    }
  }
};

} // namespace
} // namespace mlx_convt::cpu
