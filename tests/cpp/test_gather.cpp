// Columns of panels: every value of a box once, from the right pixel.
#include "check.h"
#include "cpu/gather.h"
#include "random_geometry.h"

namespace {

using namespace mlx_convt::cpu;
using test::Note;
using test::Random;
using test::Triple;

constexpr test::Limits kLimits{4, 8, 6, 4, 3, 4, 4, 3};

struct Column {
  Triple tap;
  int64_t channel;

  auto operator<=>(const Column&) const = default;
};

std::vector<Column> columns_of(const std::vector<Piece>& pieces) {
  std::vector<Column> columns;
  for (auto& piece : pieces) {
    CHECK(piece.columns() > 0);
    for (int64_t t = 0; t < piece.taps; ++t) {
      for (int64_t c = 0; c < piece.channels; ++c) {
        columns.push_back(
            {{piece.tap[0], piece.tap[1], piece.tap[2] + t},
             piece.channel + c});
      }
    }
  }
  return columns;
}

std::vector<Column> columns_of(const TapBox& box, int64_t channels) {
  std::vector<Column> columns;
  Triple tap;
  for (tap[0] = box.first[0]; tap[0] < box.last[0]; ++tap[0]) {
    for (tap[1] = box.first[1]; tap[1] < box.last[1]; ++tap[1]) {
      for (tap[2] = box.first[2]; tap[2] < box.last[2]; ++tap[2]) {
        for (int64_t c = 0; c < channels; ++c) {
          columns.push_back({tap, c});
        }
      }
    }
  }
  return columns;
}

// A box of some of the phase's taps, sometimes empty.
TapBox random_box(Random& random, const Phase& phase) {
  auto box = all_taps(phase);
  for (int a = 0; a < test::kAxes; ++a) {
    box.first[a] = random(0, box.last[a]);
    box.last[a] = random(box.first[a], box.last[a]);
  }
  return random(0, 1) ? box : all_taps(phase);
}

TEST(chunks_hold_each_column_once_within_the_limit) {
  Random random(8);
  for (int i = 0; i < 2000; ++i) {
    auto g = test::random_call(random, kLimits).geometry;
    auto plan = i % 2 ? output_plan(g, false) : input_grad_plan(g);
    auto phase = plan.phase(random(0, plan.phases() - 1));
    auto box = random_box(random, phase);
    int64_t channels = random(0, 12);
    int64_t limit = random(1, 30);
    bool dense = random(0, 1);
    Note note(
        test::show(g) + "; channels, limit, dense = " +
        test::show(Triple{channels, limit, dense}));
    std::vector<Column> columns;
    for (auto& chunk : chunk_columns(phase, box, channels, dense, limit)) {
      auto part = columns_of(chunk);
      CHECK(!part.empty() && static_cast<int64_t>(part.size()) <= limit);
      columns.insert(columns.end(), part.begin(), part.end());
      for (auto& piece : chunk) {
        // Taps of a piece are one stretch of the source.
        CHECK(
            piece.taps == 1 ||
            (dense && piece.channels == channels &&
             phase.axis[2]->taps_are_adjacent()));
      }
    }
    CHECK(columns == columns_of(box, channels));
  }
}

// The value that the panel must hold, zero outside the source.
template <typename S>
double pixel(
    const Source<S>& source,
    const Phase& phase,
    int64_t image,
    const Triple& position,
    const Column& column) {
  int64_t index = image;
  for (int a = 0; a < test::kAxes; ++a) {
    auto& axis = *phase.axis[a];
    int64_t at =
        position[a] * axis.source_step + axis.taps[column.tap[a]].offset;
    if (at < 0 || at >= source.extent[a]) {
      return 0;
    }
    index = index * source.extent[a] + at;
  }
  return test::decode(
      source.data
          [index * source.channels + source.first_channel + column.channel]);
}

template <typename S>
void check_panel(
    Random& random,
    const test::Geometry& g,
    const Plan& plan,
    bool is_output) {
  auto& extent = is_output ? g.in : g.out;
  int64_t channels = is_output ? g.c_in : g.c_out;
  int64_t pixels = g.batch * extent[0] * extent[1] * extent[2];
  // No zeros, so that a zero in the panel is the padding's.
  std::vector<S> data(pixels * channels);
  for (auto& value : data) {
    value = test::encode<S>(static_cast<double>(random(1, 200)));
  }
  int64_t part = channels / g.groups;
  Source<S> source{
      data.data(), extent, g.batch, channels, part * random(0, g.groups - 1)};
  auto phase = plan.phase(random(0, plan.phases() - 1));
  int64_t first = random(0, phase.rows() - 1);
  int64_t rows = std::min(random(1, 40), phase.rows() - first);
  RowBlock block(phase, first, rows);
  for (auto& pieces : chunk_columns(
           phase, all_taps(phase), part, g.groups == 1, random(8, 40))) {
    std::vector<Acc<S>> panel(rows * kPitch<Acc<S>>, Acc<S>(-1));
    gather(panel.data(), source, phase, block, pieces);
    auto columns = columns_of(pieces);
    int wrong = 0;
    auto* row = panel.data();
    for (auto& run : block.runs()) {
      for (int64_t r = 0; r < run.count; ++r, row += kPitch<Acc<S>>) {
        auto position = run.position;
        position[2] += run.across_images ? 0 : r;
        int64_t image = run.image + (run.across_images ? r : 0);
        for (size_t c = 0; c < columns.size(); ++c) {
          wrong += row[c] != pixel(source, phase, image, position, columns[c]);
        }
      }
    }
    CHECK_EQUAL(wrong, 0);
  }
}

TEST(panels_hold_the_pixels_under_the_taps) {
  Random random(9);
  for (int i = 0; i < 2000; ++i) {
    auto g = test::random_call(random, kLimits).geometry;
    Note note(test::show(g));
    bool is_output = i % 2;
    auto plan =
        is_output ? output_plan(g, folds_exactly(g)) : input_grad_plan(g);
    check_panel<float>(random, g, plan, is_output);
    check_panel<double>(random, g, plan, is_output);
    check_panel<Half>(random, g, plan, is_output);
    check_panel<BFloat>(random, g, plan, is_output);
  }
}

} // namespace
