// How the lanewise algorithm walks a problem: which taps reach which positions
// of a line, and the blocks of work.
#pragma once

#include "lane_field.h"

namespace mlx_convt::cpu {

// A half-open range of taps or positions.
struct Range {
  int64_t first;
  int64_t last;
};

// Positions of a line that the same taps reach.
struct Segment {
  Range positions;
  Range taps;
};

// A tap of the last axis. Its pixel is (position + x) * step + residue where
// lanes span pixels, else position * step + x.
struct LineTap {
  int64_t kernel;
  int64_t x;
  int64_t residue; // an index into Walk::residues
};

// One phase of the last axis.
struct LinePlan {
  const AxisPlan* axis;
  std::vector<LineTap> taps;
  std::vector<Segment> segments;
};

// A block of work: rows of one image's result, and of each a stretch of
// positions of the last axis.
struct LaneBlock {
  int64_t image;
  Slice slice;
  int64_t z;
  Range y;
  Range x;
};

// The taps that meet a position: every line with every tap of the last axis.
// Rebuilt for each run, so it stays in step with the lines in cache.
template <typename T>
class LaneTaps {
 public:
  struct Line {
    const T* values;
    int64_t weights;
  };

  void clear() {
    lines_.clear();
  }
  void add(const T* values, int64_t weights) {
    lines_.push_back({values, weights});
  }
  bool is_empty() const {
    return lines_.empty();
  }

  // The taps of `x`, offsets in a line and in the weights, for a run that
  // starts at `start` in the lines.
  template <typename X>
  LaneRun<T> run(const X* x, int64_t count, int64_t start) {
    taps_.resize(lines_.size() * count);
    auto* to = taps_.data();
    for (auto& line : lines_) {
      for (int64_t t = 0; t < count; ++t) {
        *to++ = {line.values + (start + x[t].source), line.weights + x[t].weights};
      }
    }
    return {taps_.data(), static_cast<int64_t>(taps_.size()), 0, 0, 0};
  }

 private:
  std::vector<Line> lines_;
  std::vector<LaneTap<T>> taps_;
};

struct Walk {
  Walk(const Plan& plan, const Lanes& lanes, int64_t scalar_bytes);

  // The taps of `axis` that reach a position.
  static Range live(const AxisPlan& axis, int64_t position);

  // The part of the source that a block reads.
  Window3 window(const LaneBlock& block) const;

  // Of the row's pixel on axis 0 or 1: its phase and its position there.
  const AxisPlan& phase_of(int axis, int64_t pixel, int64_t* position) const {
    auto phases = static_cast<int64_t>(plan.axes[axis].size());
    *position = pixel / phases;
    return plan.axes[axis][pixel % phases];
  }

  Triple source_extent() const {
    auto& axes = plan.axes;
    return {
        axes[0][0].source_extent,
        axes[1][0].source_extent,
        axes[2][0].source_extent};
  }

  // What a tap of the last axis adds to the offsets in a line and in the
  // weights, which are rows of a period each.
  struct TapOffsets {
    int64_t source;
    int64_t weights;
  };
  template <typename Field>
  void offsets(
      const Field& field,
      std::vector<std::vector<TapOffsets>>& offsets) const {
    offsets.resize(lines.size());
    for (size_t i = 0; i < lines.size(); ++i) {
      offsets[i].clear();
      for (auto& tap : lines[i].taps) {
        offsets[i].push_back(
            {field.residue_offset(tap.residue) + tap.x * field.pixel_step(),
             tap.kernel * lanes.planes * lanes.period()});
      }
    }
  }

  // The first pixel of a line of the result.
  int64_t dest_line(int64_t image, int64_t z, int64_t y) const {
    auto extent = [&](int axis) { return plan.axes[axis][0].dest_extent; };
    return ((image * extent(0) + z) * extent(1) + y) * extent(2);
  }

  const Plan& plan;
  Lanes lanes;
  std::vector<LinePlan> lines;
  std::vector<int64_t> residues;
  std::vector<LaneBlock> blocks;

 private:
  void make_line(const AxisPlan& axis);
  void make_blocks(int64_t scalar_bytes);
  int64_t most_x() const;

  int64_t x_least_; // over all phases
  int64_t x_most_;
};

// Bytes of the lines in cache that one row of few positions needs.
double least_tile_bytes(const Plan& plan, const Lanes& lanes);

} // namespace mlx_convt::cpu
