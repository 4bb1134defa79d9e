#include "planar.h"

#include "correlate.h"

namespace mlx_convt::cpu {
namespace {

// Positions that are computed at once, times the source step: their planes
// stay in the first-level cache.
constexpr int64_t kStretch = 1024;
// Pixels between the first and the last tap: the planes hold them all.
constexpr int64_t kMaxSpan = 4096;
// A plane per residue of the stride: the input gradient splits its lines into
// as many.
constexpr int64_t kMaxStride = 16;
// Channels in times channels out. From 3 x 3 on, folded tiles are faster.
constexpr int64_t kFewChannels = 2;

int64_t floor_divide(int64_t a, int64_t b) {
  return a >= 0 ? a / b : -((b - 1 - a) / b);
}

// A line of the result along the last axis: its place on the other two, and
// its image.
struct Line {
  const AxisPlan* axis[2];
  int64_t position[2];
  int64_t image;
};

template <typename S>
class Planar {
  using T = Acc<S>;

 public:
  Planar(const Problem& problem, const Buffers& buffers, const Plan& plan)
      : g_(problem.geometry),
        plan_(plan),
        is_output_(problem.contraction == Contraction::Output),
        weights_{
            static_cast<const S*>(is_output_ ? buffers.second : buffers.first),
            g_,
            is_output_},
        source_(
            static_cast<const S*>(is_output_ ? buffers.first : buffers.second)),
        bias_(static_cast<const S*>(buffers.bias)),
        result_(static_cast<S*>(buffers.result)),
        source_channels_(is_output_ ? g_.c_in : g_.c_out),
        result_channels_(is_output_ ? g_.c_out : g_.c_in) {}

  void run() {
    std::vector<Line> lines;
    for (auto& z : plan_.axes[0]) {
      for (auto& y : plan_.axes[1]) {
        for (int64_t n = 0; n < g_.batch; ++n) {
          for (int64_t i = 0; i < z.positions; ++i) {
            for (int64_t j = 0; j < y.positions; ++j) {
              lines.push_back({{&z, &y}, {i, j}, n});
            }
          }
        }
      }
    }
    double work = static_cast<double>(g_.batch) * g_.in_pixels() * g_.taps() *
        g_.c_in * g_.c_out;
    parallel_for(static_cast<int64_t>(lines.size()), work, [&](int64_t i) {
      for (auto& x : plan_.axes[2]) {
        int64_t step = std::max<int64_t>(1, kStretch / x.source_step);
        for (int64_t first = 0; first < x.positions; first += step) {
          run_stretch(lines[i], x, first, std::min(step, x.positions - first));
        }
      }
    });
  }

 private:
  // `count` positions of a line from `first`, of one phase of the last axis.
  void run_stretch(
      const Line& line,
      const AxisPlan& x,
      int64_t first,
      int64_t count) {
    int64_t lanes = kernels<T>().lanes;
    int64_t padded = divide_up(count, lanes) * lanes;
    auto* sums = scratch<T>(Slot::Sums, result_channels_ * padded);
    for (int64_t o = 0; o < result_channels_; ++o) {
      T init = 0;
      if (bias_) {
        copies<S>().widen(&init, bias_ + o, 1);
      }
      std::fill_n(sums + o * padded, padded, init);
    }
    if (!x.taps.empty()) {
      for (auto& z_tap : line.axis[0]->taps) {
        for (auto& y_tap : line.axis[1]->taps) {
          add_taps(line, z_tap, y_tap, x, first, padded, sums);
        }
      }
    }
    write(line, x, first, count, sums, padded);
  }

  // Adds what the taps (z_tap, y_tap, all of x) contribute.
  void add_taps(
      const Line& line,
      const Tap& z_tap,
      const Tap& y_tap,
      const AxisPlan& x,
      int64_t first,
      int64_t padded,
      T* sums) {
    auto pixel = [&](int a, const Tap& tap) {
      return line.position[a] * line.axis[a]->source_step + tap.offset;
    };
    int64_t z = pixel(0, z_tap);
    int64_t y = pixel(1, y_tap);
    if (z < 0 || z >= line.axis[0]->source_extent || y < 0 ||
        y >= line.axis[1]->source_extent) {
      return;
    }
    int64_t row = (line.image * line.axis[0]->source_extent + z) *
            line.axis[1]->source_extent +
        y;

    // The source line as planes: of pixel j * step + residue and channel c,
    // j from `begin`.
    int64_t step = x.source_step;
    int64_t begin = first + floor_divide(x.taps.front().offset, step);
    int64_t length =
        first + padded + floor_divide(x.taps.back().offset, step) - begin;
    auto* planes = scratch<T>(Slot::PanelA, length * step * source_channels_);
    split(row, x.source_extent, step, begin, length, planes);

    std::vector<const T*> sources;
    std::vector<T> weights;
    for (int64_t o = 0; o < result_channels_; ++o) {
      sources.clear();
      weights.clear();
      for (auto& tap : x.taps) {
        int64_t kernel =
            (z_tap.kernel * g_.kernel[1] + y_tap.kernel) * g_.kernel[2] +
            tap.kernel;
        int64_t quotient = floor_divide(tap.offset, step);
        int64_t residue = tap.offset - quotient * step;
        for (int64_t c = 0; c < source_channels_; ++c) {
          sources.push_back(
              planes + (residue * source_channels_ + c) * length +
              (first + quotient - begin));
          auto* w = is_output_ ? weights_.at(0, o, kernel) + c
                               : weights_.at(0, c, kernel) + o;
          copies<S>().widen(&weights.emplace_back(), w, 1);
        }
      }
      kernels<T>().combine(
          padded,
          static_cast<int64_t>(sources.size()),
          sources.data(),
          weights.data(),
          sums + o * padded);
    }
  }

