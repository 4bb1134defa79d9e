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
// sums start from `init[j]`, readable as far as rows of B, or from what is
// there when init is null. `streams`: the sums are final and too many to stay
// in a cache until they are read; fence() before another thread may read them.
template <typename T>
struct TileRows {
  T* const* rows;
  int64_t first;
  const T* init;
  bool streams = false;
};

// Taps that read neighbouring positions' source values: tap t of a run's
// first position reads at source + t * step, with the weights from
// weights + t * weight_step on.
template <typename T>
struct LaneRow {
  const T* source;
  int64_t weights; // an offset
  int64_t taps;
};

inline constexpr int kMaxAdjacentTaps = 6;

// Evenly spaced positions that the same taps reach; every channel has sums of
// its own.
template <typename T>
struct LaneRun {
  const LaneRow<T>* rows;
  int64_t row_count;
  int64_t weight_step;
  int64_t positions;
  int64_t channels;
  int64_t step; // from a position's source values to the next one's
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
      const TileRows<T>& c);

  // C[i,j] += sum_p A[p,i] * B[p,j] for p < depth: both operands are panels.
  void (*tile_transposed)(
      int m,
      int n,
      const T* a,
      int64_t depth,
      const T* b,
      const TileRows<T>& c);

  // C[i,j] += sum_k A[i,k] * B[j,k] for i < m, j < n: A is a panel, B's rows
  // lie ldb apart.
  void (*dot)(
      int m,
      int n,
      const T* a,
      Stretches,
      const T* b,
      int64_t ldb,
      const TileRows<T>& c);

  // The lanewise kernels have at least as many channels as lanes.
  //
  // to[p*to_step + c] = init[c] + sum over rows r, t < r.taps <=
  // kMaxAdjacentTaps of r.source[(p + t)*step + c] *
  // weights[r.weights + t*weight_step + c]
  void (*correlate)(
      const LaneRun<T>&,
      const T* weights,
      const T* init,
      T* to,
      int64_t to_step);

  // sums[r.weights + c] += sum over p of x[p*x_step + c] * r.source[p*step + c]
  // for every row r, of one tap. One more position counts with its first
  // `tail` channels.
  void (*reduce)(
      const LaneRun<T>&,
      const T* x,
      int64_t x_step,
      int64_t tail,
      T* sums);

  // to[j*channels + c] = from[j*step + index[c]] for j < count. May read up to
  // from_end.
  void (*take)(
      T* to,
      const T* from,
      const T* from_end,
      int64_t count,
      int64_t step,
      int64_t channels,
      const int32_t* index);

  // to[(j*line_count + r)*channels + c] = lines[r*line_step + j*channels + c]
  // for j < count, r < line_count. Of more than one channel, whole vectors
  // are read and written.
  void (*interleave)(
      T* to,
      const T* lines,
      int64_t line_step,
      int64_t line_count,
      int64_t count,
      int64_t channels);

  // to[j] = init[j] + sum over i < terms of signs[i] * from[i][j] for j <
  // count, with 1, 2, 4 or 8 terms; init may be null. Returns zero, or NaN
  // where a sum is not finite. `streams`: see TileRows.
  T (*signed_sum)(
      T* to,
      const T* const* from,
      const T* signs,
      int terms,
      const T* init,
      int64_t count,
      bool streams);
};

// Of pairs: tiles alone, and null without instructions for them. Subnormal
// operands and sums count as zeros.
template <>
struct Kernels<BFloatPair> {
  int lanes;
  int tile_rows;
  int (*most_columns)(int m);
  void (*tile)(
      int m,
      int n,
      const BFloatPair* a,
      Stretches,
      const BFloatPair* b,
      int64_t ldb,
      const TileRows<float>& c);

  // to[j] = {first[j], second[j]} for j < count.
  void (*zip)(
      BFloatPair* to,
      const BFloat* first,
      const BFloat* second,
      int64_t count);

  // The least of 2 * magnitude - 1 over the bits of all values but zeros, or
  // 65535, in `rows` rows of `length` pairs that lie `step` apart.
  uint16_t (*least)(
      const BFloatPair* from,
      int64_t rows,
      int64_t step,
      int64_t length);
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
  // panel[r][k] = sum over i < terms of +-from[r * terms + i][k], k < length,
  // with 1, 2, 4 or 8 terms; minus where i has an odd number of bits.
  void (*differences)(
      Acc<S>* panel,
      const S* const* from,
      int64_t rows,
      int terms,
      int64_t length);
  // The same with plus throughout.
  void (*sums)(
      Acc<S>* panel,
      const S* const* from,
      int64_t rows,
      int terms,
      int64_t length);
  // Rows of the points of cells, see ../winograd_plan.h: panels[point] or
  // null from the 3^axes pixels of each cell.
  void (*points)(
      Acc<S>* const* panels,
      const S* const* from,
      int64_t rows,
      int axes,
      int64_t length);
  void (*widen)(Acc<S>* to, const S* from, int64_t count);
  // Ties to even. Those of pairs may be no subnormal numbers.
  void (*narrow)(Element<S>* to, const Sum<S>* from, int64_t count);
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
  void (*fence)(); // after sums that were streamed
  Kernels<float> f32;
  Kernels<double> f64;
  Kernels<BFloatPair> bf16_pairs;
  Copies<float> copy_f32;
  Copies<Half> copy_f16;
  Copies<BFloat> copy_bf16;
  Copies<BFloatPair> copy_bf16_pairs;
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
