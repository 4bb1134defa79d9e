#include "winograd_weight_grad.h"

#include <atomic>

#include "cell_gather.h"
#include "correlate.h"
#include "weight_grad.h"
#include "winograd_blocks.h"

namespace mlx_convt::cpu {
namespace {

// A rectangle of the gradient at every point: pairs of taps and output
// channels (the columns of y's panels) against a stretch of input channels.
struct Rectangle {
  int64_t group;
  const std::vector<Slab>* slabs;
  int64_t x_first;
  int64_t x_columns;
};

template <typename S>
class WinogradWeightGrad {
  using T = Acc<S>;

 public:
  WinogradWeightGrad(const Problem& problem, const Buffers& buffers)
      : g_(problem.geometry),
        x_(static_cast<const S*>(buffers.first)),
        y_(static_cast<const S*>(buffers.second)),
        result_(static_cast<S*>(buffers.result)),
        reduce_(tile_reduction().of<T>()),
        plan_(input_grad_plan(g_)),
        points_plan_(plan_),
        phase_(points_plan_.phase(0)),
        streams_(
            std::is_same_v<S, T> &&
            g_.c_out * g_.taps() * g_.group_in() *
                    static_cast<int64_t>(sizeof(S)) >=
                kLargeResult) {
    for (int i = 0; i < phase_.points(); ++i) {
      points_.push_back(phase_.point(i));
    }
    auto limits = rectangle_limits(phase_.points());
    int64_t lanes = kernels<T>().lanes;
    chunks_ = phase_.chunks(
        g_.group_out(),
        g_.group_out() > limits.y_columns
            ? even_part(g_.group_out(), limits.y_columns, lanes)
            : limits.y_columns);
    int64_t x_columns = even_part(g_.group_in(), limits.x_columns, lanes);
    for (int64_t group = 0; group < g_.groups; ++group) {
      for (auto& slabs : chunks_) {
        for (int64_t c = 0; c < g_.group_in(); c += x_columns) {
          rectangles_.push_back(
              {group, &slabs, c, std::min(x_columns, g_.group_in() - c)});
        }
      }
    }
  }

  // Whether all results are finite; where not, sums of products may have
  // lost an infinity.
  bool run() {
    std::vector<int64_t> sizes;
    for (auto& r : rectangles_) {
      sizes.push_back(sums_of(r));
    }
    double work = static_cast<double>(phase_.rows() * phase_.products()) *
        g_.group_out() * g_.c_in;
    sum_rectangles<T>(
        sizes,
        divide_up(phase_.rows(), kReductionDepth),
        work,
        [&](int64_t i, int64_t first, int64_t last, T* sums) {
          accumulate(rectangles_[i], first, last, sums);
        },
        [&](int64_t i, const T* sums) { write(rectangles_[i], sums); });
    return is_finite_;
  }

 private:
  int64_t sums_of(const Rectangle& r) const {
    int64_t rows = 0;
    for (auto& point : points_) {
      rows += phase_.columns(*r.slabs, point);
    }
    return rows * r.x_columns;
  }

  void accumulate(const Rectangle& r, int64_t first, int64_t last, T* sums) {
    if (!is_finite_) {
      last = first; // nobody will read these results
    }
    Source<S> x{
        x_, g_.in, g_.batch, g_.c_in, r.group * g_.group_in() + r.x_first};
    Source<S> y{y_, g_.out, g_.batch, g_.c_out, 0};
    auto* x_panel = scratch<T>(Slot::PanelA, kReductionDepth * kPitch<T>);
    auto* y_panel = scratch<T>(Slot::PanelB, kReductionDepth * kPitch<T>);
    CellPixels<S> pixels(kReductionDepth, kPanelColumns);
    T* end = sums + sums_of(r);
    if (first == last) {
      std::fill(sums, end, T(0));
    }
    std::vector<T*> rows;
    for (T* row = sums; row < end; row += r.x_columns) {
      rows.push_back(row);
    }
    for (int64_t b = first; b < last; ++b) {
      int64_t row = b * kReductionDepth;
      int64_t depth = std::min(kReductionDepth, phase_.rows() - row);
      auto runs = cell_runs(phase_, row, depth);
      T* const* to = rows.data();
      for (auto& point : points_) {
        int64_t columns = phase_.columns(*r.slabs, point);
        if (columns == 0) {
          continue;
        }
        int terms = pixels.find(x, x_axes(point), runs);
        copies<S>().sums(x_panel, pixels.data(), depth, terms, r.x_columns);
        int64_t column = 0;
        for (auto& slab : *r.slabs) {
          if (!phase_.has(slab, point)) {
            continue;
          }
          y.first_channel = r.group * g_.group_out() + slab.channel;
          terms = pixels.find(y, y_axes(slab, point), runs);
          copies<S>().differences(
              y_panel + column, pixels.data(), depth, terms, slab.channels);
          column += slab.channels;
        }
        reduce_(columns, r.x_columns, depth, y_panel, x_panel, to, b == first);
        to += columns;
      }
    }
  }

