// A panel times the weights of its phase: what tile_method.h, dot_method.h and
// blas_method.h compute, each in its way.
#pragma once

#include "packed.h"

namespace mlx_convt::cpu {

// What a method is given: the panel holds `pieces` of `rows` rows, and
// rows[i][j] is column `column + j` of the result, a sum of type T.
template <typename T, typename P = T>
struct Product {
  const Phase& phase;
  int64_t phase_index;
  int64_t group;
  const P* panel;
  const std::vector<Piece>& pieces;
  int64_t rows;
  int64_t column;
  int64_t columns;
  T* const* row_pointers;
  const T* init; // of the columns; null: add to what is there
  const std::vector<TapBox>& live; // of each tile of rows; empty: all taps
  bool streams; // see TileRows
};

// A shallow reduction fills little of each panel row, and gets more rows to
// spread the costs of a block over.
inline int64_t block_rows_for(int64_t rows_of_full_depth, int64_t depth) {
  int64_t columns = std::clamp<int64_t>(depth, 32, kPanelColumns);
  return rows_of_full_depth * (kPanelColumns / columns);
}

} // namespace mlx_convt::cpu
