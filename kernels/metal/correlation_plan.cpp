#include "correlation_plan.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include "launches.h"
#include "phases.h"
#include "specialisation.h"

namespace mlx_convt::metal {
namespace {

// Fewer threadgroups leave cores idle; a guess, for up to 32 of them.
constexpr int64_t kEnoughGroups = 128;

// How a class is cut into threadgroups.
struct Cut {
  const Tile& tile;
  int64_t splits; // of the reduction
};

// For `z` classes, where the reduction can be cut into `most_splits`.
Cut cut_for(
    const Gpu& gpu,
    const Correlation& p,
    int64_t z,
    int64_t most_splits) {
  auto& [large, wide, tall, single] = kCorrelateTiles;
  auto groups = [&](const Tile& tile) {
    return divide_up(p.rows, tile.rows) * divide_up(p.columns, tile.columns) *
        z;
  };
  auto suits = [&](const Tile& tile) {
    return p.rows > tile.rows / 2 && p.columns > tile.columns / 2 &&
        groups(tile) * most_splits >= kEnoughGroups;
  };
  // From the M3 on, the registers of one SIMD-group suffice to keep it busy.
  bool is_single = gpu.generation >= 15;
  auto& tile = is_single ? single
      : suits(large)     ? large
      : suits(wide)      ? wide
      : suits(tall)      ? tall
                         : single;
  return {tile, std::min(most_splits, divide_up(kEnoughGroups, groups(tile)))};
}

class CorrelationPlan {
 public:
  CorrelationPlan(const Problem& problem, const Gpu& gpu, LaunchPlan& plan)
      : problem_(problem), gpu_(gpu), plan_(plan), g_(problem.geometry) {}

  void make() {
    Phases apart(problem_.contraction, g_, false);
    std::optional<Phases> folded;
    if (Phases::can_fold(problem_.contraction, g_)) {
      folded.emplace(problem_.contraction, g_, true);
    }
    if (apart.rows() <= most(kFewRows) &&
        std::max(apart.columns(), apart.group_source()) >= kFewChannels) {
      return few_rows(apart);
    }
    auto& fewest = folded ? *folded : apart;
    if (g_.groups == 1 && fewest.class_count() == 1 &&
        fewest.columns() <= most(kFewColumns)) {
      return few_columns(fewest);
    }
    auto phases = apart.gathered();
    if (folded && folded->folds_exactly() &&
        folded->gathered().tiled_products() < phases.tiled_products()) {
      phases = folded->gathered();
    }
    if (phases.products() > kMostPadding * useful()) {
      return lanes(apart);
    }
    correlate(phases);
  }

 private:
  // Products of padding that one value per thread, with nothing in registers to
  // use again, is worth.
  static constexpr int64_t kMostPadding = 3;
  // With fewer channels the weights are not most of the memory.
  static constexpr int64_t kFewChannels = 32;

  template <size_t N>
  static int most(const int (&sizes)[N]) {
    return sizes[N - 1];
  }

  static int64_t pixels(const int (&sizes)[kAxes]) {
    return int64_t{sizes[0]} * sizes[1] * sizes[2];
  }

  double useful() const {
    return 1.0 * g_.batch * g_.in_pixels() * g_.taps() * g_.c_in *
        g_.group_out();
  }

  Slot source() const {
    return {
        problem_.contraction == Contraction::Output ? Memory::First
                                                    : Memory::Second};
  }
  Slot weights() const {
    return {
        problem_.contraction == Contraction::Output ? Memory::Second
                                                    : Memory::First};
  }
  Slot bias() const {
    return problem_.has_bias ? Slot{Memory::Bias} : weights();
  }

  Correlation parameters(const Phases& phases) const {
    auto p = phases.parameters();
    p.has_bias = problem_.has_bias;
    int64_t vector = 16 / size_of(problem_.element);
    bool is_aligned = problem_.contraction == Contraction::Output
        ? problem_.first_is_aligned
        : problem_.second_is_aligned;
    p.vector_source =
        is_aligned && !phases.is_gathered() && p.group_source % vector == 0;
    return p;
  }

  void launch(
      const Specialisation& specialisation,
      Triple grid,
      int64_t threads,
      std::vector<Slot> slots) {
    plan_.launches.push_back({specialisation, grid, threads, std::move(slots)});
  }

