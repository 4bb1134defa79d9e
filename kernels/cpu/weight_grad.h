// WeightGrad: for every tap, y's pixels under the tap times x's pixels, summed
// over all positions of all images.
#pragma once

#include <cstdint>

#include "problem.h"

namespace mlx_convt::cpu {

// C[m,n] += A[depth,m]^T * B[depth,n]; A and B are panels, C's rows lie ldc
// apart.
template <typename T>
using Reduce = void (*)(
    int64_t m,
    int64_t n,
    int64_t depth,
    const T* a,
    const T* b,
    T* c,
    int64_t ldc);

struct Reduction {
  Reduce<float> f32;
  Reduce<double> f64;
};

Reduction tile_reduction();
Reduction blas_reduction();

void run_weight_grad(const Problem&, const Buffers&, const Reduction&);

} // namespace mlx_convt::cpu
