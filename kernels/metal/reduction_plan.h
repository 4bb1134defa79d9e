// WeightGrad for the GPU: how the pixels are split, and the launches of the
// kernels that sum them.
#pragma once

#include "params.h"
#include "plan.h"

namespace mlx_convt::metal {

void plan_reduction(const Problem& problem, const Gpu& gpu, LaunchPlan& plan);

} // namespace mlx_convt::metal
