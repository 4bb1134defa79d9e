// What the CPU engine is asked to do, in plain C++ (no MLX).
#pragma once

#include "../geometry.h"
#include "scalar.h"

namespace mlx_convt::cpu {

// Towards positive infinity; b is positive.
inline int64_t divide_up(int64_t a, int64_t b) {
  return a >= 0 ? (a + b - 1) / b : -(-a / b);
}

struct Problem {
  Contraction contraction;
  Geometry geometry;
  Scalar scalar;
  bool has_bias;
};

// Row-major arrays in MLX's layouts. `first` and `second` are the operands in
// the order x, w, y; `bias` may be null and belongs to Output only.
struct Buffers {
  const void* first;
  const void* second;
  const void* bias;
  void* result;
};

// Calls f with a value of the storage type that `scalar` names.
template <typename F>
void with_storage(Scalar scalar, F&& f) {
  switch (scalar) {
    case Scalar::F32:
      return f(float{});
    case Scalar::F16:
      return f(Half{});
    case Scalar::BF16:
      return f(BFloat{});
    default:
      return f(double{});
  }
}

} // namespace mlx_convt::cpu
