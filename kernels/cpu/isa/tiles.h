// The arithmetic of kernels.h, written once over a vector width; see vector.h
// for how it is compiled.
#pragma once

#include "vector.h"

namespace mlx_convt::cpu {
namespace {

// The sum of a vector's lanes, halves added to halves.
template <typename T, int Bytes>
inline T sum_lanes(typename VectorOf<T, Bytes>::type v) {
  if constexpr (Bytes == sizeof(T)) {
    return v[0];
  } else {
    typename VectorOf<T, Bytes / 2>::type halves[2];
    __builtin_memcpy(halves, &v, Bytes);
    return sum_lanes<T, Bytes / 2>(halves[0] + halves[1]);
  }
}

template <typename V, typename T>
inline V add_product(V sum, T a, V b) {
  return sum + a * b;
}

#ifdef __AVX512BF16__
// Two products that are added one after the other, each sum rounded to nearest.
inline VectorOf<float, 64>::type add_product(
    VectorOf<float, 64>::type sum,
    BFloatPair a,
    VectorOf<float, 64>::type b) {
  int32_t bits;
  __builtin_memcpy(&bits, &a, sizeof(bits));
  return _mm512_dpbf16_ps(sum, (__m512bh)_mm512_set1_epi32(bits), (__m512bh)b);
}
#endif

// Vectors of Bytes; tiles of up to Rows rows and two vectors, which together
// with two vectors of B and one broadcast fill the register file. Panels hold
// P, whose products are sums of T.
template <typename P, int Bytes, int Rows>
struct Tiles {
  using T = Sum<P>;
  using V = typename VectorOf<T, Bytes>::type;
  static constexpr int kLanes = Bytes / sizeof(T);
  static constexpr int kDotRows = 4;
  static constexpr int kDotColumns = Rows >= 8 ? 4 : 2;

  // The rows of the result are fetched meanwhile: seldom in a cache, they
  // would hold up the stores.
  template <int M, int NV>
  static void begin(V (&acc)[M][NV], const TileRows<T>& c) {
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
      for (int j = 0; j < NV; ++j) {
        acc[i][j] = c.init ? load<V>(c.init + j * kLanes) : V{};
        if (!c.streams) {
          __builtin_prefetch(c.rows[i] + c.first + j * kLanes, 1);
        }
      }
    }
  }

  // What was there is added last: sums of sums lose less than one long sum.
  template <int M, int NV>
  static void finish(V (&acc)[M][NV], int n, const TileRows<T>& c) {
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
      T* to = c.rows[i] + c.first;
      if (c.streams && n == NV * kLanes &&
          reinterpret_cast<uintptr_t>(to) % Bytes == 0) {
        for (int j = 0; j < NV; ++j) {
          stream(to + j * kLanes, acc[i][j]);
        }
      } else if (n == NV * kLanes) {
        for (int j = 0; j < NV; ++j) {
          V before = c.init ? V{} : load<V>(to + j * kLanes);
          store(to + j * kLanes, before + acc[i][j]);
        }
      } else {
        T padded[NV * kLanes];
        for (int j = 0; j < NV; ++j) {
          store(padded + j * kLanes, acc[i][j]);
        }
        for (int j = 0; j < n; ++j) {
          to[j] = (c.init ? T(0) : to[j]) + padded[j];
        }
      }
    }
  }

  // A row of the tile is a panel row, or a panel column when Transposed.
  template <int M, int NV, bool Transposed>
  static void tile_of(
      int n,
      const P* a,
      Stretches stretches,
      const P* b,
      int64_t ldb,
      const TileRows<T>& c) {
    V acc[M][NV];
    begin<M, NV>(acc, c);
    constexpr int64_t row = Transposed ? 1 : kPitch<P>;
    constexpr int64_t step = Transposed ? kPitch<P> : 1;
    for (int64_t s = 0; s < stretches.count; ++s) {
      const P* b_row = b + stretches.data[s].b;
      for (int64_t k = 0; k < stretches.data[s].length; ++k) {
        multiply_add<M, NV, row>(acc, a, b_row);
        a += step;
        b_row += ldb;
      }
    }
    finish<M, NV>(acc, n, c);
  }

