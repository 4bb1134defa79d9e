// Output and InputGrad: every phase is a dense correlation, computed block by
// block as panels times the phase's weights.
#pragma once

#include "gather.h"
#include "product.h"

namespace mlx_convt::cpu {

// A block's worth of work; no two write the same value, and each value is
// summed in an order that the geometry alone determines.
struct Unit {
  int64_t phase;
  int64_t group;
  int64_t row;
  int64_t rows;
  int64_t column;
  int64_t columns;
};

// Bytes of a result that no cache will hold until it is read.
inline constexpr int64_t kLargeResult = int64_t{16} << 20;

// Cuts phases, groups, rows and columns into units.
std::vector<Unit> make_units(
    const Plan& plan,
    int64_t groups,
    int64_t columns,
    int64_t block_rows,
    int64_t column_step,
    int64_t threads);

// Where a run of rows goes in the result: row r's group of channels starts at
// element + r * step, and its folded pixels lie at x + r * x_step and behind.
struct RunTarget {
  int64_t element;
  int64_t step;
  int64_t x;
  int64_t x_step;
};

RunTarget run_target(
    const Phase& phase,
    const RowRun& run,
    int64_t result_channels,
    int64_t first_channel);

template <typename S, template <typename> class Method>
class Correlation {
  using T = Sum<S>;
  using E = Element<S>;

 public:
  Correlation(const Problem& problem, const Buffers& buffers, const Plan& plan)
      : g_(problem.geometry),
        plan_(plan),
        is_output_(problem.contraction == Contraction::Output),
        weights_{
            static_cast<const S*>(is_output_ ? buffers.second : buffers.first),
            g_,
            is_output_},
        source_(
            static_cast<const S*>(is_output_ ? buffers.first : buffers.second)),
        bias_(static_cast<const E*>(buffers.bias)),
        result_(static_cast<E*>(buffers.result)),
        method_(weights_, plan_),
        is_large_(
            (is_output_ ? g_.out_pixels() * g_.c_out
                        : g_.in_pixels() * g_.c_in) *
                g_.batch * static_cast<int64_t>(sizeof(E)) >=
            kLargeResult) {}

  void run() {
    auto units = make_units(
        plan_,
        g_.groups,
        weights_.columns(plan_.phase(0)),
        block_rows_for(method_.block_rows(), weights_.rows(plan_.phase(0))),
        method_.column_step(),
        Method<S>::kSumsColumnsAlone ? num_threads() : 8);
    double work = 0;
    for (auto& unit : units) {
      auto rows = weights_.rows(plan_.phase(unit.phase));
      work += static_cast<double>(unit.rows) * (rows + 8) * (unit.columns + 8);
    }
    parallel_for(static_cast<int64_t>(units.size()), work, [&](int64_t i) {
      run_unit(units[i]);
    });
  }

  const Method<S>& method() const {
    return method_;
  }

 private:
  void run_unit(const Unit& unit) {
    auto phase = plan_.phase(unit.phase);
    RowBlock block(phase, unit.row, unit.rows);
    Source<S> source{
        source_,
        is_output_ ? g_.in : g_.out,
        g_.batch,
        is_output_ ? g_.c_in : g_.c_out,
        unit.group * weights_.channels()};
    auto chunks = chunk_columns(
        phase,
        block.live_taps(),
        weights_.channels(),
        g_.groups == 1,
        kPanelColumns);
    // A block that no tap reaches still gets its bias or zeros.
    if (chunks.empty()) {
      chunks.emplace_back();
    }

    auto* sums = scratch<T>(Slot::Sums, unit.rows * unit.columns);
    std::vector<T*> rows(unit.rows);
    std::vector<Indirect> indirect;
    set_rows(unit, phase, block, sums, rows.data(), indirect);

    std::vector<TapBox> live;
    if (phase.has_edges_within_tiles()) {
      int64_t tile = kernels<T>().tile_rows;
      for (int64_t i = 0; i < unit.rows; i += tile) {
        RowBlock some(phase, unit.row + i, std::min(tile, unit.rows - i));
        live.push_back(some.live_taps());
      }
    }
    auto* panel = scratch<Acc<S>>(Slot::PanelA, unit.rows * kPitch<Acc<S>>);
    const T* init = initial_sums(unit);
    // Not to sums in scratch memory, which are read next.
    bool streams = chunks.size() == 1 && is_large_ && std::is_same_v<E, T> &&
        Method<S>::kWritesAnywhere;
    for (auto& pieces : chunks) {
      gather(panel, source, phase, block, pieces);
      method_.multiply(
          {phase,
           unit.phase,
           unit.group,
           panel,
           pieces,
           unit.rows,
           unit.column,
           unit.columns,
           rows.data(),
           init,
           live,
           streams});
      init = nullptr;
    }

    if (streams) {
      active().fence();
    }
    for (auto& row : indirect) {
      copies<S>().narrow(result_ + row.element, row.sums, row.count);
    }
  }

  // A row whose sums wait in scratch memory, of another type than the result
  // or with pixels that do not exist.
  struct Indirect {
    int64_t element; // of the result
    const T* sums;
    int64_t count;
  };

  // Points each row at the result itself where that is possible.
  void set_rows(
      const Unit& unit,
      const Phase& phase,
      const RowBlock& block,
      T* sums,
      T** rows,
      std::vector<Indirect>& indirect) const {
    int64_t channels = is_output_ ? g_.group_out() : g_.group_in();
    auto& axis = *phase.axis[2];
    for (auto& run : block.runs()) {
      auto target = run_target(
          phase, run, is_output_ ? g_.c_out : g_.c_in, unit.group * channels);
      for (int64_t r = 0; r < run.count; ++r) {
        int64_t element = target.element + r * target.step;
        int64_t x = target.x + r * target.x_step;
        if constexpr (std::is_same_v<E, T> && Method<S>::kWritesAnywhere) {
          if (x >= 0 && x + axis.fold <= axis.dest_extent) {
            *rows++ = result_ + element + unit.column;
            sums += unit.columns;
            continue;
          }
        }
        int64_t first = std::max(unit.column, -x * channels);
        int64_t last = std::min(
            unit.column + unit.columns, (axis.dest_extent - x) * channels);
        if (first < last) {
          indirect.push_back(
              {element + first, sums + (first - unit.column), last - first});
        }
        *rows++ = sums;
        sums += unit.columns;
      }
    }
  }

  // The bias of the unit's columns, or zeros, readable in whole vectors.
  const T* initial_sums(const Unit& unit) const {
    int64_t padded = unit.columns + 2 * kernels<T>().lanes;
    auto* init = scratch<T>(Slot::Init, padded);
    std::fill_n(init, padded, T(0));
    for (int64_t j = 0; bias_ && j < unit.columns; ++j) {
      int64_t channel =
          unit.group * g_.group_out() + (unit.column + j) % g_.group_out();
      copies<E>().widen(init + j, bias_ + channel, 1);
    }
    return init;
  }

  const Geometry& g_;
  const Plan& plan_;
  bool is_output_;
  WeightMatrices<S> weights_;
  const S* source_;
  const E* bias_;
  E* result_;
  Method<S> method_;
  bool is_large_;
};

} // namespace mlx_convt::cpu
