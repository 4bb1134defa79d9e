// Random problems, and which of their pixels the formula joins.
#pragma once

#include <vector>

#include "geometry.h"
#include "numbers.h"

namespace test {

using mlx_convt::Contraction;
using mlx_convt::Dims;
using mlx_convt::Geometry;
using mlx_convt::kAxes;
using mlx_convt::Triple;
using mlx_convt::Window;

struct Call {
  Window window;
  Dims input;
  Dims weight;
  Geometry geometry;
};

// Largest values of a random call; sizes and channels start at 1.
struct Limits {
  int64_t batch = 3;
  int64_t in = 6;
  int64_t kernel = 5;
  int64_t stride = 4;
  int64_t dilation = 3;
  int64_t group_in = 5;
  int64_t group_out = 5;
  int64_t groups = 3;
};

// Draws until the call is valid; the padding may be wider than the kernel.
Call random_call(Random& random, const Limits& limits);

// A geometry by the values of its last axes; the others follow.
Geometry make_geometry(
    const Dims& input,
    const Dims& weight,
    int64_t stride,
    int64_t padding = 0,
    int64_t dilation = 1,
    int64_t groups = 1);

std::string show(const Geometry& geometry);

// On one axis: output + padding == input * stride + kernel * dilation.
struct Term {
  int64_t in;
  int64_t kernel;
  int64_t out;

  auto operator<=>(const Term&) const = default;
};

// In ascending order.
std::vector<Term> terms_of(const Geometry& geometry, int axis);

} // namespace test
