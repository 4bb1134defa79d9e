// The weights of the strip algorithm as panels, one per call.
#pragma once

#include "strip_plan.h"

namespace mlx_convt::cpu {

// Some channels of all groups, with their calls.
struct StripChunk {
  int64_t first;
  int64_t channels;
  std::vector<StripCall> calls;
};

template <typename S>
class StripWeights {
  using T = Acc<S>;

 public:
  StripWeights(const StripPlan& plan, const S* data, int64_t at_once)
      : g_(plan.g), plan_(plan), weights_{data, plan.g, true} {
    for (int64_t c = 0; c < g_.group_in(); c += at_once) {
      int64_t channels = std::min(at_once, g_.group_in() - c);
      chunks_.push_back({c, channels, strip_calls(plan, channels)});
      for (auto& call : chunks_.back().calls) {
        call.panel = panels_;
        panels_ += call.rows * kPitch<T>;
      }
    }
    std::vector<StripCall> none;
    not_started_ =
        start_sums(plan, chunks_.empty() ? none : chunks_.front().calls);
    packed_ = make_aligned<T>(std::max<int64_t>(g_.groups * panels_, 1));
    double work = double(g_.groups) * double(panels_);
    auto chunks = static_cast<int64_t>(chunks_.size());
    parallel_for(g_.groups * chunks, work, [&](int64_t i) {
      auto& chunk = chunks_[i % chunks];
      for (auto& call : chunk.calls) {
        pack(i / chunks, chunk, call);
      }
    });
  }

  const std::vector<StripChunk>& chunks() const {
    return chunks_;
  }
  // Columns whose sums no call starts.
  const std::vector<int64_t>& not_started() const {
    return not_started_;
  }
  const T* panel(int64_t group, const StripCall& call) const {
    return packed_.get() + group * panels_ + call.panel;
  }

 private:
  void pack(int64_t group, const StripChunk& chunk, const StripCall& call) {
    auto* row = packed_.get() + group * panels_ + call.panel;
    for (int i = 0; i < call.rows; ++i) {
      int64_t channel = call.columns[i] % g_.group_out();
      int64_t phase = call.columns[i] / g_.group_out();
      Triple phases;
      for (int a = kAxes - 1; a >= 0; --a) {
        phases[a] = phase % plan_.axis[a].phases;
        phase /= plan_.axis[a].phases;
      }
      auto* to = row;
      for (auto& step : call.steps) {
        int64_t kernel = 0;
        for (int a = 0; a < kAxes; ++a) {
          int64_t offset = plan_.axis[a].least + step.offset[a];
          int64_t k = (phases[a] + g_.padding[a] - offset * g_.stride[a]) /
              g_.dilation[a];
          kernel = kernel * g_.kernel[a] + k;
        }
        copies<S>().widen(
            to,
            weights_.at(group, channel, kernel) + chunk.first,
            step.channels);
        to += step.channels;
      }
      row += kPitch<T>;
    }
  }

  const Geometry& g_;
  const StripPlan& plan_;
  WeightMatrices<S> weights_;
  int64_t panels_{0}; // values of a group's panels
  std::vector<StripChunk> chunks_;
  std::vector<int64_t> not_started_;
  AlignedArray<T> packed_;
};

} // namespace mlx_convt::cpu
