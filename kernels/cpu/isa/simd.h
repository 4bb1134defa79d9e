// The table of one instruction set; see vector.h for how it is compiled.
#pragma once

#include "conversions.h"
#include "lanewise.h"
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
      Lane::interleave};
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
      CopiesOf<float, Bytes>::table(),
      CopiesOf<Half, Bytes>::table(),
      CopiesOf<BFloat, Bytes>::table(),
      CopiesOf<double, Bytes>::table(),
      Peaks<float, Bytes>::table(),
      Peaks<double, Bytes>::table()};
}

} // namespace
} // namespace mlx_convt::cpu
