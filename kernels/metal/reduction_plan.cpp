#include "reduction_plan.h"

#include <algorithm>

#include "launches.h"
#include "specialisation.h"

namespace mlx_convt::metal {
namespace {

// Threadgroups that keep all cores of the larger GPUs busy; a guess.
constexpr int64_t kWantedGroups = 256;

class ReductionPlan {
 public:
  ReductionPlan(const Problem& problem, const Gpu& gpu, LaunchPlan& plan)
      : problem_(problem), gpu_(gpu), plan_(plan), g_(problem.geometry) {
    auto copy = [](const Triple& from, int* to) {
      std::copy(from.begin(), from.end(), to);
    };
    p_.batch = g_.batch;
    copy(g_.in, p_.in);
    copy(g_.out, p_.out);
    copy(g_.kernel, p_.window);
    copy(g_.stride, p_.stride);
    copy(g_.padding, p_.padding);
    copy(g_.dilation, p_.dilation);
    p_.c_in = g_.c_in;
    p_.c_out = g_.c_out;
    p_.group_in = g_.group_in();
    p_.group_out = g_.group_out();
    p_.pixels = g_.batch * g_.in_pixels();
    p_.elements = g_.c_out * g_.taps() * g_.group_in();
    int64_t vector = 16 / size_of(problem.element);
    p_.vector_x = problem.first_is_aligned && p_.group_in % vector == 0;
    p_.vector_y = problem.second_is_aligned && p_.group_out % vector == 0;
  }

  void make() {
    int64_t rows = g_.taps() * g_.group_out();
    double products = 1.0 * round_up(rows, kMatrix) *
        round_up(g_.group_in(), kMatrix) * round_up(p_.pixels, kMatrix) *
        g_.groups;
    // As in Output: padding that one value per thread is worth.
    constexpr int64_t kMostPadding = 3;
    double useful = 1.0 * p_.elements * p_.pixels;
    if (p_.pixels < kMatrix || products > kMostPadding * useful) {
      direct();
    } else {
      tiles(rows);
    }
  }

 private:
  void tiles(int64_t rows) {
    auto& [large, single] = kWeightGradTiles;
    bool is_large = gpu_.generation < 15 && rows > large.rows / 2 &&
        g_.group_in() > large.columns / 2;
    auto& tile = is_large ? large : single;
    Triple grid{
        divide_up(g_.group_in(), tile.columns),
        divide_up(rows, tile.rows),
        g_.groups};
    // A split of less than four slices is mostly its own start and end.
    split(grid[0] * grid[1] * grid[2], 64, 16);
    grid[2] *= p_.splits;
    launch(weight_grad_kernel(problem_.element, tile), grid, tile.threads());
  }

  void direct() {
    // Lanes side by side in the result, unless it has fewer values than that
    // takes to keep the threads busy.
    constexpr int64_t kFewValues = 512;
    bool along_pixels = p_.elements < kFewValues;
    p_.output_first = g_.group_in() < kMatrix;
    int64_t groups =
        divide_up(p_.elements, along_pixels ? kThreads / 32 : kThreads);
    split(groups, along_pixels ? 512 : 32, 1);
    launch(
        weight_grad_direct_kernel(problem_.element, along_pixels),
        {groups, p_.splits, 1},
        kThreads);
  }

  // Into as many parts as keep the GPU busy with `groups` threadgroups each, of
  // at least `least` pixels and a multiple of `step`: by the geometry alone, so
  // that the result has the same bits on every GPU of a generation.
  void split(int64_t groups, int64_t least, int64_t step) {
    int64_t most =
        std::min(p_.pixels / least, kMostPartial / (int64_t{4} * p_.elements));
    int64_t splits = std::clamp<int64_t>(
        kWantedGroups / groups, 1, std::max<int64_t>(most, 1));
    p_.split_pixels = round_up(divide_up(p_.pixels, splits), step);
    p_.splits = divide_up(p_.pixels, p_.split_pixels);
  }

  void launch(
      const Specialisation& specialisation,
      const Triple& grid,
      int64_t threads) {
    bool is_split = p_.splits > 1;
    Slot result{Memory::Result};
    auto sums = is_split
        ? add_temporary(plan_, int64_t{4} * p_.splits * p_.elements)
        : unused(plan_);
    plan_.launches.push_back(
        {specialisation,
         grid,
         threads,
         {{Memory::First},
          {Memory::Second},
          is_split ? unused(plan_) : written(result),
          is_split ? written(sums) : sums,
          add_constants(plan_, p_)}});
    if (is_split) {
      add_sum(
          plan_,
          problem_.element,
          {sums, unused(plan_), written(result)},
          {p_.elements, p_.splits, 0});
    }
  }

  const Problem& problem_;
  const Gpu& gpu_;
  LaunchPlan& plan_;
  const Geometry& g_;
  Reduction p_{};
};

} // namespace

void plan_reduction(const Problem& problem, const Gpu& gpu, LaunchPlan& plan) {
  ReductionPlan(problem, gpu, plan).make();
}

} // namespace mlx_convt::metal
