// Fills the panels of WeightGrad at a point of winograd_plan.h: a cell's row
// is a pixel, or the sum or difference of two on each joined axis.
#pragma once

#include <array>

#include "gather.h"
#include "winograd_plan.h"

namespace mlx_convt::cpu {

// Which pixels of an axis a cell takes.
struct CellAxis {
  int64_t first; // of cell 0
  int64_t step; // from cell to cell
  int64_t next; // from the first pixel to a second, or 0 for none

  int terms() const {
    return next ? 2 : 1;
  }
};

using CellAxes = std::array<CellAxis, kAxes>;

// Cells that are neighbours along the last axis.
struct CellRun {
  int64_t count;
  int64_t image;
  Triple cell; // the first
};

inline std::vector<CellRun>
cell_runs(const WinogradPhase& phase, int64_t first, int64_t count) {
  std::vector<CellRun> runs;
  for (int64_t last = first + count; first < last;) {
    CellRun run{0, first, {}};
    for (int a = kAxes - 1; a >= 0; --a) {
      run.cell[a] = run.image % phase.axis[a]->cells;
      run.image /= phase.axis[a]->cells;
    }
    run.count = std::min(last - first, phase.axis[2]->cells - run.cell[2]);
    first += run.count;
    runs.push_back(run);
  }
  return runs;
}

// Pointers to the pixels of cells, kept from one panel to the next; `zeros`
// stands for those outside the source.
template <typename S>
class CellPixels {
 public:
  CellPixels(int64_t most_rows, int64_t most_columns)
      : zeros_(most_columns), pixels_(8 * most_rows) {}

  // Returns how many belong to a row; combine them with data().
  int find(
      const Source<S>& source,
      const CellAxes& axes,
      const std::vector<CellRun>& runs) {
    int outer_terms = axes[0].terms() * axes[1].terms();
    int terms = outer_terms * axes[2].terms();
    const S** to = pixels_.data();
    for (auto& run : runs) {
      for (int i = 0; i < outer_terms; ++i) {
        const int64_t second[] = {i / axes[1].terms(), i % axes[1].terms()};
        int64_t line = run.image;
        bool is_inside = true;
        for (int a = 0; a < 2; ++a) {
          int64_t at = axes[a].first + axes[a].step * run.cell[a] +
              axes[a].next * second[a];
          is_inside = is_inside && at >= 0 && at < source.extent[a];
          line = line * source.extent[a] + at;
        }
        for (int j = 0; j < axes[2].terms(); ++j) {
          int64_t x =
              axes[2].first + axes[2].step * run.cell[2] + axes[2].next * j;
          find_line(
              to + i * axes[2].terms() + j,
              terms,
              source,
              is_inside ? line : -1,
              x,
              axes[2].step,
              run.count);
        }
      }
      to += run.count * terms;
    }
    return terms;
  }

  const S* const* data() const {
    return pixels_.data();
  }

 private:
  void find_line(
      const S** to,
      int terms,
      const Source<S>& source,
      int64_t line,
      int64_t x,
      int64_t step,
      int64_t count) const {
    int64_t width = line < 0 ? 0 : source.extent[2];
    const S* pixels = source.data + source.first_channel +
        std::max<int64_t>(line, 0) * source.extent[2] * source.channels;
    for (int64_t c = 0; c < count; ++c, x += step, to += terms) {
      *to = x >= 0 && x < width ? pixels + x * source.channels : zeros_.data();
    }
  }

  std::vector<S> zeros_;
  std::vector<const S*> pixels_;
};

} // namespace mlx_convt::cpu
