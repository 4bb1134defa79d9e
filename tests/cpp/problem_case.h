// Problems in exact integers, solved by the formula and by an algorithm.
#pragma once

#include <optional>
#include <vector>

#include "check.h"
#include "cpu/algorithms.h"
#include "random_geometry.h"

namespace test {

using mlx_convt::cpu::Algorithm;
using mlx_convt::cpu::Problem;
using mlx_convt::cpu::Scalar;

using Values = std::vector<double>;

inline constexpr Contraction kContractions[] = {
    Contraction::Output,
    Contraction::InputGrad,
    Contraction::WeightGrad};
inline constexpr Scalar kScalars[] = {
    Scalar::F32,
    Scalar::F16,
    Scalar::BF16,
    Scalar::F64};

// The arrays of T(x, w, y), of which the contraction replaces one.
struct Arrays {
  Values x, w, y;
  std::optional<Values> bias;

  // Operands and result, in the order of Buffers.
  Values& first(Contraction contraction);
  Values& second(Contraction contraction);
  Values& result(Contraction contraction);
};

Arrays random_arrays(Random& random, const Geometry& geometry, bool has_bias);

// The formula, in integers that a double holds.
Values
expected(Contraction contraction, const Geometry& geometry, Arrays arrays);

// What the algorithm, or without one the automatic choice, writes into a
// buffer of NaN. Every buffer is exactly as large as its array.
Values computed(const Algorithm* algorithm, const Problem&, Arrays arrays);

// `values` as the storage type holds them.
Values rounded(Scalar scalar, Values values);

std::string show(const Problem& problem);

// "value 7: 3 instead of 4", or "" where they agree.
std::string difference(const Values& computed, const Values& expected);

// Runs whatever can run; f(algorithm, problem).
template <typename F>
void for_each_algorithm(const Problem& problem, const F& f) {
  for (auto& algorithm : mlx_convt::cpu::algorithms()) {
    if (algorithm.why_not(problem).empty()) {
      Note note(std::string(algorithm.name) + ", " + show(problem));
      f(algorithm);
    }
  }
}

// Small integers through every algorithm and storage type.
void check_exact(Random& random, Contraction contraction, const Geometry& g);

} // namespace test
