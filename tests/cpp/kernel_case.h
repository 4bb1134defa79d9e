// Operands and destinations of the inner loops: integers, so that sums are
// exact; buffers as large as the contract says and no larger; NaN wherever a
// value must not matter.
#pragma once

#include <bit>
#include <limits>
#include <vector>

#include "check.h"
#include "cpu/isa/select.h"
#include "numbers.h"

namespace test {

using namespace mlx_convt::cpu;

template <typename T>
inline constexpr T kNaN = std::numeric_limits<T>::quiet_NaN();

inline int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// As far as a tile of n columns reads.
inline int64_t tile_width(int64_t n, int64_t lanes) {
  return lanes *
      static_cast<int64_t>(
             std::bit_ceil(static_cast<uint64_t>(round_up(n, lanes) / lanes)));
}

inline int64_t depth_of(const std::vector<Stretch>& stretches) {
  int64_t depth = 0;
  for (auto& stretch : stretches) {
    depth += stretch.length;
  }
  return depth;
}

// `columns` integers from column `first` of each row, NaN elsewhere.
template <typename T>
std::vector<T>
panel(Random& random, int64_t rows, int64_t first, int64_t columns) {
  std::vector<T> values(rows * kPitch<T>, kNaN<T>);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = first; c < first + columns; ++c) {
      values[r * kPitch<T> + c] = static_cast<T>(random(-3, 3));
    }
  }
  return values;
}

template <typename T>
std::vector<T> integers(Random& random, int64_t count, int64_t size) {
  std::vector<T> values(size, kNaN<T>);
  for (int64_t i = 0; i < count; ++i) {
    values[i] = static_cast<T>(random(-3, 3));
  }
  return values;
}

// The destination of a tile: rows of their own, which end where it ends.
template <typename T>
struct Destination {
  static constexpr int64_t kFirst = 3;

  Destination(Random& random, int m, int n, int lanes, bool has_init)
      : init(integers<T>(random, n, tile_width(n, lanes))) {
    for (int i = 0; i < m; ++i) {
      auto row = integers<T>(random, kFirst + n, kFirst + n);
      expected.push_back(row);
      for (int j = 0; has_init && j < n; ++j) {
        expected[i][kFirst + j] = init[j];
        row[kFirst + j] = kNaN<T>;
      }
      rows.push_back(row);
    }
    for (auto& row : rows) {
      pointers.push_back(row.data());
    }
    tile = {pointers.data(), kFirst, has_init ? init.data() : nullptr};
  }

  std::vector<T> init;
  std::vector<std::vector<T>> rows;
  std::vector<std::vector<T>> expected;
  std::vector<T*> pointers;
  TileRows<T> tile;
};

// Calls f(m, n, has_init, destination) for n <= most_n(m) and compares what it
// wrote.
template <typename T, typename N, typename F>
void for_each_tile(int most_m, const N& most_n, int lanes, const F& f) {
  Random random(1);
  for (int m = 1; m <= most_m; ++m) {
    for (int n = 1; n <= most_n(m); ++n) {
      for (bool has_init : {false, true}) {
        Note note("m, n, init = " + show(std::array{m, n, +has_init}));
        Destination<T> c(random, m, n, lanes, has_init);
        f(random, m, n, c);
        CHECK_EQUAL(c.rows, c.expected);
      }
    }
  }
}

} // namespace test
