// The weights as the matrices of the phases, and their packing.
#pragma once

#include "isa/kernels.h"
#include "plan.h"
#include "scratch.h"

namespace mlx_convt::cpu {

// For one phase and group, the matrix that a panel is multiplied with: its
// rows are (tap, channel of the source), its columns the channels of the
// result, for each folded pixel in turn. Where S is a pair, so is a channel of
// the source.
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

  // The rows of some pieces, one after the other, and the columns first + j,
  // j < count, in blocks of `block` columns (a multiple of lanes): block b is a
  // row-major matrix at packed + b * block * rows, as wide as block or, for the
  // last, as the next multiple of lanes, with zeros for what is missing.
  void pack_columns(
      Acc<S>* packed,
      const Phase& phase,
      const std::vector<Piece>& pieces,
      int64_t group,
      int64_t first,
      int64_t count,
      int64_t block) const {
    int64_t total = 0;
    for (auto& piece : pieces) {
      total += piece.columns();
    }
    int64_t row = 0;
    for (auto& piece : pieces) {
      pack_piece(
          {packed, total, row, block}, phase, piece, group, first, count);
      row += piece.columns();
    }
  }

  // Where a piece goes: from row `row` of blocks with `rows` rows.
  struct Blocks {
    Acc<S>* data;
    int64_t rows;
    int64_t row;
    int64_t width;

    // The width of the block at column j of `count`.
    int64_t width_at(int64_t j, int64_t count) const {
      int64_t lanes = kernels<Acc<S>>().lanes;
      return std::min(width, (count - j + lanes - 1) / lanes * lanes);
    }
    Acc<S>* at(int64_t j, int64_t count) const {
      return data + j * rows + row * width_at(j, count);
    }
  };

  void pack_piece(
      Blocks to,
      const Phase& phase,
      Piece piece,
      int64_t group,
      int64_t first,
      int64_t count) const {
    auto pack = is_output ? &WeightMatrices::transpose : &WeightMatrices::copy;
    for (int64_t t = 0; t < piece.taps; ++t, ++piece.tap[2]) {
      int64_t kernel = phase.kernel_index(geometry.kernel, piece.tap);
      (this->*pack)(to, kernel, piece, group, first, count);
      to.row += piece.channels;
    }
  }

  // packed[row] of one column.
  void pack_column(
      Acc<S>* packed,
      const Phase& phase,
      int64_t group,
      int64_t column) const {
    auto pieces = whole_phase(phase);
    for (auto& piece : pieces) {
      int64_t kernel = phase.kernel_index(geometry.kernel, piece.tap);
      if (is_output) {
        copies<S>().widen(packed, values(group, column, kernel), channels());
        packed += channels();
      } else {
        for (int64_t o = 0; o < channels(); ++o) {
          copies<S>().widen(packed++, at(group, o, kernel) + column, 1);
        }
      }
    }
  }

  // All rows of a phase's matrix, tap by tap.
  std::vector<Piece> whole_phase(const Phase& phase) const {
    std::vector<Piece> pieces;
    auto all = all_taps(phase);
    Triple tap;
    for (tap[0] = 0; tap[0] < all.last[0]; ++tap[0]) {
      for (tap[1] = 0; tap[1] < all.last[1]; ++tap[1]) {
        for (tap[2] = 0; tap[2] < all.last[2]; ++tap[2]) {
          pieces.push_back({tap, 1, 0, channels()});
        }
      }
    }
    return pieces;
  }

 private:
  // Of Output: the reduction's channels for one column and tap.
  const S* values(int64_t group, int64_t column, int64_t kernel) const {
    int64_t pixel = column / geometry.group_out();
    return at(group, column % geometry.group_out(), kernel + pixel);
  }

  // Rows of InputGrad that make one of a packed matrix.
  static constexpr int64_t kRows = sizeof(S) / sizeof(Element<S>);

  // Of InputGrad: the columns of a channel of the reduction, or of the first of
  // a pair, which is out_step() before the second.
  const Element<S>* row_at(int64_t group, int64_t channel, int64_t kernel)
      const {
    int64_t o = (group * geometry.group_out() + channel) * kRows;
    return reinterpret_cast<const Element<S>*>(data) +
        (o * geometry.taps() + kernel) * geometry.group_in();
  }

  void transpose(
      const Blocks& to,
      int64_t kernel,
      const Piece& piece,
      int64_t group,
      int64_t first,
      int64_t count) const {
    constexpr int64_t kAtOnce = 64;
    const S* rows[kAtOnce];
    for (int64_t j = 0; j < count; j += to.width) {
      int64_t width = to.width_at(j, count);
      int64_t columns = std::min(to.width, count - j);
      auto* block = to.at(j, count);
      for (int64_t i = 0; i < columns; i += kAtOnce) {
        int64_t some = std::min(kAtOnce, columns - i);
        for (int64_t r = 0; r < some; ++r) {
          rows[r] = values(group, first + j + i + r, kernel) + piece.channel;
        }
        copies<S>().transpose(block + i, width, rows, some, piece.channels, 0);
      }
    }
  }

  // Row by row: neighbouring columns are neighbours in memory.
  void copy(
      const Blocks& to,
      int64_t kernel,
      const Piece& piece,
      int64_t group,
      int64_t first,
      int64_t count) const {
    for (int64_t o = 0; o < piece.channels; ++o) {
      auto* from = row_at(group, piece.channel + o, kernel) + first;
      for (int64_t j = 0; j < count; j += to.width) {
        int64_t width = to.width_at(j, count);
        int64_t columns = std::min(to.width, count - j);
        // Rows lie pages apart, out of reach of the processor's own fetching.
        constexpr int64_t kRowsAhead = 4;
        constexpr int64_t kLine = 64 / sizeof(Element<S>);
        for (int64_t q = 0; q < columns; q += kLine) {
          for (int64_t r = 0; r < kRows; ++r) {
            __builtin_prefetch(
                from + (kRowsAhead * kRows + r) * out_step() + j + q);
          }
        }
        auto* row = to.data + j * to.rows + (to.row + o) * width;
        if constexpr (kRows == 2) {
          kernels<S>().zip(row, from + j, from + out_step() + j, columns);
        } else {
          copies<S>().widen(row, from + j, columns);
        }
        std::fill(row + columns, row + width, Acc<S>{});
      }
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
