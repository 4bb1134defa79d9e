// The loops without a matrix product, of each instruction set, against plain
// loops.
#include "kernel_case.h"

namespace {

using namespace test;
using mlx_convt::Dims;

template <typename T>
void check_diagonal(const Kernels<T>& kernels) {
  int lanes = kernels.lanes;
  // Rows of B in any order, and so many taps that a panel row is full.
  for (int64_t taps : {int64_t(0), int64_t(1), int64_t(4), kPanelColumns}) {
    for_each_tile<T>(
        3, 5 * lanes + 1, lanes, [&](Random& random, int m, int n, auto& c) {
          int64_t count = std::min(taps, kPanelColumns / n);
          std::vector<Stretch> stretches;
          for (int64_t t = 0; t < count; ++t) {
            stretches.push_back({(t * 5 % std::max<int64_t>(taps, 1)) * n, n});
          }
          auto a = panel<T>(random, m, 0, count * n);
          int64_t size = 0;
          for (auto& stretch : stretches) {
            size = std::max(size, stretch.b + n);
          }
          // Whole vectors from the last row of B.
          auto b = integers<T>(random, size, size - n + round_up(n, lanes));
          for (int64_t t = 0; t < count; ++t) {
            for (int i = 0; i < m; ++i) {
              for (int j = 0; j < n; ++j) {
                c.expected[i][c.kFirst + j] +=
                    a[i * kPitch<T> + t * n + j] * b[stretches[t].b + j];
              }
            }
          }
          kernels.diagonal(
              m, n, a.data(), {stretches.data(), count}, b.data(), c.tile);
        });
  }
}

template <typename T>
void check_diagonal_transposed(const Kernels<T>& kernels) {
  Random random(2);
  for (int64_t depth : {1, 2, 19}) {
    for (int n = 1; n <= 5 * kernels.lanes + 1; ++n) {
      for (int taps : {1, 3, static_cast<int>(kPanelColumns / n)}) {
        Note note("depth, taps, n = " + show(Dims{depth, taps, n}));
        auto a = panel<T>(random, depth, 0, taps * n);
        auto b = panel<T>(random, depth, 0, n);
        auto c = integers<T>(random, taps * n, taps * n);
        auto expected = c;
        for (int64_t p = 0; p < depth; ++p) {
          for (int i = 0; i < taps * n; ++i) {
            expected[i] += a[p * kPitch<T> + i] * b[p * kPitch<T> + i % n];
          }
        }
        kernels.diagonal_transposed(
            depth, taps, n, a.data(), b.data(), c.data());
        CHECK_EQUAL(c, expected);
      }
    }
  }
}

// Sources that end with their last value.
template <typename T>
void check_combine(const Kernels<T>& kernels) {
  Random random(3);
  for (int64_t vectors = 1; vectors <= 10; ++vectors) {
    for (int64_t count : {0, 1, 2, 13}) {
      int64_t n = vectors * kernels.lanes;
      Note note("n, count = " + show(Dims{n, count}));
      auto weights = integers<T>(random, count, count);
      auto out = integers<T>(random, n, n);
      auto expected = out;
      std::vector<std::vector<T>> sources;
      std::vector<const T*> pointers;
      for (int64_t i = 0; i < count; ++i) {
        sources.push_back(integers<T>(random, n, n));
        for (int64_t t = 0; t < n; ++t) {
          expected[t] += weights[i] * sources[i][t];
        }
      }
      for (auto& source : sources) {
        pointers.push_back(source.data());
      }
      kernels.combine(n, count, pointers.data(), weights.data(), out.data());
      CHECK_EQUAL(out, expected);
    }
  }
}

TEST(diagonals_match_plain_loops) {
  for (auto* set : instruction_sets()) {
    Note note(set->name);
    check_diagonal(set->f32);
    check_diagonal(set->f64);
    check_diagonal_transposed(set->f32);
    check_diagonal_transposed(set->f64);
  }
}

TEST(combinations_match_plain_loops) {
  for (auto* set : instruction_sets()) {
    Note note(set->name);
    check_combine(set->f32);
    check_combine(set->f64);
  }
}

} // namespace
