// Output and InputGrad by register tiles.
#pragma once

#include <optional>

#include "pair_range.h"
#include "product.h"

namespace mlx_convt::cpu {

// Register tiles over weights packed into blocks of two vectors: all of them
// before the first product; or, for few rows, as a product meets them, in a
// buffer that stays in the first-level cache; or not at all, where one tile
// has all rows and the columns lie side by side already, as in InputGrad.
template <typename S>
class TileMethod {
  using T = Acc<S>;
  using Operands = Product<Sum<S>, T>;
  static constexpr bool kPairs = std::is_same_v<S, BFloatPair>;

 public:
  static constexpr bool kWritesAnywhere = true;
  static constexpr bool kSumsColumnsAlone = true;
  // A panel of half a second-level cache, beside packed weights or alone.
  static constexpr int64_t kBlockRows = 112;
  static constexpr int64_t kBlockRowsAlone = 224;
  static constexpr int64_t kColumnsAtOnce = 512;
  // With more rows, all weights are packed before the first product.
  static constexpr int64_t kMostRowsAlone = 2 * kBlockRowsAlone;

  TileMethod(const WeightMatrices<S>& weights, const Plan& plan)
      : weights_(weights), lanes_(kernels<T>().lanes) {
    int64_t rows = plan.phase(0).rows();
    in_place_ = std::is_same_v<S, Sum<S>> && !weights.is_output &&
        rows <= kernels<T>().tile_rows &&
        weights.geometry.group_in() % lanes_ == 0;
    packs_once_ = !in_place_ && rows > kMostRowsAlone;
    if (packs_once_) {
      packed_.emplace(
          weights,
          plan,
          2 * lanes_,
          lanes_,
          [&](T* to, const Phase& phase, int64_t group, int64_t first) {
            weights.pack_columns(
                to,
                phase,
                weights.whole_phase(phase),
                group,
                first,
                std::min(weights.columns(phase) - first, 2 * lanes_),
                2 * lanes_);
            note_weights(to, weights.rows(phase) * width_at(phase, first));
          });
    }
  }

  int64_t block_rows() const {
    return packs_once_ ? kBlockRows : kBlockRowsAlone;
  }

  int64_t column_step() const {
    return 2 * lanes_;
  }

  // Whether the sums are those of float32, subnormal numbers included.
  bool is_exact() const {
    return !kPairs || range_.has_normal_sums();
  }

  void multiply(const Operands& p) const {
    if constexpr (kPairs) {
      range_.add_panel(p.panel, p.rows, depth_of(p.pieces));
      if (!is_exact()) {
        return; // nobody will read these sums
      }
    }
    if (in_place_) {
      multiply_in_place(p);
    } else if (packs_once_) {
      multiply_packed(p);
    } else {
      multiply_packing(p);
    }
  }

 private:
  void multiply_in_place(const Operands& p) const {
    if constexpr (std::is_same_v<S, Sum<S>>) {
      auto& g = weights_.geometry;
      auto stretches = unpacked_stretches(
          p.phase, g.kernel, p.pieces, g.group_in(), weights_.out_step());
      auto* weights = weights_.at(p.group, 0, 0) + p.column;
      // Few rows make wide tiles; whole vectors, so as not to read beyond.
      int64_t most = kernels<T>().most_columns(static_cast<int>(p.rows));
      for (int64_t j = 0; j < p.columns;) {
        int64_t width = most;
        while (width > p.columns - j) {
          width /= 2;
        }
        tiles(p, j, width, stretches, weights + j, weights_.out_step());
        j += width;
      }
    }
  }

  void multiply_packed(const Operands& p) const {
    auto* matrix = packed_->data(p.phase_index, p.group);
    // In rows: the width differs from block to block.
    auto rows = packed_stretches(p.phase, p.pieces, weights_.channels(), 1);
    auto stretches = rows;
    for (int64_t j = 0; j < p.columns; j += column_step()) {
      int64_t first = p.column + j;
      int64_t width = width_at(p.phase, first);
      for (size_t s = 0; s < rows.size(); ++s) {
        stretches[s].b = rows[s].b * width;
      }
      tiles(
          p,
          j,
          std::min(p.columns - j, column_step()),
          stretches,
          matrix + first * weights_.rows(p.phase),
          width);
    }
  }

