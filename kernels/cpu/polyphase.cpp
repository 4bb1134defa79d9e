#include "polyphase.h"

#include <algorithm>

#include "blas_method.h"
#include "correlate.h"
#include "cost.h"
#include "dot_method.h"
#include "tile_method.h"
#include "weight_grad.h"

namespace mlx_convt::cpu {
namespace {

Plan plan_of(const Problem& problem, bool fold) {
  return problem.contraction == Contraction::Output
      ? output_plan(problem.geometry, fold)
      : input_grad_plan(problem.geometry);
}

// Whether the sums were those of float32; else they must be computed again.
bool correlate_pairs(
    const Problem& problem,
    const Buffers& buffers,
    bool fold) {
  auto* bias = static_cast<const BFloat*>(buffers.bias);
  if (bias &&
      !std::all_of(
          bias, bias + problem.geometry.c_out, PairRange::is_normal_start)) {
    return false;
  }
  // A pair is a value of a reduction half as deep.
  auto pairs = problem;
  auto& g = pairs.geometry;
  (problem.contraction == Contraction::Output ? g.c_in : g.c_out) /= 2;
  auto plan = plan_of(pairs, fold);
  Correlation<BFloatPair, TileMethod> correlation(pairs, buffers, plan);
  correlation.run();
  return correlation.method().is_exact();
}

template <template <typename> class Method>
void correlate(const Problem& problem, const Buffers& buffers, bool fold) {
  auto plan = plan_of(problem, fold);
  with_storage(problem.scalar, [&]<typename S>(S) {
    Correlation<S, Method>(problem, buffers, plan).run();
  });
}

} // namespace

std::string polyphase_why_not(const Problem&) {
  return "";
}

void run_polyphase(const Problem& problem, const Buffers& buffers) {
  if (problem.contraction == Contraction::WeightGrad) {
    run_weight_grad(problem, buffers, tile_reduction());
  } else {
    bool fold = fold_suits(problem);
    if (!multiplies_pairs(problem) ||
        !correlate_pairs(problem, buffers, fold)) {
      correlate<TileMethod>(problem, buffers, fold);
    }
  }
}

std::string dot_why_not(const Problem& problem) {
  return problem.contraction == Contraction::WeightGrad
      ? "it has no weight gradient"
      : "";
}

bool dot_suits(const Problem& problem) {
  return dot_cycles(problem) < tile_cycles(problem);
}

void run_dot(const Problem& problem, const Buffers& buffers) {
  // Folded weights have to be packed: worth it where they are few.
  auto& g = problem.geometry;
  bool fold = folds_exactly(g) && g.stride[2] * g.c_out <= 8;
  correlate<DotMethod>(problem, buffers, fold);
}

std::string blas_algorithm_why_not(const Problem&) {
  return blas_why_not();
}

void run_blas(const Problem& problem, const Buffers& buffers) {
  if (problem.contraction == Contraction::WeightGrad) {
    run_weight_grad(problem, buffers, blas_reduction());
  } else {
    correlate<BlasMethod>(problem, buffers, fold_suits(problem));
  }
}

} // namespace mlx_convt::cpu
