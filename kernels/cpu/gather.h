// Fills panels: the rows of a block against the columns of a chunk.
#pragma once

#include <algorithm>

#include "isa/kernels.h"
#include "plan.h"

namespace mlx_convt::cpu {

// A pixel array (N, depth, height, width, channels) and the group of channels
// that a panel is filled from.
template <typename S>
struct Source {
  const S* data;
  Triple extent;
  int64_t images;
  int64_t channels;
  int64_t first_channel;

  const S* end() const {
    return data + images * extent[0] * extent[1] * extent[2] * channels;
  }
};

namespace detail {

template <typename T>
void zero(T* panel, int64_t rows, int64_t columns) {
  for (int64_t r = 0; r < rows; ++r) {
    std::fill_n(panel + r * kPitch<T>, columns, T{});
  }
}

// One piece for one run of rows. Taps outside the source count as zeros.
template <typename S>
void gather_run(
    Acc<S>* panel,
    const Source<S>& source,
    const Phase& phase,
    const RowRun& run,
    const Piece& piece) {
  Triple first;
  for (int a = 0; a < kAxes; ++a) {
    auto& axis = *phase.axis[a];
    first[a] =
        run.position[a] * axis.source_step + axis.taps[piece.tap[a]].offset;
  }
  int64_t columns = piece.columns();
  if (first[0] < 0 || first[0] >= source.extent[0] || first[1] < 0 ||
      first[1] >= source.extent[1]) {
    return zero(panel, run.count, columns);
  }
  int64_t width = source.extent[2];
  int64_t line =
      (run.image * source.extent[0] + first[0]) * source.extent[1] + first[1];
  auto at = [&](int64_t x) {
    return source.data + (line * width + x) * source.channels +
        source.first_channel + piece.channel;
  };
  auto& copy = copies<S>();

  // Rows [begin, end) have all of the piece's taps inside the source; the
  // others are copied one by one.
  int64_t step = run.across_images ? 0 : phase.axis[2]->source_step;
  auto x_of = [&](int64_t row) { return first[2] + row * step; };
  auto inside = [&](int64_t row) {
    return x_of(row) >= 0 && x_of(row) + piece.taps <= width;
  };
  int64_t begin = 0;
  int64_t end = run.count;
  if (step == 0) {
    end = inside(0) ? end : begin;
  } else {
    int64_t above = width - piece.taps - first[2]; // the last row's x, at most
    begin = first[2] < 0 ? (-first[2] + step - 1) / step : 0;
    end = above < 0 ? 0 : std::min(end, above / step + 1);
    begin = std::min(begin, run.count);
    end = std::max(begin, end);
  }
  int64_t row_step = run.across_images
      ? source.extent[0] * source.extent[1] * width * source.channels
      : step * source.channels;
  if (end > begin) {
    copy.gather(
        panel + begin * kPitch<Acc<S>>,
        at(x_of(begin)),
        source.end(),
        end - begin,
        row_step,
        columns);
  }
  for (int64_t row = 0; row < run.count; ++row) {
    if (row == begin && end > begin) {
      row = end - 1;
      continue;
    }
    int64_t x = x_of(row);
    int64_t lo = std::clamp<int64_t>(-x, 0, piece.taps);
    int64_t hi = std::clamp<int64_t>(width - x, lo, piece.taps);
    auto* to = panel + row * kPitch<Acc<S>>;
    std::fill_n(to, columns, Acc<S>{});
    if (hi > lo) {
      const S* from = at(x + lo) + (run.across_images ? row * row_step : 0);
      copy.widen(to + lo * piece.channels, from, (hi - lo) * piece.channels);
    }
  }
}

} // namespace detail

// panel[row][column], rows in the block's order, columns piece after piece.
template <typename S>
void gather(
    Acc<S>* panel,
    const Source<S>& source,
    const Phase& phase,
    const RowBlock& block,
    const std::vector<Piece>& pieces) {
  // Piece by piece: what one writes beyond its columns the next overwrites.
  for (auto& piece : pieces) {
    auto* to = panel;
    for (auto& run : block.runs()) {
      detail::gather_run(to, source, phase, run, piece);
      to += run.count * kPitch<Acc<S>>;
    }
    panel += piece.columns();
  }
}

} // namespace mlx_convt::cpu
