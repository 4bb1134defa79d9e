// What the strip algorithm multiplies with what: the offsets and phases of an
// Output, and boxes of positions with the source pixels that they read.
#pragma once

#include <vector>

#include "isa/kernels.h"
#include "scratch.h"
#include "weights.h"

namespace mlx_convt::cpu {

inline constexpr int64_t kStripTileRows = 16;

// Source offsets of one axis that the same phases use.
struct OffsetClass {
  std::vector<int64_t> phases;
  std::vector<int64_t> offsets;
};

struct StripAxis {
  int64_t phases; // of the output position modulo the stride
  int64_t positions; // of each phase, at most
  int64_t least; // offset
  int64_t reach; // greatest offset minus least
  std::vector<OffsetClass> classes;
};

StripAxis strip_axis(const Geometry& geometry, int axis);

// Results per position: phases times the output channels of a group.
double strip_columns(const Geometry& geometry);

// At most the values of a strip and its sums. Large where the kernel's taps
// lie far apart: the strip holds all pixels between them.
double strip_values(const Geometry& geometry);

// Neighbouring positions of some images, [first, first + extent), computed
// from the source pixels from first + least on, `source` of them per axis.
struct StripBox {
  int64_t group;
  int64_t image;
  int64_t images;
  Triple first;
  Triple extent;
  Triple source;

  // A pixel's place in the strip. The first source pixel that a position
  // reads has the place that the position has.
  int64_t place(int64_t n, int64_t z, int64_t y, int64_t x) const {
    return ((n * source[0] + z) * source[1] + y) * source[2] + x;
  }
  int64_t pixels() const {
    return images * source[0] * source[1] * source[2];
  }
};

struct StripPlan {
  explicit StripPlan(const Geometry& geometry);

  const Geometry& g;
  StripAxis axis[kAxes];

  int64_t phases() const {
    return axis[0].phases * axis[1].phases * axis[2].phases;
  }
  // Results per position: phase by phase, the channels of a group.
  int64_t columns() const {
    return phases() * g.group_out();
  }
  int64_t column(int64_t z, int64_t y, int64_t x, int64_t channel) const {
    return ((z * axis[1].phases + y) * axis[2].phases + x) * g.group_out() +
        channel;
  }
  std::vector<StripBox> boxes() const;
  // Channels of a strip of so many pixels.
  int64_t channels_at_once(int64_t pixels) const;
};

// Up to a tile of columns and up to a panel of (offset, channel) pairs; the
// weights are a panel, one row per column.
struct StripCall {
  struct Step {
    Triple offset; // from the least one
    int64_t channels;
  };
  std::vector<Step> steps;
  int64_t columns[kStripTileRows];
  int rows;
  bool starts; // its columns' sums: they are not added to what is there
  int64_t panel; // where it begins in the group's packed weights
};

// The calls for some channels of a group.
std::vector<StripCall> strip_calls(const StripPlan& plan, int64_t channels);

// Lets the first calls start the sums. Returns the columns that none starts.
std::vector<int64_t> start_sums(
    const StripPlan& plan,
    std::vector<StripCall>& calls);

} // namespace mlx_convt::cpu
