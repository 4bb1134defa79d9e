#include "reduction.h"

#include "blas.h"
#include "isa/kernels.h"

namespace mlx_convt::cpu {
namespace {

template <typename T>
void reduce_by_tiles(
    int64_t m,
    int64_t n,
    int64_t depth,
    const T* a,
    const T* b,
    T* const* rows,
    bool begins) {
  static constexpr T zeros[kPanelColumns] = {};
  auto& kernel = kernels<T>();
  for (int64_t j = 0; j < n; j += 2 * kernel.lanes) {
    int columns = static_cast<int>(std::min<int64_t>(2 * kernel.lanes, n - j));
    for (int64_t i = 0; i < m; i += kernel.tile_rows) {
      int tile = static_cast<int>(std::min<int64_t>(kernel.tile_rows, m - i));
      kernel.tile_transposed(
          tile,
          columns,
          a + i,
          depth,
          b + j,
          {rows + i, j, begins ? zeros : nullptr});
    }
  }
}

template <typename T>
void reduce_by_blas(
    int64_t m,
    int64_t n,
    int64_t depth,
    const T* a,
    const T* b,
    T* const* rows,
    bool begins) {
  for (int64_t i = 0; begins && i < m; ++i) {
    std::fill_n(rows[i], n, T(0));
  }
  blas_gemm(
      {true,
       static_cast<int>(m),
       static_cast<int>(n),
       static_cast<int>(depth),
       a,
       static_cast<int>(kPitch<T>),
       b,
       static_cast<int>(kPitch<T>),
       T(1),
       rows[0],
       static_cast<int>(m > 1 ? rows[1] - rows[0] : n)});
}

} // namespace

Reduction tile_reduction() {
  return {reduce_by_tiles<float>, reduce_by_tiles<double>, true};
}

Reduction blas_reduction() {
  return {reduce_by_blas<float>, reduce_by_blas<double>, false};
}

int64_t even_part(int64_t count, int64_t most, int64_t lanes) {
  int64_t parts = std::max<int64_t>(divide_up(count, most), 1);
  return std::min(most, divide_up(divide_up(count, parts), lanes) * lanes);
}

int64_t reduction_splits(int64_t rectangles, int64_t blocks) {
  constexpr int64_t kWantedUnits = 8;
  return std::clamp<int64_t>(
      divide_up(kWantedUnits, rectangles), 1, std::max<int64_t>(blocks, 1));
}

bool Turns::wait(int64_t split) {
  int64_t turn = turn_.load(std::memory_order_acquire);
  while (turn != split && turn != kFailed) {
    turn_.wait(turn, std::memory_order_acquire);
    turn = turn_.load(std::memory_order_acquire);
  }
  return turn != kFailed;
}

void Turns::pass() {
  // Nobody but the holder of the turn changes it, but for a failure.
  int64_t turn = turn_.load(std::memory_order_relaxed);
  while (
      turn != kFailed &&
      !turn_.compare_exchange_weak(turn, turn + 1, std::memory_order_acq_rel)) {
  }
  turn_.notify_all();
}

void Turns::fail() {
  turn_.store(kFailed, std::memory_order_release);
  turn_.notify_all();
}

} // namespace mlx_convt::cpu
