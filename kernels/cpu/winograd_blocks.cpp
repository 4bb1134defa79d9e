#include "winograd_blocks.h"

#include <algorithm>
#include <utility>

#include "reduction.h"

namespace mlx_convt::cpu {
namespace {

// Values of all panels, of the sums that wait for another chunk, and of the
// weights at hand: the second-level cache holds them together.
constexpr int64_t kMostPanels = 96 * 1024;
constexpr int64_t kMostSums = 96 * 1024;
constexpr int64_t kMostWeights = 64 * 1024;
constexpr int64_t kMostColumns = 512;
// A narrower unit gathers its panels for too little arithmetic.
constexpr int64_t kLeastColumns = 64;
constexpr int64_t kLeastDepth = 64;
constexpr int64_t kUnitsPerThread = 4;
// Weights are packed again for each of so many blocks of rows, rather than
// once into memory.
constexpr int64_t kMostBlocksAlone = 2;

// All but the columns.
WinogradSet blocks_of(const WinogradPhase& phase, const WinogradSizes& s) {
  WinogradSet set{};
  int64_t points = phase.points();
  int64_t step = 2 * s.lanes;
  auto tiles = [&](int64_t rows) {
    return std::max<int64_t>(rows / s.tile_rows, 1) * s.tile_rows;
  };
  int64_t rows = tiles(
      points <= 1       ? 112
          : points <= 3 ? 84
          : points <= 9 ? 42
                        : 14);
  int64_t blocks = divide_up(phase.rows(), 2 * rows);
  set.packs_once = blocks > kMostBlocksAlone;
  if (set.packs_once) {
    set.rows = rows;
    set.depth = kPanelColumns;
    set.strip = points <= 3 ? 4 * step : 2 * step;
  } else {
    set.rows =
        std::max<int64_t>(even_part(phase.rows(), 2 * rows, s.tile_rows), 1);
    set.depth = std::clamp(
        kMostPanels / (points * set.rows) / 16 * 16,
        kLeastDepth,
        kPanelColumns);
    set.strip = step;
    if (s.columns_are_neighbours) {
      set.depth = std::max(set.depth / 32 * 16, kLeastDepth);
      set.strip = kMostWeights / (points * set.depth) / step * step;
      set.strip = std::max(set.strip, step);
    }
  }
  set.depth =
      s.channels > set.depth ? even_part(s.channels, set.depth, 16) : set.depth;
  return set;
}

// Cuts the sets' phases, then their columns, into some `parts`: more units.
void narrow(
    std::vector<WinogradSet>& sets,
    int64_t parts,
    const WinogradSizes& s) {
  std::vector<WinogradSet> more;
  for (auto& set : sets) {
    int64_t count = std::min<int64_t>(parts, std::ssize(set.phases));
    for (int64_t i = 0; i < count; ++i) {
      auto part = set;
      part.phases.assign(
          set.phases.begin() + std::ssize(set.phases) * i / count,
          set.phases.begin() + std::ssize(set.phases) * (i + 1) / count);
      int64_t strips =
          divide_up(s.columns, set.columns) * divide_up(parts, count);
      int64_t step = 2 * s.lanes;
      int64_t columns = divide_up(divide_up(s.columns, strips), step) * step;
      part.columns = std::max(columns, std::min(kLeastColumns, set.columns));
      more.push_back(part);
    }
  }
  sets = more;
}

} // namespace

std::vector<WinogradSet> winograd_sets(
    const WinogradPlan& plan,
    const WinogradSizes& s) {
  std::vector<WinogradSet> sets;
  int64_t step = 2 * s.lanes;
  int64_t units = 0;
  for (auto& phases : plan.sets()) {
    auto phase = plan.phase(phases[0]);
    auto set = blocks_of(phase, s);
    bool waits = s.channels * phase.pairs() > set.depth;
    // The sums of all of a set's phases wait together.
    int64_t sums = phase.points() * set.rows;
    int64_t most = waits
        ? std::max<int64_t>(kMostSums / (sums * kLeastColumns), 1)
        : std::ssize(phases);
    for (int64_t i = 0; i < std::ssize(phases); i += most) {
      int64_t last = std::min<int64_t>(i + most, std::ssize(phases));
      set.phases.assign(phases.begin() + i, phases.begin() + last);
      int64_t columns = waits ? kMostSums / (sums * (last - i)) : kMostColumns;
      set.columns = std::max(
          even_part(
              s.columns, std::max(columns / step * step, kLeastColumns), step),
          step);
      units += s.groups * divide_up(phase.rows(), set.rows) *
          divide_up(s.columns, set.columns);
      sets.push_back(set);
    }
  }
  int64_t wanted = s.threads > 1 ? kUnitsPerThread * s.threads : 1;
  if (units < wanted) {
    narrow(sets, divide_up(wanted, std::max<int64_t>(units, 1)), s);
  }
  return sets;
}

std::vector<Unit> winograd_units(
    const WinogradPlan& plan,
    const WinogradSizes& s,
    const std::vector<WinogradSet>& sets) {
  std::vector<Unit> units;
  for (int64_t i = 0; i < std::ssize(sets); ++i) {
    auto& set = sets[i];
    int64_t rows = plan.phase(set.phases[0]).rows();
    for (int64_t group = 0; group < s.groups; ++group) {
      for (int64_t j = 0; j < s.columns; j += set.columns) {
        for (int64_t r = 0; r < rows; r += set.rows) {
          units.push_back(
              {i,
               group,
               r,
               std::min(set.rows, rows - r),
               j,
               std::min(set.columns, s.columns - j)});
        }
      }
    }
  }
  return units;
}

std::vector<Cell>
cells_of(const WinogradPhase& phase, int64_t first, int64_t count) {
  std::vector<Cell> cells;
  Cell cell{first, {}};
  for (int a = kAxes - 1; a >= 0; --a) {
    cell.at[a] = cell.image % phase.axis[a]->cells;
    cell.image /= phase.axis[a]->cells;
  }
  for (; count > 0; --count) {
    cells.push_back(cell);
    for (int a = kAxes - 1; ++cell.at[a] == phase.axis[a]->cells; --a) {
      cell.at[a] = 0;
      if (a == 0) {
        ++cell.image;
        break;
      }
    }
  }
  return cells;
}

void cell_pixels(
    const WinogradPhase& phase,
    const Triple& pair,
    const Cell& cell,
    int64_t* pixels) {
  int64_t at[kAxes][3];
  for (int a = 0; a < kAxes; ++a) {
    auto& axis = *phase.axis[a];
    int64_t x = axis.source(cell.at[a], pair[a]);
    for (int i = 0; i < axis.points(); ++i, x += axis.plan->source_step) {
      at[a][i] = x >= 0 && x < axis.plan->source_extent ? x : -1;
    }
    if (axis.is_lone(pair[a])) {
      at[a][2] = std::exchange(at[a][1], -1);
    }
  }
  auto extent = [&](int a) { return phase.axis[a]->plan->source_extent; };
  for (int z = 0; z < phase.axis[0]->points(); ++z) {
    for (int y = 0; y < phase.axis[1]->points(); ++y) {
      int64_t line = (cell.image * extent(0) + at[0][z]) * extent(1) + at[1][y];
      bool is_line = at[0][z] >= 0 && at[1][y] >= 0;
      for (int x = 0; x < phase.axis[2]->points(); ++x) {
        *pixels++ = is_line && at[2][x] >= 0 ? line * extent(2) + at[2][x] : -1;
      }
    }
  }
}

std::vector<Target> targets_of(
    const WinogradPhase& phase,
    const std::vector<Cell>& cells,
    int64_t columns,
    int64_t channels) {
  std::vector<Target> targets;
  auto per_cell = [&](int a) { return phase.axis[a]->positions_per_cell(); };
  int places = per_cell(0) * per_cell(1) * per_cell(2);
  int64_t row = 0;
  for (auto& cell : cells) {
    for (int place = 0; place < places; ++place) {
      int which[] = {
          place / (per_cell(1) * per_cell(2)),
          place / per_cell(2) % per_cell(1),
          place % per_cell(2)};
      int64_t pixel = cell.image;
      int64_t x = 0;
      bool exists = true;
      for (int a = 0; a < kAxes; ++a) {
        auto& plan = *phase.axis[a]->plan;
        int64_t position = cell.at[a] * per_cell(a) + which[a];
        x = plan.dest_first + position * plan.dest_step;
        exists = exists && x + plan.fold > 0 && x < plan.dest_extent;
        pixel = pixel * plan.dest_extent + x;
      }
      int64_t extent = phase.axis[kAxes - 1]->plan->dest_extent;
      if (exists) {
        targets.push_back(
            {row,
             place,
             pixel,
             std::max<int64_t>(-x * channels, 0),
             std::min((extent - x) * channels, columns)});
      }
    }
    ++row;
  }
  return targets;
}

Terms terms_at(
    const WinogradPhase& phase,
    const Triple& which,
    const Triple& apart) {
  Terms terms{1, {0}, {1}};
  for (int a = 0; a < kAxes; ++a) {
    auto& axis = *phase.axis[a];
    auto before = terms;
    terms.count = 0;
    for (int i = 0; i < before.count; ++i) {
      for (int n = 0; n < axis.positions_per_cell(); ++n) {
        terms.points[terms.count] = before.points[i] * axis.points() +
            static_cast<int>(which[a] + n * apart[a]);
        terms.signs[terms.count++] = before.signs[i] * (which[a] && n ? -1 : 1);
      }
    }
  }
  return terms;
}

std::vector<Terms> terms_of(const WinogradPhase& phase) {
  std::vector<Terms> places;
  Triple which;
  auto per_cell = [&](int a) { return phase.axis[a]->positions_per_cell(); };
  for (which[0] = 0; which[0] < per_cell(0); ++which[0]) {
    for (which[1] = 0; which[1] < per_cell(1); ++which[1]) {
      for (which[2] = 0; which[2] < per_cell(2); ++which[2]) {
        places.push_back(terms_at(phase, which, {1, 1, 1}));
      }
    }
  }
  return places;
}

} // namespace mlx_convt::cpu
