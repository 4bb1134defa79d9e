// The products of a strip: every position in one box, every pair of a phase
// and a tap in one call, every pixel that they read inside the strip.
#include <algorithm>
#include <map>
#include <set>

#include "check.h"
#include "cpu/correlate.h"
#include "cpu/strip_plan.h"
#include "random_geometry.h"

namespace {

using namespace mlx_convt::cpu;
using test::Dims;
using test::Geometry;
using test::Note;
using test::Random;
using test::Term;
using test::Triple;

// Wide strides leave phases without taps; outputs may be narrower than both.
constexpr test::Limits kLimits{5, 7, 5, 7, 3, 6, 4, 3};

// All that an axis joins, as the formula says it.
void check_axis(const Geometry& g, int a) {
  auto axis = strip_axis(g, a);
  CHECK_EQUAL(axis.phases, std::min(g.stride[a], g.out[a]));
  CHECK_EQUAL(axis.positions, divide_up(g.out[a], g.stride[a]));
  std::vector<Term> terms;
  std::set<std::vector<int64_t>> phases;
  std::set<int64_t> offsets;
  for (auto& [of_class, used] : axis.classes) {
    CHECK(!of_class.empty() && phases.insert(of_class).second);
    for (int64_t offset : used) {
      CHECK(offsets.insert(offset).second);
      for (int64_t phase : of_class) {
        CHECK(phase >= 0 && phase < axis.phases);
        int64_t distance = phase + g.padding[a] - offset * g.stride[a];
        int64_t kernel = distance / g.dilation[a];
        CHECK_EQUAL(kernel * g.dilation[a], distance);
        CHECK(kernel >= 0 && kernel < g.kernel[a]);
        for (int64_t p = 0; p < axis.positions; ++p) {
          int64_t in = p + offset, out = p * g.stride[a] + phase;
          if (in >= 0 && in < g.in[a] && out < g.out[a]) {
            terms.push_back({in, kernel, out});
          }
        }
      }
    }
  }
  std::sort(terms.begin(), terms.end());
  CHECK(terms == test::terms_of(g, a));
  if (!offsets.empty()) {
    CHECK_EQUAL(axis.least, *offsets.begin());
    CHECK_EQUAL(axis.reach, *offsets.rbegin() - axis.least);
  }
}

TEST(offset_classes_join_what_the_formula_joins) {
  Random random(41);
  for (int i = 0; i < 3000; ++i) {
    auto g = test::random_call(random, kLimits).geometry;
    Note note(test::show(g));
    for (int a = 0; a < test::kAxes; ++a) {
      check_axis(g, a);
    }
  }
}

void check_boxes(const Geometry& g) {
  StripPlan plan(g);
  using Position = std::array<int64_t, 5>;
  std::set<Position> seen;
  for (auto& box : plan.boxes()) {
    CHECK(box.images > 0);
    for (int a = 0; a < test::kAxes; ++a) {
      CHECK(box.extent[a] > 0);
      CHECK_EQUAL(box.source[a], box.extent[a] + plan.axis[a].reach);
    }
    std::set<int64_t> places;
    auto& [zs, ys, xs] = box.extent;
    for (int64_t n = 0; n < box.images; ++n) {
      for (int64_t z = 0; z < zs; ++z) {
        for (int64_t y = 0; y < ys; ++y) {
          for (int64_t x = 0; x < xs; ++x) {
            places.insert(box.place(n, z, y, x));
            CHECK(seen.insert({box.group,
                               box.image + n,
                               box.first[0] + z,
                               box.first[1] + y,
                               box.first[2] + x})
                      .second);
          }
        }
      }
    }
    // The last position's last pixel is the strip's.
    CHECK_EQUAL(static_cast<int64_t>(places.size()), box.images * zs * ys * xs);
    auto& [deep, high, wide] = box.source;
    CHECK_EQUAL(*places.begin(), 0);
    CHECK_EQUAL(
        box.place(box.images - 1, deep - 1, high - 1, wide - 1),
        box.pixels() - 1);
    // Any pixel of the source that a step reads lies as far from it
    // everywhere.
    CHECK_EQUAL(
        box.place(0, zs - 1, ys - 1, xs - 1) +
            box.place(0, deep - zs, high - ys, wide - xs),
        box.place(0, deep - 1, high - 1, wide - 1));
  }
  Position most{g.groups, g.batch, 0, 0, 0};
  int64_t count = g.groups * g.batch;
  for (int a = 0; a < test::kAxes; ++a) {
    most[2 + a] = plan.axis[a].positions;
    count *= plan.axis[a].positions;
  }
  CHECK_EQUAL(static_cast<int64_t>(seen.size()), count);
  for (auto& position : seen) {
    for (size_t i = 0; i < position.size(); ++i) {
      CHECK(position[i] >= 0 && position[i] < most[i]);
    }
  }
}

// At most what was promised when the algorithm was asked whether it can run.
void check_values(const Geometry& g) {
  StripPlan plan(g);
  CHECK_EQUAL(strip_columns(g), static_cast<double>(plan.columns()));
  for (auto& box : plan.boxes()) {
    int64_t pixels = box.pixels();
    int64_t channels = plan.channels_at_once(pixels);
    CHECK(channels > 0 && channels <= kPanelColumns);
    CHECK(
        static_cast<double>(pixels * (plan.columns() + channels)) <=
        strip_values(g));
  }
}

TEST(boxes_hold_each_position_once) {
  Random random(42);
  for (int i = 0; i < 400; ++i) {
    auto limits = kLimits;
    if (i % 4 == 0) {
      limits.batch = 60;
    } else if (i % 4 == 1) {
      limits.in = 40;
      limits.stride = 2;
    }
    auto g = test::random_call(random, limits).geometry;
    Note note(test::show(g));
    check_boxes(g);
    check_values(g);
  }
}

// Lines and images of more positions than a box has.
TEST(large_maps_are_cut_into_boxes) {
  Random random(43);
  for (auto& in :
       {Triple{1, 1, 9000}, {1, 70, 600}, {1, 300, 40}, {30, 30, 30}}) {
    auto g = test::random_call(random, kLimits).geometry;
    g.in = g.out = in;
    g.stride = {1, 1, 1};
    for (int64_t c_out : {1, 4, 60}) {
      g.groups = 1;
      g.c_out = c_out;
      Note note(test::show(g));
      CHECK(StripPlan(g).boxes().size() > 1);
      check_boxes(g);
      check_values(g);
    }
  }
}

// Each (column, offset) that the classes name in one call, for all channels.
void check_calls(const Geometry& g, int64_t channels) {
  StripPlan plan(g);
  std::map<std::pair<int64_t, Triple>, int64_t> seen;
  for (auto& call : strip_calls(plan, channels)) {
    CHECK(call.rows > 0 && call.rows <= kernels<float>().tile_rows);
    CHECK(call.rows <= kStripTileRows && !call.steps.empty());
    int64_t depth = 0;
    for (auto& step : call.steps) {
      CHECK_EQUAL(step.channels, channels);
      depth += step.channels;
      for (int i = 0; i < call.rows; ++i) {
        CHECK(call.columns[i] >= 0 && call.columns[i] < plan.columns());
        ++seen[{call.columns[i], step.offset}];
      }
    }
    CHECK(depth <= kPanelColumns);
  }
  size_t pairs = 0;
  for (auto& z : plan.axis[0].classes) {
    for (auto& y : plan.axis[1].classes) {
      for (auto& x : plan.axis[2].classes) {
        for (int64_t a : z.phases) {
          for (int64_t b : y.phases) {
            for (int64_t c : x.phases) {
              for (int64_t o = 0; o < g.group_out(); ++o) {
                int64_t phase =
                    (a * plan.axis[1].phases + b) * plan.axis[2].phases + c;
                int64_t column = phase * g.group_out() + o;
                for (int64_t d : z.offsets) {
                  for (int64_t h : y.offsets) {
                    for (int64_t w : x.offsets) {
                      Triple offset{
                          d - plan.axis[0].least,
                          h - plan.axis[1].least,
                          w - plan.axis[2].least};
                      auto times = seen[{column, offset}];
                      CHECK_EQUAL(times, 1);
                      ++pairs;
                    }
                  }
                }
              }
            }
          }
        }
      }
    }
  }
  CHECK_EQUAL(seen.size(), pairs);
}

TEST(calls_hold_each_phase_and_tap_once) {
  Random random(44);
  for (int i = 0; i < 300; ++i) {
    auto g = test::random_call(random, kLimits).geometry;
    int64_t channels = i % 3 ? random(1, 40) : random(100, kPanelColumns);
    Note note(test::show(g) + "; channels = " + test::show(channels));
    check_calls(g, channels);
  }
}

// A column's first call starts its sum, or it is one of those that start as
// zeros; later calls add to it.
TEST(each_sum_starts_once) {
  Random random(45);
  int started = 0, others = 0;
  for (int i = 0; i < 2000; ++i) {
    // Enough columns for tiles that hold some that were met and some that not.
    auto g = test::random_call(random, {1, 5, 9, 6, 3, 1, 20, 1}).geometry;
    StripPlan plan(g);
    auto calls = strip_calls(plan, random(1, kPanelColumns));
    auto zeros = start_sums(plan, calls);
    std::set<int64_t> has_value(zeros.begin(), zeros.end());
    Note note(test::show(g));
    CHECK_EQUAL(has_value.size(), zeros.size());
    for (auto& call : calls) {
      for (int r = 0; r < call.rows; ++r) {
        CHECK_EQUAL(has_value.count(call.columns[r]), call.starts ? 0u : 1u);
        has_value.insert(call.columns[r]);
      }
      started += call.starts;
    }
    others += !zeros.empty();
    CHECK_EQUAL(static_cast<int64_t>(has_value.size()), plan.columns());
    CHECK(calls.empty() || calls.front().starts);
  }
  CHECK(started > 0 && others > 0);
}

// Asked whether it could run, it does not divide by what there is none of.
TEST(bounds_of_empty_problems_exist) {
  auto g = test::make_geometry({2, 3, 3, 4}, {4, 3, 3, 4}, 2);
  for (auto size : {&Geometry::batch, &Geometry::c_in, &Geometry::c_out}) {
    auto empty = g;
    empty.*size = 0;
    CHECK(strip_values(empty) >= 0);
  }
  g.out = {1, 0, 3};
  CHECK(strip_values(g) >= 0);
}

} // namespace
