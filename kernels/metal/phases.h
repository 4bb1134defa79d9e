// The phases of Output and InputGrad as the GPU's kernels take them: classes of
// phases that read the same source pixels, slots of packed weights, and counts
// of the products that tiles of 8x8 matrices form.
#pragma once

#include "params.h"
#include "plan.h"

namespace mlx_convt::metal {

class Phases {
 public:
  // With `folds`, all phases of every axis become columns of one class.
  Phases(Contraction contraction, const Geometry& geometry, bool folds);

  // Every phase has taps, at neighbouring source pixels.
  static bool can_fold(Contraction contraction, const Geometry& geometry);
  // Every phase has a tap wherever another one has, so that no zero is
  // multiplied, and no infinity by it.
  bool folds_exactly() const;

  int64_t class_count() const;
  // Of the largest class, and of one group.
  int64_t rows() const {
    return rows_;
  }
  int64_t columns() const {
    return columns_;
  }
  int64_t group_source() const {
    return group_source_;
  }
  // These phases with all taps of a class in one slot, where there are several
  // and so few channels that most of a slot of 8 would be zeros.
  Phases gathered() const;
  bool is_gathered() const {
    return gathered_;
  }

  // Small maps are walked batch first: a tile then has few positions, and
  // leaves out the taps that hang over the edge there.
  bool is_batch_first() const {
    constexpr int64_t kSmallMap = 64;
    return g_.batch >= 8 && rows_ / g_.batch <= kSmallMap;
  }

  // Of at most `depth` channels of a tap, in the largest class.
  int64_t slices(int64_t depth) const;

  // About as many products as correlate forms; the same with columns in whole
  // tiles, for half-empty ones are slower.
  double products() const {
    return products_in(8);
  }
  double tiled_products() const {
    return products_in(32);
  }

  // What is left to fill in are has_bias, vector_source, splits of more than
  // one and whole_planes.
  Correlation parameters() const;
  Packing packing() const; // without its padded sizes
  WeightStrides weight_strides() const;
  std::vector<AxisClass> classes() const;
  // Of every slot, the linear index of its taps in the kernel; -1 for none.
  std::vector<int> slot_taps() const;
  std::vector<SourceTerm> source_terms() const; // empty unless gathered
  // Of every slot, a bit for each column that its tap reaches.
  std::vector<int> masks(int columns) const;

 private:
  struct Axis {
    int source_step = 1;
    int result_step = 1;
    int tap_step = 1;
    int offset_step = 1;
    int fold = 1;
    std::vector<AxisClass> classes;

    int slots() const;
    int64_t live_pairs(const AxisClass& one, int64_t extent) const;
  };

  Axis output_axis(int axis) const;
  Axis folded_axis(int axis) const;
  Axis input_grad_axis(int axis) const;
  int64_t taps_of(const Triple& index) const;
  double products_in(int64_t column_step) const;
  template <typename F>
  void for_each_class(F&& f) const;
  template <typename F>
  void for_each_tap(const Triple& index, F&& f) const;

  Contraction contraction_;
  Geometry g_;
  Axis axes_[kAxes];
  int64_t group_source_;
  int64_t group_result_;
  int64_t rows_ = 0;
  int64_t columns_ = 0;
  int64_t most_taps_ = 0; // of a class
  bool gathered_ = false;
};

} // namespace mlx_convt::metal
