#include "correlation_plan.h"

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <numeric>
#include <optional>

#include "launches.h"
#include "phases.h"
#include "specialisation.h"

namespace mlx_convt::metal {
namespace {

// Fewer threadgroups leave cores idle; a guess, for up to 32 of them.
constexpr int64_t kEnoughGroups = 128;

int64_t splits_for(int64_t groups, int64_t most_splits) {
  return std::min(most_splits, divide_up(kEnoughGroups, groups));
}

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
  return {tile, splits_for(groups(tile), most_splits)};
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

  // Splits of at least so many slices that a split is more than its own start
  // and end, and of limited partial sums.
  int64_t most_splits(int64_t slices, int64_t least) const {
    return std::max<int64_t>(
        1, std::min(slices / least, kMostPartial / (4 * elements())));
  }

  int64_t elements() const {
    auto shape = result_shape(problem_.contraction, kAxes, g_);
    return std::reduce(
        shape.begin(), shape.end(), int64_t{1}, std::multiplies<int64_t>());
  }

  // Launches a kernel of these parameters, whose result is followed by
  // `tables`; then, if its reduction is split, adds up the parts.
  void launch_sums(
      const Specialisation& specialisation,
      const Triple& grid,
      int64_t threads,
      Slot weights,
      const Correlation& p,
      std::initializer_list<Slot> tables) {
    bool is_split = p.splits > 1;
    auto partial = is_split ? add_temporary(plan_, 4 * p.splits * elements())
                            : unused(plan_);
    Slot result = written({Memory::Result});
    std::vector<Slot> slots{
        source(),
        weights,
        problem_.has_bias ? Slot{Memory::Bias} : unused(plan_),
        is_split ? unused(plan_) : result,
        is_split ? written(partial) : partial,
        add_constants(plan_, p)};
    slots.insert(slots.end(), tables);
    launch(specialisation, grid, threads, std::move(slots));
    if (is_split) {
      add_sum(
          plan_,
          problem_.element,
          {partial,
           problem_.has_bias ? Slot{Memory::Bias} : unused(plan_),
           result},
          {static_cast<int>(elements()),
           p.splits,
           problem_.has_bias ? p.result_channels : 0});
    }
  }

  void correlate(const Phases& phases) {
    auto p = parameters(phases);
    int64_t z = g_.groups * phases.class_count();
    auto cut = cut_for(
        gpu_,
        p,
        z,
        most_splits(phases.slices(correlate_depth(problem_.element)), 16));
    p.splits = cut.splits;
    auto packed = pack(phases, p);
    auto terms = phases.source_terms();
    auto classes = add_constants(plan_, phases.classes());
    launch_sums(
        correlate_kernel(problem_.element, cut.tile),
        {divide_up(p.columns, cut.tile.columns),
         divide_up(p.rows, cut.tile.rows),
         z * cut.splits},
        cut.tile.threads(),
        packed,
        p,
        // A table that is not read stands in for one that is not there.
        {classes, terms.empty() ? classes : add_constants(plan_, terms)});
  }

  void few_columns(const Phases& phases) {
    auto p = parameters(phases);
    int columns = least_of(kFewColumns, p.columns);
    p.padded_columns = columns;
    p.padded_reduction = p.reduction;
    int64_t groups = divide_up(p.rows, kFewColumnsThreads * kFewColumnsRows);
    p.splits =
        splits_for(groups, most_splits(phases.slices(kFewColumnsChannels), 4));
    auto packed = pack(phases, p);
    launch_sums(
        few_columns_kernel(problem_.element, columns),
        {groups, p.splits, 1},
        kFewColumnsThreads,
        packed,
        p,
        {add_constants(plan_, phases.classes()),
         add_constants(plan_, phases.masks(columns))});
  }

  void few_rows(const Phases& phases) {
    auto p = parameters(phases);
    bool along_reduction = problem_.contraction == Contraction::Output;
    int64_t groups = divide_up(p.columns, 32);
    int64_t z = g_.groups * phases.class_count();
    p.splits =
        splits_for(groups * z, most_splits(phases.slices(kFewRowsChannels), 2));
    launch_sums(
        few_rows_kernel(
            problem_.element, least_of(kFewRows, p.rows), along_reduction),
        {groups, p.splits, z},
        kThreads,
        weights(),
        p,
        {add_constants(plan_, phases.classes()),
         add_constants(plan_, phases.weight_strides())});
  }

  void lanes(const Phases& phases) {
    auto p = parameters(phases);
    int64_t line = int64_t{p.result[2]} * p.result_channels;
    // Lines of few values leave threads of a threadgroup idle.
    p.whole_planes = line * p.result[1] < kLimit;
    launch(
        lanes_kernel(problem_.element),
        {divide_up(p.whole_planes ? line * p.result[1] : line, kThreads),
         p.whole_planes ? 1 : p.result[1],
         g_.batch * p.result[0]},
        kThreads,
        {source(),
         weights(),
         problem_.has_bias ? Slot{Memory::Bias} : unused(plan_),
         written({Memory::Result}),
         add_constants(plan_, p),
         add_constants(plan_, phases.classes()),
         add_constants(plan_, phases.weight_strides())});
  }

  // The least of ascending sizes that suffices; the last one does.
  template <size_t N>
  static int least_of(const int (&sizes)[N], int size) {
    return *std::lower_bound(std::begin(sizes), std::end(sizes), size);
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
