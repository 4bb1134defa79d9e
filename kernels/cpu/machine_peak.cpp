#include "machine_peak.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <limits>
#include <memory>

#include "isa/kernels.h"
#include "thread_pool.h"

namespace mlx_convt::cpu {
namespace {

// Long enough that waking the threads does not count, short enough to fit
// between two interruptions.
constexpr double kTrialSeconds = 5e-3;
constexpr int kTrials = 40;
constexpr int64_t kBlock = 64 << 10;

// Of which every thread gets a share.
constexpr double kPlentyOfWork = 1e15;

// Results end here, so that no compiler leaves the work out.
std::atomic<float> sink;

double seconds_of(const std::function<void(int64_t)>& body) {
  auto start = std::chrono::steady_clock::now();
  parallel_for(num_threads(), kPlentyOfWork, body);
  std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  return time.count();
}

// Best time of one pass of `body(thread, passes)`.
template <typename Body>
double best_seconds(const Body& body) {
  auto time = [&](int64_t passes) {
    return seconds_of([&](int64_t thread) { body(thread, passes); });
  };
  int64_t passes = 1;
  while (time(passes) < kTrialSeconds && passes < (int64_t(1) << 40)) {
    passes *= 2;
  }
  double best = std::numeric_limits<double>::max();
  for (int trial = 0; trial < kTrials; ++trial) {
    best = std::min(best, time(passes));
  }
  return best / passes;
}

struct Share {
  int64_t first;
  int64_t count;
};

// The thread's part of `count` floats.
Share share(int64_t count, int64_t thread) {
  int64_t threads = num_threads();
  int64_t first = count * thread / threads;
  return {first, count * (thread + 1) / threads - first};
}

} // namespace

template <typename T>
double peak_flops() {
  auto& loops = peak_loops<T>();
  double seconds = best_seconds([&](int64_t, int64_t passes) {
    // Towards 2 and no further: neither infinities nor denormals.
    T result = loops.multiply_add(1000 * passes, T(0.5), T(1));
    sink.store(static_cast<float>(result), std::memory_order_relaxed);
  });
  return 1000.0 * loops.round_flops * num_threads() / seconds;
}

template double peak_flops<float>();
template double peak_flops<double>();

double stream_seconds(int64_t read_bytes, int64_t write_bytes) {
  constexpr int64_t size = sizeof(float);
  const int64_t reads = read_bytes / size, writes = write_bytes / size;
  auto from = std::make_unique_for_overwrite<float[]>(reads);
  auto to = std::make_unique_for_overwrite<float[]>(writes);
  // Each page belongs to the thread that will use it.
  seconds_of([&](int64_t thread) {
    auto [first, count] = share(reads, thread);
    std::fill_n(from.get() + first, count, 1.0f);
    auto [begin, length] = share(writes, thread);
    std::fill_n(to.get() + begin, length, 1.0f);
  });

  auto& loops = peak_loops<float>();
  auto in_turn = [&](int64_t blocks) {
    return [&, blocks](int64_t thread, int64_t passes) {
      auto in = share(reads, thread);
      auto out = share(writes, thread);
      for (; passes > 0; --passes) {
        for (int64_t b = 0; b < blocks; ++b) {
          auto part = [&](Share of) {
            int64_t begin = of.count * b / blocks;
            return Share{of.first + begin, of.count * (b + 1) / blocks - begin};
          };
          auto r = part(in), w = part(out);
          float sum = loops.read(from.get() + r.first, r.count);
          loops.write(to.get() + w.first, w.count, sum);
        }
      }
    };
  };
  auto with_memset = [&](int64_t thread, int64_t passes) {
    auto in = share(reads, thread);
    auto out = share(writes, thread);
    for (; passes > 0; --passes) {
      float sum = loops.read(from.get() + in.first, in.count);
      sink.store(sum, std::memory_order_relaxed);
      std::memset(
          to.get() + out.first, static_cast<int>(passes), out.count * size);
    }
  };
  int64_t bytes = (reads + writes) * size / num_threads();
  return std::min(
      {best_seconds(in_turn(std::max<int64_t>(1, bytes / kBlock))),
       best_seconds(in_turn(1)),
       best_seconds(with_memset)});
}

} // namespace mlx_convt::cpu
