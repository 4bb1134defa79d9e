#include "strip_plan.h"

#include <algorithm>

namespace mlx_convt::cpu {
namespace {

// Positions along the last axis: wider boxes read fewer pixels twice, but
// longer lines of them.
constexpr int64_t kMaxWidth = 256;
constexpr int64_t kMaxPositions = 2048;
// Sums of a box: a quarter of a second-level cache.
constexpr int64_t kMaxSums = 64 * 1024;
// Values of a strip: less than half of it.
constexpr int64_t kMaxStrip = 96 * 1024;
// Enough boxes for an even split over a desktop's cores.
constexpr int64_t kWantedBoxes = 16;
// The transposition works on vectors of channels.
constexpr int64_t kVector = 16;

int64_t positions_of(const Geometry& g, int axis) {
  return divide_up(std::max<int64_t>(g.out[axis], 1), g.stride[axis]);
}

// Into how many boxes the positions of each axis, and last the images, go.
std::array<int64_t, kAxes + 1> pieces_of(const Geometry& g, int64_t columns) {
  int64_t total = g.batch * g.groups;
  for (int a = 0; a < kAxes; ++a) {
    total *= positions_of(g, a);
  }
  int64_t wanted = std::clamp<int64_t>(
      std::min(kMaxSums / columns, divide_up(total, kWantedBoxes)),
      64,
      kMaxPositions);
  // Whole lines first, then whole planes, then whole images; at least one
  // piece of nothing.
  std::array<int64_t, kAxes + 1> pieces;
  int64_t limit = std::min(kMaxWidth, wanted);
  for (int a = kAxes - 1; a >= 0; --a) {
    pieces[a] = divide_up(positions_of(g, a), std::max<int64_t>(limit, 1));
    wanted /= divide_up(positions_of(g, a), pieces[a]);
    limit = pieces[a] == 1 ? wanted : 1;
  }
  pieces[kAxes] =
      divide_up(std::max<int64_t>(g.batch, 1), std::max<int64_t>(limit, 1));
  return pieces;
}

} // namespace

double strip_columns(const Geometry& g) {
  double columns = double(g.group_out());
  for (int a = 0; a < kAxes; ++a) {
    columns *= double(std::min(g.stride[a], g.out[a]));
  }
  return columns;
}

double strip_values(const Geometry& g) {
  auto columns = static_cast<int64_t>(strip_columns(g));
  auto pieces = pieces_of(g, std::max<int64_t>(columns, 1));
  double pixels = double(divide_up(g.batch, pieces[kAxes]));
  for (int a = 0; a < kAxes; ++a) {
    double reach =
        double(g.dilation[a]) * double(g.kernel[a] - 1) / double(g.stride[a]) +
        1;
    pixels *= double(divide_up(positions_of(g, a), pieces[a])) + reach;
  }
  return pixels * double(columns + kVector) + double(kMaxStrip);
}

StripAxis strip_axis(const Geometry& g, int a) {
  int64_t stride = g.stride[a];
  StripAxis axis;
  axis.phases = std::min(stride, g.out[a]);
  axis.positions = divide_up(g.out[a], stride);
  struct Use {
    int64_t offset, phase;
  };
  std::vector<Use> uses;
  for (int64_t phase = 0; phase < axis.phases; ++phase) {
    for (int64_t k = 0; k < g.kernel[a]; ++k) {
      int64_t distance = phase + g.padding[a] - k * g.dilation[a];
      if (distance % stride == 0) {
        uses.push_back({distance / stride, phase});
      }
    }
  }
  std::sort(uses.begin(), uses.end(), [](const Use& a, const Use& b) {
    return std::pair(a.offset, a.phase) < std::pair(b.offset, b.phase);
  });
  axis.least = uses.empty() ? 0 : uses.front().offset;
  axis.reach = uses.empty() ? 0 : uses.back().offset - axis.least;
  for (size_t i = 0; i < uses.size();) {
    int64_t offset = uses[i].offset;
    std::vector<int64_t> phases;
    for (; i < uses.size() && uses[i].offset == offset; ++i) {
      phases.push_back(uses[i].phase);
    }
    auto same = std::find_if(
        axis.classes.begin(), axis.classes.end(), [&](const OffsetClass& c) {
          return c.phases == phases;
        });
    if (same == axis.classes.end()) {
      axis.classes.push_back({phases, {offset}});
    } else {
      same->offsets.push_back(offset);
    }
  }
  // The widest first: they can start the sums of all columns.
  std::stable_sort(
      axis.classes.begin(),
      axis.classes.end(),
      [](const OffsetClass& a, const OffsetClass& b) {
        return a.phases.size() > b.phases.size();
      });
  return axis;
}

StripPlan::StripPlan(const Geometry& geometry)
    : g(geometry),
      axis{
          strip_axis(geometry, 0),
          strip_axis(geometry, 1),
          strip_axis(geometry, 2)} {}

std::vector<StripBox> StripPlan::boxes() const {
  auto pieces = pieces_of(g, columns());
  std::vector<StripBox> boxes;
  Triple part;
  for (int64_t group = 0; group < g.groups; ++group) {
    for (int64_t n = 0; n < pieces[kAxes]; ++n) {
      for (part[0] = 0; part[0] < pieces[0]; ++part[0]) {
        for (part[1] = 0; part[1] < pieces[1]; ++part[1]) {
          for (part[2] = 0; part[2] < pieces[2]; ++part[2]) {
            StripBox box{group, g.batch * n / pieces[kAxes], 0, {}, {}, {}};
            box.images = g.batch * (n + 1) / pieces[kAxes] - box.image;
            for (int a = 0; a < kAxes; ++a) {
              int64_t positions = axis[a].positions;
              box.first[a] = positions * part[a] / pieces[a];
              box.extent[a] =
                  positions * (part[a] + 1) / pieces[a] - box.first[a];
              box.source[a] = box.extent[a] + axis[a].reach;
            }
            boxes.push_back(box);
          }
        }
      }
    }
  }
  return boxes;
}

int64_t StripPlan::channels_at_once(int64_t pixels) const {
  int64_t most = std::clamp(
      kMaxStrip / std::max<int64_t>(pixels, 1), kVector, kPanelColumns);
  int64_t parts = divide_up(std::max<int64_t>(g.group_in(), 1), most);
  return std::max<int64_t>(divide_up(g.group_in(), parts), 1);
}

std::vector<StripCall> strip_calls(const StripPlan& plan, int64_t channels) {
  int64_t tile_rows = kernels<float>().tile_rows;
  std::vector<StripCall> calls;
  auto each =
      [&](const OffsetClass& z, const OffsetClass& y, const OffsetClass& x) {
        std::vector<int64_t> columns;
        for (int64_t a : z.phases) {
          for (int64_t b : y.phases) {
            for (int64_t c : x.phases) {
              for (int64_t o = 0; o < plan.g.group_out(); ++o) {
                columns.push_back(plan.column(a, b, c, o));
              }
            }
          }
        }
        std::vector<std::vector<StripCall::Step>> chunks;
        int64_t room = 0;
        for (int64_t a : z.offsets) {
          for (int64_t b : y.offsets) {
            for (int64_t c : x.offsets) {
              if (room < channels) {
                chunks.emplace_back();
                room = kPanelColumns;
              }
              Triple offset = {
                  a - plan.axis[0].least,
                  b - plan.axis[1].least,
                  c - plan.axis[2].least};
              chunks.back().push_back({offset, channels});
              room -= channels;
            }
          }
        }
        auto total = static_cast<int64_t>(columns.size());
        int64_t tiles = divide_up(total, tile_rows);
        for (int64_t t = 0; t < tiles; ++t) {
          int64_t first = total * t / tiles;
          int64_t last = total * (t + 1) / tiles;
          for (auto& chunk : chunks) {
            StripCall call{chunk, {}, static_cast<int>(last - first), false, 0};
            std::copy(
                columns.begin() + first, columns.begin() + last, call.columns);
            calls.push_back(call);
          }
        }
      };
  for (auto& z : plan.axis[0].classes) {
    for (auto& y : plan.axis[1].classes) {
      for (auto& x : plan.axis[2].classes) {
        each(z, y, x);
      }
    }
  }
  return calls;
}

std::vector<int64_t> start_sums(
    const StripPlan& plan,
    std::vector<StripCall>& calls) {
  std::vector<bool> is_met(plan.columns());
  std::vector<bool> is_started(plan.columns());
  for (auto& call : calls) {
    call.starts = true;
    for (int i = 0; i < call.rows; ++i) {
      call.starts = call.starts && !is_met[call.columns[i]];
    }
    for (int i = 0; i < call.rows; ++i) {
      is_met[call.columns[i]] = true;
      is_started[call.columns[i]] = is_started[call.columns[i]] || call.starts;
    }
  }
  std::vector<int64_t> others;
  for (int64_t j = 0; j < plan.columns(); ++j) {
    if (!is_started[j]) {
      others.push_back(j);
    }
  }
  return others;
}

} // namespace mlx_convt::cpu
