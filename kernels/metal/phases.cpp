#include "phases.h"

#include <algorithm>
#include <compare>
#include <map>
#include <numeric>

#include "launches.h"

namespace mlx_convt::metal {

int Phases::Axis::slots() const {
  // One of zeros, where no phase has a tap.
  return std::max(1, classes.back().first_slot + classes.back().taps);
}

bool Phases::can_fold(Contraction contraction, const Geometry& g) {
  if (contraction != Contraction::Output) {
    return false;
  }
  int64_t rows = g.batch;
  for (int a = 0; a < kAxes; ++a) {
    if (g.stride[a] > 1 && (g.dilation[a] > 1 || g.kernel[a] < g.stride[a])) {
      return false;
    }
    rows *= divide_up(g.out[a], g.stride[a]) + 1;
    if (rows >= kLimit) {
      return false;
    }
  }
  return true;
}

bool Phases::folds_exactly() const {
  for (int a = 0; a < kAxes; ++a) {
    if (g_.kernel[a] % axes_[a].fold != 0) {
      return false;
    }
  }
  return true;
}

Phases::Phases(Contraction contraction, const Geometry& geometry, bool folds)
    : contraction_(contraction), g_(geometry) {
  bool is_output = contraction == Contraction::Output;
  group_source_ = is_output ? g_.group_in() : g_.group_out();
  group_result_ = is_output ? g_.group_out() : g_.group_in();
  rows_ = g_.batch;
  columns_ = group_result_;
  most_taps_ = 1;
  for (int a = 0; a < kAxes; ++a) {
    axes_[a] = !is_output ? input_grad_axis(a)
        : folds           ? folded_axis(a)
                          : output_axis(a);
    int positions = 0;
    int taps = 0;
    for (auto& one : axes_[a].classes) {
      positions = std::max(positions, one.positions);
      taps = std::max(taps, one.taps);
    }
    rows_ *= positions;
    columns_ *= axes_[a].fold;
    most_taps_ *= taps;
  }
}

Phases Phases::gathered() const {
  auto phases = *this;
  // Each class takes as much room as the largest, in tables too.
  constexpr int64_t kMostTerms = 1 << 16;
  int64_t room = class_count() * most_taps_;
  phases.gathered_ = group_source_ < kMatrix && most_taps_ > 1 &&
      room <= 2 * g_.taps() && room * group_source_ <= kMostTerms;
  return phases;
}

Phases::Axis Phases::output_axis(int a) const {
  int64_t stride = g_.stride[a];
  int64_t dilation = g_.dilation[a];
  int64_t common = std::gcd(stride, dilation);
  Axis axis;
  axis.result_step = stride;
  axis.tap_step = stride / common;
  axis.offset_step = -dilation / common;
  for (int64_t r = 0; r < std::min(stride, g_.out[a]); ++r) {
    AxisClass one{};
    one.positions = divide_up(g_.out[a] - r, stride);
    one.origin = r;
    axis.classes.push_back(one);
  }
  for (int64_t k = 0; k < g_.kernel[a]; ++k) {
    int64_t distance = k * dilation - g_.padding[a];
    int64_t r = (distance % stride + stride) % stride;
    if (r < std::ssize(axis.classes)) {
      auto& one = axis.classes[r];
      if (one.taps++ == 0) {
        one.first_tap = k;
        one.first_offset = (r - distance) / stride;
      }
    }
  }
  int slot = 0;
  for (auto& one : axis.classes) {
    one.first_slot = slot;
    slot += one.taps;
  }
  return axis;
}

Phases::Axis Phases::folded_axis(int a) const {
  int64_t stride = g_.stride[a];
  if (stride == 1) {
    return output_axis(a);
  }
  // Positions begin where tap zero is the first of every phase, which may be
  // before the result begins.
  int64_t overhang = g_.padding[a] % stride;
  Axis axis;
  axis.result_step = stride;
  axis.tap_step = stride;
  axis.offset_step = -1;
  axis.fold = stride;
  AxisClass one{};
  one.positions = divide_up(g_.out[a] + overhang, stride);
  one.origin = -overhang;
  one.taps = divide_up(g_.kernel[a], stride);
  one.first_offset = g_.padding[a] / stride;
  axis.classes.push_back(one);
  return axis;
}

Phases::Axis Phases::input_grad_axis(int a) const {
  Axis axis;
  axis.source_step = g_.stride[a];
  axis.offset_step = g_.dilation[a];
  AxisClass one{};
  one.positions = g_.in[a];
  one.taps = g_.kernel[a];
  one.first_offset = -g_.padding[a];
  axis.classes.push_back(one);
  return axis;
}

int64_t Phases::class_count() const {
  return static_cast<int64_t>(
      axes_[0].classes.size() * axes_[1].classes.size() *
      axes_[2].classes.size());
}

int64_t Phases::taps_of(const Triple& index) const {
  int64_t taps = 1;
  for (int a = 0; a < kAxes; ++a) {
    taps *= axes_[a].classes[index[a]].taps;
  }
  return taps;
}

int64_t Phases::slices(int64_t depth) const {
  return gathered_ ? divide_up(most_taps_ * group_source_, depth)
                   : most_taps_ * divide_up(group_source_, depth);
}

// Pairs of a position and a tap that meet a source pixel.
int64_t Phases::Axis::live_pairs(const AxisClass& one, int64_t extent) const {
  int64_t pairs = 0;
  for (int64_t j = 0; j < one.taps; ++j) {
    int64_t offset = one.first_offset + j * offset_step;
    int64_t first = std::max<int64_t>(0, divide_up(-offset, source_step));
    int64_t last = std::min<int64_t>(
        one.positions, divide_up(extent - offset, source_step));
    pairs += std::max<int64_t>(0, last - first);
  }
  return pairs;
}

double Phases::products_in(int64_t column_step) const {
  bool is_output = contraction_ == Contraction::Output;
  auto& extent = is_output ? g_.in : g_.out;
  // Most of an axis' classes are alike.
  struct Kind {
    int64_t positions;
    int64_t taps;
    int64_t live_pairs;

    auto operator<=>(const Kind&) const = default;
  };
  std::map<Kind, int64_t> kinds[kAxes];
  for (int a = 0; a < kAxes; ++a) {
    for (auto& one : axes_[a].classes) {
      auto live = axes_[a].live_pairs(one, extent[a]);
      ++kinds[a][{one.positions, one.taps, live}];
    }
  }
  double rows_times_depth = 0;
  for (auto& [z, z_count] : kinds[0]) {
    for (auto& [y, y_count] : kinds[1]) {
      for (auto& [x, x_count] : kinds[2]) {
        int64_t positions = z.positions * y.positions * x.positions;
        int64_t taps = z.taps * y.taps * x.taps;
        int64_t depth = gathered_ ? round_up(taps * group_source_, kMatrix)
                                  : taps * round_up(group_source_, kMatrix);
        double live = 1;
        if (is_batch_first() && !gathered_ && taps > 0) {
          live = 1.0 * z.live_pairs * y.live_pairs * x.live_pairs /
              (positions * taps);
        }
        rows_times_depth += 1.0 * z_count * y_count * x_count * live *
            round_up(g_.batch * positions, kMatrix) * depth;
      }
    }
  }
  return rows_times_depth * round_up(columns_, column_step) * g_.groups;
}

} // namespace mlx_convt::metal
