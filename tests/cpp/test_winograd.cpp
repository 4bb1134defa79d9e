// Minimal filtering: every tap in one pair, every value written once, and the
// same results as the direct sums.
#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "check.h"
#include "cpu/winograd_blocks.h"
#include "cpu/winograd_layout.h"
#include "problem_case.h"

namespace {

using namespace mlx_convt::cpu;
using test::Contraction;
using test::Note;
using test::Random;
using test::Triple;

constexpr test::Limits kLimits{3, 9, 6, 4, 3, 3, 3, 3};

// That of InputGrad, then all of Output.
std::vector<Plan> layouts(const test::Geometry& g) {
  std::vector<Plan> plans{
      input_grad_plan(g), output_plan(g, false), aligned_output_plan(g, false)};
  if (folds_exactly(g)) {
    plans.push_back(output_plan(g, true));
    plans.push_back(aligned_output_plan(g, true));
  }
  return plans;
}

void check_axis(const WinogradAxis& axis) {
  auto& taps = axis.plan->taps;
  std::set<int64_t> seen;
  int64_t products = 0;
  for (auto& pair : axis.pairs) {
    CHECK(seen.insert(pair.first).second);
    products += axis.is_joined ? 2 : 1;
    if (pair.second != TapPair::kNone) {
      CHECK(axis.is_joined);
      CHECK(seen.insert(pair.second).second);
      CHECK_EQUAL(
          taps[pair.second].offset,
          taps[pair.first].offset + axis.plan->source_step);
      ++products;
    }
  }
  CHECK_EQUAL(seen.size(), taps.size());
  CHECK_EQUAL(axis.products(), products);
  // Joined only where that saves products.
  auto direct = axis.plan->positions * static_cast<int64_t>(taps.size());
  CHECK_EQUAL(axis.is_joined, axis.cells * products < direct);
  CHECK(axis.cells * axis.positions_per_cell() >= axis.plan->positions);
}

TEST(pairs_take_every_tap_once) {
  Random random(61);
  for (int i = 0; i < 2000; ++i) {
    auto g = test::random_call(random, kLimits).geometry;
    Note note(test::show(g));
    for (auto& plan : layouts(g)) {
      for (auto& axes : WinogradPlan(plan).axes) {
        for (auto& axis : axes) {
          check_axis(axis);
        }
      }
    }
  }
}

TEST(four_taps_at_stride_two_save_what_they_promise) {
  auto g = test::make_geometry({1, 64, 64, 32}, {32, 4, 4, 32}, 2, 1);
  auto plan = input_grad_plan(g);
  WinogradPlan winograd(plan);
  auto phase = winograd.phase(0);
  CHECK_EQUAL(phase.points(), 9);
  CHECK_EQUAL(phase.rows() * phase.products(), 64 * 64 * 16 * 9 / 16);
  auto folded = aligned_output_plan(g, true);
  WinogradPlan points(folded);
  CHECK_EQUAL(points.phases(), 2);
  CHECK_EQUAL(points.sets().size(), 1U);
  CHECK_EQUAL(points.phase(0).rows() * points.phase(0).products(), 33 * 33 * 9);
}

// How often the units write each value of the result.
std::vector<int> writes_of(
    const WinogradPlan& plan,
    const WinogradSizes& sizes,
    int64_t channels,
    int64_t pixels) {
  std::vector<int> writes(pixels * channels);
  auto sets = winograd_sets(plan, sizes);
  int64_t of_group = channels / sizes.groups;
  for (auto& unit : winograd_units(plan, sizes, sets)) {
    CHECK(unit.rows > 0 && unit.columns > 0);
    for (int64_t p : sets[unit.phase].phases) {
      auto phase = plan.phase(p);
      auto cells = cells_of(phase, unit.row, unit.rows);
      for (auto& target : targets_of(phase, cells, sizes.columns, of_group)) {
        CHECK(target.row < unit.rows);
        int64_t first = std::max(unit.column, target.first);
        int64_t last = std::min(unit.column + unit.columns, target.last);
        for (int64_t c = first; c < last; ++c) {
          ++writes.at(target.pixel * channels + unit.group * of_group + c);
        }
      }
    }
  }
  return writes;
}

TEST(winograd_units_write_every_value_once) {
  Random random(62);
  for (int i = 0; i < 600; ++i) {
    auto limits = kLimits;
    if (i % 10 == 0) {
      limits.group_out = 300;
    }
    auto g = test::random_call(random, limits).geometry;
    Note note(test::show(g));
    auto plans = layouts(g);
    for (size_t j = 0; j < plans.size(); ++j) {
      auto& plan = plans[j];
      bool is_output = j > 0;
      int64_t channels = is_output ? g.c_out : g.c_in;
      int64_t columns = channels / g.groups * plan.axes[2][0].fold;
      WinogradSizes sizes{
          g.groups,
          is_output ? g.group_in() : g.group_out(),
          columns,
          !is_output,
          static_cast<int>(random(1, 4)) * 4,
          static_cast<int>(random(2, 14)),
          static_cast<int>(random(1, 8))};
      int64_t pixels = g.batch * (is_output ? g.out_pixels() : g.in_pixels());
      auto writes = writes_of(WinogradPlan(plan), sizes, channels, pixels);
      CHECK_EQUAL(
          std::count(writes.begin(), writes.end(), 1), std::ssize(writes));
    }
  }
}

// Weights packed once and as they are met, one chunk and several whose sums
// wait, phases that share their panels, wide strides, one to three axes.
TEST(large_winograd_problems_are_exact) {
  Random random(63);
  auto* winograd = find_algorithm("winograd");
  for (auto& g :
       {test::make_geometry({1, 700, 270}, {9, 4, 270}, 2, 1),
        test::make_geometry({1, 700, 9}, {270, 4, 9}, 2, 1),
        test::make_geometry({1, 200, 70}, {40, 16, 70}, 8, 4),
        test::make_geometry({2, 28, 27, 33}, {17, 4, 4, 33}, 2, 1),
        test::make_geometry({1, 13, 12, 280}, {10, 4, 4, 280}, 2, 1),
        test::make_geometry({1, 13, 12, 10}, {280, 4, 4, 10}, 2, 1),
        test::make_geometry({1, 30, 9, 20}, {40, 8, 1, 20}, 4, 0),
        test::make_geometry({2, 9, 9, 20}, {20, 3, 3, 10}, 2, 1, 1, 2),
        test::make_geometry({1, 20, 20, 6}, {70, 3, 3, 6}, 1, 1),
        test::make_geometry({1, 9, 8, 7, 40}, {20, 4, 4, 4, 40}, 2, 1)}) {
    for (auto contraction : {Contraction::Output, Contraction::InputGrad}) {
      for (auto scalar : test::kScalars) {
        bool has_bias = contraction == Contraction::Output && random(0, 1);
        auto arrays = test::random_arrays(random, g, has_bias);
        Problem problem{contraction, g, scalar, has_bias};
        Note note(test::show(problem));
        CHECK_EQUAL(
            test::difference(
                test::computed(winograd, problem, arrays),
                test::rounded(scalar, test::expected(contraction, g, arrays))),
            "");
      }
    }
  }
}

// Else every other test here would pass on what polyphase computes instead.
TEST(finite_winograd_results_are_its_own) {
  Random random(65);
  auto g = test::make_geometry({2, 12, 11, 33}, {34, 4, 4, 33}, 2, 1);
  for (auto contraction : test::kContractions) {
    auto arrays = test::random_arrays(random, g, false);
    for (auto* values : {&arrays.x, &arrays.w, &arrays.y}) {
      for (auto& value : *values) {
        value = value / 7 + 1.0 / 3;
      }
    }
    Problem problem{contraction, g, Scalar::F32, false};
    auto result = test::computed(find_algorithm("winograd"), problem, arrays);
    auto direct = test::computed(find_algorithm("polyphase"), problem, arrays);
    int64_t equal = 0;
    double error = 0;
    double largest = 0;
    for (size_t i = 0; i < result.size(); ++i) {
      equal += result[i] == direct[i];
      error = std::max(error, std::abs(result[i] - direct[i]));
      largest = std::max(largest, std::abs(direct[i]));
    }
    CHECK(equal < std::ssize(result) / 2);
    CHECK(error <= 1e-5 * largest);
  }
}

// d0 - d1 of two infinities is NaN; so are sums that overflow on the way.
TEST(infinities_come_out_as_in_direct_sums) {
  Random random(64);
  auto g = test::make_geometry({1, 12, 11, 17}, {18, 4, 4, 17}, 2, 1);
  auto* winograd = find_algorithm("winograd");
  auto* direct = find_algorithm("polyphase");
  for (auto contraction : {Contraction::Output, Contraction::InputGrad}) {
    auto arrays = test::random_arrays(random, g, false);
    for (double bad : {std::numeric_limits<double>::infinity(), 3e38}) {
      Problem problem{contraction, g, Scalar::F32, false};
      auto some = arrays;
      auto& values = contraction == Contraction::Output ? some.x : some.y;
      for (auto& value : some.w) {
        value = 1;
      }
      for (int i = 0; i < 40; ++i) {
        values[random(0, std::ssize(values) - 1)] = bad;
      }
      auto expected = test::computed(direct, problem, some);
      auto result = test::computed(winograd, problem, some);
      CHECK(std::count_if(expected.begin(), expected.end(), [](double v) {
              return std::isinf(v);
            }) > 0);
      CHECK_EQUAL(test::difference(result, expected), "");
    }
  }
}

} // namespace
