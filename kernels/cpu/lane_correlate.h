// Output and InputGrad, a lane per channel of the result.
#pragma once

#include "lane_walk.h"
#include "thread_pool.h"

namespace mlx_convt::cpu {

template <typename S>
class LaneCorrelation {
  using T = Acc<S>;

 public:
  LaneCorrelation(
      const Problem& problem,
      const Buffers& buffers,
      const Walk& walk)
      : g_(problem.geometry),
        is_output_(problem.contraction == Contraction::Output),
        source_(
            static_cast<const S*>(is_output_ ? buffers.first : buffers.second)),
        result_(static_cast<S*>(buffers.result)),
        walk_(walk),
        lanes_(walk.lanes) {
    pack_weights(
        static_cast<const S*>(is_output_ ? buffers.second : buffers.first));
    init_ = make_aligned<T>(lanes_.period());
    std::fill_n(init_.get(), lanes_.period(), T(0));
    if (buffers.bias) {
      copies<S>().widen(
          init_.get(), static_cast<const S*>(buffers.bias), lanes_.channels);
      repeat(init_.get());
    }
  }

  void run() {
    double work = double(g_.batch * g_.in_pixels() * g_.taps()) *
            double(lanes_.channels * lanes_.planes) +
        double(g_.batch) *
            double(g_.in_pixels() * g_.c_in + g_.out_pixels() * g_.c_out);
    auto count = static_cast<int64_t>(walk_.blocks.size());
    int64_t shares = std::min(count, kShares);
    parallel_for(shares, work, [&](int64_t i) {
      Worker worker(*this);
      for (int64_t b = count * i / shares; b < count * (i + 1) / shares; ++b) {
        worker.run(walk_.blocks[b]);
      }
    });
  }

 private:
  // Enough for an even split over a desktop's cores.
  static constexpr int64_t kShares = 64;

  class Worker {
   public:
    explicit Worker(const LaneCorrelation& all)
        : all_(all),
          walk_(all.walk_),
          lanes_(all.lanes_),
          field_(
              all.source_,
              walk_.source_extent(),
              all.g_.batch,
              lanes_,
              walk_.plan.axes[2][0].source_step,
              walk_.residues,
              Slot::PanelA),
          phases_(static_cast<int64_t>(walk_.lines.size())) {}

    void run(const LaneBlock& block) {
      block_ = block;
      field_.start(walk_.window(block));
      runs_.resize(phases_);
      for (int64_t phase = 0; phase < phases_; ++phase) {
        walk_.runs(walk_.lines[phase], block.x, field_, runs_[phase]);
      }
      for (int64_t y = block_.y.first; y < block_.y.last; ++y) {
        meet(y);
        S* to = all_.result_ +
            walk_.dest_line(block_.image, block_.z, y) * lanes_.channels;
        if (lanes_.spans_pixels()) {
          run_lines(to);
        } else {
          run_rows(to);
        }
      }
    }

   private:
    // Collects the lines that reach row y.
    void meet(int64_t y) {
      rows_.clear();
      int64_t z_position, y_position;
      auto& z_axis = walk_.phase_of(0, block_.z, &z_position);
      auto& y_axis = walk_.phase_of(1, y, &y_position);
      Range zs = Walk::live(z_axis, z_position);
      Range ys = Walk::live(y_axis, y_position);
      for (int64_t i = zs.first; i < zs.last; ++i) {
        auto& z_tap = z_axis.taps[i];
        for (int64_t j = ys.first; j < ys.last; ++j) {
          auto& y_tap = y_axis.taps[j];
          const T* line = field_.line(
              i,
              z_position * z_axis.source_step + z_tap.offset,
              y_position * y_axis.source_step + y_tap.offset);
          int64_t kernel = (z_tap.kernel * all_.g_.kernel[1] + y_tap.kernel) *
              all_.g_.kernel[2];
          for (int64_t plane = 0; plane < lanes_.planes; ++plane) {
            int64_t row = kernel * lanes_.planes + plane;
            rows_.add(
                line + field_.plane_offset(plane),
                row * lanes_.period() + block_.slice.first);
          }
        }
      }
    }

    // Positions from `first` on, all of which the phase's taps reach.
    void correlate(
        int64_t phase,
        const SegmentRun& segment,
        int64_t positions,
        int64_t channels,
        int64_t step,
        T* to,
        int64_t to_step) {
      auto& line = walk_.lines[phase];
      int64_t first = segment.positions.first;
      auto run = rows_.run(
          segment.rows,
          field_.x_offset(
              lanes_.spans_pixels() ? first : first * line.axis->source_step));
      run.weight_step = line.kernel_step * lanes_.planes * lanes_.period();
      run.positions = positions;
      run.channels = channels;
      run.step = step;
      kernels<T>().correlate(
          run,
          all_.weights_.get(),
          all_.init_.get() + block_.slice.first,
          to,
          to_step);
    }