  void split(
      int64_t row,
      int64_t extent,
      int64_t step,
      int64_t begin,
      int64_t length,
      T* planes) {
    // The pixels [lo, hi) of the line are in reach; zeros elsewhere.
    int64_t channels = source_channels_;
    int64_t lo = std::clamp<int64_t>(begin * step, 0, extent);
    int64_t hi = std::clamp<int64_t>((begin + length) * step, lo, extent);
    if (hi - lo < length * step) {
      std::fill_n(planes, length * step * channels, T(0));
    }
    auto* from = source_ + (row * extent + lo) * channels;
    if (step * channels == 1) {
      return copies<S>().widen(planes + lo - begin, from, hi - lo);
    }
    auto* line = scratch<T>(Slot::PanelB, (hi - lo) * channels);
    copies<S>().widen(line, from, (hi - lo) * channels);
    for (int64_t residue = 0; residue < step; ++residue) {
      // The first j whose pixel is not below lo, and the end.
      int64_t j = floor_divide(lo - residue + step - 1, step);
      int64_t end = floor_divide(hi - residue + step - 1, step);
      for (int64_t c = 0; c < channels; ++c) {
        auto* plane = planes + (residue * channels + c) * length;
        for (int64_t k = j; k < end; ++k) {
          plane[k - begin] = line[(k * step + residue - lo) * channels + c];
        }
      }
    }
  }

  void write(
      const Line& line,
      const AxisPlan& x,
      int64_t first,
      int64_t count,
      const T* sums,
      int64_t padded) {
    auto dest = [&](int a) {
      return line.axis[a]->dest_first +
          line.position[a] * line.axis[a]->dest_step;
    };
    int64_t row = (line.image * line.axis[0]->dest_extent + dest(0)) *
            line.axis[1]->dest_extent +
        dest(1);
    int64_t pixel = row * x.dest_extent + x.dest_first + first * x.dest_step;
    int64_t step = x.dest_step * result_channels_;
    S* to = result_ + pixel * result_channels_;
    if (step == 1) {
      return copies<S>().narrow(to, sums, count);
    }
    auto* narrow = scratch<S>(Slot::Init, count);
    for (int64_t o = 0; o < result_channels_; ++o) {
      copies<S>().narrow(narrow, sums + o * padded, count);
      for (int64_t t = 0; t < count; ++t) {
        to[t * step + o] = narrow[t];
      }
    }
  }

  const Geometry& g_;
  const Plan& plan_;
  bool is_output_;
  WeightMatrices<S> weights_;
  const S* source_;
  const S* bias_;
  S* result_;
  int64_t source_channels_;
  int64_t result_channels_;
};

} // namespace

std::string planar_why_not(const Problem& problem) {
  if (problem.contraction == Contraction::WeightGrad) {
    return "it has no weight gradient";
  }
  auto& g = problem.geometry;
  if (g.groups != 1) {
    return "groups must be 1";
  }
  if (g.dilation[2] * (g.kernel[2] - 1) > kMaxSpan) {
    return "the kernel must span at most 4097 pixels of the last axis";
  }
  return problem.contraction == Contraction::InputGrad &&
          g.stride[2] > kMaxStride
      ? "the last axis's stride must be at most 16 for the input gradient"
      : "";
}

bool planar_suits(const Problem& problem) {
  auto& g = problem.geometry;
  int64_t positions = problem.contraction == Contraction::Output
      ? g.out[2] / g.stride[2]
      : g.in[2];
  return g.c_in * g.c_out <= kFewChannels && positions >= 32;
}

void run_planar(const Problem& problem, const Buffers& buffers) {
  auto plan = problem.contraction == Contraction::Output
      ? output_plan(problem.geometry, false)
      : input_grad_plan(problem.geometry);
  with_storage(problem.scalar, [&]<typename S>(S) {
    Planar<S>(problem, buffers, plan).run();
  });
}

} // namespace mlx_convt::cpu
