// The arithmetic without a matrix product: every lane of a vector has sums of
// its own. See vector.h for how it is compiled.
#pragma once

#include "vector.h"

namespace mlx_convt::cpu {
namespace {

template <typename T, int Bytes>
struct Lanewise {
  using V = typename VectorOf<T, Bytes>::type;
  static constexpr int kLanes = Bytes / sizeof(T);
  // Sums that hide the latency of a multiply-add.
  static constexpr int kChains = 8;
  // With their weights and a source vector they fit the registers.
  static constexpr int kPositions = Bytes == 64 ? 8 : 4;

  // Adds a row of NT taps to J positions. A source vector is loaded once for
  // all of them.
  template <int NT, int J>
  static inline void add_row(
      const LaneRow<T>& row,
      const LaneRun<T>& run,
      int64_t at,
      const T* weights,
      V (&acc)[J]) {
    if (row.taps != NT) {
      if constexpr (NT > 1) {
        add_row<NT - 1, J>(row, run, at, weights, acc);
      }
      return;
    }
    const T* source = row.source + at;
    V w[NT];
#pragma GCC unroll 8
    for (int t = 0; t < NT; ++t) {
      w[t] = load<V>(weights + row.weights + t * run.weight_step);
    }
#pragma GCC unroll 16
    for (int q = 0; q < J + NT - 1; ++q) {
      V v = load<V>(source + q * run.step);
      keep_in_register(v);
#pragma GCC unroll 8
      for (int t = 0; t < NT; ++t) {
        if (q - t >= 0 && q - t < J) {
          acc[q - t] += w[t] * v;
        }
      }
    }
  }

  // J positions of a vector of channels.
  template <int J>
  [[gnu::always_inline]] static inline void correlate_at(
      const LaneRun<T>& run,
      int64_t at,
      const T* weights,
      const T* init,
      T* to,
      int64_t to_step) {
    V acc[J];
#pragma GCC unroll 8
    for (int j = 0; j < J; ++j) {
      acc[j] = load<V>(init);
    }
    for (int64_t r = 0; r < run.row_count; ++r) {
      add_row<kMaxAdjacentTaps, J>(run.rows[r], run, at, weights, acc);
    }
#pragma GCC unroll 8
    for (int j = 0; j < J; ++j) {
      store(to + j * to_step, acc[j]);
    }
  }

  // Positions in blocks of J, the last of which may overlap the one before: it
  // writes the same values again. So does the last vector of channels.
  template <int J>
  static void correlate_by(
      const LaneRun<T>& run,
      const T* weights,
      const T* init,
      T* to,
      int64_t to_step) {
    const int64_t last_p = run.positions - J;
    const int64_t last_c = run.channels - kLanes;
    if (last_p < 0) {
      if constexpr (J > 1) {
        correlate_by<J / 2>(run, weights, init, to, to_step);
      }
      return;
    }
    for (int64_t p = 0;; p += J) {
      p = p < last_p ? p : last_p;
      for (int64_t c = 0;; c += kLanes) {
        c = c < last_c ? c : last_c;
        correlate_at<J>(
            run,
            p * run.step + c,
            weights + c,
            init + c,
            to + p * to_step + c,
            to_step);
        if (c == last_c) {
          break;
        }
      }
      if (p == last_p) {
        return;
      }
    }
  }

  static void correlate(
      const LaneRun<T>& run,
      const T* weights,
      const T* init,
      T* to,
      int64_t to_step) {
    correlate_by<kPositions>(run, weights, init, to, to_step);
  }

  // The lanes of `v` that lie below `count`, zero elsewhere.
  static V below(V v, int64_t count) {
    T values[kLanes];
    store(values, v);
    for (int l = 0; l < kLanes; ++l) {
      values[l] = l < count ? values[l] : T(0);
    }
    return load<V>(values);
  }

