// Metal's 8x8 matrices over the lanes of a warp, in Apple's layout: two
// neighbours of a row in each lane.
#pragma once

namespace metal {

template <typename T, int Columns, int Rows>
struct simdgroup_matrix {
  static_assert(Columns == 8 && Rows == 8, "Metal has no other size");
  T elements[2];
};

// Where a lane's two elements are.
METAL_FUNC int matrix_row(int lane) {
  return lane / 16 * 4 + lane / 2 % 4;
}

METAL_FUNC int matrix_column(int lane) {
  return lane / 8 % 2 * 4 + lane % 2 * 2;
}

// The lane that holds an element, as its first or second by the column.
METAL_FUNC int matrix_lane(int row, int column) {
  return row / 4 * 16 + column / 4 * 8 + row % 4 * 2 + column / 2 % 2;
}

METAL_FUNC int own_lane() {
  return threadIdx.x % 32;
}

template <typename T, int Columns, int Rows = Columns>
METAL_FUNC simdgroup_matrix<T, Columns, Rows> make_filled_simdgroup_matrix(
    T value) {
  return {{value, value}};
}

template <typename T>
METAL_FUNC T* matrix_element(
    T* memory,
    int row,
    int column,
    ulong elements_per_row,
    ulong2 origin,
    bool transpose) {
  return memory + origin.y * elements_per_row + origin.x +
      (transpose ? column * elements_per_row + row
                 : row * elements_per_row + column);
}

template <typename T, int Columns, int Rows>
METAL_FUNC void simdgroup_load(
    simdgroup_matrix<T, Columns, Rows>& to,
    const T* from,
    ulong elements_per_row = Columns,
    ulong2 origin = ulong2(0),
    bool transpose = false) {
  UNROLL
  for (int i = 0; i < 2; ++i) {
    const int row = matrix_row(own_lane());
    const int column = matrix_column(own_lane()) + i;
    to.elements[i] =
        *matrix_element(from, row, column, elements_per_row, origin, transpose);
  }
}

template <typename T, int Columns, int Rows>
METAL_FUNC void simdgroup_store(
    simdgroup_matrix<T, Columns, Rows> from,
    T* to,
    ulong elements_per_row = Columns,
    ulong2 origin = ulong2(0),
    bool transpose = false) {
  UNROLL
  for (int i = 0; i < 2; ++i) {
    const int row = matrix_row(own_lane());
    const int column = matrix_column(own_lane()) + i;
    *matrix_element(to, row, column, elements_per_row, origin, transpose) =
        from.elements[i];
  }
}

template <typename T>
METAL_FUNC float
matrix_value(const simdgroup_matrix<T, 8, 8>& matrix, int row, int column) {
  const int lane = matrix_lane(row, column);
  const float first = __shfl_sync(ALL_LANES, float(matrix.elements[0]), lane);
  const float second = __shfl_sync(ALL_LANES, float(matrix.elements[1]), lane);
  return column % 2 == 0 ? first : second;
}

template <typename T>
METAL_FUNC void simdgroup_multiply_accumulate(
    simdgroup_matrix<float, 8, 8>& d,
    simdgroup_matrix<T, 8, 8>& a,
    simdgroup_matrix<T, 8, 8>& b,
    simdgroup_matrix<float, 8, 8>& c) {
  const int row = matrix_row(own_lane());
  const int column = matrix_column(own_lane());
  simdgroup_matrix<float, 8, 8> sum = c;
  UNROLL
  for (int k = 0; k < 8; ++k) {
    const float factor = matrix_value(a, row, k);
    UNROLL
    for (int i = 0; i < 2; ++i) {
      sum.elements[i] =
          fma(factor, matrix_value(b, k, column + i), sum.elements[i]);
    }
  }
  d = sum;
}

} // namespace metal
