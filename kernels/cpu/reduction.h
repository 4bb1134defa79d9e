// Sums of products of panels over positions, which both ways to compute
// WeightGrad share.
#pragma once

#include <algorithm>
#include <atomic>
#include <vector>

#include "problem.h"
#include "scratch.h"
#include "thread_pool.h"

namespace mlx_convt::cpu {

// C[m,n] += A[depth,m]^T * B[depth,n], or = where `begins`; A and B are panels.
template <typename T>
using Reduce = void (*)(
    int64_t m,
    int64_t n,
    int64_t depth,
    const T* a,
    const T* b,
    T* const* rows,
    bool begins);

struct Reduction {
  Reduce<float> f32;
  Reduce<double> f64;
  bool writes_anywhere; // or else C's rows lie evenly spaced

  template <typename T>
  Reduce<T> of() const {
    if constexpr (sizeof(T) == sizeof(double)) {
      return f64;
    } else {
      return f32;
    }
  }
};

Reduction tile_reduction();
Reduction blas_reduction();

// Positions per panel: a panel and the pixels of the next one stay in the
// second-level cache. 256 took up to a tenth longer.
inline constexpr int64_t kReductionDepth = 128;

// The largest multiple of a vector that cuts `count` into as few even parts as
// parts of `most` would.
int64_t even_part(int64_t count, int64_t most, int64_t lanes);

// Into how many stretches `blocks` of positions are cut, each with sums of its
// own, where rectangles are few. The number of threads has no part in it, so
// that it does not change the result.
int64_t reduction_splits(int64_t rectangles, int64_t blocks);

// Lets the threads that have the splits of one sum add them in order.
class Turns {
 public:
  // Returns false where a split failed.
  bool wait(int64_t split);
  void pass();
  void fail();

 private:
  static constexpr int64_t kFailed = -1;
  std::atomic<int64_t> turn_{0};
};

// Sums every rectangle, of sizes[i] values, over `blocks` of positions:
// accumulate(i, first, last, sums) sets the sums to those of some blocks, and
// write(i, sums) has them all.
template <typename T, typename Accumulate, typename Write>
void sum_rectangles(
    const std::vector<int64_t>& sizes,
    int64_t blocks,
    double work,
    const Accumulate& accumulate,
    const Write& write) {
  if (sizes.empty()) {
    return;
  }
  auto count = std::ssize(sizes);
  int64_t splits = reduction_splits(count, blocks);
  int64_t most = *std::max_element(sizes.begin(), sizes.end());
  if (splits == 1) {
    parallel_for(count, work, [&](int64_t i) {
      auto* sums = scratch<T>(Slot::Sums, most);
      accumulate(i, 0, blocks, sums);
      write(i, sums);
    });
    return;
  }
  // A thread adds the sums of its split when those before it are in. Splits
  // are handed out in order, so that somebody has those.
  struct Total {
    Turns turns;
    AlignedArray<T> values;
  };
  std::vector<Total> totals(count);
  parallel_for(count * splits, work, [&](int64_t index) {
    int64_t i = index / splits;
    int64_t split = index % splits;
    auto& total = totals[i];
    try {
      auto* sums = scratch<T>(Slot::Sums, most);
      accumulate(
          i, blocks * split / splits, blocks * (split + 1) / splits, sums);
      if (!total.turns.wait(split)) {
        return;
      }
      if (split == 0) {
        total.values = make_aligned<T>(sizes[i]);
        std::copy_n(sums, sizes[i], total.values.get());
      } else {
        for (int64_t j = 0; j < sizes[i]; ++j) {
          total.values[j] += sums[j];
        }
      }
      if (split + 1 == splits) {
        write(i, total.values.get());
        total.values.reset();
      }
      total.turns.pass();
    } catch (...) {
      total.turns.fail();
      throw;
    }
  });
}

} // namespace mlx_convt::cpu
