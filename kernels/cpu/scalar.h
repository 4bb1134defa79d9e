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
// Neighbours of a reduction, which some processors multiply and add at once.
struct BFloatPair {
  BFloat first;
  BFloat second;
};

template <typename S>
struct AccOf {
  using type = float;
};
template <>
struct AccOf<double> {
  using type = double;
};
template <>
struct AccOf<BFloatPair> {
  using type = BFloatPair;
};
// The type in which panels and packed weights hold values of storage type S.
template <typename S>
using Acc = typename AccOf<S>::type;

template <typename S>
struct SumOf {
  using type = Acc<S>;
};
template <>
struct SumOf<BFloatPair> {
  using type = float;
};
// The type in which products of values of storage type S are summed.
template <typename S>
using Sum = typename SumOf<S>::type;

template <typename S>
struct ElementOf {
  using type = S;
};
template <>
struct ElementOf<BFloatPair> {
  using type = BFloat;
};
// The type of an array's elements, where its reductions are read as S.
template <typename S>
using Element = typename ElementOf<S>::type;

} // namespace mlx_convt::cpu
