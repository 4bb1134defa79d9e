#include "plan.h"

#include <algorithm>
#include <stdexcept>

#include "correlation_plan.h"
#include "launches.h"
#include "reduction_plan.h"
#include "specialisation.h"

namespace mlx_convt::metal {
namespace {

int64_t extent(const Geometry& g, int axis) {
  return std::max(
      {g.in[axis] * g.stride[axis],
       g.out[axis] + g.padding[axis] + g.stride[axis],
       g.kernel[axis] * g.dilation[axis]});
}

void check(const char* what, int64_t size, const char* limit_name, bool fits) {
  if (!fits) {
    throw std::invalid_argument(
        std::string(what) + " must be less than " + limit_name +
        " on the GPU. Got " + std::to_string(size) + ".");
  }
}

// a * b, or the limit where that is more.
int64_t times(int64_t a, int64_t b) {
  return a != 0 && b > kLimit * 2 / a ? kLimit * 2 : a * b;
}

void check_limits(const Problem& problem) {
  auto& g = problem.geometry;
  auto pixels = [&](const Triple& sizes) {
    return times(times(times(g.batch, sizes[0]), sizes[1]), sizes[2]);
  };
  for (int a = 0; a < kAxes; ++a) {
    int64_t reach = extent(g, a);
    check("the extent of an axis", reach, "2^30", reach < kLimit);
  }
  check(
      "batch times input pixels", pixels(g.in), "2^30", pixels(g.in) < kLimit);
  check(
      "batch times output pixels",
      pixels(g.out),
      "2^30",
      pixels(g.out) < kLimit);
  int64_t weights = times(times(g.c_out, g.taps()), g.group_in());
  check("the number of weights", weights, "2^31", weights < kLimit * 2);
}

// The sum over nothing: zeros, or the bias.
void plan_empty(const Problem& problem, LaunchPlan& plan) {
  auto& g = problem.geometry;
  int64_t elements = 1;
  for (auto size : result_shape(problem.contraction, kAxes, g)) {
    elements = times(elements, size);
  }
  check("the size of an empty sum", elements, "2^31", elements < kLimit * 2);
  Slot result{Memory::Result};
  add_sum(
      plan,
      problem.element,
      {result, problem.has_bias ? Slot{Memory::Bias} : result, written(result)},
      {static_cast<int>(elements),
       0,
       problem.has_bias ? static_cast<int>(g.c_out) : 0});
}

void check_grids(const LaunchPlan& plan) {
  for (auto& launch : plan.launches) {
    for (auto size : launch.grid) {
      check("an axis of threadgroups", size, "2^32", size < kLimit * 4);
    }
  }
}

} // namespace

LaunchPlan make_plan(const Problem& problem, const Gpu& gpu) {
  check_limits(problem);
  auto& g = problem.geometry;
  bool has_x = g.batch > 0 && g.in_pixels() > 0 && g.c_in > 0;
  bool has_y = g.batch > 0 && g.out_pixels() > 0 && g.c_out > 0;
  bool has_w = g.c_out > 0 && g.taps() > 0 && g.group_in() > 0;
  bool has_terms = problem.contraction == Contraction::Output ? has_x && has_w
      : problem.contraction == Contraction::InputGrad         ? has_w && has_y
                                                              : has_x && has_y;
  LaunchPlan plan;
  if (!has_terms) {
    plan_empty(problem, plan);
  } else if (problem.contraction == Contraction::WeightGrad) {
    plan_reduction(problem, gpu, plan);
  } else {
    plan_correlation(problem, gpu, plan);
  }
  check_grids(plan);
  return plan;
}

} // namespace mlx_convt::metal
