#include "depthwise.h"

#include "correlate.h"

namespace mlx_convt::cpu {
namespace {

// Channels that one panel row holds of each tap: four vectors of AVX-512.
constexpr int64_t kChannels = 64;
constexpr int64_t kDepth = 256;
constexpr int64_t kWantedUnits = 8;

template <typename S>
class Depthwise {
  using T = Acc<S>;

 public:
  Depthwise(const Problem& problem, const Buffers& buffers)
      : g_(problem.geometry),
        buffers_(buffers),
        result_(static_cast<S*>(buffers.result)),
        slices_(divide_up(g_.c_in, kChannels)) {}

  void run_output() {
    correlate(output_plan(g_, false), buffers_.first, buffers_.second, g_.in);
  }

  void run_input_grad() {
    correlate(input_grad_plan(g_), buffers_.second, buffers_.first, g_.out);
  }

  void run_weight_grad() {
    auto y_plan = input_grad_plan(g_);
    auto x_plan = identity_plan(g_);
    auto y_phase = y_plan.phase(0);
    auto x_phase = x_plan.phase(0);
    auto chunks = columns(y_phase, all_taps(y_phase));
    int64_t units = slices_ * static_cast<int64_t>(chunks.size());
    int64_t blocks = divide_up(x_phase.rows(), kDepth);
    int64_t splits = std::clamp<int64_t>(
        divide_up(kWantedUnits, std::max<int64_t>(units, 1)),
        1,
        std::max<int64_t>(blocks, 1));
    auto sums =
        make_aligned<T>(std::max<int64_t>(units * splits, 1) * kPanelColumns);
    double work = 8.0 * x_phase.rows() * g_.taps() * g_.c_in;
    parallel_for(units * splits, work, [&](int64_t i) {
      auto* own = sums.get() + i * kPanelColumns;
      std::fill_n(own, kPanelColumns, T(0));
      int64_t split = i % splits;
      int64_t slice = i / splits % slices_;
      auto& pieces = chunks[i / splits / slices_];
      Source<S> x = source(buffers_.first, g_.in, slice);
      Source<S> y = source(buffers_.second, g_.out, slice);
      auto* y_panel = scratch<T>(Slot::PanelA, kDepth * kPitch<T>);
      auto* x_panel = scratch<T>(Slot::PanelB, kDepth * kPitch<T>);
      for (int64_t b = blocks * split / splits;
           b < blocks * (split + 1) / splits;
           ++b) {
        int64_t row = b * kDepth;
        int64_t depth = std::min(kDepth, x_phase.rows() - row);
        gather(
            y_panel,
            y,
            y_phase,
            RowBlock(y_phase, row, depth),
            of_slice(pieces, slice));
        gather(
            x_panel,
            x,
            x_phase,
            RowBlock(x_phase, row, depth),
            {{{0, 0, 0}, 1, 0, width(slice)}});
        kernels<T>().diagonal_transposed(
            depth,
            static_cast<int>(pieces.size()),
            static_cast<int>(width(slice)),
            y_panel,
            x_panel,
            own);
      }
    });
    for (int64_t i = 0; i < units; ++i) {
      auto* total = sums.get() + i * splits * kPanelColumns;
      for (int64_t split = 1; split < splits; ++split) {
        for (int64_t j = 0; j < kPanelColumns; ++j) {
          total[j] += total[split * kPanelColumns + j];
        }
      }
      int64_t slice = i % slices_;
      for (auto& piece : chunks[i / slices_]) {
        int64_t kernel = y_phase.kernel_index(g_.kernel, piece.tap);
        for (int64_t c = 0; c < width(slice); ++c) {
          copies<S>().narrow(
              result_ + (slice * kChannels + c) * g_.taps() + kernel,
              total++,
              1);
        }
      }
    }
  }

 private:
  int64_t width(int64_t slice) const {
    return std::min(kChannels, g_.c_in - slice * kChannels);
  }

  Source<S> source(const void* data, const Triple& extent, int64_t slice)
      const {
    return {
        static_cast<const S*>(data),
        extent,
        g_.batch,
        g_.c_in,
        slice * kChannels};
  }

  // Chunks of taps; the channels are set by of_slice().
  static std::vector<std::vector<Piece>> columns(
      const Phase& phase,
      const TapBox& box) {
    return chunk_columns(phase, box, kChannels, false, kPanelColumns);
  }

  std::vector<Piece> of_slice(std::vector<Piece> pieces, int64_t slice) const {
    for (auto& piece : pieces) {
      piece.channels = width(slice);
    }
    return pieces;
  }

