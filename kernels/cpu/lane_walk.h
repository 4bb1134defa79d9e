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

// Taps of the last axis that read neighbouring positions' pixels.
struct TapRow {
  int64_t first; // an index
  int64_t taps;
};

// Positions of a line that the same taps reach.
struct Segment {
  Range positions;
  std::vector<TapRow> rows;
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
  int64_t kernel_step; // from a tap to an adjacent one
};

// A row of taps of the last axis: offsets in a line and in the weights.
struct RowOffsets {
  int64_t source;
  int64_t weights;
  int64_t taps;
};

// A segment inside a block of work.
struct SegmentRun {
  Range positions;
  std::vector<RowOffsets> rows;
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

// The rows of taps of a run: each line that it meets, with each row of the
// last axis.
template <typename T>
class LaneRows {
 public:
  void clear() {
    lines_.clear();
  }
  void add(const T* values, int64_t weights) {
    lines_.push_back({values, weights});
  }
  bool is_empty() const {
    return lines_.empty();
  }

  // `start` is where the run's first position lies in the lines.
  LaneRun<T> run(const std::vector<RowOffsets>& offsets, int64_t start) {
    rows_.resize(lines_.size() * offsets.size());
    auto* to = rows_.data();
    for (auto& line : lines_) {
      for (auto& row : offsets) {
        *to++ = {
            line.values + (start + row.source),
            line.weights + row.weights,
            row.taps};
      }
    }
    return {rows_.data(), static_cast<int64_t>(rows_.size()), 0, 0, 0, 0};
  }

 private:
  struct Line {
    const T* values;
    int64_t weights;
  };
  std::vector<Line> lines_;
  std::vector<LaneRow<T>> rows_;
};

struct Walk {
  // Rows have at most `row_taps` taps.
  Walk(
      const Plan& plan,
      const Lanes& lanes,
      int64_t scalar_bytes,
      int64_t row_taps);

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

  // The segments of a line inside a block, for the lines of `field`.
  template <typename Field>
  void runs(
      const LinePlan& line,
      const Range& x,
      const Field& field,
      std::vector<SegmentRun>& runs) const {
    size_t count = 0;
    int64_t row_values = lanes.planes * lanes.period();
    for (auto& segment : line.segments) {
      Range positions{
          std::max(segment.positions.first, x.first),
          std::min(segment.positions.last, x.last)};
      if (positions.first >= positions.last) {
        continue;
      }
      runs.resize(std::max(runs.size(), count + 1));
      auto& run = runs[count++];
      run.positions = positions;
      run.rows.clear();
      for (auto& row : segment.rows) {
        auto& tap = line.taps[row.first];
        run.rows.push_back(
            {field.residue_offset(tap.residue) + tap.x * field.pixel_step(),
             tap.kernel * row_values,
             row.taps});
      }
    }
    runs.resize(count);
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
  void make_line(const AxisPlan& axis, int64_t row_taps);
  void make_blocks(int64_t scalar_bytes);

  int64_t x_least_; // over all phases
  int64_t x_most_;
};

// Bytes of the lines in cache that one row of few positions needs.
double least_tile_bytes(const Plan& plan, const Lanes& lanes);

} // namespace mlx_convt::cpu
