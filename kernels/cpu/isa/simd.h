// The table of one instruction set; see vector.h for how it is compiled.
#pragma once

#include "conversions.h"
#include "tiles.h"

namespace mlx_convt::cpu {
namespace {

template <int Bytes, int Rows>
constexpr InstructionSet instruction_set_of(
    const char* name,
    bool (*is_supported)()) {
  return {
      name,
      is_supported,
      Simd<float, Bytes, Rows>::table(),
      Simd<double, Bytes, Rows>::table(),
      CopiesOf<float, Bytes>::table(),
      CopiesOf<Half, Bytes>::table(),
      CopiesOf<BFloat, Bytes>::table(),
      CopiesOf<double, Bytes>::table()};
}

} // namespace
} // namespace mlx_convt::cpu
