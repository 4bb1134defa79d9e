// Packed copies of the weights, and where a panel's columns meet them.
#pragma once

#include "thread_pool.h"
#include "weights.h"

namespace mlx_convt::cpu {

// The packed matrices of all phases and groups, one after the other. `Pack`
// is called as pack(to, phase, group, first) for each block of column_block
// columns.
template <typename S>
class PackedWeights {
 public:
  template <typename Pack>
  PackedWeights(
      const WeightMatrices<S>& weights,
      const Plan& plan,
      int64_t column_block,
      int64_t column_multiple,
      const Pack& pack)
      : groups_(weights.geometry.groups) {
    struct Task {
      int64_t phase, group, first;
    };
    std::vector<Task> tasks;
    int64_t size = 0;
    for (int64_t p = 0; p < plan.phases(); ++p) {
      auto phase = plan.phase(p);
      int64_t columns = weights.columns(phase);
      int64_t padded =
          (columns + column_multiple - 1) / column_multiple * column_multiple;
      for (int64_t g = 0; g < groups_; ++g) {
        starts_.push_back(size);
        size += weights.rows(phase) * padded;
        for (int64_t first = 0; weights.rows(phase) && first < columns;
             first += column_block) {
          tasks.push_back({p, g, first});
        }
      }
    }
    data_ = make_aligned<Acc<S>>(std::max<int64_t>(size, 1));
    parallel_for(
        static_cast<int64_t>(tasks.size()),
        static_cast<double>(size),
        [&](int64_t i) {
          auto [p, group, first] = tasks[i];
          auto phase = plan.phase(p);
          pack(
              data_.get() + start(p, group) + first * weights.rows(phase),
              phase,
              group,
              first);
        });
  }

  int64_t start(int64_t phase, int64_t group) const {
    return starts_[phase * groups_ + group];
  }
  const Acc<S>* data(int64_t phase, int64_t group) const {
    return data_.get() + start(phase, group);
  }

 private:
  int64_t groups_;
  std::vector<int64_t> starts_;
  AlignedArray<Acc<S>> data_;
};

// Stretches of pieces in a packed matrix whose rows lie `step` apart.
inline std::vector<Stretch> packed_stretches(
    const Phase& phase,
    const std::vector<Piece>& pieces,
    int64_t channels,
    int64_t step) {
  std::vector<Stretch> stretches;
  for (auto& piece : pieces) {
    int64_t b = first_row(phase, piece, channels) * step;
    if (!stretches.empty() &&
        stretches.back().b + stretches.back().length * step == b) {
      stretches.back().length += piece.columns();
    } else {
      stretches.push_back({b, piece.columns()});
    }
  }
  return stretches;
}

// Stretches in the weights as they lie in memory, where the values of a tap
// are `tap_size` and neighbouring channels of the reduction `step` apart.
inline std::vector<Stretch> unpacked_stretches(
    const Phase& phase,
    const Triple& kernel,
    const std::vector<Piece>& pieces,
    int64_t tap_size,
    int64_t step) {
  std::vector<Stretch> stretches;
  for (auto piece : pieces) {
    for (int64_t t = 0; t < piece.taps; ++t, ++piece.tap[2]) {
      stretches.push_back(
          {phase.kernel_index(kernel, piece.tap) * tap_size +
               piece.channel * step,
           piece.channels});
    }
  }
  return stretches;
}

} // namespace mlx_convt::cpu
