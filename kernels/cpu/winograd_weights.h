// The weights at the points of winograd_plan.h.
#pragma once

#include "thread_pool.h"
#include "weights.h"
#include "winograd_blocks.h"

namespace mlx_convt::cpu {

// The matrices of all points for some slabs, one after the other as rows
// (point, slab, channel), and for the columns first + j, j < count, in blocks
// as WeightMatrices::pack_columns makes them. Returns the number of rows.
template <typename S>
int64_t pack_points(
    Acc<S>* packed,
    const WeightMatrices<S>& weights,
    const WinogradPhase& phase,
    const std::vector<Slab>& slabs,
    int64_t group,
    int64_t first,
    int64_t count,
    int64_t block) {
  using T = Acc<S>;
  auto plan = phase.plan();
  int points = phase.points();
  std::vector<int64_t> rows(slabs.size() * points); // [slab][point]
  int64_t total = 0;
  // Sums are made of what stands at other points already: the more axes are
  // summed, the later.
  std::vector<int> order[kAxes + 1];
  for (int index = 0; index < points; ++index) {
    auto point = phase.point(index);
    int sums = 0;
    for (int a = 0; a < kAxes; ++a) {
      sums += phase.axis[a]->is_sum(point[a]);
    }
    order[sums].push_back(index);
    for (size_t s = 0; s < slabs.size(); ++s) {
      if (phase.has(slabs[s], point)) {
        rows[s * points + index] = total;
        total += slabs[s].channels;
      }
    }
  }
  using Blocks = typename WeightMatrices<S>::Blocks;
  const T signs[] = {1, 1};
  for (size_t s = 0; s < slabs.size(); ++s) {
    auto& slab = slabs[s];
    auto to = [&](const Triple& point) {
      int64_t row = rows[s * points + phase.point_index(point)];
      return Blocks{packed, total, row, block};
    };
    for (auto& indices : order) {
      for (int index : indices) {
        auto point = phase.point(index);
        if (!phase.has(slab, point)) {
          continue;
        }
        int summed = -1;
        Triple tap;
        for (int a = 0; a < kAxes; ++a) {
          auto& axis = *phase.axis[a];
          auto& pair = axis.pairs[slab.pair[a]];
          bool is_second = point[a] == 2 && !axis.is_lone(slab.pair[a]);
          tap[a] = is_second ? pair.second : pair.first;
          summed = axis.is_sum(point[a]) ? a : summed;
        }
        if (summed < 0) {
          weights.pack_piece(
              to(point),
              plan,
              {tap, 1, slab.channel, slab.channels},
              group,
              first,
              count);
          continue;
        }
        auto sum = to(point);
        point[summed] = 0;
        auto left = to(point);
        point[summed] = 2;
        auto right = to(point);
        for (int64_t j = 0; j < count; j += block) {
          const T* terms[] = {left.at(j, count), right.at(j, count)};
          kernels<T>().signed_sum(
              sum.at(j, count),
              terms,
              signs,
              2,
              nullptr,
              slab.channels * sum.width_at(j, count),
              false);
        }
      }
    }
  }
  return total;
}

// The weights of the sets that are packed once: of a phase and group, blocks
// of two vectors of columns, each with the points of chunk after chunk.
template <typename S>
class WinogradWeights {
  using T = Acc<S>;

 public:
  WinogradWeights(
      const WeightMatrices<S>& weights,
      const WinogradPlan& plan,
      const std::vector<WinogradSet>& sets,
      int64_t columns)
      : groups_(weights.geometry.groups),
        depths_(plan.phases()),
        starts_(plan.phases() * groups_) {
    struct Task {
      int64_t phase, group, first;
      int64_t chunks; // of its set
    };
    std::vector<Task> tasks;
    std::vector<std::vector<std::vector<Slab>>> chunks;
    int64_t lanes = kernels<T>().lanes;
    int64_t size = 0;
    for (auto& set : sets) {
      auto first_phase = plan.phase(set.phases[0]);
      chunks.push_back(first_phase.chunks(weights.channels(), set.depth));
      for (size_t i = 0; set.packs_once && i < set.phases.size(); ++i) {
        int64_t p = set.phases[i];
        for (auto& slabs : chunks.back()) {
          depths_[p] += first_phase.columns(slabs);
        }
        for (int64_t group = 0; group < groups_; ++group) {
          starts_[p * groups_ + group] = size;
          size += depths_[p] * divide_up(columns, lanes) * lanes;
          for (int64_t first = 0; first < columns; first += 2 * lanes) {
            tasks.push_back({p, group, first, std::ssize(chunks) - 1});
          }
        }
      }
    }
    data_ = make_aligned<T>(std::max<int64_t>(size, 1));
    parallel_for(std::ssize(tasks), static_cast<double>(size), [&](int64_t i) {
      auto& task = tasks[i];
      int64_t count = std::min(columns - task.first, 2 * lanes);
      T* to = data_.get() + offset(task.phase, task.group, task.first);
      for (auto& slabs : chunks[task.chunks]) {
        int64_t rows = pack_points(
            to,
            weights,
            plan.phase(task.phase),
            slabs,
            task.group,
            task.first,
            count,
            2 * lanes);
        to += rows * divide_up(count, lanes) * lanes;
      }
    });
  }

  // Where the block that begins at a column starts.
  const T* block(int64_t phase, int64_t group, int64_t first) const {
    return data_.get() + offset(phase, group, first);
  }

 private:
  int64_t offset(int64_t phase, int64_t group, int64_t first) const {
    return starts_[phase * groups_ + group] + first * depths_[phase];
  }

  int64_t groups_;
  std::vector<int64_t> depths_; // of each phase: rows of its blocks
  std::vector<int64_t> starts_; // of each phase and group
  AlignedArray<T> data_;
};

} // namespace mlx_convt::cpu
