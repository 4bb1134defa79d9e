#include "strip.h"

#include "correlate.h"
#include "cost.h"
#include "strip_weights.h"

namespace mlx_convt::cpu {
namespace {

// Results per position beyond which the vectors are full without a turn.
constexpr int64_t kMaxColumns = 256;
// Of a strip and its sums, a thread's.
constexpr double kMaxValues = 1 << 20;

template <typename S>
class Strip {
  using T = Acc<S>;
  // As many as a tile of one row has columns: 8 vectors of 64 bytes.
  static constexpr T zeros_[8 * 64 / sizeof(T)] = {};

 public:
  Strip(const Problem& problem, const Buffers& buffers)
      : g_(problem.geometry),
        plan_(problem.geometry),
        boxes_(plan_.boxes()),
        at_once_(plan_.channels_at_once(most_pixels(boxes_))),
        weights_(plan_, static_cast<const S*>(buffers.second), at_once_),
        source_(static_cast<const S*>(buffers.first)),
        bias_(static_cast<const S*>(buffers.bias)),
        result_(static_cast<S*>(buffers.result)) {}

  void run() {
    double work = static_cast<double>(g_.batch) * g_.in_pixels() * g_.taps() *
        (g_.group_in() + 8.0) * g_.c_out;
    parallel_for(static_cast<int64_t>(boxes_.size()), work, [&](int64_t i) {
      run_box(boxes_[i]);
    });
  }

 private:
  static int64_t most_pixels(const std::vector<StripBox>& boxes) {
    int64_t pixels = 0;
    for (auto& box : boxes) {
      pixels = std::max(pixels, box.pixels());
    }
    return pixels;
  }

  // Boxes are computed in stretches of this many places, whole tiles of any
  // number of rows.
  static int64_t stretch() {
    return kernels<T>().most_columns(1);
  }

  // Distance of rows of the strip or of sums: whole stretches may be read or
  // written, and an odd number of cache lines spreads a column over the cache.
  static int64_t pitch_for(int64_t length) {
    constexpr int64_t line = 64 / sizeof(T);
    int64_t lines = divide_up(length + stretch() + line, line);
    return (lines | 1) * line;
  }

  void run_box(const StripBox& box) {
    int64_t pitch = pitch_for(box.pixels());
    auto* sums = scratch<T>(Slot::Sums, plan_.columns() * pitch);
    for (int64_t j : weights_.not_started()) {
      std::fill_n(sums + j * pitch, pitch, T(0));
    }
    auto* strip = scratch<T>(Slot::PanelA, at_once_ * pitch);
    for (auto& chunk : weights_.chunks()) {
      fill(strip, pitch, box, chunk);
      auto products = bind(chunk, box, sums, pitch);
      // Stretch by stretch, leaving out those that hold no position.
      int64_t done = 0;
      for_each_line(box, [&](int64_t place, const Triple&, int64_t) {
        int64_t last = place + box.extent[2];
        for (done = std::max(done, place); done < last; done += stretch()) {
          for (auto& product : products.calls) {
            multiply(product, products.stretches.data(), strip, pitch, done);
          }
        }
      });
    }
    for_each_line(box, [&](int64_t place, const Triple& position, int64_t n) {
      write(sums + place, pitch, box, position, n);
    });
  }

  // f(place of the line's first position, that position, its image)
  template <typename F>
  void for_each_line(const StripBox& box, F&& f) const {
    for (int64_t n = 0; n < box.images; ++n) {
      for (int64_t z = 0; z < box.extent[0]; ++z) {
        for (int64_t y = 0; y < box.extent[1]; ++y) {
          f(box.place(n, z, y, 0),
            {box.first[0] + z, box.first[1] + y, box.first[2]},
            box.image + n);
        }
      }
    }
  }

  // strip[channel][place], zeros outside the source.
  void
  fill(T* strip, int64_t pitch, const StripBox& box, const StripChunk& chunk) {
    Triple from;
    for (int a = 0; a < kAxes; ++a) {
      from[a] = box.first[a] + plan_.axis[a].least;
    }
    int64_t width = box.source[2];
    int64_t lo = std::clamp<int64_t>(-from[2], 0, width);
    int64_t hi = std::clamp<int64_t>(g_.in[2] - from[2], lo, width);
    auto* nothing = scratch<S>(Slot::Init, chunk.channels);
    std::fill_n(nothing, chunk.channels, S{});
    std::vector<const S*> pixels(width, nothing);
    for (int64_t n = 0; n < box.images; ++n) {
      for (int64_t z = 0; z < box.source[0]; ++z) {
        for (int64_t y = 0; y < box.source[1]; ++y) {
          int64_t zz = from[0] + z;
          int64_t yy = from[1] + y;
          bool is_inside = zz >= 0 && zz < g_.in[0] && yy >= 0 && yy < g_.in[1];
          int64_t line = ((box.image + n) * g_.in[0] + zz) * g_.in[1] + yy;
          int64_t channel = box.group * g_.group_in() + chunk.first;
          for (int64_t x = lo; x < hi; ++x) {
            int64_t pixel = line * g_.in[2] + from[2] + x;
            pixels[x] =
                is_inside ? source_ + pixel * g_.c_in + channel : nothing;
          }
          turn(strip + box.place(n, z, y, 0), pitch, pixels, chunk.channels);
        }
      }
    }
  }

