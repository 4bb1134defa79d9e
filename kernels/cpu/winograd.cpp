#include "winograd.h"

#include <atomic>

#include "gather.h"
#include "polyphase.h"
#include "winograd_blocks.h"
#include "winograd_layout.h"
#include "winograd_weight_grad.h"
#include "winograd_weights.h"

namespace mlx_convt::cpu {
namespace {

template <typename S>
class Winograd {
  using T = Acc<S>;

 public:
  Winograd(const Problem& problem, const Buffers& buffers, const Plan& plan)
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
        is_large_(
            (is_output_ ? g_.out_pixels() * g_.c_out
                        : g_.in_pixels() * g_.c_in) *
                g_.batch * static_cast<int64_t>(sizeof(S)) >=
            kLargeResult),
        columns_(weights_.columns(plan_.phase(0).plan())),
        lanes_(kernels<T>().lanes),
        sizes_{
            g_.groups,
            weights_.channels(),
            columns_,
            !is_output_,
            kernels<T>().lanes,
            kernels<T>().tile_rows,
            num_threads()},
        sets_(winograd_sets(plan_, sizes_)),
        packed_(weights_, plan_, sets_, columns_),
        zeros_(2 * lanes_),
        no_pixel_(kPanelColumns) {}

  // Whether all results are finite; where not, an infinity may have become NaN.
  bool run() {
    auto units = winograd_units(plan_, sizes_, sets_);
    double work = 0;
    for (auto& unit : units) {
      auto phase = plan_.phase(sets_[unit.phase].phases[0]);
      work += static_cast<double>(unit.rows) * unit.columns *
          weights_.channels() * phase.products();
    }
    parallel_for(
        std::ssize(units), work, [&](int64_t i) { run_unit(units[i]); });
    return is_finite_;
  }

 private:
  int64_t step() const {
    return 2 * lanes_;
  }
  int64_t width_at(int64_t columns_left) const {
    return columns_left > lanes_ ? step() : lanes_;
  }
  int64_t result_group() const {
    return is_output_ ? g_.group_out() : g_.group_in();
  }
  int64_t result_channels() const {
    return is_output_ ? g_.c_out : g_.c_in;
  }

  // What the steps of a unit share.
  struct Work {
    const Unit& unit;
    const WinogradSet& set;
    std::vector<Cell> cells;
    std::vector<Terms> places; // alike in all phases of a set
    const T* init;
    T* packed;
    // Of a strip's sums: the rows of a point, then those of the next.
    std::vector<T*> sums;
    bool is_begun; // all sums
    // Targets that are still to be fetched, and how many with each tile.
    size_t next_target;
    size_t targets_per_tile;
  };

  // Some columns of a phase: `count` from j in the unit, from `place` on in
  // the rows of sums.
  struct Strip {
    int64_t phase_index;
    WinogradPhase phase;
    int64_t j;
    int64_t count;
    int64_t place;
  };

  void run_unit(const Unit& unit) {
    if (!is_finite_) {
      return; // nobody will read these results
    }
    auto& set = sets_[unit.phase];
    auto phase = plan_.phase(set.phases[0]);
    int points = phase.points();
    Work work{
        unit,
        set,
        cells_of(phase, unit.row, unit.rows),
        terms_of(phase),
        initial_sums(unit),
        nullptr,
        {},
        false,
        0,
        0};
    if (!set.packs_once) {
      work.packed = scratch<T>(Slot::PanelB, points * set.depth * set.strip);
    }
    auto chunks = phase.chunks(weights_.channels(), set.depth);
    if (chunks.empty()) {
      chunks.emplace_back();
    }
    // One chunk makes the whole sum; else all strips' sums wait for the next.
    bool waits = chunks.size() > 1;
    int64_t width =
        divide_up(std::min(unit.columns, set.strip), lanes_) * lanes_;
    int64_t strip_size = points * unit.rows * width;
    int64_t strips =
        waits ? std::ssize(set.phases) * divide_up(unit.columns, set.strip) : 1;
    auto* sums = scratch<T>(Slot::Sums, strips * strip_size);
    for (int64_t r = 0; r < points * unit.rows; ++r) {
      work.sums.push_back(sums + r * width);
    }
    auto* panels = scratch<T>(Slot::PanelA, points * unit.rows * kPitch<T>);
    int64_t row = 0; // of the packed matrix
    for (auto& slabs : chunks) {
      gather(work, phase, slabs, panels);
      int64_t place = 0;
      for (int64_t p : set.phases) {
        Strip strip{p, plan_.phase(p), 0, 0, 0};
        std::vector<Target> targets;
        if (&slabs == &chunks.back()) {
          targets =
              targets_of(strip.phase, work.cells, columns_, result_group());
        }
        for (; strip.j < unit.columns; strip.j += set.strip) {
          strip.count = std::min(unit.columns - strip.j, set.strip);
          strip.place = place;
          place += waits ? strip_size : 0;
          multiply(work, strip, slabs, panels, row, targets);
          write(work, strip, targets);
        }
      }
      row += phase.columns(slabs);
      work.is_begun = true;
    }
    if (is_large_) {
      active().fence();
    }
  }

