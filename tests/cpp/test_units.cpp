// Units of work: together they write every value of the result once.
#include "check.h"
#include "cpu/correlate.h"
#include "random_geometry.h"

namespace {

using namespace mlx_convt::cpu;
using test::Dims;
using test::Note;
using test::Random;

// How often the units write each value of a result with `channels` channels.
std::vector<int> writes_of(
    const Plan& plan,
    const std::vector<Unit>& units,
    int64_t values,
    int64_t channels,
    int64_t group_channels) {
  std::vector<int> writes(values);
  for (auto& unit : units) {
    auto phase = plan.phase(unit.phase);
    RowBlock block(phase, unit.row, unit.rows);
    for (auto& run : block.runs()) {
      auto target =
          run_target(phase, run, channels, unit.group * group_channels);
      for (int64_t r = 0; r < run.count; ++r) {
        // A folded pixel that does not exist is not written.
        int64_t x = target.x + r * target.x_step;
        for (int64_t c = unit.column; c < unit.column + unit.columns; ++c) {
          int64_t pixel = x + c / group_channels;
          if (pixel >= 0 && pixel < phase.axis[2]->dest_extent) {
            ++writes.at(target.element + r * target.step + c);
          }
        }
      }
    }
  }
  return writes;
}

TEST(units_write_every_value_once) {
  Random random(21);
  for (int i = 0; i < 1000; ++i) {
    test::Limits limits{3, 6, 4, 4, 2, 3, 3, 3};
    if (i % 2) {
      limits.batch = 40;
      limits.in = 3;
    }
    if (i % 10 == 0) {
      limits.group_out = 700;
    }
    auto g = test::random_call(random, limits).geometry;
    bool is_output = random(0, 1);
    auto plan =
        is_output ? output_plan(g, folds_exactly(g)) : input_grad_plan(g);
    int64_t channels = is_output ? g.c_out : g.c_in;
    int64_t pixels = is_output ? g.out_pixels() : g.in_pixels();
    int64_t columns = channels / g.groups * plan.axes[2][0].fold;
    int64_t block_rows = random(1, 120);
    int64_t step = random(1, 32);
    Note note(
        test::show(g) + "; columns, block rows, step = " +
        test::show(Dims{columns, block_rows, step}));
    int64_t threads = random(1, 5);
    auto units = make_units(plan, g.groups, columns, block_rows, step, threads);
    for (auto& unit : units) {
      CHECK(unit.rows > 0 && unit.rows <= block_rows && unit.columns > 0);
      CHECK(unit.column % step == 0 && unit.column + unit.columns <= columns);
    }
    int64_t values = g.batch * pixels * channels;
    auto writes = writes_of(plan, units, values, channels, channels / g.groups);
    CHECK(writes == std::vector<int>(values, 1));
  }
}

} // namespace