  // The weights as rows of channels, one per tap, with slack for whole
  // vectors.
  AlignedArray<T> transposed_weights(const void* data) const {
    auto* w = static_cast<const S*>(data);
    int64_t slack = kernels<T>().lanes;
    auto rows = make_aligned<T>(g_.taps() * g_.c_in + slack);
    std::fill_n(rows.get() + g_.taps() * g_.c_in, slack, T(0));
    std::vector<T> line(g_.taps());
    for (int64_t c = 0; c < g_.c_in; ++c) {
      copies<S>().widen(line.data(), w + c * g_.taps(), g_.taps());
      for (int64_t k = 0; k < g_.taps(); ++k) {
        rows[k * g_.c_in + c] = line[k];
      }
    }
    return rows;
  }

  void correlate(
      const Plan& plan,
      const void* from,
      const void* weights,
      const Triple& extent) {
    auto w = transposed_weights(weights);
    // Units have one channel slice each, as their group.
    auto units = make_units(plan, slices_, kChannels, kDepth / 2, kChannels);
    double work = 0;
    for (auto& unit : units) {
      work += 8.0 * unit.rows * kChannels * plan.phase(unit.phase).taps();
    }
    auto count = static_cast<int64_t>(units.size());
    parallel_for(count, work, [&](int64_t i) {
      run_unit(units[i], plan, source(from, extent, units[i].group), w.get());
    });
  }

  void run_unit(
      const Unit& unit,
      const Plan& plan,
      const Source<S>& source,
      const T* weights) {
    int64_t slice = unit.group;
    int64_t channels = width(slice);
    auto phase = plan.phase(unit.phase);
    RowBlock block(phase, unit.row, unit.rows);
    auto* panel = scratch<T>(Slot::PanelA, unit.rows * kPitch<T>);
    auto* sums = scratch<T>(Slot::Sums, unit.rows * kChannels);
    std::vector<S*> targets;
    std::vector<T*> rows;
    for (auto& run : block.runs()) {
      auto target = run_target(phase, run, g_.c_in, slice * kChannels);
      for (int64_t r = 0; r < run.count; ++r) {
        targets.push_back(result_ + target.element + r * target.step);
        rows.push_back(sums + static_cast<int64_t>(rows.size()) * kChannels);
      }
    }
    if constexpr (std::is_same_v<S, T>) {
      rows = targets;
    }
    auto* init = scratch<T>(Slot::Init, kChannels);
    std::fill_n(init, kChannels, T(0));
    if (buffers_.bias) {
      auto* bias = static_cast<const S*>(buffers_.bias);
      copies<S>().widen(init, bias + slice * kChannels, channels);
    }

    auto chunks = columns(phase, block.live_taps());
    if (chunks.empty()) {
      chunks.emplace_back();
    }
    const T* start = init;
    std::vector<Stretch> stretches;
    for (auto& chunk : chunks) {
      auto pieces = of_slice(chunk, slice);
      gather(panel, source, phase, block, pieces);
      stretches.clear();
      for (auto& piece : pieces) {
        int64_t kernel = phase.kernel_index(g_.kernel, piece.tap);
        stretches.push_back({kernel * g_.c_in + slice * kChannels, channels});
      }
      kernels<T>().diagonal(
          static_cast<int>(unit.rows),
          static_cast<int>(channels),
          panel,
          {stretches.data(), static_cast<int64_t>(stretches.size())},
          weights,
          {rows.data(), 0, start});
      start = nullptr;
    }
    if constexpr (!std::is_same_v<S, T>) {
      for (int64_t i = 0; i < unit.rows; ++i) {
        copies<S>().narrow(targets[i], rows[i], channels);
      }
    }
  }

  const Geometry& g_;
  const Buffers& buffers_;
  S* result_;
  int64_t slices_;
};

} // namespace

std::string depthwise_why_not(const Problem& problem) {
  auto& g = problem.geometry;
  return g.groups == g.c_in && g.groups == g.c_out
      ? ""
      : "groups must equal the input and the output channels";
}

void run_depthwise(const Problem& problem, const Buffers& buffers) {
  with_storage(problem.scalar, [&]<typename S>(S) {
    Depthwise<S> depthwise(problem, buffers);
    switch (problem.contraction) {
      case Contraction::Output:
        return depthwise.run_output();
      case Contraction::InputGrad:
        return depthwise.run_input_grad();
      default:
        return depthwise.run_weight_grad();
    }
  });
}

} // namespace mlx_convt::cpu
