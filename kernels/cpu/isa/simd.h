// The inner loops of kernels.h, written once over a vector width. Each
// instruction set includes this file in a translation unit of its own, with
// its own compiler flags; the unnamed namespace keeps the linker from mixing
// their code, and no standard header is used for the same reason.
#pragma once

#include "kernels.h"

namespace mlx_convt::cpu {
namespace {

template <typename T, int Bytes>
struct VectorOf {
  typedef T type __attribute__((vector_size(Bytes)));
};

template <typename V, typename T>
inline V load(const T* from) {
  V v;
  __builtin_memcpy(&v, from, sizeof(V));
  return v;
}

template <typename V, typename T>
inline void store(T* to, V v) {
  __builtin_memcpy(to, &v, sizeof(V));
}

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

// Vectors of Bytes; tiles of up to Rows rows and two vectors, which together
// with two vectors of B and one broadcast fill the register file.
template <typename T, int Bytes, int Rows>
struct Simd {
  using V = typename VectorOf<T, Bytes>::type;
  static constexpr int kLanes = Bytes / sizeof(T);
  static constexpr int kDotRows = 4;
  static constexpr int kDotColumns = Rows >= 8 ? 4 : 2;

  template <int M, int NV>
  static void begin(V (&acc)[M][NV], int n, TileRows<T> c) {
    if (c.init) {
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i) {
        for (int j = 0; j < NV; ++j) {
          acc[i][j] = load<V>(c.init + j * kLanes);
        }
      }
      return;
    }
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
      const T* from = c.rows[i] + c.first;
      T padded[NV * kLanes] = {};
      if (n < NV * kLanes) {
        for (int j = 0; j < n; ++j) {
          padded[j] = from[j];
        }
        from = padded;
      }
      for (int j = 0; j < NV; ++j) {
        acc[i][j] = load<V>(from + j * kLanes);
      }
    }
  }

  template <int M, int NV>
  static void finish(const V (&acc)[M][NV], int n, TileRows<T> c) {
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
      T* to = c.rows[i] + c.first;
      if (n == NV * kLanes) {
        for (int j = 0; j < NV; ++j) {
          store(to + j * kLanes, acc[i][j]);
        }
      } else {
        T padded[NV * kLanes];
        for (int j = 0; j < NV; ++j) {
          store(padded + j * kLanes, acc[i][j]);
        }
        for (int j = 0; j < n; ++j) {
          to[j] = padded[j];
        }
      }
    }
  }

  // A row of the tile is a panel row, or a panel column when Transposed.
  template <int M, int NV, bool Transposed>
  static void tile_of(
      int n,
      const T* a,
      Stretches stretches,
      const T* b,
      int64_t ldb,
      TileRows<T> c) {
    V acc[M][NV];
    begin<M, NV>(acc, n, c);
    constexpr int64_t row = Transposed ? 1 : kPitch<T>;
    constexpr int64_t step = Transposed ? kPitch<T> : 1;
    for (int64_t s = 0; s < stretches.count; ++s) {
      const T* b_row = b + stretches.data[s].b;
      for (int64_t k = 0; k < stretches.data[s].length; ++k) {
        V b_values[NV];
#pragma GCC unroll 2
        for (int j = 0; j < NV; ++j) {
          b_values[j] = load<V>(b_row + j * kLanes);
        }
#pragma GCC unroll 16
        for (int i = 0; i < M; ++i) {
#pragma GCC unroll 2
          for (int j = 0; j < NV; ++j) {
            acc[i][j] += a[i * row] * b_values[j];
          }
        }
        a += step;
        b_row += ldb;
      }
    }
    finish<M, NV>(acc, n, c);
  }

  template <int M, bool Transposed>
  static void tile_rows(
      int m,
      int n,
      const T* a,
      Stretches stretches,
      const T* b,
      int64_t ldb,
      TileRows<T> c) {
    if (m == M) {
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
      const T* a,
      Stretches stretches,
      const T* b,
      int64_t ldb,
      TileRows<T> c) {
    tile_rows<Rows, false>(m, n, a, stretches, b, ldb, c);
  }

  static void tile_transposed(
      int m,
      int n,
      const T* a,
      int64_t depth,
      const T* b,
      TileRows<T> c) {
    Stretch whole{0, depth};
    tile_rows<Rows, true>(m, n, a, {&whole, 1}, b, kPitch<T>, c);
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
      TileRows<T> c,
      int j) {
    const T* init = c.init ? c.init + j : nullptr;
    int i = 0;
    for (; i + kDotRows <= m; i += kDotRows) {
      dot_of<kDotRows, N>(
          a + i * kPitch<T>, stretches, b + j * ldb, ldb, c.rows + i,
          c.first + j, init);
    }
    for (; i < m; ++i) {
      dot_of<1, N>(
          a + i * kPitch<T>, stretches, b + j * ldb, ldb, c.rows + i,
          c.first + j, init);
    }
  }

  static void dot(
      int m,
      int n,
      const T* a,
      Stretches stretches,
      const T* b,
      int64_t ldb,
      TileRows<T> c) {
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

  static void diagonal(
      int m,
      int n,
      const T* a,
      Stretches stretches,
      const T* b,
      TileRows<T> c) {
    for (int i = 0; i < m; ++i) {
      T* to = c.rows[i] + c.first;
      for (int j = 0; j < n; j += kLanes) {
        int valid = n - j < kLanes ? n - j : kLanes;
        T values[kLanes] = {};
        const T* from = c.init ? c.init : to;
        for (int l = 0; l < valid; ++l) {
          values[l] = from[j + l];
        }
        V acc = load<V>(values);
        const T* a_row = a + i * kPitch<T> + j;
        for (int64_t s = 0; s < stretches.count; ++s) {
          acc += load<V>(a_row + s * n) * load<V>(b + stretches.data[s].b + j);
        }
        if (valid == kLanes) {
          store(to + j, acc);
        } else {
          store(values, acc);
          for (int l = 0; l < valid; ++l) {
            to[j + l] = values[l];
          }
        }
      }
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
          acc += load<V>(a_row + p * kPitch<T>) *
              load<V>(b_row + p * kPitch<T>);
        }
        T values[kLanes];
        store(values, acc);
        for (int l = 0; l < kLanes && j + l < n; ++l) {
          c[t * n + j + l] += values[l];
        }
      }
    }
  }

  static constexpr Kernels<T> table() {
    return {
        kLanes, Rows, tile, tile_transposed, dot, diagonal,
        diagonal_transposed};
  }
};