  // Taps [first, first + NT); with few of them, several positions at once.
  template <int NT>
  static void reduce_taps(
      const LaneRun<T>& run,
      int64_t first,
      const T* x,
      int64_t x_step,
      int64_t tail,
      T* sums) {
    constexpr int NP = NT < kChains / 2 ? kChains / (2 * NT) + 1 : 1;
    for (int64_t next = 0; next < run.channels; next += kLanes) {
      const int64_t last = run.channels - kLanes;
      const int64_t c = next < last ? next : last;
      const T* source[NT];
      for (int t = 0; t < NT; ++t) {
        source[t] = run.rows[first + t].source + c;
      }
      const T* value = x + c;
      V acc[NP][NT] = {};
      int64_t p = 0;
      int64_t at = 0;
      for (; p + NP <= run.positions; p += NP) {
        for (int q = 0; q < NP; ++q) {
          V v = load<V>(value);
          value += x_step;
#pragma GCC unroll 8
          for (int t = 0; t < NT; ++t) {
            acc[q][t] += v * load<V>(source[t] + at);
          }
          at += run.step;
        }
      }
      for (; p < run.positions; ++p) {
        V v = load<V>(value);
        value += x_step;
        for (int t = 0; t < NT; ++t) {
          acc[0][t] += v * load<V>(source[t] + at);
        }
        at += run.step;
      }
      if (c < tail) {
        V v = below(load<V>(value), tail - c);
        for (int t = 0; t < NT; ++t) {
          acc[0][t] += v * below(load<V>(source[t] + at), tail - c);
        }
      }
      for (int t = 0; t < NT; ++t) {
        for (int q = 1; q < NP; ++q) {
          acc[0][t] += acc[q][t];
        }
        T* to = sums + run.rows[first + t].weights + c;
        if (c == next) {
          store(to, load<V>(to) + acc[0][t]);
        } else {
          T values[kLanes];
          store(values, acc[0][t]);
          for (int64_t l = next - c; l < kLanes; ++l) {
            to[l] += values[l];
          }
        }
      }
    }
  }

  template <int NT>
  static void reduce_by(
      int64_t taps,
      const LaneRun<T>& run,
      int64_t first,
      const T* x,
      int64_t x_step,
      int64_t tail,
      T* sums) {
    if (taps == NT) {
      reduce_taps<NT>(run, first, x, x_step, tail, sums);
    } else if constexpr (NT > 1) {
      reduce_by<NT - 1>(taps, run, first, x, x_step, tail, sums);
    }
  }

  static void reduce(
      const LaneRun<T>& run,
      const T* x,
      int64_t x_step,
      int64_t tail,
      T* sums) {
    // Blocks of nearly equal size.
    int64_t blocks = (run.row_count + kChains - 1) / kChains;
    for (int64_t b = 0; b < blocks; ++b) {
      int64_t first = run.row_count * b / blocks;
      int64_t taps = run.row_count * (b + 1) / blocks - first;
      reduce_by<kChains>(taps, run, first, x, x_step, tail, sums);
    }
  }

  // A constant step lets the compiler use shuffles.
  template <int Step>
  static void
  every(T* __restrict__ to, const T* __restrict__ from, int64_t count) {
    for (int64_t j = 0; j < count; ++j) {
      to[j] = from[j * Step];
    }
  }

  static void take(
      T* to,
      const T* from,
      const T* from_end,
      int64_t count,
      int64_t step,
      int64_t channels,
      const int32_t* index) {
    if (channels == 1 && step == 1) {
      every<1>(to, from + index[0], count);
    } else if (channels == 1 && step == 2) {
      every<2>(to, from + index[0], count);
    } else if (channels < kLanes) {
      take_lanes(to, channels, from, from_end, count, step, channels, index);
    } else {
      const int64_t last = channels - kLanes;
      for (int64_t c = 0;; c += kLanes) {
        c = c < last ? c : last;
        take_lanes(
            to + c, channels, from, from_end, count, step, kLanes, index + c);
        if (c == last) {
          return;
        }
      }
    }
  }

  // At most a vector of channels. Whole vectors while they fit: what one
  // writes too much, the next writes again.
  static void take_lanes(
      T* __restrict__ to,
      int64_t to_step,
      const T* __restrict__ from,
      const T* from_end,
      int64_t count,
      int64_t step,
      int64_t n,
      const int32_t* index) {
    const int32_t* __restrict__ lane = index;
    int64_t j = 0;
    if (lane[n - 1] - lane[0] < kLanes) {
      auto order = V{} < V{};
      for (int64_t l = 0; l < n; ++l) {
        order[l] = lane[l] - lane[0];
      }
      int64_t whole = n == kLanes ? count : count - kLanes;
      const T* source = from + lane[0];
      for (; j < whole && source + kLanes <= from_end; ++j) {
        store(to, shuffle(load<V>(source), order));
        to += to_step;
        source += step;
      }
    }
    for (; j < count; ++j) {
      for (int64_t l = 0; l < n; ++l) {
        to[l] = from[j * step + lane[l]];
      }
      to += to_step;
    }
  }

  static void interleave(
      T* __restrict__ to,
      const T* __restrict__ lines,
      int64_t line_step,
      int64_t line_count,
      int64_t count,
      int64_t channels) {
    if (channels == 1 && line_count == 2) {
      const T* __restrict__ odd = lines + line_step;
      for (int64_t j = 0; j < count; ++j) {
        to[2 * j] = lines[j];
        to[2 * j + 1] = odd[j];
      }
      return;
    }
    for (int64_t j = 0; j < count; ++j) {
      for (int64_t r = 0; r < line_count; ++r) {
        store(to, load<V>(lines + r * line_step + j * channels));
        to += channels;
      }
    }
  }
};

} // namespace
} // namespace mlx_convt::cpu
