#include "correlate.h"

#include <utility>

namespace mlx_convt::cpu {
namespace {

// Units per thread, for an even split. The number of threads decides who sums
// a value, never in which order.
constexpr int64_t kUnitsPerThread = 4;
// A wider unit's sums would leave the second-level cache.
constexpr int64_t kMaxColumns = 512;
// Most sums of a unit, whether few columns or few rows.
constexpr int64_t kMaxSums = 64 * 1024;
// A narrower unit gathers its panel for too little arithmetic.
constexpr int64_t kMinColumns = 64;

} // namespace

std::vector<Unit> make_units(
    const Plan& plan,
    int64_t groups,
    int64_t columns,
    int64_t block_rows,
    int64_t column_step,
    int64_t threads) {
  int64_t wanted = threads > 1 ? kUnitsPerThread * threads : 1;
  int64_t rows_at_most = std::min(
      block_rows, kMaxSums / std::clamp<int64_t>(columns, 1, kMaxColumns));
  // Row i * rows / count begins block i: blocks of nearly equal size, made of
  // whole positions where the batch goes first.
  auto blocks_of = [&](const Phase& phase) {
    bool whole = phase.is_batch_first() && phase.batch <= rows_at_most;
    int64_t unit = whole ? phase.batch : 1;
    return std::pair(divide_up(phase.rows() / unit, rows_at_most / unit), unit);
  };
  int64_t blocks = 0;
  for (int64_t p = 0; p < plan.phases(); ++p) {
    blocks += groups * blocks_of(plan.phase(p)).first;
  }
  int64_t chunks = std::max(
      divide_up(columns, kMaxColumns),
      std::min(
          divide_up(wanted, std::max<int64_t>(blocks, 1)),
          columns / kMinColumns));
  int64_t chunk = columns;
  if (chunks > 1) {
    chunk = divide_up(divide_up(columns, chunks), column_step) * column_step;
  }
  std::vector<Unit> units;
  for (int64_t p = 0; p < plan.phases(); ++p) {
    auto [count, unit] = blocks_of(plan.phase(p));
    int64_t total = plan.phase(p).rows() / unit;
    for (int64_t g = 0; g < groups; ++g) {
      for (int64_t column = 0; column < columns; column += chunk) {
        for (int64_t b = 0; b < count; ++b) {
          int64_t first = total * b / count;
          int64_t last = total * (b + 1) / count;
          units.push_back(
              {p,
               g,
               first * unit,
               (last - first) * unit,
               column,
               std::min(chunk, columns - column)});
        }
      }
    }
  }
  return units;
}

RunTarget run_target(
    const Phase& phase,
    const RowRun& run,
    int64_t result_channels,
    int64_t first_channel) {
  auto dest = [&](int a) {
    return phase.axis[a]->dest_first +
        run.position[a] * phase.axis[a]->dest_step;
  };
  auto extent = [&](int a) { return phase.axis[a]->dest_extent; };
  int64_t line = (run.image * extent(0) + dest(0)) * extent(1) + dest(1);
  int64_t x = dest(2);
  int64_t x_step = run.across_images ? 0 : phase.axis[2]->dest_step;
  int64_t pixel_step =
      run.across_images ? extent(0) * extent(1) * extent(2) : x_step;
  return {
      (line * extent(2) + x) * result_channels + first_channel,
      pixel_step * result_channels,
      x,
      x_step};
}

} // namespace mlx_convt::cpu
