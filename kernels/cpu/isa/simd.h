// The table of one instruction set; see vector.h for how it is compiled.
#pragma once

#include "combine.h"
#include "lanewise.h"
#include "pairs.h"
#include "peaks.h"
#include "tiles.h"

namespace mlx_convt::cpu {
namespace {

template <typename T, int Bytes, int Rows>
constexpr Kernels<T> kernels_of() {
  using Matrix = Tiles<T, Bytes, Rows>;
  using Lane = Lanewise<T, Bytes>;
  return {
      Matrix::kLanes,
      Rows,
      Matrix::most_columns,
      Matrix::tile,
      Matrix::tile_transposed,
      Matrix::dot,
      Lane::correlate,
      Lane::reduce,
      Lane::take,
      Lane::interleave,
      Sums<T, Bytes>::signed_sum};
}

template <typename S, int Bytes>
constexpr Copies<S> copies_of() {
  using Moves = CopiesOf<S, Bytes>;
  return {
      Moves::gather,
      Moves::transpose,
      Combine<S, Bytes>::template rows<false>,
      Combine<S, Bytes>::template rows<true>,
      Combine<S, Bytes>::points,
      Moves::widen,
      Moves::narrow};
}

template <int Bytes, int Rows>
constexpr InstructionSet instruction_set_of(
    const char* name,
    bool (*is_supported)()) {
  return {
      name,
      is_supported,
      fence_streams,
      kernels_of<float, Bytes, Rows>(),
      kernels_of<double, Bytes, Rows>(),
      pair_kernels_of<Bytes, Rows>(),
      copies_of<float, Bytes>(),
      copies_of<Half, Bytes>(),
      copies_of<BFloat, Bytes>(),
      pair_copies_of<Bytes>(),
      copies_of<double, Bytes>(),
      Peaks<float, Bytes>::table(),
      Peaks<double, Bytes>::table()};
}

} // namespace
} // namespace mlx_convt::cpu
