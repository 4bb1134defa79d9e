// Stands in for <metal_simdgroup_matrix>: each lane holds two elements.
#pragma once

#include "metal_stdlib.h"

namespace metal {

template <typename T, int Rows, int Columns>
struct simdgroup_matrix {
  static_assert(Rows == 8 && Columns == 8, "Metal has only 8x8");
  T first;
  T second;
};

template <typename T, int Rows, int Columns>
inline simdgroup_matrix<T, Rows, Columns> make_filled_simdgroup_matrix(
    T value) {
  return {value, value};
}

// The two elements lie in a row of the matrix, or in a column of the memory.
template <typename P>
struct FragmentAddress {
  P* first;
  P* second;
};

template <typename P>
inline FragmentAddress<P>
fragment_address(P* origin, ulong elements_per_row, bool transpose) {
  emulator::expect_uniform(origin, elements_per_row, transpose);
  const emulator::ThreadIds ids = emulator::thread_ids();
  const ulong row = ids.fragment_row;
  const ulong column = ids.fragment_column;
  if (transpose) {
    P* first = origin + column * elements_per_row + row;
    return {first, first + elements_per_row};
  }
  P* first = origin + row * elements_per_row + column;
  return {first, first + 1};
}

template <typename T>
inline void simdgroup_load(
    simdgroup_matrix<T, 8, 8>& matrix,
    const T* from,
    ulong elements_per_row = 8,
    ulong2 matrix_origin = ulong2(0),
    bool transpose = false) {
  const auto at = fragment_address(
      from + matrix_origin.y * elements_per_row + matrix_origin.x,
      elements_per_row,
      transpose);
  matrix.first = *at.first;
  matrix.second = *at.second;
}

template <typename T>
inline void simdgroup_store(
    const simdgroup_matrix<T, 8, 8>& matrix,
    T* to,
    ulong elements_per_row = 8,
    ulong2 matrix_origin = ulong2(0),
    bool transpose = false) {
  const auto at = fragment_address(
      to + matrix_origin.y * elements_per_row + matrix_origin.x,
      elements_per_row,
      transpose);
  *at.first = matrix.first;
  *at.second = matrix.second;
}

template <typename TA, typename TB>
inline void simdgroup_multiply_accumulate(
    simdgroup_matrix<float, 8, 8>& d,
    const simdgroup_matrix<TA, 8, 8>& a,
    const simdgroup_matrix<TB, 8, 8>& b,
    const simdgroup_matrix<float, 8, 8>& c,
    const char* file = __builtin_FILE(),
    int line = __builtin_LINE()) {
  const emulator::Pair sum = emulator::multiply_accumulate(
      {float(a.first), float(a.second)},
      {float(b.first), float(b.second)},
      {c.first, c.second},
      {"simdgroup_multiply_accumulate", file, line});
  d.first = sum.first;
  d.second = sum.second;
}

} // namespace metal
