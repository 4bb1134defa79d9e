#include "correlate.h"

namespace mlx_convt::cpu {
namespace {

// Enough units for an even split over a desktop's cores.
constexpr int64_t kWantedUnits = 32;
// A wider unit's sums would leave the second-level cache.
constexpr int64_t kMaxColumns = 512;
// A narrower unit gathers its panel for too little arithmetic.
constexpr int64_t kMinColumns = 64;

} // namespace

std::vector<Unit> make_units(
    const Plan& plan,
    int64_t groups,
    int64_t columns,
    int64_t block_rows,
    int64_t column_step) {
  int64_t blocks = 0;
  for (int64_t p = 0; p < plan.phases(); ++p) {
    blocks += groups * divide_up(plan.phase(p).rows(), block_rows);
  }
  int64_t chunks = std::max(
      divide_up(columns, kMaxColumns),
      std::min(
          divide_up(kWantedUnits, std::max<int64_t>(blocks, 1)),
          columns / kMinColumns));
  int64_t chunk = columns;
  if (chunks > 1) {
    chunk = divide_up(divide_up(columns, chunks), column_step) * column_step;
  }
  std::vector<Unit> units;
  for (int64_t p = 0; p < plan.phases(); ++p) {
    // Blocks of nearly equal size.
    int64_t rows = plan.phase(p).rows();
    int64_t count = divide_up(rows, block_rows);
    for (int64_t g = 0; g < groups; ++g) {
      for (int64_t column = 0; column < columns; column += chunk) {
        for (int64_t b = 0; b < count; ++b) {
          int64_t row = rows * b / count;
          units.push_back(
              {p,
               g,
               row,
               rows * (b + 1) / count - row,
               column,
               std::min(chunk, columns - column)});
        }
      }
    }
  }
  return units;
}

std::vector<RowTarget> row_targets(
    const Phase& phase,
    const RowBlock& block,
    int64_t result_channels,
    int64_t first_channel) {
  auto dest = [&](int a, int64_t position) {
    return phase.axis[a]->dest_first + position * phase.axis[a]->dest_step;
  };
  Triple extent;
  int64_t pixels = 1;
  for (int a = 0; a < kAxes; ++a) {
    extent[a] = phase.axis[a]->dest_extent;
    pixels *= extent[a];
  }
  std::vector<RowTarget> targets;
  for (auto& run : block.runs()) {
    int64_t line = dest(0, run.position[0]) * extent[1] +
        dest(1, run.position[1]);
    for (int64_t r = 0; r < run.count; ++r) {
      int64_t image = run.image + (run.across_images ? r : 0);
      int64_t x = dest(2, run.position[2] + (run.across_images ? 0 : r));
      int64_t pixel = image * pixels + line * extent[2] + x;
      targets.push_back(
          {pixel * result_channels + first_channel,
           std::max<int64_t>(0, -x),
           std::min(phase.axis[2]->fold, extent[2] - x)});
    }
  }
  return targets;
}

} // namespace mlx_convt::cpu
