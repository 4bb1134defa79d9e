#include "lane_walk.h"

#include <limits>

namespace mlx_convt::cpu {
namespace {

// Source lines of a block stay in the first-level cache, and with their halo
// in the second-level one.
constexpr int64_t kLineBytes = 16 * 1024;
constexpr int64_t kTileBytes = 32 * 1024;
constexpr int64_t kMaxTileBytes = 256 * 1024;
constexpr int64_t kLeastPositions = 16;
constexpr int64_t kLeastSlice = 64;
constexpr int64_t kMaxSlice = 1024;
constexpr int64_t kWantedBlocks = 16;

// Source pixels between the first and the last that one position meets.
int64_t span_of(const std::vector<AxisPlan>& phases) {
  int64_t least = std::numeric_limits<int64_t>::max();
  int64_t most = std::numeric_limits<int64_t>::min();
  for (auto& axis : phases) {
    if (!axis.taps.empty()) {
      least = std::min(least, axis.taps.front().offset);
      most = std::max(most, axis.taps.back().offset);
    }
  }
  return most < least ? 1 : most - least + 1;
}

int64_t most_taps(const std::vector<AxisPlan>& phases) {
  size_t most = 1;
  for (auto& axis : phases) {
    most = std::max(most, axis.taps.size());
  }
  return static_cast<int64_t>(most);
}

// Rows of taps whose indices lie `adjacent` apart, of nearly equal length.
std::vector<TapRow>
rows_of(const Range& taps, int64_t adjacent, int64_t row_taps) {
  std::vector<TapRow> rows;
  if (row_taps == 1) {
    adjacent = 1;
  }
  for (int64_t i = taps.first; i < std::min(taps.first + adjacent, taps.last);
       ++i) {
    int64_t count = divide_up(taps.last - i, adjacent);
    int64_t parts = divide_up(count, row_taps);
    for (int64_t part = 0; part < parts; ++part) {
      int64_t first = count * part / parts;
      int64_t last = count * (part + 1) / parts;
      rows.push_back({i + first * adjacent, last - first});
    }
  }
  return rows;
}

int64_t floor_divide(int64_t a, int64_t b) {
  return divide_up(a + 1, b) - 1;
}

} // namespace

Walk::Walk(
    const Plan& plan,
    const Lanes& lanes,
    int64_t scalar_bytes,
    int64_t row_taps)
    : plan(plan),
      lanes(lanes),
      x_least_(std::numeric_limits<int64_t>::max()),
      x_most_(std::numeric_limits<int64_t>::min()) {
  for (auto& axis : plan.axes[2]) {
    make_line(axis, row_taps);
  }
  if (residues.empty()) {
    residues.push_back(0);
  }
  make_blocks(scalar_bytes);
}

void Walk::make_line(const AxisPlan& axis, int64_t row_taps) {
  LinePlan line{&axis, {}, {}, 0};
  auto count = static_cast<int64_t>(axis.taps.size());
  int64_t step = axis.source_step;
  for (auto& tap : axis.taps) {
    int64_t residue = 0;
    int64_t x = tap.offset;
    if (lanes.spans_pixels()) {
      x = floor_divide(tap.offset, step);
      residue = tap.offset - x * step;
    }
    auto known = std::find(residues.begin(), residues.end(), residue);
    line.taps.push_back({tap.kernel, x, known - residues.begin()});
    if (known == residues.end()) {
      residues.push_back(residue);
    }
    x_least_ = std::min(x_least_, x);
    x_most_ = std::max(x_most_, x);
  }
  if (lanes.spans_pixels()) {
    // Lines have zeros at both ends.
    line.segments.push_back({{0, axis.positions}, rows_of({0, count}, 1, 1)});
    lines.push_back(std::move(line));
    return;
  }
  // Offsets are evenly spaced.
  int64_t adjacent = 1;
  while (adjacent < count &&
         axis.taps[adjacent].offset - axis.taps[0].offset < step) {
    ++adjacent;
  }
  if (adjacent < count &&
      axis.taps[adjacent].offset - axis.taps[0].offset == step) {
    line.kernel_step = axis.taps[adjacent].kernel - axis.taps[0].kernel;
  } else {
    row_taps = 1;
  }
  // Along the line the first and the last live tap step down.
  auto live_from = [&](int64_t tap, int64_t pixel) {
    return divide_up(pixel - axis.taps[tap].offset, step);
  };
  for (int64_t p = 0; p < axis.positions;) {
    Range taps = live(axis, p);
    int64_t next = axis.positions;
    if (taps.first > 0) {
      next = std::min(next, live_from(taps.first - 1, 0));
    }
    if (taps.last > 0) {
      next = std::min(next, live_from(taps.last - 1, axis.source_extent));
    }
    line.segments.push_back({{p, next}, rows_of(taps, adjacent, row_taps)});
    p = next;
  }
  lines.push_back(std::move(line));
}

Range Walk::live(const AxisPlan& axis, int64_t position) {
  int64_t pixel = position * axis.source_step;
  auto at = [&](int64_t offset) {
    return std::partition_point(
               axis.taps.begin(),
               axis.taps.end(),
               [&](const Tap& tap) { return tap.offset < offset; }) -
        axis.taps.begin();
  };
  return {at(-pixel), at(axis.source_extent - pixel)};
}

Window3 Walk::window(const LaneBlock& block) const {
  auto& z_axis = plan.axes[0][block.z % plan.axes[0].size()];
  int64_t least = std::numeric_limits<int64_t>::max();
  int64_t most = std::numeric_limits<int64_t>::min();
  for (int64_t y = block.y.first; y < block.y.last; ++y) {
    int64_t position;
    auto& axis = phase_of(1, y, &position);
    Range taps = live(axis, position);
    if (taps.first < taps.last) {
      int64_t pixel = position * axis.source_step;
      least = std::min(least, pixel + axis.taps[taps.first].offset);
      most = std::max(most, pixel + axis.taps[taps.last - 1].offset);
    }
  }
  Window3 window{
      block.image,
      block.slice,
      static_cast<int64_t>(z_axis.taps.size()),
      least,
      most < least ? 0 : most - least + 1,
      0,
      0};
  if (x_most_ >= x_least_) {
    auto& axis = plan.axes[2][0];
    int64_t positions = block.x.last - block.x.first;
    if (lanes.spans_pixels()) {
      positions = divide_up(positions, lanes.repeat) * lanes.repeat;
      window.x_first = block.x.first + x_least_;
      window.x_count = positions + x_most_ - x_least_;
    } else {
      int64_t first = block.x.first * axis.source_step + x_least_;
      int64_t last = (block.x.last - 1) * axis.source_step + x_most_ + 1;
      window.x_first = std::clamp<int64_t>(first, 0, axis.source_extent);
      window.x_count =
          std::clamp(last, window.x_first, axis.source_extent) - window.x_first;
    }
  }
  return window;
}

void Walk::make_blocks(int64_t scalar_bytes) {
  auto& x_axis = plan.axes[2][0];
  auto& y_axis = plan.axes[1][0];
  auto phases = [&](int a) {
    return static_cast<int64_t>(plan.axes[a].size());
  };
  auto extent = [&](int a) { return plan.axes[a][0].dest_extent; };

  // Slices of whole groups, whose weights stay in the first-level cache.
  std::vector<Slice> slices;
  int64_t weights = most_taps(plan.axes[0]) * most_taps(plan.axes[1]) *
      most_taps(plan.axes[2]) * lanes.planes * scalar_bytes;
  int64_t width = std::clamp(
      kLineBytes / weights / kLeastSlice * kLeastSlice, kLeastSlice, kMaxSlice);
  width = divide_up(width, lanes.group) * lanes.group;
  int64_t count = std::max<int64_t>(1, lanes.channels / width);
  for (int64_t i = 0; i < count; ++i) {
    int64_t last = i + 1 < count ? (i + 1) * width : lanes.channels;
    slices.push_back({i * width, last - i * width});
  }

  int64_t channels = std::min(2 * width, lanes.channels);
  int64_t pixel_bytes = channels * lanes.planes * scalar_bytes;
  int64_t step = std::max(x_axis.source_step, phases(2));
  int64_t positions = std::max<int64_t>(x_axis.positions, 1);
  int64_t halo = span_of(plan.axes[1]) * most_taps(plan.axes[0]);
  int64_t strip = std::max(
      std::min(kLineBytes, kMaxTileBytes / halo) / (pixel_bytes * step),
      kLeastPositions);
  int64_t strips = divide_up(positions, strip);
  int64_t unit = 8 * lanes.repeat;
  strip = divide_up(divide_up(positions, strips), unit) * unit;
  strips = divide_up(positions, strip);

  // Rows: enough to share the lines that neighbours have in common.
  int64_t line_bytes = strip * x_axis.source_step * pixel_bytes;
  int64_t source_rows = std::clamp(
      4 * span_of(plan.axes[1]),
      kTileBytes / line_bytes,
      kMaxTileBytes / line_bytes);
  int64_t rows = source_rows * phases(1) / y_axis.source_step;
  int64_t others = plan.batch * extent(0) * strips * count;
  int64_t wanted = divide_up(kWantedBlocks, std::max<int64_t>(others, 1));
  rows = std::min(rows, divide_up(extent(1), wanted));
  rows = std::max<int64_t>(rows / phases(1), 1) * phases(1);

  for (auto& slice : slices) {
    for (int64_t n = 0; n < plan.batch; ++n) {
      for (int64_t z = 0; z < extent(0); ++z) {
        for (int64_t y = 0; y < extent(1); y += rows) {
          for (int64_t x = 0; x < positions; x += strip) {
            blocks.push_back(
                {n,
                 slice,
                 z,
                 {y, std::min(y + rows, extent(1))},
                 {x, std::min(x + strip, positions)}});
          }
        }
      }
    }
  }
}

double least_tile_bytes(const Plan& plan, const Lanes& lanes) {
  auto& x_axis = plan.axes[2][0];
  double pixels = double(span_of(plan.axes[2])) +
      double(kLeastPositions * std::max<int64_t>(lanes.repeat, 1)) *
          double(x_axis.source_step);
  return double(most_taps(plan.axes[0])) * double(span_of(plan.axes[1])) *
      pixels * double(std::min(lanes.channels, 2 * kLeastSlice)) *
      double(lanes.planes) * sizeof(double);
}

} // namespace mlx_convt::cpu