  void multiply(
      Work& work,
      const Strip& strip,
      const std::vector<Slab>& slabs,
      const T* panels,
      int64_t row,
      const std::vector<Target>& targets) {
    auto& unit = work.unit;
    auto& phase = strip.phase;
    int points = phase.points();
    if (work.packed) {
      pack_points(
          work.packed,
          weights_,
          phase,
          slabs,
          unit.group,
          unit.column + strip.j,
          strip.count,
          step());
    }
    int64_t tiles_left = points * divide_up(unit.rows, kernels<T>().tile_rows) *
        divide_up(strip.count, step());
    work.next_target = is_large_ ? targets.size() : 0;
    work.targets_per_tile = divide_up(std::ssize(targets), tiles_left);
    int64_t total = phase.columns(slabs);
    for (int64_t k = 0; k < strip.count; k += step()) {
      int64_t first = unit.column + strip.j + k;
      int64_t width =
          width_at(work.packed ? strip.count - k : columns_ - first);
      const T* b = work.packed
          ? work.packed + k * total
          : packed_.block(strip.phase_index, unit.group, first) + row * width;
      for (int i = 0; i < points; ++i) {
        auto* panel = panels + i * unit.rows * kPitch<T>;
        int64_t depth = phase.columns(slabs, phase.point(i));
        tiles(work, strip, targets, i, k, panel, depth, b, width);
        b += depth * width;
      }
    }
  }

  // The points' panels for some slabs.
  void gather(
      const Work& work,
      const WinogradPhase& phase,
      const std::vector<Slab>& slabs,
      T* panels) const {
    auto& unit = work.unit;
    int points = phase.points();
    int64_t channels = is_output_ ? g_.c_in : g_.c_out;
    int axes = 0;
    for (auto* axis : phase.axis) {
      axes += axis->is_joined;
    }
    std::vector<T*> to(points);
    std::vector<int64_t> columns(points);
    std::vector<int64_t> pixels(points);
    std::vector<const S*> from(work.cells.size() * points);
    for (auto& slab : slabs) {
      const S* source =
          source_ + unit.group * weights_.channels() + slab.channel;
      auto next = from.begin();
      for (auto& cell : work.cells) {
        cell_pixels(phase, slab.pair, cell, pixels.data());
        for (int64_t pixel : pixels) {
          *next++ = pixel < 0 ? no_pixel_.data() : source + pixel * channels;
        }
      }
      for (int i = 0; i < points; ++i) {
        to[i] = nullptr;
        if (phase.has(slab, phase.point(i))) {
          to[i] = panels + i * unit.rows * kPitch<T> + columns[i];
          columns[i] += slab.channels;
        }
      }
      copies<S>().points(
          to.data(), from.data(), unit.rows, axes, slab.channels);
    }
  }

  void tiles(
      Work& work,
      const Strip& strip,
      const std::vector<Target>& targets,
      int point,
      int64_t k,
      const T* panel,
      int64_t depth,
      const T* b,
      int64_t width) const {
    auto& kernel = kernels<T>();
    auto& unit = work.unit;
    Stretch whole{0, depth};
    const T* init = work.is_begun ? nullptr : zeros_.data();
    int columns = static_cast<int>(std::min(strip.count - k, step()));
    for (int64_t i = 0; i < unit.rows; i += kernel.tile_rows) {
      fetch(work, strip, targets);
      kernel.tile(
          static_cast<int>(std::min<int64_t>(kernel.tile_rows, unit.rows - i)),
          columns,
          panel + i * kPitch<T>,
          {&whole, 1},
          b,
          width,
          {&work.sums[point * unit.rows + i], strip.place + k, init});
    }
  }

