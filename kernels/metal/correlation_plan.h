// Output and InputGrad for the GPU: their phases as classes, and the tables and
// launches of the kernels that compute them.
#pragma once

#include "params.h"
#include "plan.h"

namespace mlx_convt::metal {

void plan_correlation(const Problem& problem, const Gpu& gpu, LaunchPlan& plan);

} // namespace mlx_convt::metal
