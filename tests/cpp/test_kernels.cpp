// The tiles and dot products of each instruction set against plain loops.
#include "kernel_case.h"

namespace {

using namespace test;
using mlx_convt::Dims;

// Stretches in rows of B, a few shapes of the reduction.
const std::vector<std::vector<Stretch>> kStretches = {
    {},
    {{0, 1}},
    {{2, 5}},
    {{4, 3}, {0, 2}, {0, 1}},
    {{0, 16}, {20, 17}},
};

template <typename T>
void check_tile(const Kernels<T>& kernels) {
  int lanes = kernels.lanes;
  // A strip's stretch is whole tiles of any number of rows.
  int fewest = kernels.most_columns(kernels.tile_rows);
  CHECK_EQUAL(fewest, 2 * lanes);
  CHECK(kernels.most_columns(1) > fewest);
  for (int m = 1; m <= kernels.tile_rows; ++m) {
    CHECK_EQUAL(kernels.most_columns(m) % fewest, 0);
    CHECK_EQUAL(kernels.most_columns(1) % kernels.most_columns(m), 0);
  }
  auto check = [&](auto& stretches, int pad) {
    return [&, pad](Random& random, int m, int n, auto& c) {
      int64_t padded = tile_width(n, lanes);
      int64_t ldb = pad < 0 ? n : padded + pad;
      auto a = panel<T>(random, m, 0, depth_of(stretches));
      int64_t last = 0;
      auto scaled = stretches;
      for (auto& stretch : scaled) {
        last = std::max(last, stretch.b + stretch.length - 1);
        stretch.b *= ldb;
      }
      auto b = integers<T>(random, last * ldb + n, last * ldb + padded);
      int64_t column = 0;
      for (auto& stretch : scaled) {
        for (int64_t k = 0; k < stretch.length; ++k, ++column) {
          for (int i = 0; i < m; ++i) {
            for (int j = 0; j < n; ++j) {
              c.expected[i][c.kFirst + j] +=
                  a[i * kPitch<T> + column] * b[stretch.b + k * ldb + j];
            }
          }
        }
      }
      kernels.tile(
          m,
          n,
          a.data(),
          {scaled.data(), static_cast<int64_t>(scaled.size())},
          b.data(),
          ldb,
          c.tile);
    };
  };
  for (auto& stretches : kStretches) {
    for_each_tile<T>(
        kernels.tile_rows, kernels.most_columns, lanes, check(stretches, -1));
  }
  for_each_tile<T>(
      kernels.tile_rows, kernels.most_columns, lanes, check(kStretches[3], 5));
  // As deep as a panel gets.
  std::vector<Stretch> deep = {{0, 100}, {130, kPanelColumns - 100}};
  for_each_tile<T>(1, kernels.most_columns, lanes, check(deep, 0));
}

// Rows that begin at a cache line or beside one, past the caches or not.
template <typename T>
void check_streams(const InstructionSet& set, const Kernels<T>& kernels) {
  constexpr int64_t line = 64 / sizeof(T);
  Random random(2);
  for (int m = 1; m <= kernels.tile_rows; ++m) {
    int most = kernels.most_columns(m);
    for (int n : {kernels.lanes, most / 2, most - 1, most}) {
      for (int64_t first : {int64_t(0), int64_t(1), line}) {
        Note note("m, n, first = " + show(Dims{m, n, first}));
        auto a = panel<T>(random, m, 0, 1);
        auto b = integers<T>(random, most, most);
        auto init = integers<T>(random, most, most);
        int64_t length = round_up(first + n + 1, line);
        std::vector<T> buffer((m + 1) * length, T(-99));
        auto address = reinterpret_cast<std::uintptr_t>(buffer.data());
        auto* aligned = buffer.data() + (-address % 64) / sizeof(T);
        std::vector<T*> rows;
        for (int i = 0; i < m; ++i) {
          rows.push_back(aligned + i * length);
        }
        Stretch one{0, 1};
        kernels.tile(
            m,
            n,
            a.data(),
            {&one, 1},
            b.data(),
            most,
            {rows.data(), first, init.data(), true});
        set.fence();
        int wrong = 0;
        for (int i = 0; i < m; ++i) {
          for (int64_t j = 0; j < length; ++j) {
            bool is_inside = j >= first && j < first + n;
            wrong += rows[i][j] !=
                (is_inside ? init[j - first] + a[i * kPitch<T>] * b[j - first]
                           : T(-99));
          }
        }
        CHECK_EQUAL(wrong, 0);
      }
    }
  }
}

template <typename T>
void check_tile_transposed(const Kernels<T>& kernels) {
  int lanes = kernels.lanes;
  for (int64_t depth : {1, 2, 37}) {
    for_each_tile<T>(
        kernels.tile_rows,
        [&](int) { return 2 * lanes; },
        lanes,
        [&](Random& random, int m, int n, auto& c) {
          // The last columns: a vector may reach into the slack behind them.
          int64_t a_first = kPanelColumns - m;
          int64_t b_first = kPanelColumns - n;
          auto a = panel<T>(random, depth, a_first, m);
          auto b = panel<T>(random, depth, b_first, n);
          for (int64_t p = 0; p < depth; ++p) {
            for (int i = 0; i < m; ++i) {
              for (int j = 0; j < n; ++j) {
                c.expected[i][c.kFirst + j] += a[p * kPitch<T> + a_first + i] *
                    b[p * kPitch<T> + b_first + j];
              }
            }
          }
          kernels.tile_transposed(
              m, n, a.data() + a_first, depth, b.data() + b_first, c.tile);
        });
  }
}

template <typename T>
void check_dot(const Kernels<T>& kernels) {
  for (auto& stretches : kStretches) {
    for_each_tile<T>(
        9,
        [](int) { return 9; },
        kernels.lanes,
        [&](Random& random, int m, int n, auto& c) {
          auto a = panel<T>(random, m, 0, depth_of(stretches));
          int64_t length = 0;
          for (auto& stretch : stretches) {
            length = std::max(length, stretch.b + stretch.length);
          }
          int64_t ldb = length + 2;
          int64_t size = (n - 1) * ldb + length;
          auto b = integers<T>(random, size, size);
          int64_t column = 0;
          for (auto& stretch : stretches) {
            for (int64_t k = 0; k < stretch.length; ++k, ++column) {
              for (int i = 0; i < m; ++i) {
                for (int j = 0; j < n; ++j) {
                  c.expected[i][c.kFirst + j] +=
                      a[i * kPitch<T> + column] * b[j * ldb + stretch.b + k];
                }
              }
            }
          }
          kernels.dot(
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

TEST(tiles_match_plain_loops) {
  for (auto* set : supported_sets()) {
    Note note(set->name);
    check_tile(set->f32);
    check_tile(set->f64);
    check_streams(*set, set->f32);
    check_streams(*set, set->f64);
    check_tile_transposed(set->f32);
    check_tile_transposed(set->f64);
  }
}

TEST(dots_match_plain_loops) {
  for (auto* set : supported_sets()) {
    Note note(set->name);
    check_dot(set->f32);
    check_dot(set->f64);
  }
}

} // namespace
