// WeightGrad, a lane per output channel.
#pragma once

#include "lane_walk.h"
#include "thread_pool.h"

namespace mlx_convt::cpu {

template <typename S>
class LaneWeightGrad {
  using T = Acc<S>;

 public:
  LaneWeightGrad(const Problem& problem, const Buffers& buffers, const Walk& walk)
      : g_(problem.geometry),
        x_(static_cast<const S*>(buffers.first)),
        y_(static_cast<const S*>(buffers.second)),
        result_(static_cast<S*>(buffers.result)),
        walk_(walk),
        lanes_(walk.lanes),
        y_lanes_(lanes_.channels, 1, 1, lanes_.repeat > 1 ? kernels<T>().lanes : 1) {}

  // Blocks are summed in a fixed number of shares, whose sums are added up in
  // order.
  void run() {
    auto count = static_cast<int64_t>(walk_.blocks.size());
    int64_t size = g_.taps() * lanes_.planes * lanes_.period();
    int64_t shares = std::clamp<int64_t>(kSumsBytes / (size * sizeof(T)), 1, kShares);
    shares = std::min(shares, std::max<int64_t>(count, 1));
    auto sums = make_aligned<T>(shares * size);
    double work = double(g_.batch * g_.in_pixels() * g_.taps()) *
            double(lanes_.channels * lanes_.planes) +
        double(g_.batch) * double(g_.in_pixels() * g_.c_in + g_.out_pixels() * g_.c_out);
    parallel_for(shares, work, [&](int64_t i) {
      T* own = sums.get() + i * size;
      std::fill_n(own, size, T(0));
      for (int64_t b = count * i / shares; b < count * (i + 1) / shares; ++b) {
        add(walk_.blocks[b], own);
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

  void add(const LaneBlock& block, T* sums) const {
    LaneField<S> y_field(
        y_, g_.out, g_.batch, y_lanes_, g_.stride[2], walk_.residues, Slot::PanelA);
    LaneField<S> x_field(x_, g_.in, g_.batch, lanes_, 1, {0}, Slot::PanelB);
    y_field.start(walk_.window(block));
    int64_t positions = block.x.last - block.x.first;
    x_field.start(
        {block.image,
         block.slice,
         1,
         block.y.first,
         block.y.last - block.y.first,
         block.x.first,
         lane_divide_up(positions, lanes_.repeat) * lanes_.repeat});
    auto& z_axis = walk_.plan.axes[0][0];
    auto& y_axis = walk_.plan.axes[1][0];
    auto& line = walk_.lines[0];
    Range zs = Walk::live(z_axis, block.z);
    std::vector<LaneTap<T>> taps;
    for (int64_t y = block.y.first; y < block.y.last; ++y) {
      Range ys = Walk::live(y_axis, y);
      if (zs.first >= zs.last || ys.first >= ys.last) {
        continue;
      }
      const T* x_line = x_field.line(0, block.z, y);
      for (auto& segment : line.segments) {
        int64_t first = std::max(segment.positions.first, block.x.first);
        int64_t last = std::min(segment.positions.last, block.x.last);
        if (first >= last) {
          continue;
        }
        taps.clear();
        int64_t start = first * (lanes_.spans_pixels() ? 1 : g_.stride[2]);
        for (int64_t i = zs.first; i < zs.last; ++i) {
          for (int64_t j = ys.first; j < ys.last; ++j) {
            const T* y_line = y_field.line(
                i,
                block.z * z_axis.source_step + z_axis.taps[i].offset,
                y * y_axis.source_step + y_axis.taps[j].offset);
            for (int64_t t = segment.taps.first; t < segment.taps.last; ++t) {
              auto& tap = line.taps[t];
              int64_t kernel = (i * g_.kernel[1] + j) * g_.kernel[2] + t;
              taps.push_back(
                  {y_line + y_field.offset(tap.residue, 0, start + tap.x),
                   kernel * lanes_.planes * lanes_.period() + block.slice.first});
            }
          }
        }
        for (int64_t plane = 0; plane < lanes_.planes; ++plane) {
          const T* x = x_line + x_field.offset(0, plane, first);
          T* to = sums + plane * lanes_.period();
          LaneRun<T> run{taps.data(), static_cast<int64_t>(taps.size()), 0, 0, 0};
          if (lanes_.spans_pixels()) {
            run.positions = (last - first) / lanes_.repeat;
            run.channels = run.step = lanes_.period();
            int64_t tail = (last - first) % lanes_.repeat * lanes_.channels;
            kernels<T>().reduce(run, x, lanes_.period(), tail, to);
          } else {
            run.positions = last - first;
            run.channels = block.slice.count;
            run.step = g_.stride[2] * y_field.pixel_step();
            kernels<T>().reduce(run, x, x_field.pixel_step(), 0, to);
          }
        }
      }
    }
  }

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