    // Channels fill vectors: every position of every phase to its place.
    void run_rows(S* to) {
      int64_t width = block_.slice.count;
      int64_t dest = block_.x.first * phases_;
      int64_t dest_last =
          std::min(block_.x.last * phases_, walk_.lines[0].axis->dest_extent);
      S* result = to + dest * lanes_.channels + block_.slice.first;
      T* sums;
      int64_t pixel;
      if constexpr (std::is_same_v<S, T>) {
        sums = result;
        pixel = lanes_.channels;
      } else {
        sums = scratch<T>(Slot::Sums, (dest_last - dest) * width);
        pixel = width;
      }
      for (int64_t phase = 0; phase < phases_; ++phase) {
        for (auto& segment : runs_[phase]) {
          auto& positions = segment.positions;
          correlate(
              phase,
              segment,
              positions.last - positions.first,
              width,
              walk_.lines[phase].axis->source_step * field_.pixel_step(),
              sums + (positions.first * phases_ + phase - dest) * pixel,
              phases_ * pixel);
        }
      }
      if constexpr (!std::is_same_v<S, T>) {
        int64_t pixels = dest_last - dest;
        if (width == lanes_.channels) {
          return copies<S>().narrow(result, sums, pixels * width);
        }
        for (int64_t i = 0; i < pixels; ++i) {
          copies<S>().narrow(
              result + i * lanes_.channels, sums + i * width, width);
        }
      }
    }

    // Vectors span pixels: a line of each phase, then all of them in turns.
    void run_lines(S* to) {
      int64_t period = lanes_.period();
      int64_t most = block_.x.last - block_.x.first;
      int64_t line_length = divide_up(most, lanes_.repeat) * period;
      int64_t slack = kernels<T>().lanes;
      T* sums = scratch<T>(Slot::Sums, phases_ * line_length + slack);
      for (int64_t phase = 0; phase < phases_; ++phase) {
        if (runs_[phase].empty()) {
          continue; // the block lies beyond this phase's last position
        }
        correlate(
            phase,
            runs_[phase][0],
            line_length / period,
            period,
            period,
            sums + phase * line_length,
            period);
      }
      int64_t dest = block_.x.first * phases_;
      int64_t dest_last =
          std::min(block_.x.last * phases_, walk_.lines[0].axis->dest_extent);
      if (phases_ > 1) {
        T* mixed = scratch<T>(Slot::PanelB, phases_ * line_length + slack);
        kernels<T>().interleave(
            mixed, sums, line_length, phases_, most, lanes_.channels);
        sums = mixed;
      }
      copies<S>().narrow(
          to + dest * lanes_.channels,
          sums,
          (dest_last - dest) * lanes_.channels);
    }

    const LaneCorrelation& all_;
    const Walk& walk_;
    const Lanes& lanes_;
    LaneField<S> field_;
    int64_t phases_;
    LaneBlock block_{};
    std::vector<std::vector<SegmentRun>> runs_;
    LaneRows<T> rows_;
  };

  void repeat(T* values) const {
    for (int64_t i = lanes_.channels; i < lanes_.period(); ++i) {
      values[i] = values[i - lanes_.channels];
    }
  }

  // Rows of result channels, one per (tap, plane).
  void pack_weights(const S* from) {
    int64_t rows = g_.taps() * lanes_.planes;
    int64_t period = lanes_.period();
    weights_ = make_aligned<T>(rows * period);
    std::vector<T> line(g_.taps() * g_.group_in());
    for (int64_t o = 0; o < g_.c_out; ++o) {
      copies<S>().widen(line.data(), from + o * line.size(), line.size());
      for (int64_t k = 0; k < g_.taps(); ++k) {
        for (int64_t i = 0; i < g_.group_in(); ++i) {
          int64_t row = is_output_ ? k * g_.group_in() + i
                                   : k * g_.group_out() + o % g_.group_out();
          int64_t channel =
              is_output_ ? o : o / g_.group_out() * g_.group_in() + i;
          weights_[row * period + channel] = line[k * g_.group_in() + i];
        }
      }
    }
    for (int64_t row = 0; row < rows; ++row) {
      repeat(weights_.get() + row * period);
    }
  }

  const Geometry& g_;
  bool is_output_;
  const S* source_;
  S* result_;
  const Walk& walk_;
  const Lanes& lanes_;
  AlignedArray<T> weights_;
  AlignedArray<T> init_;
};

} // namespace mlx_convt::cpu
