// What the CPU engine is asked to do, in plain C++ (no MLX).
#pragma once

#include "../geometry.h"

namespace mlx_convt::cpu {

enum class Scalar { F32, F16, BF16, F64 };

// Storage of the 16-bit types; arithmetic is always done in float.
struct Half {
  uint16_t bits;
};
struct BFloat {
  uint16_t bits;
};

template <typename S>
struct AccOf {
  using type = float;
};
template <>
struct AccOf<double> {
  using type = double;
};
// The type in which values of storage type S are accumulated.
template <typename S>
using Acc = typename AccOf<S>::type;

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
