#include "plan.h"

#include <algorithm>

namespace mlx_convt::cpu {
namespace {

// The taps that reach output positions q = phase (mod stride), with the
// source pixel counted from q's own: (phase + padding - k * dilation) must be
// a multiple of the stride.
std::vector<Tap> output_taps(const Geometry& g, int axis, int64_t phase) {
  std::vector<Tap> taps;
  for (int64_t k = g.kernel[axis] - 1; k >= 0; --k) {
    int64_t distance = phase + g.padding[axis] - k * g.dilation[axis];
    if (distance % g.stride[axis] == 0) {
      taps.push_back({k, distance / g.stride[axis]});
    }
  }
  return taps;
}

std::vector<AxisPlan> output_axis(const Geometry& g, int axis) {
  std::vector<AxisPlan> phases;
  int64_t stride = g.stride[axis];
  int64_t out = g.out[axis];
  for (int64_t phase = 0; phase < std::min(stride, out); ++phase) {
    phases.push_back(
        {(out - phase + stride - 1) / stride,
         phase,
         stride,
         out,
         1,
         g.in[axis],
         1,
         output_taps(g, axis, phase)});
  }
  return phases;
}

// Positions start so that every tap's kernel index is a multiple of the
// stride; the first and the last position may hang over the edge.
std::vector<AxisPlan> folded_output_axis(const Geometry& g, int axis) {
  int64_t stride = g.stride[axis];
  int64_t out = g.out[axis];
  int64_t overhang = g.padding[axis] % stride;
  return {
      {(out + overhang + stride - 1) / stride,
       -overhang,
       stride,
       out,
       1,
       g.in[axis],
       stride,
       output_taps(g, axis, -overhang)}};
}

// The phases of the folded axis one by one.
std::vector<AxisPlan> aligned_output_axis(const Geometry& g, int axis) {
  auto folded = folded_output_axis(g, axis)[0];
  std::vector<AxisPlan> phases;
  for (int64_t f = 0; f < folded.fold; ++f) {
    phases.push_back(folded);
    phases.back().fold = 1;
    phases.back().dest_first += f;
    for (auto& tap : phases.back().taps) {
      tap.kernel += f;
    }
  }
  return phases;
}

// How many taps [first, last) meet the source for some coordinate in
// [least, most]; the taps' offsets ascend.
void live_range(
    const AxisPlan& axis,
    int64_t least,
    int64_t most,
    int64_t* first,
    int64_t* last) {
  auto by_offset = [](const Tap& tap, int64_t offset) {
    return tap.offset < offset;
  };
  auto begin = axis.taps.begin();
  auto lower =
      std::lower_bound(begin, axis.taps.end(), -most, by_offset) - begin;
  auto upper =
      std::lower_bound(
          begin, axis.taps.end(), axis.source_extent - least, by_offset) -
      begin;
  *first = std::min<int64_t>(*first, lower);
  *last = std::max<int64_t>(*last, upper);
}

} // namespace

Phase Plan::phase(int64_t index) const {
  int64_t x = index % axes[2].size();
  index /= axes[2].size();
  int64_t y = index % axes[1].size();
  int64_t z = index / axes[1].size();
  return {{&axes[0][z], &axes[1][y], &axes[2][x]}, batch};
}

Plan output_plan(const Geometry& g, bool fold_width) {
  return {
      {output_axis(g, 0),
       output_axis(g, 1),
       fold_width ? folded_output_axis(g, 2) : output_axis(g, 2)},
      g.batch};
}

Plan aligned_output_plan(const Geometry& g, bool fold_width) {
  auto plan = output_plan(g, fold_width);
  for (int a = 0; a < kAxes - 1; ++a) {
    if (aligns(g, a)) {
      plan.axes[a] = aligned_output_axis(g, a);
    }
  }
  return plan;
}

bool aligns(const Geometry& g, int axis) {
  return g.stride[axis] > 1 && g.dilation[axis] == 1 &&
      g.kernel[axis] % g.stride[axis] == 0;
}

bool folds_exactly(const Geometry& g) {
  return aligns(g, 2) && g.groups == 1;
}

Plan input_grad_plan(const Geometry& g) {
  Plan plan{{}, g.batch};
  for (int axis = 0; axis < kAxes; ++axis) {
    std::vector<Tap> taps;
    for (int64_t k = 0; k < g.kernel[axis]; ++k) {
      taps.push_back({k, k * g.dilation[axis] - g.padding[axis]});
    }
    plan.axes[axis] = {
        {g.in[axis],
         0,
         1,
         g.in[axis],
         g.stride[axis],
         g.out[axis],
         1,
         std::move(taps)}};
  }
  return plan;
}

Plan identity_plan(const Geometry& g) {
  Plan plan{{}, g.batch};
  for (int axis = 0; axis < kAxes; ++axis) {
    int64_t in = g.in[axis];
    plan.axes[axis] = {{in, 0, 1, in, 1, in, 1, {{0, 0}}}};
  }
  return plan;
}

double live_share(const Plan& plan) {
  double live = 1;
  double all = 1;
  for (auto& axes : plan.axes) {
    double live_of_axis = 0;
    double all_of_axis = 0;
    for (auto& axis : axes) {
      for (auto& tap : axis.taps) {
        int64_t first = divide_up(-tap.offset, axis.source_step);
        int64_t last =
            divide_up(axis.source_extent - tap.offset, axis.source_step);
        first = std::clamp<int64_t>(first, 0, axis.positions);
        last = std::clamp<int64_t>(last, first, axis.positions);
        live_of_axis += static_cast<double>(last - first);
        all_of_axis += static_cast<double>(axis.positions);
      }
    }
    live *= live_of_axis;
    all *= all_of_axis;
  }
  return all > 0 ? live / all : 0;
}

RowBlock::RowBlock(const Phase& phase, int64_t first, int64_t count)
    : phase_(phase) {
  int64_t height = phase.axis[1]->positions;
  int64_t width = phase.axis[2]->positions;
  int64_t positions = phase.positions();
  bool across_images = phase.is_batch_first();
  int64_t run_length = across_images ? phase.batch : width;
  while (count > 0) {
    int64_t along = first % run_length;
    int64_t run = first / run_length;
    int64_t position = across_images ? run : run * width + along;
    RowRun next{
        std::min(count, run_length - along),
        across_images ? along : position / positions,
        across_images,
        {position / (width * height) % phase.axis[0]->positions,
         position / width % height,
         position % width}};
    runs_.push_back(next);
    first += next.count;
    count -= next.count;
  }
}

TapBox RowBlock::live_taps() const {
  TapBox box;
  for (int a = 0; a < kAxes; ++a) {
    auto& axis = *phase_.axis[a];
    box.first[a] = static_cast<int64_t>(axis.taps.size());
    box.last[a] = 0;
    for (auto& run : runs_) {
      int64_t least = run.position[a] * axis.source_step;
      int64_t most = least;
      if (a == kAxes - 1 && !run.across_images) {
        most += (run.count - 1) * axis.source_step;
      }
      live_range(axis, least, most, &box.first[a], &box.last[a]);
    }
  }
  return box;
}

TapBox all_taps(const Phase& phase) {
  TapBox box{};
  for (int a = 0; a < kAxes; ++a) {
    box.last[a] = static_cast<int64_t>(phase.axis[a]->taps.size());
  }
  return box;
}

std::vector<std::vector<Piece>> chunk_columns(
    const Phase& phase,
    const TapBox& box,
    int64_t channels,
    bool dense,
    int64_t limit) {
  std::vector<std::vector<Piece>> chunks;
  int64_t room = 0;
  auto add = [&](const Piece& piece) {
    if (chunks.empty() || piece.columns() > room) {
      chunks.emplace_back();
      room = limit;
    }
    chunks.back().push_back(piece);
    room -= piece.columns();
  };
  if (box.is_empty() || channels == 0) {
    return chunks;
  }
  bool join = dense && phase.axis[2]->taps_are_adjacent();
  int64_t taps_at_once = join ? std::max<int64_t>(1, limit / channels) : 1;
  Triple tap;
  for (tap[0] = box.first[0]; tap[0] < box.last[0]; ++tap[0]) {
    for (tap[1] = box.first[1]; tap[1] < box.last[1]; ++tap[1]) {
      for (tap[2] = box.first[2]; tap[2] < box.last[2];) {
        int64_t taps = std::min(taps_at_once, box.last[2] - tap[2]);
        if (channels <= limit) {
          add({tap, taps, 0, channels});
        } else {
          for (int64_t c = 0; c < channels; c += limit) {
            add({tap, 1, c, std::min(limit, channels - c)});
          }
        }
        tap[2] += taps;
      }
    }
  }
  return chunks;
}

} // namespace mlx_convt::cpu