  void multiply_packing(const Operands& p) const {
    // Rows of InputGrad are contiguous: the longer the stretch, the better.
    int64_t at_once = weights_.is_output ? column_step() : kColumnsAtOnce;
    auto* packed = scratch<T>(Slot::PanelB, kPanelColumns * at_once);
    int64_t depth = depth_of(p.pieces);
    for (int64_t first = 0; first < p.columns; first += at_once) {
      int64_t count = std::min(p.columns - first, at_once);
      weights_.pack_columns(
          packed,
          p.phase,
          p.pieces,
          p.group,
          p.column + first,
          count,
          column_step());
      note_weights(packed, depth * divide_up(count, lanes_) * lanes_);
      for (int64_t j = 0; j < count; j += column_step()) {
        int64_t width = width_at(p.phase, p.column + first + j);
        tiles(
            p,
            first + j,
            std::min(count - j, column_step()),
            {{0, depth}},
            packed + j * depth,
            width);
      }
    }
  }

  // The panel columns from `first` up to `last`.
  struct Range {
    int64_t first, last;
  };

  // The columns that are not zero throughout in all rows of a tile.
  static std::vector<Range> live_ranges(
      const std::vector<Piece>& pieces,
      const TapBox& box) {
    std::vector<Range> ranges;
    int64_t column = 0;
    for (auto& piece : pieces) {
      auto [z, y, x] = piece.tap;
      int64_t lo = std::max(x, box.first[2]);
      int64_t hi = std::min(x + piece.taps, box.last[2]);
      if (z >= box.first[0] && z < box.last[0] && y >= box.first[1] &&
          y < box.last[1] && lo < hi) {
        int64_t first = column + (lo - x) * piece.channels;
        int64_t last = column + (hi - x) * piece.channels;
        if (!ranges.empty() && ranges.back().last == first) {
          ranges.back().last = last;
        } else {
          ranges.push_back({first, last});
        }
      }
      column += piece.columns();
    }
    return ranges;
  }

  // What is left of the stretches in a range.
  static std::vector<Stretch>
  clip(const std::vector<Stretch>& stretches, const Range& range, int64_t ldb) {
    std::vector<Stretch> clipped;
    int64_t column = 0;
    for (auto& stretch : stretches) {
      int64_t first = std::max(column, range.first);
      int64_t last = std::min(column + stretch.length, range.last);
      if (first < last) {
        clipped.push_back({stretch.b + (first - column) * ldb, last - first});
      }
      column += stretch.length;
    }
    return clipped;
  }

  // `columns` columns from j.
  void tiles(
      const Operands& p,
      int64_t j,
      int64_t columns,
      const std::vector<Stretch>& stretches,
      const T* b,
      int64_t ldb) const {
    auto& kernel = kernels<T>();
    auto multiply = [&](int64_t i,
                        int64_t column,
                        const std::vector<Stretch>& some,
                        const Sum<S>* init,
                        bool streams) {
      kernel.tile(
          static_cast<int>(std::min<int64_t>(kernel.tile_rows, p.rows - i)),
          static_cast<int>(columns),
          p.panel + i * kPitch<T> + column,
          {some.data(), static_cast<int64_t>(some.size())},
          b,
          ldb,
          {p.row_pointers + i, j, init, streams});
    };
    const Sum<S>* init = p.init ? p.init + j : nullptr;
    for (int64_t i = 0; i < p.rows; i += kernel.tile_rows) {
      if (p.live.empty()) {
        multiply(i, 0, stretches, init, p.streams);
        continue;
      }
      const Sum<S>* start = init;
      for (auto& range : live_ranges(p.pieces, p.live[i / kernel.tile_rows])) {
        multiply(i, range.first, clip(stretches, range, ldb), start, false);
        start = nullptr;
      }
      if (start) {
        multiply(i, 0, {}, start, false);
      }
    }
  }

  static int64_t depth_of(const std::vector<Piece>& pieces) {
    int64_t depth = 0;
    for (auto& piece : pieces) {
      depth += piece.columns();
    }
    return depth;
  }

  void note_weights(const T* packed, int64_t count) const {
    if constexpr (kPairs) {
      range_.add_weights(packed, count);
    }
  }

  int64_t width_at(const Phase& phase, int64_t first) const {
    return weights_.columns(phase) - first > lanes_ ? 2 * lanes_ : lanes_;
  }

  const WeightMatrices<S>& weights_;
  int64_t lanes_;
  bool in_place_;
  bool packs_once_;
  mutable PairRange range_;
  std::optional<PackedWeights<S>> packed_;
};

} // namespace mlx_convt::cpu
