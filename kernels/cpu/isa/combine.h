// Signed sums of a few rows, the transforms of winograd_plan.h; see
// vector.h for how it is compiled.
#pragma once

#include "conversions.h"

namespace mlx_convt::cpu {
namespace {

template <typename S, int Bytes>
struct Combine {
  using T = Acc<S>;
  using V = typename VectorOf<T, Bytes>::type;
  static constexpr int kLanes = Bytes / sizeof(T);

  template <int Terms, bool Adds>
  static void
  rows_of(T* panel, const S* const* from, int64_t rows, int64_t length) {
    for (int64_t r = 0; r < rows; ++r, from += Terms, panel += kPitch<T>) {
      int64_t k = 0;
      for (; k + kLanes <= length; k += kLanes) {
        V terms[Terms];
#pragma GCC unroll 8
        for (int i = 0; i < Terms; ++i) {
          terms[i] = CopiesOf<S, Bytes>::load_row(from[i] + k);
        }
        store(panel + k, combined<Terms, Adds>(terms));
      }
      for (; k < length; ++k) {
        T terms[Terms];
        for (int i = 0; i < Terms; ++i) {
          terms[i] = to_acc(from[i][k]);
        }
        panel[k] = combined<Terms, Adds>(terms);
      }
    }
  }

  // The points of rows of cells: along each of `Axes` axes, of pixels d0, d1
  // and d2 in turn, d0 - d1, d1 and d1 - d2.
  template <int Axes>
  static void points_of(
      T* const* panels,
      const S* const* from,
      int64_t rows,
      int64_t length) {
    constexpr int pixels = Axes == 0 ? 1 : Axes == 1 ? 3 : Axes == 2 ? 9 : 27;
    for (int64_t r = 0; r < rows; ++r, from += pixels) {
      int64_t k = 0;
      for (; k + kLanes <= length; k += kLanes) {
        V values[pixels];
#pragma GCC unroll 27
        for (int i = 0; i < pixels; ++i) {
          values[i] = CopiesOf<S, Bytes>::load_row(from[i] + k);
        }
        subtract<1, pixels>(values);
#pragma GCC unroll 27
        for (int i = 0; i < pixels; ++i) {
          if (panels[i]) {
            store(panels[i] + r * kPitch<T> + k, values[i]);
          }
        }
      }
      for (; k < length; ++k) {
        T values[pixels];
        for (int i = 0; i < pixels; ++i) {
          values[i] = to_acc(from[i][k]);
        }
        subtract<1, pixels>(values);
        for (int i = 0; i < pixels; ++i) {
          if (panels[i]) {
            panels[i][r * kPitch<T> + k] = values[i];
          }
        }
      }
    }
  }

  // Along the axis whose neighbours lie Step apart, and those outside of it.
  template <int Step, int Pixels, typename U>
  static void subtract(U* values) {
    if constexpr (Step < Pixels) {
#pragma GCC unroll 27
      for (int i = 0; i < Pixels; ++i) {
        if (i / Step % 3 == 0) {
          values[i] -= values[i + Step];
          values[i + 2 * Step] = values[i + Step] - values[i + 2 * Step];
        }
      }
      subtract<3 * Step, Pixels>(values);
    }
  }

  static void points(
      T* const* panels,
      const S* const* from,
      int64_t rows,
      int axes,
      int64_t length) {
    switch (axes) {
      case 0:
        return points_of<0>(panels, from, rows, length);
      case 1:
        return points_of<1>(panels, from, rows, length);
      case 2:
        return points_of<2>(panels, from, rows, length);
      default:
        return points_of<3>(panels, from, rows, length);
    }
  }

  // Sums or differences of neighbours, then of these.
  template <int Terms, bool Adds, typename U>
  static U combined(U* terms) {
    if constexpr (Terms == 1) {
      return terms[0];
    } else {
#pragma GCC unroll 4
      for (int i = 0; i < Terms / 2; ++i) {
        U a = terms[2 * i];
        U b = terms[2 * i + 1];
        terms[i] = Adds ? a + b : a - b;
      }
      return combined<Terms / 2, Adds>(terms);
    }
  }

  template <bool Adds>
  static void rows(
      T* panel,
      const S* const* from,
      int64_t rows,
      int terms,
      int64_t length) {
    switch (terms) {
      case 1:
        return rows_of<1, Adds>(panel, from, rows, length);
      case 2:
        return rows_of<2, Adds>(panel, from, rows, length);
      case 4:
        return rows_of<4, Adds>(panel, from, rows, length);
      default:
        return rows_of<8, Adds>(panel, from, rows, length);
    }
  }
};

template <typename T, int Bytes>
struct Sums {
  using V = typename VectorOf<T, Bytes>::type;
  static constexpr int kLanes = Bytes / sizeof(T);

  template <int Terms>
  static T sum_of(
      T* to,
      const T* const* from,
      const T* signs,
      const T* init,
      int64_t count,
      bool streams) {
    V zeros{};
    streams = streams && reinterpret_cast<uintptr_t>(to) % Bytes == 0;
    int64_t j = 0;
    for (; j + kLanes <= count; j += kLanes) {
      V sum = init ? load<V>(init + j) : V{};
#pragma GCC unroll 8
      for (int i = 0; i < Terms; ++i) {
        sum += signs[i] * load<V>(from[i] + j);
      }
      if (streams) {
        stream(to + j, sum);
      } else {
        store(to + j, sum);
      }
      zeros += sum * T(0);
    }
    T zero = 0;
    for (int i = 0; i < kLanes; ++i) {
      zero += zeros[i];
    }
    for (; j < count; ++j) {
      T sum = init ? init[j] : T(0);
      for (int i = 0; i < Terms; ++i) {
        sum += signs[i] * from[i][j];
      }
      to[j] = sum;
      zero += sum * T(0);
    }
    return zero;
  }

  static T signed_sum(
      T* to,
      const T* const* from,
      const T* signs,
      int terms,
      const T* init,
      int64_t count,
      bool streams) {
    switch (terms) {
      case 1:
        return sum_of<1>(to, from, signs, init, count, streams);
      case 2:
        return sum_of<2>(to, from, signs, init, count, streams);
      case 4:
        return sum_of<4>(to, from, signs, init, count, streams);
      default:
        return sum_of<8>(to, from, signs, init, count, streams);
    }
  }
};

} // namespace
} // namespace mlx_convt::cpu
