// WeightGrad, a lane per output channel.
#pragma once

#include "lane_walk.h"
#include "thread_pool.h"

namespace mlx_convt::cpu {

template <typename S>
class LaneWeightGrad {
  using T = Acc<S>;

 public:
  LaneWeightGrad(
      const Problem& problem,
      const Buffers& buffers,
      const Walk& walk)
      : g_(problem.geometry),
        x_(static_cast<const S*>(buffers.first)),
        y_(static_cast<const S*>(buffers.second)),
        result_(static_cast<S*>(buffers.result)),
        walk_(walk),
        lanes_(walk.lanes),
        y_lanes_(
            lanes_.channels,
            1,
            1,
            lanes_.repeat > 1 ? kernels<T>().lanes : 1) {}

  // Blocks are summed in a fixed number of shares, whose sums are added up in
  // order.
  void run() {
    auto count = static_cast<int64_t>(walk_.blocks.size());
    int64_t size = g_.taps() * lanes_.planes * lanes_.period();
    int64_t shares =
        std::clamp<int64_t>(kSumsBytes / (size * sizeof(T)), 1, kShares);
    shares = std::min(shares, std::max<int64_t>(count, 1));
    auto sums = make_aligned<T>(shares * size);
    double work = double(g_.batch * g_.in_pixels() * g_.taps()) *
            double(lanes_.channels * lanes_.planes) +
        double(g_.batch) *
            double(g_.in_pixels() * g_.c_in + g_.out_pixels() * g_.c_out);
    parallel_for(shares, work, [&](int64_t i) {
      T* own = sums.get() + i * size;
      std::fill_n(own, size, T(0));
      Worker worker(*this, own);
      for (int64_t b = count * i / shares; b < count * (i + 1) / shares; ++b) {
        worker.add(walk_.blocks[b]);
      }
    });
    for (int64_t i = 1; i < shares; ++i) {
      for (int64_t j = 0; j < size; ++j) {
        sums[j] += sums[i * size + j];
      }
    }
    write(sums.get());
  }

 private:
  static constexpr int64_t kShares = 16;
  static constexpr int64_t kSumsBytes = 4 << 20;

  class Worker {
   public:
    Worker(const LaneWeightGrad& all, T* sums)
        : g_(all.g_),
          walk_(all.walk_),
          lanes_(all.lanes_),
          sums_(sums),
          y_field_(
              all.y_,
              g_.out,
              g_.batch,
              all.y_lanes_,
              g_.stride[2],
              walk_.residues,
              Slot::PanelA),
          x_field_(all.x_, g_.in, g_.batch, lanes_, 1, {0}, Slot::PanelB) {}

    void add(const LaneBlock& block) {
      int64_t positions = block.x.last - block.x.first;
      y_field_.start(walk_.window(block));
      x_field_.start(
          {block.image,
           block.slice,
           1,
           block.y.first,
           block.y.last - block.y.first,
           block.x.first,
           divide_up(positions, lanes_.repeat) * lanes_.repeat});
      walk_.runs(walk_.lines[0], block.x, y_field_, runs_);
      for (int64_t y = block.y.first; y < block.y.last; ++y) {
        meet(block, y);
        if (rows_.is_empty()) {
          continue;
        }
        const T* x_line = x_field_.line(0, block.z, y);
        for (auto& segment : runs_) {
          reduce(segment, block.slice.count, x_line);
        }
      }
    }

   private:
    // Collects the lines of y that meet a line of x.
    void meet(const LaneBlock& block, int64_t y) {
      rows_.clear();
      auto& z_axis = walk_.plan.axes[0][0];
      auto& y_axis = walk_.plan.axes[1][0];
      Range zs = Walk::live(z_axis, block.z);
      Range ys = Walk::live(y_axis, y);
      for (int64_t i = zs.first; i < zs.last; ++i) {
        for (int64_t j = ys.first; j < ys.last; ++j) {
          const T* line = y_field_.line(
              i,
              block.z * z_axis.source_step + z_axis.taps[i].offset,
              y * y_axis.source_step + y_axis.taps[j].offset);
          int64_t row = (i * g_.kernel[1] + j) * g_.kernel[2] * lanes_.planes;
          rows_.add(line, row * lanes_.period() + block.slice.first);
        }
      }
    }

    void reduce(const SegmentRun& segment, int64_t channels, const T* x_line) {
      auto& positions = segment.positions;
      int64_t count = positions.last - positions.first;
      int64_t step = lanes_.spans_pixels() ? 1 : g_.stride[2];
      auto run =
          rows_.run(segment.rows, y_field_.x_offset(positions.first * step));
      int64_t x_step = x_field_.pixel_step();
      int64_t tail = 0;
      run.positions = count;
      run.channels = channels;
      run.step = g_.stride[2] * y_field_.pixel_step();
      if (lanes_.spans_pixels()) {
        run.positions = count / lanes_.repeat;
        run.channels = run.step = x_step = lanes_.period();
        tail = count % lanes_.repeat * lanes_.channels;
      }
      x_line += x_field_.x_offset(positions.first);
      for (int64_t plane = 0; plane < lanes_.planes; ++plane) {
        kernels<T>().reduce(
            run,
            x_line + x_field_.plane_offset(plane),
            x_step,
            tail,
            sums_ + plane * lanes_.period());
      }
    }

    const Geometry& g_;
    const Walk& walk_;
    const Lanes& lanes_;
    T* sums_;
    LaneField<S> y_field_;
    LaneField<S> x_field_;
    std::vector<SegmentRun> runs_;
    LaneRows<T> rows_;
  };

  void write(const T* sums) const {
    int64_t rows = g_.taps() * lanes_.planes;
    std::vector<T> line(rows);
    for (int64_t o = 0; o < lanes_.channels; ++o) {
      for (int64_t row = 0; row < rows; ++row) {
        const T* from = sums + row * lanes_.period() + o;
        line[row] = from[0];
        for (int64_t i = 1; i < lanes_.repeat; ++i) {
          line[row] += from[i * lanes_.channels];
        }
      }
      copies<S>().narrow(result_ + o * rows, line.data(), rows);
    }
  }

  const Geometry& g_;
  const S* x_;
  const S* y_;
  S* result_;
  const Walk& walk_;
  const Lanes& lanes_;
  Lanes y_lanes_;
};

} // namespace mlx_convt::cpu