  // The shorter side of the tile waits in registers.
  template <int M, int NV, int64_t Row>
  static void multiply_add(V (&acc)[M][NV], const P* a, const P* b) {
    if constexpr (NV <= 2) {
      V b_values[NV];
#pragma GCC unroll 2
      for (int j = 0; j < NV; ++j) {
        b_values[j] = load<V>(b + j * kLanes);
      }
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i) {
#pragma GCC unroll 2
        for (int j = 0; j < NV; ++j) {
          acc[i][j] = add_product(acc[i][j], a[i * Row], b_values[j]);
        }
      }
    } else {
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) {
        V b_value = load<V>(b + j * kLanes);
#pragma GCC unroll 8
        for (int i = 0; i < M; ++i) {
          acc[i][j] = add_product(acc[i][j], a[i * Row], b_value);
        }
      }
    }
  }

  // Fewer rows leave registers for more vectors.
  static constexpr int most_vectors(int m) {
    return m <= Rows / 4 ? 8 : m <= Rows / 2 - 1 ? 4 : 2;
  }

  static int most_columns(int m) {
    return most_vectors(m) * kLanes;
  }

  template <int M, bool Transposed>
  static void tile_rows(
      int m,
      int n,
      const P* a,
      Stretches stretches,
      const P* b,
      int64_t ldb,
      const TileRows<T>& c) {
    if (m == M) {
      if constexpr (most_vectors(M) >= 8) {
        if (n > 4 * kLanes) {
          return tile_of<M, 8, Transposed>(n, a, stretches, b, ldb, c);
        }
      }
      if constexpr (most_vectors(M) >= 4) {
        if (n > 2 * kLanes) {
          return tile_of<M, 4, Transposed>(n, a, stretches, b, ldb, c);
        }
      }
      if (n > kLanes) {
        tile_of<M, 2, Transposed>(n, a, stretches, b, ldb, c);
      } else {
        tile_of<M, 1, Transposed>(n, a, stretches, b, ldb, c);
      }
    } else if constexpr (M > 1) {
      tile_rows<M - 1, Transposed>(m, n, a, stretches, b, ldb, c);
    }
  }

  static void tile(
      int m,
      int n,
      const P* a,
      Stretches stretches,
      const P* b,
      int64_t ldb,
      const TileRows<T>& c) {
    tile_rows<Rows, false>(m, n, a, stretches, b, ldb, c);
  }

  static void tile_transposed(
      int m,
      int n,
      const P* a,
      int64_t depth,
      const P* b,
      const TileRows<T>& c) {
    Stretch whole{0, depth};
    tile_rows<Rows, true>(m, n, a, {&whole, 1}, b, kPitch<P>, c);
  }

  template <int M, int N>
  static void dot_of(
      const T* a,
      Stretches stretches,
      const T* b,
      int64_t ldb,
      T* const* rows,
      int64_t first,
      const T* init) {
    V acc[M][N] = {};
    T tail[M][N] = {};
    for (int64_t s = 0; s < stretches.count; ++s) {
      const T* b_row = b + stretches.data[s].b;
      int64_t length = stretches.data[s].length;
      int64_t k = 0;
      for (; k + kLanes <= length; k += kLanes) {
        V b_values[N];
#pragma GCC unroll 4
        for (int j = 0; j < N; ++j) {
          b_values[j] = load<V>(b_row + j * ldb + k);
        }
#pragma GCC unroll 4
        for (int i = 0; i < M; ++i) {
          V a_values = load<V>(a + i * kPitch<T> + k);
#pragma GCC unroll 4
          for (int j = 0; j < N; ++j) {
            acc[i][j] += a_values * b_values[j];
          }
        }
      }
      for (; k < length; ++k) {
        for (int i = 0; i < M; ++i) {
          for (int j = 0; j < N; ++j) {
            tail[i][j] += a[i * kPitch<T> + k] * b_row[j * ldb + k];
          }
        }
      }
      a += length;
    }
    for (int i = 0; i < M; ++i) {
      for (int j = 0; j < N; ++j) {
        T* to = rows[i] + first + j;
        T sum = sum_lanes<T, Bytes>(acc[i][j]) + tail[i][j];
        *to = (init ? init[j] : *to) + sum;
      }
    }
  }

  template <int N>
  static void dot_columns(
      int m,
      const T* a,
      Stretches stretches,
      const T* b,
      int64_t ldb,
      const TileRows<T>& c,
      int j) {
    const T* init = c.init ? c.init + j : nullptr;
    int i = 0;
    for (; i + kDotRows <= m; i += kDotRows) {
      dot_of<kDotRows, N>(
          a + i * kPitch<T>,
          stretches,
          b + j * ldb,
          ldb,
          c.rows + i,
          c.first + j,
          init);
    }
    for (; i < m; ++i) {
      dot_of<1, N>(
          a + i * kPitch<T>,
          stretches,
          b + j * ldb,
          ldb,
          c.rows + i,
          c.first + j,
          init);
    }
  }

  static void dot(
      int m,
      int n,
      const T* a,
      Stretches stretches,
      const T* b,
      int64_t ldb,
      const TileRows<T>& c) {
    int j = 0;
    for (; j + kDotColumns <= n; j += kDotColumns) {
      dot_columns<kDotColumns>(m, a, stretches, b, ldb, c, j);
    }
    for (; j + 2 <= n; j += 2) {
      dot_columns<2>(m, a, stretches, b, ldb, c, j);
    }
    if (j < n) {
      dot_columns<1>(m, a, stretches, b, ldb, c, j);
    }
  }
};

} // namespace
} // namespace mlx_convt::cpu
