// The loops without a matrix product, of each instruction set, against plain
// loops.
#include "kernel_case.h"

namespace {

using namespace test;
using mlx_convt::Dims;

// Rows of taps over a source that ends with the last value they read.
template <typename T>
struct RunCase {
  RunCase(
      Random& random,
      int64_t positions,
      int64_t channels,
      int64_t rows,
      int64_t most_taps) {
    int64_t step = channels + random(0, 5);
    int64_t weight = channels + 3;
    std::vector<int64_t> first;
    int64_t size = 0;
    int64_t taps = 0;
    for (int64_t r = 0; r < rows; ++r) {
      list.push_back({nullptr, taps * weight, random(1, most_taps)});
      first.push_back(random(0, 2 * step));
      taps += list[r].taps;
      size = std::max(
          size, first[r] + (positions + list[r].taps - 2) * step + channels);
    }
    source = integers<T>(random, size, size);
    weights_size = taps * weight;
    for (int64_t r = 0; r < rows; ++r) {
      list[r].source = source.data() + first[r];
      // The taps of a row in descending order.
      list[r].weights += (list[r].taps - 1) * weight;
    }
    run = {list.data(), rows, -weight, positions, channels, step};
  }

  std::vector<T> source;
  std::vector<LaneRow<T>> list;
  int64_t weights_size;
  LaneRun<T> run;
};

std::vector<int64_t> channels_around(int lanes) {
  return {lanes, lanes + 1, 2 * lanes - 1, 2 * lanes, 5 * lanes + 3};
}

template <typename T>
void check_correlate(const Kernels<T>& kernels) {
  Random random(1);
  for (int64_t channels : channels_around(kernels.lanes)) {
    for (int64_t positions = 1; positions <= 19; ++positions) {
      for (int64_t rows : {0, 1, 2, 5}) {
        Note note(
            "channels, positions, rows = " +
            show(Dims{channels, positions, rows}));
        RunCase<T> c(random, positions, channels, rows, kMaxAdjacentTaps);
        auto weights = integers<T>(random, c.weights_size, c.weights_size);
        auto init = integers<T>(random, channels, channels);
        int64_t to_step = channels + 2;
        int64_t size = (positions - 1) * to_step + channels;
        std::vector<T> to(size, T(99));
        auto expected = to;
        for (int64_t p = 0; p < positions; ++p) {
          for (int64_t j = 0; j < channels; ++j) {
            T sum = init[j];
            for (auto& row : c.list) {
              for (int64_t t = 0; t < row.taps; ++t) {
                sum += row.source[(p + t) * c.run.step + j] *
                    weights[row.weights + t * c.run.weight_step + j];
              }
            }
            expected[p * to_step + j] = sum;
          }
        }
        kernels.correlate(
            c.run, weights.data(), init.data(), to.data(), to_step);
        CHECK_EQUAL(to, expected);
      }
    }
  }
}

// The tail is a part of a position: values beyond it are NaN.
template <typename T>
void check_reduce(const Kernels<T>& kernels) {
  Random random(2);
  for (int64_t channels : channels_around(kernels.lanes)) {
    for (int64_t positions : {0, 1, 2, 5, 6, 13}) {
      for (int64_t rows : {1, 2, 3, 4, 8, 9, 20}) {
        int64_t tail = positions % 2 ? channels * 2 / 3 : 0;
        Note note(
            "channels, positions, rows, tail = " +
            show(Dims{channels, positions, rows, tail}));
        RunCase<T> c(random, positions + 1, channels, rows, 1);
        int64_t x_step = channels + 1;
        auto x = integers<T>(
            random, positions * x_step + tail, (positions + 1) * x_step);
        auto sums = integers<T>(random, c.weights_size, c.weights_size);
        auto expected = sums;
        for (auto& row : c.list) {
          for (int64_t p = 0; p <= positions; ++p) {
            for (int64_t j = 0; j < (p < positions ? channels : tail); ++j) {
              expected[row.weights + j] +=
                  x[p * x_step + j] * row.source[p * c.run.step + j];
            }
          }
        }
        c.run.positions = positions;
        kernels.reduce(c.run, x.data(), x_step, tail, sums.data());
        CHECK_EQUAL(sums, expected);
      }
    }
  }
}

// Sources that end with the last value: channels as they are, those of groups
// and those that lie further apart than a vector.
template <typename T>
void check_take(const Kernels<T>& kernels) {
  Random random(3);
  for (int64_t channels = 1; channels <= 2 * kernels.lanes + 1; ++channels) {
    for (int64_t count : {0, 1, 2, 33}) {
      for (auto [group, planes, pixel] :
           {std::array{1, 1, 1},
            std::array{1, 1, 2},
            std::array{2, 1, 3},
            std::array{1, 3, 1},
            std::array{3, 5, 2}}) {
        std::vector<int32_t> index;
        for (int64_t j = 0; j < channels; ++j) {
          index.push_back(
              static_cast<int32_t>(j / group * planes + planes - 1));
        }
        int64_t step = pixel * (index.back() + 1);
        int64_t size = count ? (count - 1) * step + index.back() + 1 : 0;
        Note note(
            "channels, count, group, planes = " +
            show(Dims{channels, count, group, planes}));
        auto from = integers<T>(random, size, size);
        std::vector<T> to(count * channels), expected;
        for (int64_t p = 0; p < count; ++p) {
          for (auto j : index) {
            expected.push_back(from[p * step + j]);
          }
        }
        kernels.take(
            to.data(),
            from.data(),
            from.data() + size,
            count,
            step,
            channels,
            index.data());
        CHECK_EQUAL(to, expected);
      }
    }
  }
}

template <typename T>
void check_interleave(const Kernels<T>& kernels) {
  Random random(4);
  for (int64_t channels = 1; channels < kernels.lanes; ++channels) {
    for (int64_t lines : {1, 2, 3, 5}) {
      for (int64_t count : {1, 2, 17}) {
        Note note(
            "channels, lines, count = " + show(Dims{channels, lines, count}));
        int64_t line = count * channels + 2;
        auto from =
            integers<T>(random, lines * line, lines * line + kernels.lanes);
        std::vector<T> to(count * lines * channels + kernels.lanes), expected;
        for (int64_t j = 0; j < count; ++j) {
          for (int64_t r = 0; r < lines; ++r) {
            for (int64_t c = 0; c < channels; ++c) {
              expected.push_back(from[r * line + j * channels + c]);
            }
          }
        }
        kernels.interleave(
            to.data(), from.data(), line, lines, count, channels);
        to.resize(expected.size());
        CHECK_EQUAL(to, expected);
      }
    }
  }
}

template <typename F>
void for_each_table(const F& f) {
  for (auto* set : supported_sets()) {
    Note note(set->name);
    f(set->f32);
    f(set->f64);
  }
}

TEST(lanes_are_correlated) {
  for_each_table([](auto& kernels) { check_correlate(kernels); });
}

TEST(lanes_are_reduced) {
  for_each_table([](auto& kernels) { check_reduce(kernels); });
}

TEST(channels_are_taken) {
  for_each_table([](auto& kernels) { check_take(kernels); });
}

TEST(phases_are_interleaved) {
  for_each_table([](auto& kernels) { check_interleave(kernels); });
}

} // namespace