  CellAxes x_axes(const Triple& point) const {
    CellAxes axes;
    for (int a = 0; a < kAxes; ++a) {
      auto& axis = *phase_.axis[a];
      axes[a] = {
          point[a] == 2,
          axis.positions_per_cell(),
          axis.is_joined && point[a] == 1};
    }
    return axes;
  }

  CellAxes y_axes(const Slab& slab, const Triple& point) const {
    CellAxes axes;
    for (int a = 0; a < kAxes; ++a) {
      auto& axis = *phase_.axis[a];
      int64_t step = axis.plan->source_step;
      bool differs = axis.is_joined && !axis.is_lone(slab.pair[a]);
      axes[a] = {
          axis.plan->taps[axis.pairs[slab.pair[a]].first].offset +
              (point[a] ? step : 0),
          step * axis.positions_per_cell(),
          differs && point[a] != 1 ? step : 0};
    }
    return axes;
  }

  void write(const Rectangle& r, const T* sums) {
    std::vector<const T*> places; // of the slab's sums at every point
    for (auto& point : points_) {
      places.push_back(sums);
      sums += phase_.columns(*r.slabs, point) * r.x_columns;
    }
    T zero = 0;
    for (auto& slab : *r.slabs) {
      Triple which;
      for (which[0] = 0; which[0] < taps(slab, 0); ++which[0]) {
        for (which[1] = 0; which[1] < taps(slab, 1); ++which[1]) {
          for (which[2] = 0; which[2] < taps(slab, 2); ++which[2]) {
            zero += write_tap(r, slab, which, places);
          }
        }
      }
      for (size_t i = 0; i < points_.size(); ++i) {
        if (phase_.has(slab, points_[i])) {
          places[i] += slab.channels * r.x_columns;
        }
      }
    }
    if (streams_) {
      active().fence();
    }
    if (zero != 0) {
      is_finite_ = false;
    }
  }

  int64_t taps(const Slab& slab, int axis) const {
    auto& pair = phase_.axis[axis]->pairs[slab.pair[axis]];
    return pair.second == TapPair::kNone ? 1 : 2;
  }

  // The first tap of a pair is the sum of points 0 and 1, the second that of
  // point 1 and point 2 negative; a lone one that of points 0 and 2. Returns
  // zero, or NaN as signed_sum does.
  T write_tap(
      const Rectangle& r,
      const Slab& slab,
      const Triple& which,
      const std::vector<const T*>& places) {
    Triple tap;
    Triple apart;
    for (int a = 0; a < kAxes; ++a) {
      auto& axis = *phase_.axis[a];
      auto& pair = axis.pairs[slab.pair[a]];
      tap[a] = which[a] ? pair.second : pair.first;
      apart[a] = axis.is_lone(slab.pair[a]) ? 2 : 1;
    }
    auto made_of = terms_at(phase_, which, apart);
    const T* terms[8];
    T signs[8];
    std::copy_n(made_of.signs, made_of.count, signs);
    int64_t kernel = phase_.plan().kernel_index(g_.kernel, tap);
    int64_t channel = r.group * g_.group_out() + slab.channel;
    auto* line = scratch<T>(Slot::Init, r.x_columns);
    T zero = 0;
    for (int64_t o = 0; o < slab.channels; ++o) {
      for (int i = 0; i < made_of.count; ++i) {
        terms[i] = places[made_of.points[i]] + o * r.x_columns;
      }
      S* to = result_ + ((channel + o) * g_.taps() + kernel) * g_.group_in() +
          r.x_first;
      T* sums;
      if constexpr (std::is_same_v<S, T>) {
        sums = to;
      } else {
        sums = line;
      }
      zero += kernels<T>().signed_sum(
          sums, terms, signs, made_of.count, nullptr, r.x_columns, streams_);
      if constexpr (!std::is_same_v<S, T>) {
        copies<S>().narrow(to, line, r.x_columns);
      }
    }
    return zero;
  }

  const Geometry& g_;
  const S* x_;
  const S* y_;
  S* result_;
  Reduce<T> reduce_;
  Plan plan_;
  WinogradPlan points_plan_;
  WinogradPhase phase_;
  bool streams_;
  std::vector<Triple> points_;
  std::vector<std::vector<Slab>> chunks_;
  std::vector<Rectangle> rectangles_;
  std::atomic<bool> is_finite_{true};
};

} // namespace

RectangleLimits rectangle_limits(int points) {
  return points <= 3 ? RectangleLimits{192, 256}
      : points <= 9  ? RectangleLimits{128, 256}
                     : RectangleLimits{64, 128};
}

void run_winograd_weight_grad(const Problem& problem, const Buffers& buffers) {
  bool is_finite = true;
  with_storage(problem.scalar, [&]<typename S>(S) {
    is_finite = WinogradWeightGrad<S>(problem, buffers).run();
  });
  if (!is_finite) {
    run_weight_grad(problem, buffers, tile_reduction());
  }
}

} // namespace mlx_convt::cpu
