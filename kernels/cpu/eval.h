// The MLX side of the CPU engine.
#pragma once

#include "mlx/dtype.h"
#include "problem.h"

namespace mlx_convt::cpu {

Scalar scalar_of(mlx::core::Dtype dtype);

} // namespace mlx_convt::cpu
