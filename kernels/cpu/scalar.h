// Storage types and what they are summed in. The inner loops of isa/ see this
// header and no other: it includes nothing that holds code.
#pragma once

#include <cstdint>

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

} // namespace mlx_convt::cpu
