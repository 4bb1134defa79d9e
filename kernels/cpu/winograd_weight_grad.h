// WeightGrad by Winograd's minimal filtering; see winograd_plan.h. The
// gradients of two joined taps share two of their three products, and these
// are summed over all cells first:
//
//   dw0 = x0 d0 + x1 d1 = (d0 - d1) x0 + d1 (x0 + x1)
//   dw1 = x0 d1 + x1 d2 = d1 (x0 + x1) - (d1 - d2) x1
#pragma once

#include "problem.h"

namespace mlx_convt::cpu {

// Most columns of a rectangle of the gradient, on either side: the sums of all
// its points are kept.
struct RectangleLimits {
  int64_t y_columns;
  int64_t x_columns;
};
RectangleLimits rectangle_limits(int points);

void run_winograd_weight_grad(const Problem&, const Buffers&);

} // namespace mlx_convt::cpu
