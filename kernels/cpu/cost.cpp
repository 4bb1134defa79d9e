#include "cost.h"

#include <algorithm>
#include <cmath>

#include "dot_method.h"
#include "tile_method.h"

namespace mlx_convt::cpu {
namespace {

// Of the products, averaged over the phases.
struct Shape {
  double groups;
  double phases;
  double rows;
  double depth; // of the reduction
  double columns;

  // Pairs of a row and a value of the reduction.
  double panel_values() const {
    return groups * phases * rows * depth;
  }
  double weights() const {
    return groups * phases * depth * columns;
  }
  double results() const {
    return groups * phases * rows * columns;
  }
};

Shape shape_of(const Problem& problem) {
  auto& g = problem.geometry;
  if (problem.contraction == Contraction::InputGrad) {
    return {
        double(g.groups),
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
      double(g.groups),
      phases,
      double(g.batch * g.out_pixels()) / phases,
      double(g.taps() * g.group_in()) / phases,
      double(g.group_out())};
}

double lanes_of(const Problem& problem) {
  return problem.scalar == Scalar::F64 ? kernels<double>().lanes
                                       : kernels<float>().lanes;
}

// To copy a value into a panel.
constexpr double kGather = 0.1;

double vectors(double columns, double lanes) {
  return std::ceil(columns / lanes);
}

} // namespace

bool fold_suits(const Problem& problem) {
  auto& g = problem.geometry;
  if (problem.contraction != Contraction::Output || !folds_exactly(g)) {
    return false;
  }
  // Folding halves the gathering and writes whole lines, but computes a
  // position more per line and pixels that do not exist.
  double lanes = lanes_of(problem);
  double stride = double(g.stride[2]);
  double positions = std::ceil(double(g.out[2]) / stride);
  double extra = g.padding[2] % g.stride[2] ? 1 : 0;
  double split = positions * stride * vectors(g.group_out(), lanes);
  double folded = (positions + extra) * vectors(stride * g.group_out(), lanes);
  return folded <= 1.05 * split;
}

bool multiplies_pairs(const Problem& problem) {
  auto& g = problem.geometry;
  bool is_output = problem.contraction == Contraction::Output;
  return problem.scalar == Scalar::BF16 && kernels<BFloatPair>().tile &&
      problem.contraction != Contraction::WeightGrad &&
      (is_output ? g.group_in() : g.group_out()) % 2 == 0;
}

double tile_cycles(const Problem& problem) {
  auto shape = shape_of(problem);
  double fold = fold_suits(problem) ? double(problem.geometry.stride[2]) : 1;
  double per_value =
      vectors(fold * shape.columns, lanes_of(problem)) / fold / 2;
  // Packing turns the weights of Output and copies those of InputGrad; where
  // rows are few, into a cache.
  bool is_output = problem.contraction == Contraction::Output;
  bool once = shape.rows <= TileMethod<float>::kMostRowsAlone;
  double pack = is_output ? 0.4 : once ? 0.2 : 0.3;
  double cycles = shape.panel_values() * (per_value + kGather / fold) +
      shape.weights() * pack;
  if (multiplies_pairs(problem)) {
    // Beside its products a row takes some 40 cycles.
    return cycles / 2 + 40 * shape.groups * shape.phases * shape.rows / fold;
  }
  return cycles;
}

double dot_cycles(const Problem& problem) {
  auto shape = shape_of(problem);
  double lanes = lanes_of(problem);
  bool is_output = problem.contraction == Contraction::Output;
  bool wide = problem.scalar == Scalar::F32 || problem.scalar == Scalar::F64;
  bool once = shape.rows <= DotMethod<float>::kBlockRows;
  bool whole = double(problem.geometry.group_in()) >= lanes;
  // In place; copied; value by value, for InputGrad.
  double pack = !is_output ? 5 : (wide || once) && whole ? 0 : 0.3;
  // The sum over the lanes of a result costs six.
  return shape.panel_values() * (shape.columns / (1.5 * lanes) + kGather) +
      shape.results() * 6 + shape.weights() * pack;
}

double strip_cycles(const Problem& problem) {
  auto& g = problem.geometry;
  auto shape = shape_of(problem);
  // A third of a cycle turns a value of the source, half of one a result.
  return 1.15 * shape.panel_values() * shape.columns / lanes_of(problem) / 2 +
      0.35 * double(g.batch * g.in_pixels() * g.c_in) + 0.6 * shape.results() +
      shape.weights() * std::max(0.3, 8 / double(g.group_in()));
}

} // namespace mlx_convt::cpu