  void turn(
      T* to,
      int64_t pitch,
      const std::vector<const S*>& pixels,
      int64_t channels) const {
    auto width = static_cast<int64_t>(pixels.size());
    int64_t lanes = kernels<T>().lanes;
    int64_t whole = width / lanes * lanes;
    auto transpose = [&](int64_t x, int64_t count) {
      copies<S>().transpose(
          to + x, pitch, &pixels[x], count, channels, lanes * g_.c_in);
    };
    if (whole > 0) {
      transpose(0, whole);
    }
    if (whole < width) {
      // A whole vector of pixels, some for the second time.
      int64_t x = std::max<int64_t>(0, width - lanes);
      transpose(x, width - x);
    }
  }

  // A call with the addresses of a box.
  struct Bound {
    const T* panel;
    int rows;
    int columns;
    bool starts;
    int64_t first; // of the stretches
    int64_t count;
    T* sums[kStripTileRows];
  };

  struct Products {
    std::vector<Bound> calls;
    std::vector<Stretch> stretches; // of all calls
  };

  Products bind(
      const StripChunk& chunk,
      const StripBox& box,
      T* sums,
      int64_t pitch) const {
    Products products;
    auto& [calls, stretches] = products;
    for (auto& call : chunk.calls) {
      calls.push_back(
          {weights_.panel(box.group, call),
           call.rows,
           kernels<T>().most_columns(call.rows),
           call.starts,
           static_cast<int64_t>(stretches.size()),
           static_cast<int64_t>(call.steps.size()),
           {}});
      for (auto& step : call.steps) {
        auto& o = step.offset;
        stretches.push_back({box.place(0, o[0], o[1], o[2]), step.channels});
      }
      for (int i = 0; i < call.rows; ++i) {
        calls.back().sums[i] = sums + call.columns[i] * pitch;
      }
    }
    return products;
  }

  void multiply(
      const Bound& p,
      const Stretch* stretches,
      const T* strip,
      int64_t pitch,
      int64_t place) const {
    const T* init = p.starts ? zeros_ : nullptr;
    for (int64_t j = 0; j < stretch(); j += p.columns) {
      kernels<T>().tile(
          p.rows,
          p.columns,
          p.panel,
          {stretches + p.first, p.count},
          strip + place + j,
          pitch,
          {p.sums, place + j, init});
    }
  }

  // A line of positions: the output lines of its phases.
  void write(
      const T* sums,
      int64_t pitch,
      const StripBox& box,
      const Triple& position,
      int64_t image) const {
    int64_t channels = g_.group_out();
    int64_t step = plan_.axis[2].phases * channels;
    auto* line =
        scratch<T>(Slot::PanelB, box.extent[2] * step + kernels<T>().lanes);
    const T* rows[kMaxColumns];
    int64_t x = position[2] * g_.stride[2];
    int64_t pixels =
        std::min(box.extent[2] * plan_.axis[2].phases, g_.out[2] - x);
    for (int64_t a = 0; a < plan_.axis[0].phases; ++a) {
      for (int64_t b = 0; b < plan_.axis[1].phases; ++b) {
        int64_t z = position[0] * g_.stride[0] + a;
        int64_t y = position[1] * g_.stride[1] + b;
        if (z >= g_.out[0] || y >= g_.out[1]) {
          continue;
        }
        for (int64_t j = 0; j < step; ++j) {
          rows[j] = sums + (plan_.column(a, b, 0, 0) + j) * pitch;
        }
        copies<T>().transpose(line, step, rows, step, box.extent[2], 0);
        add_bias(line, box);
        auto* to = result_ +
            (((image * g_.out[0] + z) * g_.out[1] + y) * g_.out[2] + x) *
                g_.c_out +
            box.group * channels;
        if (g_.groups == 1) {
          copies<S>().narrow(to, line, pixels * channels);
          continue;
        }
        for (int64_t i = 0; i < pixels; ++i) {
          copies<S>().narrow(to + i * g_.c_out, line + i * channels, channels);
        }
      }
    }
  }

  void add_bias(T* line, const StripBox& box) const {
    if (!bias_) {
      return;
    }
    int64_t channels = g_.group_out();
    auto* bias = scratch<T>(Slot::Init, channels);
    copies<S>().widen(bias, bias_ + box.group * channels, channels);
    int64_t pixels = box.extent[2] * plan_.axis[2].phases;
    for (int64_t i = 0; i < pixels; ++i) {
      for (int64_t o = 0; o < channels; ++o) {
        *line++ += bias[o];
      }
    }
  }

  const Geometry& g_;
  StripPlan plan_;
  std::vector<StripBox> boxes_;
  int64_t at_once_; // channels
  StripWeights<S> weights_;
  const S* source_;
  const S* bias_;
  S* result_;
};

} // namespace

std::string strip_why_not(const Problem& problem) {
  if (problem.contraction != Contraction::Output) {
    return "it has the output only";
  }
  auto& g = problem.geometry;
  if (strip_columns(g) > kMaxColumns) {
    return "stride and output channels per group must make at most " +
        std::to_string(kMaxColumns) + " results per position";
  }
  return strip_values(g) > kMaxValues
      ? "the taps must not lie further apart than fits 1 Mi values"
      : "";
}

bool strip_suits(const Problem& problem) {
  return strip_cycles(problem) <
      std::min(dot_cycles(problem), tile_cycles(problem));
}

void run_strip(const Problem& problem, const Buffers& buffers) {
  with_storage(
      problem.scalar, [&]<typename S>(S) { Strip<S>(problem, buffers).run(); });
}

} // namespace mlx_convt::cpu