  // Of a unit's group, from a column on.
  S* address(const Unit& unit, const Target& target, int64_t column) const {
    return result_ + target.pixel * result_channels() +
        unit.group * result_group() + column;
  }

  // The result is seldom in a cache: fetched between tiles, it does not hold
  // up the stores.
  void fetch(Work& work, const Strip& strip, const std::vector<Target>& targets)
      const {
    int64_t column = work.unit.column + strip.j;
    size_t last =
        std::min(work.next_target + work.targets_per_tile, targets.size());
    for (; work.next_target < last; ++work.next_target) {
      const S* to = address(work.unit, targets[work.next_target], column);
      constexpr int64_t kLine = 64 / sizeof(S);
      for (int64_t j = 0; j < strip.count; j += kLine) {
        __builtin_prefetch(to + j, 1);
      }
    }
  }

  void write(
      const Work& work,
      const Strip& strip,
      const std::vector<Target>& targets) {
    auto& unit = work.unit;
    auto* line = scratch<T>(Slot::Line, strip.count);
    int64_t column = unit.column + strip.j;
    T zero = 0;
    for (auto& target : targets) {
      int64_t first = std::max(column, target.first);
      int64_t last = std::min(column + strip.count, target.last);
      if (first >= last) {
        continue;
      }
      auto& place = work.places[target.place];
      const T* terms[8];
      T signs[8];
      for (int i = 0; i < place.count; ++i) {
        terms[i] = work.sums[place.points[i] * unit.rows + target.row] +
            strip.place + first - column;
        signs[i] = static_cast<T>(place.signs[i]);
      }
      S* to = address(unit, target, first);
      auto sum = [&](T* sums, bool streams) {
        zero += kernels<T>().signed_sum(
            sums,
            terms,
            signs,
            place.count,
            work.init + first - unit.column,
            last - first,
            streams);
      };
      if constexpr (std::is_same_v<S, T>) {
        sum(to, is_large_);
      } else {
        sum(line, false);
        copies<S>().narrow(to, line, last - first);
      }
    }
    if (zero != 0) { // NaN
      is_finite_ = false;
    }
  }

  // The bias of the unit's columns, or zeros.
  const T* initial_sums(const Unit& unit) const {
    auto* init = scratch<T>(Slot::Init, unit.columns);
    std::fill_n(init, unit.columns, T(0));
    for (int64_t j = 0; bias_ && j < unit.columns; ++j) {
      int64_t channel =
          unit.group * g_.group_out() + (unit.column + j) % g_.group_out();
      copies<S>().widen(init + j, bias_ + channel, 1);
    }
    return init;
  }

  const Geometry& g_;
  WinogradPlan plan_;
  bool is_output_;
  WeightMatrices<S> weights_;
  const S* source_;
  const S* bias_;
  S* result_;
  bool is_large_; // see kLargeResult
  int64_t columns_;
  int64_t lanes_;
  WinogradSizes sizes_;
  std::vector<WinogradSet> sets_;
  WinogradWeights<S> packed_; // of the sets that are packed once
  std::vector<T> zeros_;
  std::vector<S> no_pixel_; // outside the source
  std::atomic<bool> is_finite_{true};
};

} // namespace

std::string winograd_why_not(const Problem&) {
  return "";
}

void run_winograd(const Problem& problem, const Buffers& buffers) {
  if (problem.contraction == Contraction::WeightGrad) {
    return run_winograd_weight_grad(problem, buffers);
  }
  auto plan = winograd_layout(problem).plan;
  bool is_finite = true;
  with_storage(problem.scalar, [&]<typename S>(S) {
    is_finite = Winograd<S>(problem, buffers, plan).run();
  });
  if (!is_finite) {
    run_polyphase(problem, buffers);
  }
}

} // namespace mlx_convt::cpu
