// bfloat16 pairs: their kernels, and numbers so small that the processor's
// products of pairs would lose them.
#include "cpu/isa/select.h"
#include "cpu/pair_range.h"
#include "kernel_case.h"
#include "problem_case.h"

namespace {

using namespace test;

std::vector<const InstructionSet*> sets_with_pairs() {
  std::vector<const InstructionSet*> sets;
  for (auto* set : supported_sets()) {
    if (set->bf16_pairs.tile) {
      sets.push_back(set);
    }
  }
  return sets;
}

BFloatPair random_pair(Random& random) {
  return {
      encode<BFloat>(static_cast<double>(random(-3, 3))),
      encode<BFloat>(static_cast<double>(random(-3, 3)))};
}

constexpr BFloatPair kNaNs{{0x7fff}, {0x7fff}};

TEST(tiles_of_pairs_match_plain_loops) {
  for (auto* set : sets_with_pairs()) {
    Note note(set->name);
    auto& kernels = set->bf16_pairs;
    constexpr int64_t pitch = kPitch<BFloatPair>;
    for (auto& rows : std::vector<std::vector<Stretch>>{
             {}, {{0, 1}}, {{4, 3}, {0, 2}, {0, 1}}, {{0, 16}, {20, 17}}}) {
      for_each_tile<float>(
          kernels.tile_rows,
          kernels.most_columns,
          kernels.lanes,
          [&](Random& random, int m, int n, auto& c) {
            int64_t ldb = tile_width(n, kernels.lanes) + 3;
            std::vector<BFloatPair> a(m * pitch, kNaNs);
            std::vector<BFloatPair> b(40 * ldb, kNaNs);
            auto stretches = rows;
            int64_t column = 0;
            for (auto& stretch : stretches) {
              for (int64_t k = stretch.b; k < stretch.b + stretch.length;
                   ++k, ++column) {
                for (int j = 0; j < n; ++j) {
                  b[k * ldb + j] = random_pair(random);
                }
                for (int i = 0; i < m; ++i) {
                  a[i * pitch + column] = random_pair(random);
                }
              }
              stretch.b *= ldb;
            }
            column = 0;
            for (auto& stretch : rows) {
              for (int64_t k = stretch.b; k < stretch.b + stretch.length;
                   ++k, ++column) {
                for (int i = 0; i < m; ++i) {
                  for (int j = 0; j < n; ++j) {
                    auto& p = a[i * pitch + column];
                    auto& q = b[k * ldb + j];
                    c.expected[i][c.kFirst + j] += static_cast<float>(
                        decode(p.first) * decode(q.first) +
                        decode(p.second) * decode(q.second));
                  }
                }
              }
            }
            kernels.tile(
                m,
                n,
                a.data(),
                {stretches.data(), static_cast<int64_t>(stretches.size())},
                b.data(),
                ldb,
                c.tile);
          });
    }
  }
}

TEST(rows_are_zipped_into_pairs) {
  Random random(61);
  for (auto* set : sets_with_pairs()) {
    for (int64_t count = 0; count < 70; ++count) {
      std::vector<BFloat> first(count), second(count);
      std::vector<BFloatPair> to(count);
      for (int64_t j = 0; j < count; ++j) {
        first[j].bits = static_cast<uint16_t>(random(0, 65535));
        second[j].bits = static_cast<uint16_t>(random(0, 65535));
      }
      set->bf16_pairs.zip(to.data(), first.data(), second.data(), count);
      int wrong = 0;
      for (int64_t j = 0; j < count; ++j) {
        wrong += to[j].first.bits != first[j].bits ||
            to[j].second.bits != second[j].bits;
      }
      CHECK_EQUAL(wrong, 0);
    }
  }
}

TEST(sums_of_pairs_are_rounded_once) {
  for (auto* set : sets_with_pairs()) {
    for (int64_t count = 0; count < 70; ++count) {
      std::vector<float> sums(count);
      std::vector<BFloat> to(count);
      for (int64_t i = 0; i < count; ++i) {
        // Ties, and what lies on either side of them.
        sums[i] = (i % 2 ? -1.0f : 1.0f) *
            (1 + static_cast<float>(i) * 0x1p-8f +
             static_cast<float>(i % 3 - 1) * 0x1p-20f);
      }
      set->copy_bf16_pairs.narrow(to.data(), sums.data(), count);
      int wrong = 0;
      for (int64_t i = 0; i < count; ++i) {
        wrong += to[i].bits != encode<BFloat>(sums[i]).bits;
      }
      CHECK_EQUAL(wrong, 0);
    }
  }
}

// One value among zeros, at any place of the rows and beside them.
TEST(the_least_magnitude_of_pairs_is_found) {
  constexpr int64_t kRows = 2;
  for (auto* set : sets_with_pairs()) {
    for (int64_t length : {0, 1, 15, 16, 17, 40}) {
      int64_t step = length + 3;
      for (int64_t at = 0; at < 2 * kRows * step; ++at) {
        std::vector<BFloatPair> values(kRows * step);
        // Greater than the one, zero, and of either sign.
        std::fill(values.begin(), values.end(), BFloatPair{{0x8000}, {0xc000}});
        auto& pair = values[at / 2];
        (at % 2 ? pair.second : pair.first).bits = at % 3 ? 0x0005 : 0x8005;
        bool is_inside = at / 2 % step < length;
        uint16_t expected = is_inside ? 9 : length ? 0x7fff : 0xffff;
        CHECK_EQUAL(
            set->bf16_pairs.least(values.data(), kRows, step, length),
            expected);
      }
    }
  }
}

// Sums that cancel to 2^-14 of the least product, which is subnormal or would
// be, and operands that are.
TEST(small_numbers_are_summed_as_in_float32) {
  auto g = make_geometry({1, 3, 2}, {17, 2, 2}, 1);
  for (auto contraction : {Contraction::Output, Contraction::InputGrad}) {
    auto square = contraction == Contraction::Output
        ? g
        : make_geometry({1, 3, 17}, {2, 2, 17}, 1);
    for (int a = -133; a <= 100; a += a < -120 ? 1 : 20) {
      for (int sum = -140; sum <= -100; ++sum) {
        int b = sum - a;
        if (b < -126 || b > 100) {
          continue;
        }
        double fraction = a < -126 ? 0 : 0x1p-7;
        double x[] = {std::ldexp(1 + fraction, a), std::ldexp(1, a)};
        double w[] = {
            std::ldexp(1 + 0x1p-7, b),
            -std::ldexp(1 + (fraction ? 0x1p-6 : 0), b)};
        Random random(62);
        auto arrays = random_arrays(random, square, false);
        auto& source = contraction == Contraction::Output ? arrays.x : arrays.y;
        for (size_t i = 0; i < source.size(); ++i) {
          source[i] = x[i % 2];
        }
        for (size_t i = 0; i < arrays.w.size(); ++i) {
          arrays.w[i] =
              contraction == Contraction::Output ? w[i % 2] : w[i / (2 * 17)];
        }
        Problem problem{contraction, square, Scalar::BF16, false};
        Note note(show(problem) + show(std::array{a, b}));
        CHECK_EQUAL(
            difference(
                computed(
                    mlx_convt::cpu::find_algorithm("polyphase"),
                    problem,
                    arrays),
                rounded(Scalar::BF16, expected(contraction, square, arrays))),
            "");
      }
    }
  }
}

TEST(a_small_bias_is_a_sum_of_its_own) {
  Random random(63);
  auto g = make_geometry({1, 3, 2}, {17, 2, 2}, 1);
  auto arrays = random_arrays(random, g, true);
  arrays.x.assign(arrays.x.size(), 0);
  for (size_t i = 0; i < arrays.bias->size(); ++i) {
    (*arrays.bias)[i] = std::ldexp(1, -133 + static_cast<int>(i));
  }
  Problem problem{Contraction::Output, g, Scalar::BF16, true};
  CHECK_EQUAL(
      difference(
          computed(
              mlx_convt::cpu::find_algorithm("polyphase"), problem, arrays),
          expected(Contraction::Output, g, arrays)),
      "");
}

// Where the last place of the least product is a normal number.
TEST(pairs_are_used_where_no_sum_is_subnormal) {
  if (!kernels<BFloatPair>().tile) {
    return;
  }
  auto normal = [](double panel, double weight) {
    PairRange range;
    CHECK(range.has_normal_sums());
    BFloatPair zero{};
    BFloatPair one{encode<BFloat>(panel), encode<BFloat>(0)};
    BFloatPair other{encode<BFloat>(-0.0), encode<BFloat>(-weight)};
    range.add_panel(&one, 1, 1);
    range.add_panel(&zero, 1, 1);
    range.add_weights(&other, 1);
    range.add_weights(&zero, 1);
    return range.has_normal_sums();
  };
  CHECK(normal(1, 1));
  CHECK(normal(0x1p-56, 0x1p-56));
  CHECK(!normal(0x1p-56, 0x1p-57));
  CHECK(!normal(0x1p-57, 0x1p-56));
  CHECK(normal(0x1p-126, 0x1p14));
  CHECK(!normal(0x1p-127, 0x1p100));
  CHECK(!normal(0x1p100, 0x1p-127));
  CHECK(PairRange::is_normal_start(encode<BFloat>(-0.0)));
  CHECK(PairRange::is_normal_start(encode<BFloat>(-0x1p-119)));
  CHECK(!PairRange::is_normal_start(encode<BFloat>(0x1p-120)));
}

} // namespace
