#include "lanewise.h"

#include "lane_correlate.h"
#include "lane_weight_grad.h"

namespace mlx_convt::cpu {
namespace {

// Of lines in cache, a thread's.
constexpr double kMaxTileBytes = 4 << 20;
// Channels of a group. With more, tiles of a matrix product are faster.
constexpr int64_t kMaxGroup = 8;

Plan plan_of(const Problem& problem) {
  return problem.contraction == Contraction::Output
      ? output_plan(problem.geometry, false)
      : input_grad_plan(problem.geometry);
}

Lanes lanes_of(const Problem& problem) {
  auto& g = problem.geometry;
  int64_t lanes = problem.scalar == Scalar::F64 ? kernels<double>().lanes
                                                : kernels<float>().lanes;
  return problem.contraction == Contraction::InputGrad
      ? Lanes(g.c_in, g.group_in(), g.group_out(), lanes)
      : Lanes(g.c_out, g.group_out(), g.group_in(), lanes);
}

} // namespace

std::string lanewise_why_not(const Problem& problem) {
  auto& g = problem.geometry;
  if (g.c_in == 0 || g.c_out == 0) {
    return "there must be channels";
  }
  if (g.group_in() > kMaxGroup || g.group_out() > kMaxGroup) {
    return "a group must have at most 8 input and 8 output channels";
  }
  return least_tile_bytes(plan_of(problem), lanes_of(problem)) > kMaxTileBytes
      ? "the kernel must not span more lines than fit 4 MiB"
      : "";
}

bool lanewise_suits(const Problem& problem) {
  auto& g = problem.geometry;
  int64_t products = g.group_in() * g.group_out();
  if (g.groups == 1) {
    return products <= 2 && g.in[2] >= 16;
  }
  // Groups of 8 x 8: tiles were twice as fast for the gradients, and took 1.4
  // times as long for the output.
  return problem.contraction == Contraction::Output || products <= 32;
}

void run_lanewise(const Problem& problem, const Buffers& buffers) {
  auto plan = plan_of(problem);
  with_storage(problem.scalar, [&]<typename S>(S) {
    bool is_reduction = problem.contraction == Contraction::WeightGrad;
    Walk walk(
        plan,
        lanes_of(problem),
        sizeof(Acc<S>),
        is_reduction ? 1 : kMaxAdjacentTaps);
    if (is_reduction) {
      LaneWeightGrad<S>(problem, buffers, walk).run();
    } else {
      LaneCorrelation<S>(problem, buffers, walk).run();
    }
  });
}

} // namespace mlx_convt::cpu
