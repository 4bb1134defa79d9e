#include "plan.h"

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <numeric>
#include <stdexcept>

#include "correlation_plan.h"
#include "launches.h"
#include "reduction_plan.h"
#include "specialisation.h"

namespace mlx_convt::metal {
namespace {

// Throws unless the product of the sizes is below the limit, without forming
// one that does not fit.
void check(
    const char* what,
    std::initializer_list<int64_t> sizes,
    int64_t limit,
    const char* limit_name) {
  int64_t product = 1;
  bool fits = true;
  std::string got;
  for (auto size : sizes) {
    fits = fits && (product == 0 || size < divide_up(limit, product));
    product *= fits ? size : 0;
    got += (got.empty() ? "" : " x ") + std::to_string(size);
  }
  if (!fits && std::find(sizes.begin(), sizes.end(), 0) == sizes.end()) {
    throw std::invalid_argument(
        std::string(what) + " must be less than " + limit_name +
        " on the GPU. Got " + got + ".");
  }
}

void check_limits(const Problem& problem) {
  auto& g = problem.geometry;
  for (int a = 0; a < kAxes; ++a) {
    check("input times stride", {g.in[a], g.stride[a]}, kLimit, "2^30");
    check(
        "output plus padding plus stride",
        {g.out[a] + g.padding[a] + g.stride[a]},
        kLimit,
        "2^30");
    check(
        "kernel times dilation", {g.kernel[a], g.dilation[a]}, kLimit, "2^30");
  }
  check(
      "batch times input pixels",
      {g.batch, g.in[0], g.in[1], g.in[2]},
      kLimit,
      "2^30");
  check(
      "batch times output pixels",
      {g.batch, g.out[0], g.out[1], g.out[2]},
      kLimit,
      "2^30");
  check(
      "the number of weights",
      {g.c_out, g.kernel[0], g.kernel[1], g.kernel[2], g.group_in()},
      kLimit * 2,
      "2^31");
}

// The sum over nothing: zeros, or the bias.
void plan_empty(const Problem& problem, LaunchPlan& plan) {
  auto& g = problem.geometry;
  auto shape = result_shape(problem.contraction, kAxes, g);
  check(
      "the size of an empty sum",
      {shape[0], shape[1], shape[2], shape[3], shape[4]},
      kLimit * 2,
      "2^31");
  auto elements = std::reduce(
      shape.begin(), shape.end(), int64_t{1}, std::multiplies<int64_t>());
  Slot result{Memory::Result};
  add_sum(
      plan,
      problem.element,
      {unused(plan),
       problem.has_bias ? Slot{Memory::Bias} : unused(plan),
       written(result)},
      {static_cast<int>(elements),
       0,
       problem.has_bias ? static_cast<int>(g.c_out) : 0});
}

// Kernels take a threadgroup's position for an int.
void check_grids(const LaunchPlan& plan) {
  for (auto& launch : plan.launches) {
    for (auto size : launch.grid) {
      check("an axis of threadgroups", {size}, kLimit * 2, "2^31");
      if (size < 1) {
        throw std::logic_error("[mlx_convt] a launch without threadgroups.");
      }
    }
  }
  for (auto bytes : plan.temporaries) {
    if (bytes < 1) {
      throw std::logic_error("[mlx_convt] a temporary without bytes.");
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
