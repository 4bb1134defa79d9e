// The weights as the matrices of the phases, and their packing.
#pragma once

#include "isa/kernels.h"
#include "plan.h"
#include "scratch.h"

namespace mlx_convt::cpu {

// For one phase and group, the matrix that a panel is multiplied with: its
// rows are (tap, channel of the source), its columns the channels of the
// result, for each folded pixel in turn.
template <typename S>
struct WeightMatrices {
  const S* data;
  const Geometry& geometry;
  bool is_output; // else InputGrad

  int64_t channels() const {
    return is_output ? geometry.group_in() : geometry.group_out();
  }
  int64_t columns(const Phase& phase) const {
    return is_output ? phase.axis[2]->fold * geometry.group_out()
                     : geometry.group_in();
  }
  int64_t rows(const Phase& phase) const {
    return phase.taps() * channels();
  }

  // The values of one output channel and tap, group_in() of them.
  const S* at(int64_t group, int64_t out_channel, int64_t kernel) const {
    int64_t o = group * geometry.group_out() + out_channel;
    return data + (o * geometry.taps() + kernel) * geometry.group_in();
  }

  // Distance of neighbouring output channels.
  int64_t out_step() const {
    return geometry.taps() * geometry.group_in();
  }

  template <typename F>
  void for_each_tap(const Phase& phase, F&& f) const {
    Triple tap;
    int64_t index = 0;
    auto all = all_taps(phase);
    for (tap[0] = 0; tap[0] < all.last[0]; ++tap[0]) {
      for (tap[1] = 0; tap[1] < all.last[1]; ++tap[1]) {
        for (tap[2] = 0; tap[2] < all.last[2]; ++tap[2]) {
          f(index++, phase.kernel_index(geometry.kernel, tap));
        }
      }
    }
  }

  // packed[row * width + j] for the columns first + j, j < count; zeros up to
  // the width.
  void pack_columns(
      Acc<S>* packed,
      const Phase& phase,
      int64_t group,
      int64_t first,
      int64_t count,
      int64_t width) const {
    auto& copy = copies<S>();
    if (count < width) {
      std::fill_n(packed, rows(phase) * width, Acc<S>(0));
    }
    if (!is_output) {
      for_each_tap(phase, [&](int64_t tap, int64_t kernel) {
        for (int64_t o = 0; o < channels(); ++o) {
          copy.widen(
              packed + (tap * channels() + o) * width,
              at(group, o, kernel) + first,
              count);
        }
      });
      return;
    }
    auto* line = scratch<Acc<S>>(Slot::Sums, channels());
    int64_t out_channels = geometry.group_out();
    for_each_tap(phase, [&](int64_t tap, int64_t kernel) {
      for (int64_t j = 0; j < count; ++j) {
        int64_t pixel = (first + j) / out_channels;
        int64_t o = (first + j) % out_channels;
        copy.widen(line, at(group, o, kernel + pixel), channels());
        auto* to = packed + tap * channels() * width + j;
        for (int64_t c = 0; c < channels(); ++c) {
          to[c * width] = line[c];
        }
      }
    });
  }

  // packed[row] of one column.
  void pack_column(
      Acc<S>* packed,
      const Phase& phase,
      int64_t group,
      int64_t column) const {
    if (is_output) {
      int64_t pixel = column / geometry.group_out();
      int64_t o = column % geometry.group_out();
      for_each_tap(phase, [&](int64_t tap, int64_t kernel) {
        copies<S>().widen(
            packed + tap * channels(),
            at(group, o, kernel + pixel),
            channels());
      });
    } else {
      pack_columns(packed, phase, group, column, 1, 1);
    }
  }
};

// First row of a piece in a matrix of all the phase's taps.
inline int64_t
first_row(const Phase& phase, const Piece& piece, int64_t channels) {
  auto all = all_taps(phase);
  int64_t tap =
      (piece.tap[0] * all.last[1] + piece.tap[1]) * all.last[2] + piece.tap[2];
  return tap * channels + piece.channel;
}

} // namespace mlx_convt::cpu
