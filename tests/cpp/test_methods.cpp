// The sizes at which products are computed in another way: weights in place,
// packed as they are met or all at once; taps skipped tile by tile; strips of
// several boxes and slices of channels.
#include "cpu/correlate.h"
#include "cpu/isa/kernels.h"
#include "cpu/strip_plan.h"
#include "cpu/tile_method.h"
#include "problem_case.h"

namespace {

using namespace test;
using mlx_convt::cpu::kernels;
using mlx_convt::cpu::kPanelColumns;

constexpr int64_t kBlockRowsAlone =
    mlx_convt::cpu::TileMethod<float>::kBlockRowsAlone;

// Rows are input positions, those of Output's phases too.
TEST(every_way_to_meet_the_weights_is_exact) {
  Random random(51);
  int64_t lanes = kernels<float>().lanes;
  int64_t tile = kernels<float>().tile_rows;
  for (int64_t rows :
       {int64_t(1),
        tile - 1,
        tile,
        tile + 1,
        kBlockRowsAlone + 1,
        2 * kBlockRowsAlone,
        2 * kBlockRowsAlone + 1}) {
    // The columns of InputGrad, in place where they are whole vectors.
    for (int64_t columns : {lanes, 3 * lanes, 2 * lanes + 1}) {
      check_exact(
          random,
          Contraction::InputGrad,
          make_geometry({1, rows, columns}, {9, 3, columns}, 2, 1));
      check_exact(
          random,
          Contraction::Output,
          make_geometry({1, rows, 9}, {columns, 3, 9}, 1, 1));
    }
    // Phases as columns, more than one chunk of the reduction, two groups.
    check_exact(
        random,
        Contraction::Output,
        make_geometry({1, rows, 7}, {13, 6, 7}, 3, 2));
    check_exact(
        random,
        Contraction::InputGrad,
        make_geometry({1, rows, lanes}, {kPanelColumns + 3, 2, lanes}, 2));
    check_exact(
        random,
        Contraction::Output,
        make_geometry({1, rows, kPanelColumns + 3}, {lanes + 1, 2, 259}, 2));
    for (auto contraction : {Contraction::Output, Contraction::InputGrad}) {
      check_exact(
          random,
          contraction,
          make_geometry({1, rows, 4 * lanes}, {6, 2, 2 * lanes}, 1, 0, 1, 2));
    }
  }
}

// Units of more columns than are packed at once.
TEST(many_columns_are_exact) {
  Random random(52);
  for (int64_t columns : {511, 513, 1040}) {
    check_exact(
        random,
        Contraction::InputGrad,
        make_geometry({1, 40, columns}, {3, 3, columns}, 2, 1));
    check_exact(
        random,
        Contraction::Output,
        make_geometry({1, 40, 3}, {columns, 3, 3}, 2, 1));
  }
}

// Results past the caches: whole rows, and rows beside a cache line.
TEST(results_too_large_for_a_cache_are_exact) {
  Random random(57);
  auto* polyphase = mlx_convt::cpu::find_algorithm("polyphase");
  for (auto& g :
       {make_geometry({1, 2100, 2}, {1024, 2, 2}, 2),
        make_geometry({1, 60, 61, 3}, {291, 4, 4, 3}, 2, 1)}) {
    auto arrays = random_arrays(random, g, true);
    auto exact = expected(Contraction::Output, g, arrays);
    for (auto scalar : {Scalar::F32, Scalar::BF16, Scalar::F64}) {
      Problem problem{Contraction::Output, g, scalar, true};
      CHECK(exact.size() * sizeof(float) >= mlx_convt::cpu::kLargeResult);
      Note note(show(problem));
      CHECK_EQUAL(
          difference(
              computed(polyphase, problem, arrays), rounded(scalar, exact)),
          "");
    }
  }
}

// Maps of which many rows lie at an edge, walked image by image and position
// by position; the taps that tiles skip begin, end and interrupt a chunk.
TEST(taps_skipped_tile_by_tile_leave_exact_sums) {
  Random random(53);
  for (int64_t batch : {1, 5, 40}) {
    for (int64_t pixels : {1, 2, 4, 8, 9}) {
      for (int64_t channels : {3, 20, 100}) {
        for (auto contraction : {Contraction::Output, Contraction::InputGrad}) {
          check_exact(
              random,
              contraction,
              make_geometry(
                  {batch, pixels, pixels, channels},
                  {5, 5, 5, channels},
                  batch == 5 ? 2 : 1,
                  2));
          check_exact(
              random,
              contraction,
              make_geometry(
                  {batch, pixels, 3, 5}, {channels, 3, 3, 5}, 1, 3, 3));
        }
      }
    }
  }
  // No tap is left in the middle, of all tiles or of some.
  for (int64_t batch : {1, 40}) {
    for (auto contraction : {Contraction::Output, Contraction::InputGrad}) {
      check_exact(
          random,
          contraction,
          make_geometry({batch, 2, 2, 4}, {3, 2, 2, 4}, 1, 3, 7));
      check_exact(
          random,
          contraction,
          make_geometry({batch, 4, 3, 2, 20}, {3, 3, 3, 3, 20}, 1, 1));
    }
  }
}

void check_strip(Random& random, const Geometry& g, bool has_bias) {
  auto* strip = mlx_convt::cpu::find_algorithm("strip");
  auto arrays = random_arrays(random, g, has_bias);
  auto exact = expected(Contraction::Output, g, arrays);
  for (auto scalar : kScalars) {
    Problem problem{Contraction::Output, g, scalar, has_bias};
    Note note(show(problem));
    CHECK_EQUAL(strip->why_not(problem), "");
    CHECK_EQUAL(
        difference(computed(strip, problem, arrays), rounded(scalar, exact)),
        "");
  }
}

// Lines around whole vectors and the stretches of a box, several boxes along
// each axis and the batch.
TEST(strips_of_any_size_are_exact) {
  Random random(54);
  int64_t lanes = kernels<float>().lanes;
  for (int64_t width :
       {int64_t(1),
        lanes - 1,
        lanes,
        lanes + 1,
        8 * lanes - 2,
        8 * lanes + 1,
        int64_t(255),
        int64_t(257),
        int64_t(700)}) {
    bool has_bias = width % 2;
    check_strip(
        random, make_geometry({1, width, 5}, {3, 4, 5}, 2, 1), has_bias);
    check_strip(
        random, make_geometry({2, 5, width, 3}, {1, 3, 5, 3}, 1, 2), has_bias);
    check_strip(
        random,
        make_geometry({1, 3, width, 4}, {4, 5, 3, 2}, 3, 1, 1, 2),
        true);
  }
  check_strip(random, make_geometry({3, 60, 50, 2}, {3, 5, 4, 2}, 2, 1), true);
  check_strip(random, make_geometry({300, 3, 4, 3}, {2, 3, 3, 3}, 2), false);
  check_strip(
      random, make_geometry({2, 9, 20, 30, 2}, {2, 3, 3, 3, 2}, 1, 1), true);
  check_strip(random, make_geometry({1, 400, 2}, {5, 9, 2}, 3, 20, 5), true);
  check_strip(random, make_geometry({1, 70, 3}, {2, 3, 3}, 5, 0, 2), false);
}

// More channels than a strip or a panel holds, and more results per position
// than a tile has rows.
TEST(strips_of_many_channels_are_exact) {
  Random random(55);
  for (int64_t channels : {64, 129, 256, 257, 600}) {
    check_strip(
        random, make_geometry({1, 50, channels}, {3, 3, channels}, 2, 1), true);
    check_strip(
        random,
        make_geometry({1, 20, 70, channels}, {1, 3, 3, channels}, 1, 1),
        false);
  }
  for (int64_t c_out : {13, 14, 15, 29, 64}) {
    check_strip(
        random, make_geometry({1, 4, 9, 5}, {c_out, 4, 4, 5}, 2, 1), true);
  }
}

// Outputs of fewer pixels than the stride, and of a part of the last position.
TEST(strips_of_cropped_outputs_are_exact) {
  Random random(56);
  for (int64_t stride : {3, 5, 7}) {
    for (int64_t out = 1; out <= 2 * stride + 1; ++out) {
      for (int64_t padding : {0, 2, 4}) {
        for (int64_t kernel : {1, 3, 9}) {
          auto g =
              make_geometry({2, 3, 4, 6}, {4, kernel, 9, 3}, stride, 0, 1, 2);
          g.out = {1, out, out + 1};
          g.padding = {0, padding, 1};
          check_strip(random, g, padding == 2);
        }
      }
    }
  }
}

} // namespace
