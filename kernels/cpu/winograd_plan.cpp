#include "winograd_plan.h"

#include <algorithm>

namespace mlx_convt::cpu {
namespace {

std::vector<TapPair> pairs_of(const AxisPlan& plan) {
  std::vector<TapPair> pairs;
  std::vector<bool> is_taken(plan.taps.size());
  auto by_offset = [](const Tap& tap, int64_t offset) {
    return tap.offset < offset;
  };
  for (size_t i = 0; i < plan.taps.size(); ++i) {
    if (is_taken[i]) {
      continue;
    }
    int64_t wanted = plan.taps[i].offset + plan.source_step;
    auto next = std::lower_bound(
        plan.taps.begin() + i, plan.taps.end(), wanted, by_offset);
    bool is_pair = next != plan.taps.end() && next->offset == wanted;
    auto second = is_pair ? next - plan.taps.begin() : TapPair::kNone;
    if (is_pair) {
      is_taken[second] = true;
    }
    pairs.push_back({static_cast<int64_t>(i), second});
  }
  return pairs;
}

} // namespace

WinogradAxis::WinogradAxis(const AxisPlan& axis)
    : plan(&axis), pairs(pairs_of(axis)), is_joined(true) {
  cells = divide_up(axis.positions, 2);
  int64_t direct = axis.positions * static_cast<int64_t>(axis.taps.size());
  if (cells * products() >= direct) {
    is_joined = false;
    cells = axis.positions;
    pairs.clear();
    for (size_t i = 0; i < axis.taps.size(); ++i) {
      pairs.push_back({static_cast<int64_t>(i), TapPair::kNone});
    }
  }
}

int64_t WinogradAxis::products() const {
  int64_t count = 0;
  for (int64_t pair = 0; pair < static_cast<int64_t>(pairs.size()); ++pair) {
    for (int point = 0; point < points(); ++point) {
      count += has(pair, point);
    }
  }
  return count;
}

Triple WinogradPhase::point(int index) const {
  Triple point;
  for (int a = kAxes - 1; a >= 0; --a) {
    point[a] = index % axis[a]->points();
    index /= axis[a]->points();
  }
  return point;
}

int64_t WinogradPhase::columns(
    const std::vector<Slab>& slabs,
    const Triple& point) const {
  int64_t count = 0;
  for (auto& slab : slabs) {
    count += has(slab, point) ? slab.channels : 0;
  }
  return count;
}

int64_t WinogradPhase::columns(const std::vector<Slab>& slabs) const {
  int64_t count = 0;
  for (int i = 0; i < points(); ++i) {
    count += columns(slabs, point(i));
  }
  return count;
}

std::vector<std::vector<Slab>> WinogradPhase::chunks(
    int64_t channels,
    int64_t limit) const {
  std::vector<std::vector<Slab>> chunks;
  int64_t room = 0;
  auto count = [&](int a) { return std::ssize(axis[a]->pairs); };
  Triple pair;
  for (pair[0] = 0; pair[0] < count(0); ++pair[0]) {
    for (pair[1] = 0; pair[1] < count(1); ++pair[1]) {
      for (pair[2] = 0; pair[2] < count(2); ++pair[2]) {
        for (int64_t c = 0; c < channels; c += limit) {
          int64_t some = std::min(limit, channels - c);
          if (some > room) {
            chunks.emplace_back();
            room = limit;
          }
          chunks.back().push_back({pair, c, some});
          room -= some;
        }
      }
    }
  }
  return chunks;
}

WinogradPlan::WinogradPlan(const Plan& plan) : batch(plan.batch) {
  for (int a = 0; a < kAxes; ++a) {
    for (auto& axis : plan.axes[a]) {
      axes[a].emplace_back(axis);
    }
  }
}

WinogradPhase WinogradPlan::phase(int64_t index) const {
  WinogradPhase phase{{}, batch};
  for (int a = kAxes - 1; a >= 0; --a) {
    auto count = std::ssize(axes[a]);
    phase.axis[a] = &axes[a][index % count];
    index /= count;
  }
  return phase;
}

std::vector<std::vector<int64_t>> WinogradPlan::sets() const {
  auto is_same = [](const AxisPlan& a, const AxisPlan& b) {
    auto same_offset = [](const Tap& x, const Tap& y) {
      return x.offset == y.offset;
    };
    return a.positions == b.positions &&
        std::ranges::equal(a.taps, b.taps, same_offset);
  };
  std::vector<std::vector<int64_t>> sets;
  for (int64_t p = 0; p < phases(); ++p) {
    auto next = phase(p);
    auto set = std::ranges::find_if(sets, [&](auto& some) {
      auto first = phase(some[0]);
      for (int a = 0; a < kAxes; ++a) {
        if (!is_same(*first.axis[a]->plan, *next.axis[a]->plan)) {
          return false;
        }
      }
      return true;
    });
    if (set == sets.end()) {
      sets.push_back({p});
    } else {
      set->push_back(p);
    }
  }
  return sets;
}

} // namespace mlx_convt::cpu
