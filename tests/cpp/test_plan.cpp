// Phases, blocks of rows and chunks of columns against the formula itself.
#include <algorithm>
#include <set>

#include "check.h"
#include "cpu/plan.h"
#include "random_geometry.h"

namespace {

using namespace mlx_convt::cpu;
using test::Note;
using test::Random;
using test::Term;

constexpr test::Limits kLimits{3, 9, 6, 5, 3, 3, 3, 2};

// What one axis of a plan joins, and how often it yields each result.
struct Joined {
  std::vector<Term> terms;
  std::vector<int64_t> yields;
};

// `is_output`: the result is the output and the source the input, else the
// other way round.
Joined
joined_by(const std::vector<AxisPlan>& phases, int64_t extent, bool is_output) {
  Joined joined{{}, std::vector<int64_t>(extent)};
  for (auto& axis : phases) {
    CHECK_EQUAL(axis.dest_extent, extent);
    CHECK(axis.positions > 0 || extent == 0);
    CHECK(
        std::is_sorted(
            axis.taps.begin(), axis.taps.end(), [](auto& a, auto& b) {
              return a.offset < b.offset;
            }));
    for (int64_t p = 0; p < axis.positions; ++p) {
      for (int64_t f = 0; f < axis.fold; ++f) {
        int64_t dest = axis.dest_first + p * axis.dest_step + f;
        if (dest < 0 || dest >= extent) {
          CHECK(axis.fold > 1);
          continue;
        }
        ++joined.yields[dest];
        for (auto& tap : axis.taps) {
          int64_t source = p * axis.source_step + tap.offset;
          int64_t kernel = tap.kernel + f;
          if (source >= 0 && source < axis.source_extent) {
            joined.terms.push_back(
                is_output ? Term{source, kernel, dest}
                          : Term{dest, kernel, source});
          }
        }
      }
    }
  }
  std::sort(joined.terms.begin(), joined.terms.end());
  return joined;
}

void check_plan(const Plan& plan, const test::Geometry& g, bool is_output) {
  auto& extent = is_output ? g.out : g.in;
  for (int a = 0; a < test::kAxes; ++a) {
    auto joined = joined_by(plan.axes[a], extent[a], is_output);
    CHECK_EQUAL(joined.yields, std::vector<int64_t>(extent[a], 1));
    CHECK(joined.terms == test::terms_of(g, a));
  }
  // Every combination of the axes' phases, once.
  std::set<std::vector<const AxisPlan*>> seen;
  for (int64_t p = 0; p < plan.phases(); ++p) {
    auto phase = plan.phase(p);
    CHECK_EQUAL(phase.batch, g.batch);
    for (int a = 0; a < test::kAxes; ++a) {
      auto at = phase.axis[a] - plan.axes[a].data();
      CHECK(at >= 0 && at < static_cast<int64_t>(plan.axes[a].size()));
    }
    seen.insert({phase.axis[0], phase.axis[1], phase.axis[2]});
  }
  CHECK_EQUAL(static_cast<int64_t>(seen.size()), plan.phases());
}

TEST(plans_join_what_the_formula_joins) {
  Random random(5);
  int folded = 0;
  for (int i = 0; i < 3000; ++i) {
    auto g = test::random_call(random, kLimits).geometry;
    Note note(test::show(g));
    check_plan(output_plan(g, false), g, true);
    check_plan(input_grad_plan(g), g, false);
    if (folds_exactly(g)) {
      check_plan(output_plan(g, true), g, true);
      CHECK_EQUAL(output_plan(g, true).axes[2].size(), 1u);
      ++folded;
    }
    auto identity = identity_plan(g);
    for (int a = 0; a < test::kAxes; ++a) {
      auto& axis = identity.axes[a][0];
      auto joined = joined_by(identity.axes[a], g.in[a], true);
      CHECK_EQUAL(joined.yields, std::vector<int64_t>(g.in[a], 1));
      CHECK_EQUAL(axis.taps.size(), 1u);
      CHECK_EQUAL(axis.taps[0].offset, 0);
      CHECK_EQUAL(axis.source_extent, g.in[a]);
    }
  }
  CHECK(folded > 50);
}

TEST(kernel_indices_are_row_major) {
  Random random(6);
  for (int i = 0; i < 200; ++i) {
    auto g = test::random_call(random, kLimits).geometry;
    auto plan = input_grad_plan(g); // its taps are the kernel's, in order
    auto phase = plan.phase(0);
    int64_t next = 0;
    test::Triple tap;
    for (tap[0] = 0; tap[0] < g.kernel[0]; ++tap[0]) {
      for (tap[1] = 0; tap[1] < g.kernel[1]; ++tap[1]) {
        for (tap[2] = 0; tap[2] < g.kernel[2]; ++tap[2]) {
          CHECK_EQUAL(phase.kernel_index(g.kernel, tap), next);
          ++next;
        }
      }
    }
    CHECK_EQUAL(phase.taps(), next);
  }
}

struct Row {
  int64_t image;
  test::Triple position;