inline uint32_t bits_of(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof(bits));
  return bits;
}

inline float float_of(uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof(value));
  return value;
}

inline float to_acc(float value) {
  return value;
}
inline double to_acc(double value) {
  return value;
}
inline float to_acc(BFloat value) {
  return float_of(static_cast<uint32_t>(value.bits) << 16);
}
inline float to_acc(Half value) {
  // The exponent is rebiased by an exact product, subnormal numbers included.
  uint32_t magnitude = (value.bits & 0x7fffu) << 13;
  uint32_t bits = bits_of(float_of(magnitude) * 0x1p112f);
  bits |= magnitude >= 0x0f800000u ? 0x7f800000u : 0u; // infinity, NaN
  return float_of(bits | (value.bits & 0x8000u) << 16);
}

inline void from_acc(float& to, float value) {
  to = value;
}
inline void from_acc(double& to, double value) {
  to = value;
}
inline void from_acc(BFloat& to, float value) {
  uint32_t bits = bits_of(value);
  uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1)) >> 16;
  bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
  to.bits = is_nan ? (bits >> 16) | 0x40u : rounded;
}
inline void from_acc(Half& to, float value) {
  uint32_t bits = bits_of(value);
  uint32_t magnitude = bits & 0x7fffffffu;
  // Below 2^-14 the sum with 0.5 leaves the rounded subnormal in the low bits.
  uint32_t subnormal = bits_of(float_of(magnitude) + 0.5f) - 0x3f000000u;
  uint32_t normal =
      (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1)) >> 13;
  uint32_t special = magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u;
  uint32_t half = magnitude >= 0x47800000u ? special
      : magnitude < 0x38800000u            ? subnormal
                                           : normal;
  to.bits = half | ((bits >> 16) & 0x8000u);
}

template <typename S, int Bytes>
struct CopiesOf {
  using T = Acc<S>;
  using V = typename VectorOf<T, Bytes>::type;
  static constexpr int kLanes = Bytes / sizeof(T);

  static void widen(T* to, const S* from, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      to[i] = to_acc(from[i]);
    }
  }

  static void narrow(S* to, const T* from, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      from_acc(to[i], from[i]);
    }
  }

  static void gather(
      T* panel,
      const S* source,
      const S* source_end,
      int64_t rows,
      int64_t step,
      int64_t length) {
    if constexpr (sizeof(S) == sizeof(T)) {
      // Short rows: whole vectors, as long as they stay inside the source.
      int64_t padded = (length + kLanes - 1) / kLanes * kLanes;
      int64_t last = (rows - 1) * step + padded;
      if (padded <= 4 * kLanes && last <= source_end - source) {
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t i = 0; i < padded; i += kLanes) {
            store(panel + i, load<V>(source + i));
          }
          panel += kPitch<T>;
          source += step;
        }
      } else {
        for (int64_t r = 0; r < rows; ++r) {
          __builtin_memcpy(panel, source, length * sizeof(T));
          panel += kPitch<T>;
          source += step;
        }
      }
    } else {
      for (int64_t r = 0; r < rows; ++r) {
        widen(panel + r * kPitch<T>, source + r * step, length);
      }
    }
  }

  static constexpr Copies<S> table() {
    return {gather, widen, narrow};
  }
};

template <int Bytes, int Rows>
constexpr InstructionSet
instruction_set_of(const char* name, bool (*is_supported)()) {
  return {
      name,
      is_supported,
      Simd<float, Bytes, Rows>::table(),
      Simd<double, Bytes, Rows>::table(),
      CopiesOf<float, Bytes>::table(),
      CopiesOf<Half, Bytes>::table(),
      CopiesOf<BFloat, Bytes>::table(),
      CopiesOf<double, Bytes>::table()};
}

} // namespace
} // namespace mlx_convt::cpu
