// Winograd's minimal filtering F(2, 2), for Output and InputGrad. Two taps of a
// phase whose pixels are one source step apart are joined: two neighbouring
// positions, which share a pixel, then take three products instead of four.
//
//   y0 = d0 g0 + d1 g1 = (d0 - d1) g0 + d1 (g0 + g1)
//   y1 = d1 g0 + d2 g1 = d1 (g0 + g1) - (d1 - d2) g1
//
// The same along every axis: nine products instead of sixteen in two
// dimensions. All factors are 1 or -1, and a sum takes in only what reaches
// it. S. Winograd, Arithmetic Complexity of Computations, SIAM 1980.
#pragma once

#include "plan.h"

namespace mlx_convt::cpu {

// Two joined taps of an axis, or a lone one; indices into AxisPlan::taps.
struct TapPair {
  static constexpr int64_t kNone = -1;
  int64_t first;
  int64_t second; // one source step behind the first, or kNone
};

// One phase on one axis. Where it is joined, a cell is two positions, and the
// products of a pair are its *points*: of d0 - d1, d1 and d1 - d2. Elsewhere a
// cell is a position, and the one point is d0.
struct WinogradAxis {
  explicit WinogradAxis(const AxisPlan& plan);

  const AxisPlan* plan;
  std::vector<TapPair> pairs;
  bool is_joined;
  int64_t cells;

  int points() const {
    return is_joined ? 3 : 1;
  }
  int positions_per_cell() const {
    return is_joined ? 2 : 1;
  }
  // A lone tap of a joined axis has no middle point: the outer ones, of d0 and
  // of -d1, go to one position each, and neither pixel to the other's.
  bool is_lone(int64_t pair) const {
    return is_joined && pairs[pair].second == TapPair::kNone;
  }
  bool has(int64_t pair, int64_t point) const {
    return point != 1 || !is_lone(pair);
  }
  // Products of all pairs at all points of a cell.
  int64_t products() const;

  // The first source pixel of a cell; each following one lies a step behind.
  int64_t source(int64_t cell, int64_t pair) const {
    return cell * positions_per_cell() * plan->source_step +
        plan->taps[pairs[pair].first].offset;
  }
  // The weights are those of one tap, or at the middle point of both.
  bool is_sum(int64_t point) const {
    return is_joined && point == 1;
  }
};

// Columns of all points' panels: a pair of each axis, and some channels.
struct Slab {
  Triple pair;
  int64_t channel;
  int64_t channels;
};

struct WinogradPhase {
  const WinogradAxis* axis[kAxes];
  int64_t batch;

  Phase plan() const {
    return {{axis[0]->plan, axis[1]->plan, axis[2]->plan}, batch};
  }
  int64_t cells() const {
    return axis[0]->cells * axis[1]->cells * axis[2]->cells;
  }
  int64_t rows() const {
    return batch * cells();
  }
  int64_t pairs() const {
    return std::ssize(axis[0]->pairs) * std::ssize(axis[1]->pairs) *
        std::ssize(axis[2]->pairs);
  }
  int points() const {
    return axis[0]->points() * axis[1]->points() * axis[2]->points();
  }
  Triple point(int index) const;
  int point_index(const Triple& point) const {
    return static_cast<int>(
        (point[0] * axis[1]->points() + point[1]) * axis[2]->points() +
        point[2]);
  }
  bool has(const Slab& slab, const Triple& point) const {
    return axis[0]->has(slab.pair[0], point[0]) &&
        axis[1]->has(slab.pair[1], point[1]) &&
        axis[2]->has(slab.pair[2], point[2]);
  }
  // Of all pairs at all points of a cell.
  int64_t products() const {
    return axis[0]->products() * axis[1]->products() * axis[2]->products();
  }
  // Panel columns of a point; of all points.
  int64_t columns(const std::vector<Slab>& slabs, const Triple& point) const;
  int64_t columns(const std::vector<Slab>& slabs) const;

  // All of `channels`, in chunks of at most `limit` panel columns.
  std::vector<std::vector<Slab>> chunks(int64_t channels, int64_t limit) const;
};

// A Plan's phases; the Plan must outlive it.
struct WinogradPlan {
  explicit WinogradPlan(const Plan& plan);

  std::vector<WinogradAxis> axes[kAxes];
  int64_t batch;

  int64_t phases() const {
    return static_cast<int64_t>(
        axes[0].size() * axes[1].size() * axes[2].size());
  }
  WinogradPhase phase(int64_t index) const;

  // The phases, in sets that have the same cells and source pixels: their
  // panels are the same.
  std::vector<std::vector<int64_t>> sets() const;
};

} // namespace mlx_convt::cpu
