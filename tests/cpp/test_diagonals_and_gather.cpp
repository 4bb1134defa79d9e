// The channel-by-channel loops and the row copies of each instruction set
// against plain loops.
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
        5, 2 * lanes + 1, lanes, [&](Random& random, int m, int n, auto& c) {
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
    for (int n = 1; n <= 2 * kernels.lanes + 1; ++n) {
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

// Rows that start `slack` values before they would leave the source.
template <typename S>
void check_gather(const Copies<S>& copy, int lanes) {
  using T = Acc<S>;
  Random random(3);
  std::vector<int64_t> lengths = {4 * lanes, 4 * lanes + 1, 100, kPanelColumns};
  for (int length = 1; length <= 2 * lanes + 1; ++length) {
    lengths.push_back(length);
  }
  for (int64_t length : lengths) {
    for (int64_t rows : {1, 2, 7}) {
      for (int64_t step : {int64_t(1), length, length + 3}) {
        for (int64_t slack = 0; slack <= lanes; ++slack) {
          int64_t size = (rows - 1) * step + length + slack;
          std::vector<S> source(size);
          for (auto& value : source) {
            value = encode<S>(static_cast<double>(random(-100, 100)));
          }
          // The last columns, where the slack behind them is shortest.
          int64_t first = kPanelColumns - length;
          std::vector<T> to(rows * kPitch<T>, kNaN<T>);
          copy.gather(
              to.data() + first,
              source.data(),
              source.data() + size,
              rows,
              step,
              length);
          int wrong = 0;
          for (int64_t r = 0; r < rows; ++r) {
            for (int64_t c = 0; c < length; ++c) {
              wrong +=
                  to[r * kPitch<T> + first + c] != decode(source[r * step + c]);
            }
            for (int64_t c = 0; c < first; ++c) {
              wrong += !std::isnan(to[r * kPitch<T> + c]);
            }
          }
          Note note(
              "length, rows, step, slack = " +
              show(Dims{length, rows, step, slack}));
          CHECK_EQUAL(wrong, 0);
        }
      }
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

TEST(gathered_rows_stay_in_the_source_and_the_panel) {
  for (auto* set : instruction_sets()) {
    Note note(set->name);
    check_gather(set->copy_f32, set->f32.lanes);
    check_gather(set->copy_f16, set->f32.lanes);
    check_gather(set->copy_bf16, set->f32.lanes);
    check_gather(set->copy_f64, set->f64.lanes);
  }
}

} // namespace
