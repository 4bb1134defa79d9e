// WeightGrad: for every tap, y's pixels under the tap times x's pixels, summed
// over all positions of all images.
#pragma once

#include "reduction.h"

namespace mlx_convt::cpu {

void run_weight_grad(const Problem&, const Buffers&, const Reduction&);

} // namespace mlx_convt::cpu
