// Output and InputGrad by dot products.
#pragma once

#include <optional>

#include "product.h"

namespace mlx_convt::cpu {

// Dot products along the reduction: for few rows, where packing would cost
// more than the arithmetic, and for few columns, which would not fill a
// vector. The weights of Output have the reduction side by side as they are.
template <typename S>
class DotMethod {
  using T = Acc<S>;

 public:
  static constexpr bool kWritesAnywhere = true;
  static constexpr bool kSumsColumnsAlone = true;
  static constexpr int64_t kBlockRows = 24; // each panel row is read once

  DotMethod(const WeightMatrices<S>& weights, const Plan& plan)
      : weights_(weights),
        in_place_(
            weights.is_output && plan.axes[2][0].fold == 1 &&
            weights.channels() >= kernels<T>().lanes &&
            (std::is_same_v<S, T> || plan.phase(0).rows() <= kBlockRows)) {
    if (in_place_) {
      return;
    }
    packed_.emplace(
        weights,
        plan,
        1,
        1,
        [&](T* to, const Phase& phase, int64_t group, int64_t column) {
          weights.pack_column(to, phase, group, column);
        });
  }

  int64_t column_step() const {
    return 4;
  }

  int64_t block_rows() const {
    return kBlockRows;
  }

  void multiply(const Product<T>& p) const {
    if (in_place_) {
      return multiply_in_place(p);
    }
    auto stretches =
        packed_stretches(p.phase, p.pieces, weights_.channels(), 1);
    int64_t ldb = weights_.rows(p.phase);
    auto* b = packed_->data(p.phase_index, p.group) + p.column * ldb;
    dot(p, 0, p.columns, stretches, b, ldb);
  }

 private:
  void multiply_in_place(const Product<T>& p) const {
    auto& g = weights_.geometry;
    auto stretches =
        unpacked_stretches(p.phase, g.kernel, p.pieces, g.group_in(), 1);
    const S* weights = weights_.at(p.group, p.column, 0);
    int64_t step = weights_.out_step();
    if constexpr (std::is_same_v<S, T>) {
      dot(p, 0, p.columns, stretches, weights, step);
    } else {
      auto* wide = scratch<T>(Slot::PanelB, kPanelColumns * column_step());
      for (int64_t j = 0; j < p.columns; j += column_step()) {
        int64_t columns = std::min(p.columns - j, column_step());
        int64_t row = 0;
        for (auto& stretch : stretches) {
          for (int64_t i = 0; i < columns; ++i) {
            copies<S>().widen(
                wide + i * kPanelColumns + row,
                weights + (j + i) * step + stretch.b,
                stretch.length);
          }
          row += stretch.length;
        }
        dot(p, j, columns, {{0, row}}, wide, kPanelColumns);
      }
    }
  }

  void dot(
      const Product<T>& p,
      int64_t first,
      int64_t columns,
      const std::vector<Stretch>& stretches,
      const T* b,
      int64_t ldb) const {
    kernels<T>().dot(
        static_cast<int>(p.rows),
        static_cast<int>(columns),
        p.panel,
        {stretches.data(), static_cast<int64_t>(stretches.size())},
        b,
        ldb,
        {p.row_pointers, first, p.init ? p.init + first : nullptr});
  }

  const WeightMatrices<S>& weights_;
  bool in_place_;
  std::optional<PackedWeights<S>> packed_;
};

} // namespace mlx_convt::cpu
