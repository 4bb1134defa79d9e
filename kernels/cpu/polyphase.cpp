#include "polyphase.h"

#include <cmath>

#include "correlate.h"
#include "weight_grad.h"

namespace mlx_convt::cpu {
namespace {

// Sizes that the choices below weigh against each other, averaged over the
// phases.
struct Shape {
  double phases;
  double rows;
  double depth; // of the reduction
  double columns;
};

Shape shape_of(const Problem& problem) {
  auto& g = problem.geometry;
  if (problem.contraction == Contraction::InputGrad) {
    return {
        1.0,
        double(g.batch * g.in_pixels()),
        double(g.taps() * g.group_out()),
        double(g.group_in())};
  }
  double phases = 1;
  for (int a = 0; a < kAxes; ++a) {
    phases *= double(std::min(g.stride[a], g.out[a]));
  }
  return {
      phases,
      double(g.batch * g.out_pixels()) / phases,
      double(g.taps() * g.group_in()) / phases,
      double(g.group_out())};
}

double lanes_of(const Problem& problem) {
  return problem.scalar == Scalar::F64 ? kernels<double>().lanes
                                       : kernels<float>().lanes;
}

double in_vectors(double columns, double lanes) {
  return std::ceil(columns / lanes) * lanes;
}

// Folding halves the gathering and writes whole lines, but computes a
// position more per line and pixels that do not exist.
bool fold_suits(const Problem& problem) {
  auto& g = problem.geometry;
  if (problem.contraction != Contraction::Output || !folds_exactly(g)) {
    return false;
  }
  double lanes = lanes_of(problem);
  double stride = double(g.stride[2]);
  double positions = std::ceil(double(g.out[2]) / stride);
  double extra = g.padding[2] % g.stride[2] ? 1 : 0;
  double split = positions * stride * in_vectors(g.group_out(), lanes);
  double folded =
      (positions + extra) * in_vectors(stride * g.group_out(), lanes);
  return folded <= 1.05 * split;
}

Plan plan_of(const Problem& problem, bool fold) {
  return problem.contraction == Contraction::Output
      ? output_plan(problem.geometry, fold)
      : input_grad_plan(problem.geometry);
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
    correlate<TileMethod>(problem, buffers, fold_suits(problem));
  }
}

std::string dot_why_not(const Problem& problem) {
  return problem.contraction == Contraction::WeightGrad
      ? "it has no weight gradient"
      : "";
}

bool dot_suits(const Problem& problem) {
  auto shape = shape_of(problem);
  double lanes = lanes_of(problem);
  double weights = shape.depth * shape.columns;
  double fold = fold_suits(problem) ? double(problem.geometry.stride[2]) : 1;
  double vectors = in_vectors(fold * shape.columns, lanes) / fold / lanes;
  // In cycles, a weight: rows of weights that lie side by side cost a third to
  // pack, columns one, single values of InputGrad five; in place, nothing.
  double pack_tile = 1;
  double pack_dot = 5;
  if (problem.contraction == Contraction::InputGrad) {
    bool once = shape.rows <= TileMethod<float>::kBlockRows;
    bool whole = std::fmod(shape.columns, lanes) == 0;
    pack_tile = once && whole ? 0 : 0.3;
  } else {
    bool wide = problem.scalar == Scalar::F32 || problem.scalar == Scalar::F64;
    bool once = shape.rows <= DotMethod<float>::kBlockRows;
    bool whole = double(problem.geometry.group_in()) >= lanes;
    pack_dot = (wide || once) && whole ? 0 : 0.3;
  }
  // A vector product costs half a cycle, and the sum over the lanes of a
  // result four.
  double tile = pack_tile * weights + shape.rows * shape.depth * vectors / 2;
  double dot = pack_dot * weights +
      shape.rows * shape.columns * (shape.depth / (1.5 * lanes) + 4);
  return dot < tile;
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
