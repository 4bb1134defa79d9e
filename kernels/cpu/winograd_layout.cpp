#include "winograd_layout.h"

#include <cmath>
#include <limits>

#include "cost.h"
#include "isa/kernels.h"
#include "winograd.h"
#include "winograd_plan.h"
#include "winograd_weight_grad.h"

namespace mlx_convt::cpu {
namespace {

// Wide strides have phases by the thousand, each to be looked at.
constexpr int64_t kManyPhases = 256;

// Some taps of an axis are one source step apart.
bool joins(const Geometry& g, int axis) {
  int64_t apart = g.stride[axis] / g.dilation[axis];
  return g.stride[axis] % g.dilation[axis] == 0 && apart < g.kernel[axis];
}

// In the units of cost.h.
double cycles_of(const Problem& problem, const Plan& plan) {
  auto& g = problem.geometry;
  bool is_output = problem.contraction == Contraction::Output;
  WinogradPlan points(plan);
  double lanes = problem.scalar == Scalar::F64 ? kernels<double>().lanes
                                               : kernels<float>().lanes;
  double depth = static_cast<double>(is_output ? g.group_in() : g.group_out());
  double columns = static_cast<double>(
      is_output ? plan.axes[2][0].fold * g.group_out() : g.group_in());
  double results = static_cast<double>(
      is_output ? g.out_pixels() * g.c_out : g.in_pixels() * g.c_in);
  double sum = 0.4 * g.batch * results;
  for (auto& set : points.sets()) {
    double phases = static_cast<double>(set.size());
    for (int64_t p : set) {
      auto phase = points.phase(p);
      double products = depth * g.groups * phase.products();
      sum += static_cast<double>(phase.rows()) * products *
              (std::ceil(columns / lanes) / 2 + 0.5 / phases) +
          products * columns * 0.35;
    }
  }
  return sum;
}

bool weight_grad_suits(const Problem& problem) {
  auto& g = problem.geometry;
  auto plan = input_grad_plan(g);
  WinogradPlan points(plan);
  auto phase = points.phase(0);
  double positions = static_cast<double>(g.batch * g.in_pixels());
  double taps = static_cast<double>(g.taps());
  double products = static_cast<double>(phase.products());
  double row_products = static_cast<double>(phase.rows()) * products;
  if (row_products >= positions * taps) {
    return false;
  }
  // Cycles per group. Pixels come from the outer caches, 10 cycles a vector;
  // a row of pixels combined costs 20 besides.
  double lanes = kernels<float>().lanes;
  double y = static_cast<double>(g.group_out());
  double x_vectors = std::ceil(static_cast<double>(g.group_in()) / lanes);
  double y_vectors = std::ceil(y / lanes);
  double stretches = std::ceil(x_vectors * lanes / kPanelColumns);
  double chunks = std::ceil(taps * y / kPanelColumns);
  double direct = live_share(plan) * positions *
          (taps * y * (x_vectors / 2 + stretches * 10 / lanes) +
           x_vectors * chunks * 10) +
      taps * y * x_vectors * 8;
  double cells = static_cast<double>(phase.rows() * phase.points());
  double pairs = 1;
  for (auto* axis : phase.axis) {
    pairs *= static_cast<double>(axis->pairs.size());
  }
  auto limits = rectangle_limits(phase.points());
  stretches = std::ceil(x_vectors * lanes / limits.x_columns);
  chunks = std::ceil(pairs * y / limits.y_columns);
  double joined = row_products * y * x_vectors / 2 +
      row_products * stretches * (20 + 10 * y_vectors) +
      cells * chunks * (20 * stretches + 10 * x_vectors) +
      (6 * taps + products) * y * x_vectors;
  return joined < direct;
}

} // namespace

WinogradLayout winograd_layout(const Problem& problem) {
  auto& g = problem.geometry;
  std::vector<Plan> plans;
  if (problem.contraction == Contraction::InputGrad) {
    plans.push_back(input_grad_plan(g));
  } else {
    bool can_align = aligns(g, 0) || aligns(g, 1);
    for (bool fold : {true, false}) {
      if (fold && !folds_exactly(g)) {
        continue;
      }
      plans.push_back(output_plan(g, fold));
      if (can_align) {
        plans.push_back(aligned_output_plan(g, fold));
      }
    }
  }
  WinogradLayout best{{}, 0};
  for (auto& plan : plans) {
    double cycles = plan.phases() > kManyPhases
        ? std::numeric_limits<double>::infinity()
        : cycles_of(problem, plan);
    if (best.plan.phases() == 0 || cycles < best.cycles) {
      best = {std::move(plan), cycles};
    }
  }
  return best;
}

bool winograd_suits(const Problem& problem) {
  // Sums of few channels would show the products' rounding.
  constexpr int64_t kFewChannels = 16;
  auto& g = problem.geometry;
  if (problem.scalar == Scalar::F64 || g.group_in() < kFewChannels ||
      g.group_out() < kFewChannels ||
      !(joins(g, 0) || joins(g, 1) || joins(g, 2))) {
    return false;
  }
  if (problem.contraction == Contraction::WeightGrad) {
    return weight_grad_suits(problem);
  }
  // Less than the choice itself costs could not be won.
  constexpr double kFewCycles = 50'000;
  double direct = tile_cycles(problem);
  if (direct < kFewCycles) {
    return false;
  }
  auto layout = winograd_layout(problem);
  return layout.cycles < direct * live_share(layout.plan);
}

} // namespace mlx_convt::cpu
