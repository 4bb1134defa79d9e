#include "lanewise.h"

#include "lane_correlate.h"
#include "lane_weight_grad.h"

namespace mlx_convt::cpu {
namespace {

// Of lines in cache, a thread's.
constexpr double kMaxTileBytes = 4 << 20;
// Planes of the source; from there on, tiles of a matrix product are faster.
constexpr int64_t kMaxPlanes = 8;

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
  if (g.group_in() > kMaxPlanes || g.group_out() > kMaxPlanes) {
    return "a group must have at most 8 input and 8 output channels";
  }
  return least_tile_bytes(plan_of(problem), lanes_of(problem)) > kMaxTileBytes
      ? "the kernel must not span more lines than fit 4 MiB"
      : "";
}

bool lanewise_suits(const Problem& problem) {
  auto& g = problem.geometry;
  return g.groups > 1 || g.c_in * g.c_out <= 2;
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
