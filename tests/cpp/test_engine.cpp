// Every algorithm x contraction x dtype against the formula.
#include "check.h"
#include "cpu/thread_pool.h"
#include "problem_case.h"

namespace {

using namespace test;
void check_geometry(Random& random, const Geometry& g) {
  for (auto contraction : kContractions) {
    check_exact(random, contraction, g);
  }
}

TEST(random_problems_are_exact) {
  Random random(10);
  for (int i = 0; i < 250; ++i) {
    check_geometry(random, random_call(random, Limits{}).geometry);
  }
}

// Groups of few channels, whose channels fill less or more than a vector.
TEST(narrow_groups_are_exact) {
  Random random(11);
  for (int64_t groups : {1, 2, 3, 5, 16, 63, 64, 65, 130}) {
    for (int i = 0; i < 6; ++i) {
      auto g = random_call(random, {2, 6, 5, 4, 3, 1, 1, 1}).geometry;
      g.groups = groups;
      g.c_in = groups * (i < 3 ? 1 : random(1, 8));
      g.c_out = groups * (i < 2 ? 1 : random(1, 8));
      check_geometry(random, g);
    }
  }
}

// Slices of channels, blocks of rows and of positions, long rows of taps, and
// more taps than fit one.
TEST(large_narrow_groups_are_exact) {
  Random random(21);
  check_geometry(
      random, make_geometry({1, 90, 530}, {530, 3, 1}, 2, 1, 1, 530));
  check_geometry(
      random, make_geometry({1, 20, 330}, {330, 40, 1}, 1, 20, 1, 330));
  check_geometry(random, make_geometry({1, 700, 20}, {20, 13, 1}, 2, 0, 1, 20));
  check_geometry(random, make_geometry({1, 500, 33}, {33, 16, 1}, 4, 6, 3, 33));
  check_geometry(
      random, make_geometry({2, 40, 37, 5}, {5, 7, 7, 1}, 1, 3, 1, 5));
  check_geometry(
      random, make_geometry({2, 73, 33, 16}, {16, 3, 3, 1}, 1, 5, 5, 16));
  check_geometry(
      random, make_geometry({3, 300, 70, 2}, {2, 3, 3, 1}, 2, 1, 1, 2));
  check_geometry(
      random, make_geometry({2, 9, 12, 11, 17}, {17, 3, 3, 3, 1}, 2, 1, 2, 17));
  check_geometry(
      random, make_geometry({1, 60, 60, 6}, {12, 4, 4, 3}, 2, 1, 1, 2));
  check_geometry(
      random, make_geometry({1, 60, 30, 64}, {128, 3, 3, 2}, 2, 1, 1, 32));
}

// Channels around the vectors, the tiles, a panel and a unit of columns.
TEST(channels_around_the_tiles_are_exact) {
  Random random(12);
  for (int64_t channels : {1, 7, 8, 15, 16, 31, 32, 33, 64, 65}) {
    check_geometry(
        random, make_geometry({2, 3, 4, channels}, {33, 3, 3, channels}, 2, 1));
    check_geometry(
        random, make_geometry({2, 4, 3, 16}, {channels, 4, 4, 16}, 2, 1));
  }
  for (int64_t channels : {255, 256, 257, 300, 520}) {
    check_geometry(
        random, make_geometry({1, 2, 2, channels}, {5, 2, 2, channels}, 2));
    check_geometry(
        random, make_geometry({1, 2, 2, 5}, {channels, 2, 2, 5}, 1, 1));
  }
  check_geometry(random, make_geometry({1, 3, 600}, {550, 2, 600}, 2));
}

// Many rows: several blocks, several depths of the weight gradient, several
// threads.
TEST(large_maps_are_exact) {
  Random random(13);
  check_geometry(random, make_geometry({2, 21, 19, 3}, {4, 4, 4, 3}, 2, 1));
  check_geometry(random, make_geometry({1, 40, 33, 8}, {16, 3, 3, 8}, 1, 1));
  check_geometry(
      random, make_geometry({1, 17, 30, 4}, {2, 6, 6, 2}, 3, 2, 1, 2));
  check_geometry(random, make_geometry({3, 700, 4}, {8, 5, 4}, 2, 2, 3));
  check_geometry(random, make_geometry({2, 5, 9, 13, 3}, {4, 2, 2, 2, 3}, 2));
  check_geometry(
      random, make_geometry({1, 30, 30, 66}, {66, 3, 3, 1}, 2, 1, 1, 66));
}

// Lines of few channels, cut into several stretches.
TEST(long_lines_are_exact) {
  Random random(20);
  check_geometry(random, make_geometry({1, 2500, 2}, {3, 5, 2}, 1, 2));
  check_geometry(random, make_geometry({2, 1300, 1}, {1, 4, 1}, 2, 1));
  check_geometry(random, make_geometry({1, 1100, 1}, {4, 3, 1}, 3, 0, 7));
  check_geometry(random, make_geometry({1, 3, 400, 4}, {2, 3, 5, 4}, 3, 4, 2));
  // Few pixels under taps that lie far apart, where memory must not grow.
  check_geometry(random, make_geometry({1, 64, 1}, {2, 2, 1}, 1, 2048, 4096));
  check_geometry(
      random, make_geometry({1, 64, 1}, {1, 2, 1}, 1, 1 << 29, 1 << 30));
}

// Small maps of many images are walked batch first.
TEST(many_images_are_exact) {
  Random random(14);
  check_geometry(random, make_geometry({150, 1, 1, 16}, {8, 4, 4, 16}, 1));
  check_geometry(random, make_geometry({70, 2, 2, 16}, {16, 4, 4, 16}, 2, 1));
  check_geometry(random, make_geometry({70, 8, 8, 2}, {3, 3, 3, 2}, 2, 1));
  check_geometry(random, make_geometry({300, 2, 6}, {6, 3, 3}, 2, 1, 1, 2));
  check_geometry(
      random, make_geometry({40, 3, 3, 32}, {32, 3, 3, 1}, 1, 1, 1, 32));
}

// Kernels that are multiples of the stride: phases become columns.
TEST(folded_problems_are_exact) {
  Random random(15);
  for (int64_t stride : {2, 3, 4}) {
    for (int64_t padding = 0; padding < stride + 1; ++padding) {
      for (int64_t c_out : {1, 2, 3, 16}) {
        check_geometry(
            random,
            make_geometry(
                {2, 3, 6, 7},
                {c_out, 2 * stride, 2 * stride, 7},
                stride,
                padding));
      }
    }
  }
}

TEST(empty_sums_are_zeros_or_bias) {
  Random random(16);
  check_geometry(random, make_geometry({2, 3, 3, 0}, {4, 3, 3, 0}, 2));
  check_geometry(random, make_geometry({2, 3, 3, 4}, {0, 3, 3, 4}, 2));
  check_geometry(random, make_geometry({2, 0, 3, 4}, {4, 5, 5, 4}, 2));
  check_geometry(random, make_geometry({0, 3, 3, 4}, {4, 3, 3, 4}, 2));
  check_geometry(random, make_geometry({0, 3, 3, 4}, {4, 3, 3, 1}, 2, 0, 1, 4));
  // No tap of the strided phases 1 and 2 is left, and wide strides leave gaps.
  check_geometry(random, make_geometry({2, 2, 2, 3}, {2, 1, 1, 3}, 3));
  check_geometry(random, make_geometry({1, 1, 1, 1}, {1, 1, 1, 1}, 1));
  // The padding crops all but the outermost taps.
  check_geometry(random, make_geometry({3, 2, 2, 3}, {5, 7, 7, 3}, 1, 3));
}

// One bad value of the array that padding crops reaches exactly what the
// formula joins it with. The other operand meets the padding's zeros, and so
// may spread its own.
TEST(a_bad_pixel_reaches_only_what_the_formula_joins) {
  Random random(17);
  for (int i = 0; i < 150; ++i) {
    auto g = random_call(random, Limits{}).geometry;
    if (i % 3 == 0) {
      g.c_in = g.c_out = g.groups;
    }
    auto contraction = kContractions[random(0, 2)];
    auto scalar = kScalars[random(0, 3)];
    auto ones = random_arrays(random, g, false);
    for (auto* values : {&ones.x, &ones.w, &ones.y}) {
      values->assign(values->size(), 1);
    }
    auto cropped = [&](Arrays& arrays) -> Values& {
      return contraction == Contraction::Output ? arrays.x : arrays.y;
    };
    auto bad = static_cast<size_t>(
        random(0, static_cast<int64_t>(cropped(ones).size()) - 1));
    auto marked = ones;
    cropped(marked).assign(cropped(ones).size(), 0);
    cropped(marked)[bad] = 1;
    auto reached = expected(contraction, g, marked);
    auto clean = rounded(scalar, expected(contraction, g, ones));
    cropped(ones)[bad] = i % 2 ? std::numeric_limits<double>::infinity()
                               : std::numeric_limits<double>::quiet_NaN();
    Problem problem{contraction, g, scalar, false};
    for_each_algorithm(problem, [&](auto& algorithm) {
      auto result = computed(&algorithm, problem, ones);
      int wrong = 0;
      for (size_t j = 0; j < result.size(); ++j) {
        wrong += reached[j] ? std::isfinite(result[j]) : result[j] != clean[j];
      }
      CHECK_EQUAL(wrong, 0);
    });
  }
}

TEST(the_automatic_choice_is_exact) {
  Random random(18);
  for (int i = 0; i < 200; ++i) {
    auto g = random_call(random, {3, 5, 4, 3, 2, 24, 24, 2}).geometry;
    for (auto contraction : kContractions) {
      Problem problem{contraction, g, kScalars[i % 4], false};
      auto arrays = random_arrays(random, g, false);
      Note note(show(problem));
      CHECK_EQUAL(
          difference(
              computed(nullptr, problem, arrays),
              rounded(problem.scalar, expected(contraction, g, arrays))),
          "");
    }
  }
}

// Inside a loop the pool is busy, so that one thread does everything.
TEST(threads_do_not_change_a_bit) {
  Random random(19);
  for (auto& g :
       {make_geometry({2, 30, 31, 9}, {11, 4, 4, 9}, 2, 1),
        make_geometry({1, 40, 40, 65}, {65, 3, 3, 1}, 2, 1, 1, 65)}) {
    auto arrays = random_arrays(random, g, false);
    for (auto* values : {&arrays.x, &arrays.w, &arrays.y}) {
      for (auto& value : *values) {
        value = static_cast<double>(random(-9999, 9999)) / 9973;
      }
    }
    for (auto contraction : kContractions) {
      Problem problem{contraction, g, Scalar::F32, false};
      for_each_algorithm(problem, [&](auto& algorithm) {
        auto shared = computed(&algorithm, problem, arrays);
        Values alone;
        mlx_convt::cpu::parallel_for(2, 1e9, [&](int64_t i) {
          if (i == 0) {
            alone = computed(&algorithm, problem, arrays);
          }
        });
        CHECK(shared == alone);
      });
    }
  }
}

} // namespace