  auto operator<=>(const Row&) const = default;
};

std::vector<Row> rows_of(const RowBlock& block) {
  std::vector<Row> rows;
  for (auto& run : block.runs()) {
    CHECK(run.count > 0);
    for (int64_t r = 0; r < run.count; ++r) {
      Row row{run.image, run.position};
      (run.across_images ? row.image : row.position[2]) += r;
      rows.push_back(row);
    }
  }
  return rows;
}

// The taps of one axis with their source in range, for any of the rows.
void check_live(
    const Phase& phase,
    const RowBlock& block,
    const std::vector<Row>& rows) {
  auto box = block.live_taps();
  bool any_lives = false;
  for (auto& row : rows) {
    bool lives = true;
    for (int a = 0; a < test::kAxes; ++a) {
      auto& axis = *phase.axis[a];
      int64_t first = -1, last = -1;
      for (size_t t = 0; t < axis.taps.size(); ++t) {
        int64_t source =
            row.position[a] * axis.source_step + axis.taps[t].offset;
        if (source >= 0 && source < axis.source_extent) {
          first = first < 0 ? static_cast<int64_t>(t) : first;
          last = static_cast<int64_t>(t) + 1;
        }
      }
      lives &= first >= 0;
      if (first >= 0) {
        CHECK(box.first[a] <= first && last <= box.last[a]);
        if (rows.size() == 1) {
          CHECK_EQUAL(box.first[a], first);
          CHECK_EQUAL(box.last[a], last);
        }
      }
    }
    any_lives |= lives;
  }
  if (any_lives) {
    CHECK(!box.is_empty());
  } else if (rows.size() == 1) {
    CHECK(box.is_empty());
  }
}

// Row r of a phase is the same pixel however the rows are cut into blocks.
void check_rows(Random& random, const Phase& phase) {
  auto rows = rows_of(RowBlock(phase, 0, phase.rows()));
  CHECK_EQUAL(static_cast<int64_t>(rows.size()), phase.rows());
  std::set<Row> seen(rows.begin(), rows.end());
  CHECK_EQUAL(seen.size(), rows.size());
  for (auto& row : rows) {
    CHECK(row.image >= 0 && row.image < phase.batch);
    for (int a = 0; a < test::kAxes; ++a) {
      CHECK(row.position[a] >= 0 && row.position[a] < phase.axis[a]->positions);
    }
  }
  for (int64_t first = 0, count = 0; first < phase.rows(); first += count) {
    count = std::min(random(1, 12), phase.rows() - first);
    RowBlock block(phase, first, count);
    auto part = rows_of(block);
    CHECK(
        std::equal(
            part.begin(),
            part.end(),
            rows.begin() + first,
            rows.begin() + first + count));
    check_live(phase, block, part);
  }
}

TEST(blocks_hold_each_row_once_and_its_live_taps) {
  Random random(7);
  bool small = false, large = false;
  for (int i = 0; i < 300; ++i) {
    auto limits = kLimits;
    limits.in = i % 3 ? 5 : 14;
    auto g = test::random_call(random, limits).geometry;
    Note note(test::show(g));
    for (auto& plan : {output_plan(g, folds_exactly(g)), input_grad_plan(g)}) {
      for (int64_t p = 0; p < plan.phases(); ++p) {
        auto phase = plan.phase(p);
        check_rows(random, phase);
        auto runs = RowBlock(phase, 0, 1).runs();
        (runs[0].across_images ? small : large) = true;
      }
    }
  }
  CHECK(small && large);
}

} // namespace