  // Packed weights as a temporary, with a row's columns and a slot's rows
  // padded as `p` says.
  Slot pack(const Phases& phases, const Correlation& p) {
    auto packing = phases.packing();
    packing.padded_rows = p.padded_reduction;
    packing.padded_columns = p.padded_columns;
    int64_t blocks = g_.groups * packing.slots;
    auto packed = add_temporary(
        plan_,
        blocks * p.padded_reduction * p.padded_columns *
            size_of(problem_.element));
    launch(
        pack_weights_kernel(problem_.element),
        {divide_up(p.padded_columns, 32),
         divide_up(p.padded_reduction, 32),
         blocks},
        kThreads,
        {weights(),
         written(packed),
         add_constants(plan_, packing),
         add_constants(plan_, phases.weight_strides()),
         add_constants(plan_, phases.slot_taps())});
    return packed;
  }

  void correlate(const Phases& phases) {
    auto p = parameters(phases);
    int64_t elements = g_.batch * pixels(p.result) * int64_t{p.result_channels};
    int64_t z = g_.groups * phases.class_count();
    // A split of fewer slices is mostly its own start and end.
    constexpr int64_t kLeastSlices = 16;
    int64_t most_splits = std::max<int64_t>(
        1,
        std::min(
            phases.slices(correlate_depth(problem_.element)) / kLeastSlices,
            kMostPartial / (4 * elements)));
    auto cut = cut_for(gpu_, p, z, most_splits);
    p.splits = cut.splits;
    bool is_split = cut.splits > 1;

    auto packed = pack(phases, p);
    Slot result{Memory::Result};
    auto sums =
        is_split ? add_temporary(plan_, 4 * cut.splits * elements) : result;
    auto terms = phases.source_terms();
    auto classes = add_constants(plan_, phases.classes());
    launch(
        correlate_kernel(problem_.element, cut.tile),
        {divide_up(p.columns, cut.tile.columns),
         divide_up(p.rows, cut.tile.rows),
         z * cut.splits},
        cut.tile.threads(),
        {source(),
         packed,
         bias(),
         written(sums), // bound as both; the kernel writes to one
         written(sums),
         add_constants(plan_, p),
         classes,
         // A table that is not read stands in for one that is not there.
         terms.empty() ? classes : add_constants(plan_, terms)});
    if (is_split) {
      add_sum(
          plan_,
          problem_.element,
          {sums,
           problem_.has_bias ? Slot{Memory::Bias} : sums,
           written(result)},
          {static_cast<int>(elements),
           p.splits,
           problem_.has_bias ? p.result_channels : 0});
    }
  }

  void few_columns(const Phases& phases) {
    auto p = parameters(phases);
    int columns = *std::lower_bound(
        std::begin(kFewColumns), std::end(kFewColumns), p.columns);
    p.padded_columns = columns;
    p.padded_reduction = p.reduction;
    auto packed = pack(phases, p);
    int64_t rows = kFewColumnsThreads * kFewColumnsRows;
    launch(
        few_columns_kernel(problem_.element, columns),
        {divide_up(p.rows, rows), 1, 1},
        kFewColumnsThreads,
        {source(),
         packed,
         bias(),
         written({Memory::Result}),
         add_constants(plan_, p),
         add_constants(plan_, phases.classes()),
         add_constants(plan_, phases.masks(columns))});
  }

  void few_rows(const Phases& phases) {
    auto p = parameters(phases);
    int rows =
        *std::lower_bound(std::begin(kFewRows), std::end(kFewRows), p.rows);
    bool along_reduction = problem_.contraction == Contraction::Output;
    launch_in_place(
        few_rows_kernel(problem_.element, rows, along_reduction),
        {divide_up(p.columns, 32), 1, g_.groups * phases.class_count()},
        phases,
        p);
  }

  void lanes(const Phases& phases) {
    auto p = parameters(phases);
    int64_t line = int64_t{p.result[2]} * p.result_channels;
    launch_in_place(
        lanes_kernel(problem_.element),
        {divide_up(line, kThreads), p.result[1], g_.batch * p.result[0]},
        phases,
        p);
  }

  // A kernel that reads the weights where they lie.
  void launch_in_place(
      const Specialisation& specialisation,
      const Triple& grid,
      const Phases& phases,
      const Correlation& p) {
    launch(
        specialisation,
        grid,
        kThreads,
        {source(),
         weights(),
         bias(),
         written({Memory::Result}),
         add_constants(plan_, p),
         add_constants(plan_, phases.classes()),
         add_constants(plan_, phases.weight_strides())});
  }

  const Problem& problem_;
  const Gpu& gpu_;
  LaunchPlan& plan_;
  const Geometry& g_;
};

} // namespace

void plan_correlation(
    const Problem& problem,
    const Gpu& gpu,
    LaunchPlan& plan) {
  CorrelationPlan(problem, gpu, plan).make();
}

} // namespace mlx_convt::metal
