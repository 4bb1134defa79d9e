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
