// The polyphase view of a contraction: which source pixels meet which kernel
// taps at which destination positions. See CONTRIBUTING.md.
//
// Output and InputGrad are sets of dense correlations, one per phase:
//   result[dest(p)] = sum over taps t of source[p * step + offset(t)] * w[t]
// Output has one phase per residue of the output position modulo the stride,
// in which the source step is 1; InputGrad has one phase, with the stride as
// its step. WeightGrad reduces over the positions of that same phase.
#pragma once

#include <vector>

#include "problem.h"

namespace mlx_convt::cpu {

struct Tap {
  int64_t kernel; // index into the weight
  int64_t offset; // of the source pixel
};

// One phase on one axis.
struct AxisPlan {
  int64_t positions;
  int64_t dest_first; // may be negative where `fold` > 1 or phases are aligned
  int64_t dest_step;
  int64_t dest_extent;
  int64_t source_step;
  int64_t source_extent;
  // Output pixels that one position yields, next to each other: all phases of
  // the axis computed at once, as columns. Pixel f uses tap.kernel + f.
  int64_t fold;
  std::vector<Tap> taps; // ascending offsets

  // Neighbouring taps read neighbouring pixels.
  bool taps_are_adjacent() const {
    return taps.size() < 2 || taps[1].offset == taps[0].offset + 1;
  }
};

// Positions of a small map. Beyond 64 few blocks of rows touch an edge, and
// neighbouring pixels share their cache lines.
inline constexpr int64_t kSmallMap = 64;

// One phase: an AxisPlan per axis.
struct Phase {
  const AxisPlan* axis[kAxes];
  int64_t batch;

  int64_t positions() const {
    return axis[0]->positions * axis[1]->positions * axis[2]->positions;
  }
  int64_t rows() const {
    return batch * positions();
  }
  // Small maps are walked batch first, so that a block's rows sit at few
  // positions and taps that padding crops there can be left out of it.
  bool is_batch_first() const {
    return batch > 1 && positions() <= kSmallMap;
  }
  // Whether a good part of the rows lies at an edge, where taps are cropped:
  // worth looking at each tile of rows by itself.
  bool has_edges_within_tiles() const {
    constexpr int64_t kFew = 8;
    return taps() > 1 &&
        (is_batch_first() ||
         (axis[0]->taps.size() > 1 && axis[0]->positions <= kFew) ||
         (axis[1]->taps.size() > 1 && axis[1]->positions <= kFew));
  }
  int64_t taps() const {
    return static_cast<int64_t>(
        axis[0]->taps.size() * axis[1]->taps.size() * axis[2]->taps.size());
  }
  int64_t kernel_index(const Triple& kernel, const Triple& tap) const {
    return (axis[0]->taps[tap[0]].kernel * kernel[1] +
            axis[1]->taps[tap[1]].kernel) *
        kernel[2] +
        axis[2]->taps[tap[2]].kernel;
  }
};

struct Plan {
  std::vector<AxisPlan> axes[kAxes];
  int64_t batch;

  int64_t phases() const {
    return static_cast<int64_t>(
        axes[0].size() * axes[1].size() * axes[2].size());
  }
  Phase phase(int64_t index) const;
};

// The phases of Output. With `fold_width`, those of the last axis are folded
// into the columns; only where folds_exactly().
Plan output_plan(const Geometry& geometry, bool fold_width);

// The same with the phases of the first two axes shifted so that all of an
// axis have their taps at the same source pixels; where aligns(). The first and
// the last position of such an axis may lie outside of the result.
Plan aligned_output_plan(const Geometry& geometry, bool fold_width);

// The phases of an axis have the same number of taps at neighbouring pixels.
bool aligns(const Geometry& geometry, int axis);

// Every phase of the last axis has its taps at the same source pixels, so
// that folding them multiplies no inserted zero.
bool folds_exactly(const Geometry& geometry);

// The single phase of InputGrad; the source is y.
Plan input_grad_plan(const Geometry& geometry);

// Input positions as their own source: one tap, nothing else.
Plan identity_plan(const Geometry& geometry);

// Of all pairs of a position and a tap, the share whose source pixel exists. On
// small maps many taps hang over the edge, and direct sums leave them out.
double live_share(const Plan& plan);

// A stretch of rows whose source pixels are evenly spaced: neighbours along
// the last axis, or one position in neighbouring images.
struct RowRun {
  int64_t count;
  int64_t image; // of the first row
  bool across_images;
  Triple position; // of the first row
};

// A box of taps, [first, last) per axis.
struct TapBox {
  Triple first;
  Triple last;

  bool is_empty() const {
    return first[0] >= last[0] || first[1] >= last[1] || first[2] >= last[2];
  }
};

// Rows [first, first + count) of a phase.
class RowBlock {
 public:
  RowBlock(const Phase& phase, int64_t first, int64_t count);

  const std::vector<RowRun>& runs() const {
    return runs_;
  }
  // The smallest box that holds every tap with a source pixel in range.
  TapBox live_taps() const;

 private:
  const Phase& phase_;
  std::vector<RowRun> runs_;
};

// A stretch of panel columns: `taps` adjacent taps of the last axis from
// `tap`, each with `channels` channels from `channel`.
struct Piece {
  Triple tap;
  int64_t taps;
  int64_t channel;
  int64_t channels;

  int64_t columns() const {
    return taps * channels;
  }
};

// The columns of a box, tap by tap with `channels` channels each, cut into
// chunks of at most `limit` columns. Taps share a piece where their channels
// follow each other in the source (`dense`: the source has no others).
std::vector<std::vector<Piece>> chunk_columns(
    const Phase& phase,
    const TapBox& box,
    int64_t channels,
    bool dense,
    int64_t limit);

TapBox all_taps(const Phase& phase);

} // namespace mlx_convt::cpu
