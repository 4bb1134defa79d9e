// The inner loops that are compiled once per instruction set, as a table of
// functions. All strides and lengths are in elements.
//
// A *panel* is a small row-major matrix of accumulation type in cache with a
// fixed pitch, so that a microkernel needs one register to address all rows.
// Columns up to the pitch may be written and read; their values are ignored.
#pragma once

#include <cstdint>

#include "../scalar.h"

namespace mlx_convt::cpu {

// Most columns of a panel: with 32 columns of weights beside it, a tile's
// share of both fits the first-level cache.
inline constexpr int64_t kPanelColumns = 256;

// Slack for whole-vector access; an odd number of cache lines per row, so
// that a column does not fall into few cache sets.
template <typename T>
inline constexpr int64_t kPitch = kPanelColumns + (sizeof(T) == 4 ? 16 : 8);

// A stretch of the reduction: `length` consecutive panel columns meet
// `length` rows of the other operand, which start at offset `b` in it.
// Consecutive stretches are consecutive in the panel.
struct Stretch {
  int64_t b;
  int64_t length;
};

struct Stretches {
  const Stretch* data;
  int64_t count;
};

// Destination rows of a tile: column j of row i is rows[i][first + j]. The
// sums start from `init[j]`, readable in whole vectors, or from what is there
// when init is null.
template <typename T>
struct TileRows {
  T* const* rows;
  int64_t first;
  const T* init;
};

template <typename T>
struct Kernels {
  int lanes; // values per vector
  int tile_rows; // rows of the largest tile

  // Most columns of a tile of m rows, a multiple of 2 * lanes.
  int (*most_columns)(int m);

  // C[i,j] += sum_k A[i,k] * B[k,j] for i < m <= tile_rows, j < n <=
  // most_columns(m). A is a panel; B's rows lie ldb apart and are read to the
  // next power of two of vectors.
  void (*tile)(
      int m,
      int n,
      const T* a,
      Stretches,
      const T* b,
      int64_t ldb,
      TileRows<T> c);

  // C[i,j] += sum_p A[p,i] * B[p,j] for p < depth: both operands are panels.
  void (*tile_transposed)(
      int m,
      int n,
      const T* a,
      int64_t depth,
      const T* b,
      TileRows<T> c);

  // C[i,j] += sum_k A[i,k] * B[j,k] for i < m, j < n: A is a panel, B's rows
  // lie ldb apart.
  void (*dot)(
      int m,
      int n,
      const T* a,
      Stretches,
      const T* b,
      int64_t ldb,
      TileRows<T> c);

  // C[i,j] += sum_t A[i,t*n+j] * B[t][j] for i < m, j < n, one stretch of
  // length n per t. B is read to the next multiple of lanes.
  void (*diagonal)(
      int m,
      int n,
      const T* a,
      Stretches,
      const T* b,
      TileRows<T> c);

  // C[t][j] += sum_p A[p,t*n+j] * B[p,j] for p < depth, t < taps, j < n: both
  // operands are panels; C's rows are n apart.
  void (*diagonal_transposed)(
      int64_t depth,
      int taps,
      int n,
      const T* a,
      const T* b,
      T* c);

  // out[t] += sum_i weights[i] * sources[i][t] for t < n, a multiple of lanes.
  void (*combine)(
      int64_t n,
      int64_t count,
      const T* const* sources,
      const T* weights,
      T* out);
};

// Moves between storage and accumulation type.
template <typename S>
struct Copies {
  // `rows` rows of `length` values, `step` apart in the source, into a panel.
  // May read up to `source_end` and write past a row into the panel's slack.
  void (*gather)(
      Acc<S>* panel,
      const S* source,
      const S* source_end,
      int64_t rows,
      int64_t step,
      int64_t length);
  // to[k * step + i] = rows[i][k] for k < length, i < count. Writes zeros for
  // i from count to the next multiple of lanes; where step < count rounded so,
  // only those behind the last line stay. Rows that lie `ahead` behind these
  // in memory will follow and are fetched.
  void (*transpose)(
      Acc<S>* to,
      int64_t step,
      const S* const* rows,
      int64_t count,
      int64_t length,
      int64_t ahead);
  void (*widen)(Acc<S>* to, const S* from, int64_t count);
  void (*narrow)(S* to, const Acc<S>* from, int64_t count); // ties to even
};

// Measure the machine, not a layer; see ../machine_peak.h.
template <typename T>
struct PeakLoops {
  int64_t round_flops; // of a round of multiply_add

  // The sum of independent chains v = v * factor + term, which start with
  // small integers.
  T (*multiply_add)(int64_t rounds, T factor, T term);

  // Sums and sets values; what is left of a count that no 256 bytes divide is
  // left alone.
  T (*read)(const T* from, int64_t count);
  void (*write)(T* to, int64_t count, T value);
};

struct InstructionSet {
  const char* name;
  bool (*is_supported)();
  Kernels<float> f32;
  Kernels<double> f64;
  Copies<float> copy_f32;
  Copies<Half> copy_f16;
  Copies<BFloat> copy_bf16;
  Copies<double> copy_f64;
  PeakLoops<float> peak_f32;
  PeakLoops<double> peak_f64;
};

// The best instruction set that this processor has, or the one that the
// environment variable MLX_CONVT_INSTRUCTION_SET names; read once. Throws
// std::runtime_error, listing the names that this processor can run.
const InstructionSet& active();
const char* instruction_set();

template <typename T>
const Kernels<T>& kernels();
template <typename S>
const Copies<S>& copies();
template <typename T>
const PeakLoops<T>& peak_loops();

} // namespace mlx_convt::cpu
