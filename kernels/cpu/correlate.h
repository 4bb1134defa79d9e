// Output and InputGrad: every phase is a dense correlation, computed block by
// block as panels times the phase's weights.
#pragma once

#include "gather.h"
#include "methods.h"

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

inline int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// Cuts phases, groups, rows and columns into units.
std::vector<Unit> make_units(
    const Plan& plan,
    int64_t groups,
    int64_t columns,
    int64_t block_rows,
    int64_t column_step);

// Where a block's rows go in the result: for each row, the first element of
// its group of channels and the folded pixels [first, last) that exist.
struct RowTarget {
  int64_t element;
  int64_t first_pixel;
  int64_t last_pixel;
};

std::vector<RowTarget> row_targets(
    const Phase& phase,
    const RowBlock& block,
    int64_t result_channels,
    int64_t first_channel);

template <typename S, template <typename> class Method>
class Correlation {
  using T = Acc<S>;

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
        bias_(static_cast<const S*>(buffers.bias)),
        result_(static_cast<S*>(buffers.result)),
        method_(weights_, plan_) {}

  void run() {
    auto units = make_units(
        plan_,
        g_.groups,
        weights_.columns(plan_.phase(0)),
        method_.block_rows(),
        method_.column_step());
    double work = 0;
    for (auto& unit : units) {
      auto rows = weights_.rows(plan_.phase(unit.phase));
      work += static_cast<double>(unit.rows) * (rows + 8) * (unit.columns + 8);
    }
    parallel_for(
        static_cast<int64_t>(units.size()), work, [&](int64_t i) {
          run_unit(units[i]);
        });
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

    auto targets = row_targets(
        phase,
        block,
        is_output_ ? g_.c_out : g_.c_in,
        unit.group * (is_output_ ? g_.group_out() : g_.group_in()));
    std::vector<T*> rows(unit.rows);
    auto* sums = scratch<T>(Slot::Sums, unit.rows * unit.columns);
    for (int64_t i = 0; i < unit.rows; ++i) {
      rows[i] = destination(unit, phase, targets[i], sums + i * unit.columns);
    }

    auto* panel = scratch<T>(Slot::PanelA, unit.rows * kPitch<T>);
    const T* init = initial_sums(unit);
    for (auto& pieces : chunks) {
      gather(panel, source, phase, block, pieces);
      method_.multiply(
          {phase,
           unit.phase,
           unit.group,
           panel,
           method_.stretches(phase, pieces),
           unit.rows,
           unit.column,
           unit.columns,
           rows.data(),
           init});
      init = nullptr;
    }

    for (int64_t i = 0; i < unit.rows; ++i) {
      if (rows[i] == sums + i * unit.columns) {
        write(unit, targets[i], rows[i]);
      }
    }
  }

  // The result itself where the row is whole and of the type of the sums.
  T* destination(
      const Unit& unit,
      const Phase& phase,
      const RowTarget& target,
      T* own) const {
    if constexpr (std::is_same_v<S, T> && Method<S>::kWritesAnywhere) {
      if (target.first_pixel == 0 &&
          target.last_pixel == phase.axis[2]->fold) {
        return result_ + target.element + unit.column;
      }
    }
    return own;
  }

  void write(const Unit& unit, const RowTarget& target, const T* sums) const {
    int64_t channels = is_output_ ? g_.group_out() : g_.group_in();
    int64_t first = std::max(unit.column, target.first_pixel * channels);
    int64_t last = std::min(
        unit.column + unit.columns, target.last_pixel * channels);
    if (last > first) {
      copies<S>().narrow(
          result_ + target.element + first,
          sums + (first - unit.column),
          last - first);
    }
  }

  // The bias of the unit's columns, or zeros, readable in whole vectors.
  const T* initial_sums(const Unit& unit) const {
    int64_t padded = unit.columns + 2 * kernels<T>().lanes;
    auto* init = scratch<T>(Slot::Init, padded);
    std::fill_n(init, padded, T(0));
    for (int64_t j = 0; bias_ && j < unit.columns; ++j) {
      int64_t channel = unit.group * g_.group_out() +
          (unit.column + j) % g_.group_out();
      copies<S>().widen(init + j, bias_ + channel, 1);
    }
    return init;
  }

  const Geometry& g_;
  const Plan& plan_;
  bool is_output_;
  WeightMatrices<S> weights_;
  const S* source_;
  const S* bias_;
  S* result_;
  Method<S> method_;
};

} // namespace mlx_convt::cpu
