#include "thread_pool.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#include "processors.h"

namespace mlx_convt::cpu {
namespace {

// Work, in multiply-adds, for which another helper pays that is awake: fork and
// join take a microsecond.
constexpr double kWorkWorthAThread = 3e4;
// The same of one that sleeps, which takes 5 to 25 us to come.
constexpr double kWorkWorthAWakeup = 2e5;
// How long a thread waits awake: longer than from one operation of a graph to
// the next, and about what a wake-up costs.
constexpr auto kSpin = std::chrono::microseconds(50);

#if defined(__x86_64__)
void spin_once() {
  __builtin_ia32_pause();
}
#elif defined(__aarch64__)
void spin_once() {
  asm volatile("isb");
}
#else
void spin_once() {}
#endif

int read_num_threads() {
  const char* text = std::getenv("MLX_CONVT_NUM_THREADS");
  if (!text || !*text) {
    return std::max(1, available_processors());
  }
  char* end = nullptr;
  long value = std::strtol(text, &end, 10);
  if (*end || value < 1 || value > 4096) {
    throw std::runtime_error(
        "[mlx_convt] MLX_CONVT_NUM_THREADS must be an integer from 1 to 4096. "
        "Got " +
        std::string(text) + ".");
  }
  return static_cast<int>(value);
}

// One parallel loop: indices are handed out one by one.
struct Loop {
  Loop(const std::function<void(int64_t)>& body, int64_t count)
      : body(body), count(count) {}

  const std::function<void(int64_t)>& body;
  const int64_t count;
  std::atomic<int64_t> next{0};
  std::mutex error_mutex;
  std::exception_ptr error;

  void work() {
    for (int64_t i; (i = next.fetch_add(1)) < count;) {
      try {
        body(i);
      } catch (...) {
        std::lock_guard lock(error_mutex);
        if (!error) {
          error = std::current_exception();
        }
        next.store(count);
      }
    }
  }
};

class Pool {
  struct Helper {
    std::thread thread;
    Detour detour;
    std::atomic<int> processor{-1}; // where it last waited
  };

 public:
  // The pool lives as long as the process: MLX's stream threads may still be
  // computing while static objects are destroyed.
  static Pool& instance() {
    static Pool* pool = new Pool(num_threads() - 1);
    return *pool;
  }

  // False where the pool cannot help: the caller does everything itself.
  bool run(Loop& loop, int helpers, bool may_wake) {
    std::unique_lock busy(busy_, std::try_to_lock);
    if (!busy.owns_lock() || getpid() != owner_) {
      return false;
    }
    int size = static_cast<int>(helpers_.size());
    int awake = has_processors_ ? size - sleeping_ : 0;
    helpers = std::min(helpers, may_wake ? size : awake);
    if (helpers < 1) {
      return false;
    }
    spread(helpers > awake);
    loop_ = &loop;
    running_ = helpers;
    wanted_ = helpers;
    // Helpers that still spin need no call of the system.
    int to_wake = helpers - (size - sleeping_);
    if (to_wake > 0) {
      std::lock_guard lock(mutex_);
      for (int i = 0; i < to_wake; ++i) {
        wake_.notify_one();
      }
    }
    loop.work();
    // Helpers that have not begun yet are no longer needed.
    running_ -= wanted_.exchange(0);
    auto joined = [this] { return running_ == 0; };
    if (!spin_until(joined)) {
      std::unique_lock lock(mutex_);
      done_.wait(lock, joined);
    }
    return true;
  }

 private:
  explicit Pool(int size)
      : owner_(getpid()), has_processors_(size < available_processors()) {
    try {
      for (int i = 0; i < size; ++i) {
        auto& helper = helpers_.emplace_back();
        helper.thread = std::thread([this, &helper] { serve(helper); });
      }
    } catch (const std::system_error&) {
      // The system grants no more: those that started will do.
      helpers_.pop_back();
    }
  }

  // A helper that waits where the caller runs would be left there until the
  // loop is done: a virtual machine's idle processors do not count as idle.
  // What was moved once stays off: given back after the loop, the processor of
  // its caller drew it again at half of all wake-ups.
  void spread(bool wakes) {
    int here = current_processor();
    if (!has_processors_ || here < 0) {
      return;
    }
    for (auto& helper : helpers_) {
      if (helper.processor == here ||
          (wakes && helper.detour.is_out_of_date(here))) {
        helper.detour.begin(helper.thread, here);
      }
    }
  }

  void serve(Helper& helper) {
    auto is_wanted = [&] {
      helper.processor.store(current_processor(), std::memory_order_relaxed);
      return wanted_ > 0;
    };
    for (;;) {
      if (!spin_until(is_wanted)) {
        std::unique_lock lock(mutex_);
        ++sleeping_;
        wake_.wait(lock, is_wanted);
        --sleeping_;
      }
      int wanted = wanted_;
      while (wanted > 0 && !wanted_.compare_exchange_weak(wanted, wanted - 1)) {
      }
      if (wanted < 1) {
        continue; // another was quicker
      }
      loop_->work();
      // From here on the loop may be gone.
      if (--running_ == 0) {
        std::lock_guard lock(mutex_);
        done_.notify_one();
      }
    }
  }

  // Whether the condition came true within a short time. Threads without a
  // processor of their own would only keep it from the others.
  template <typename Condition>
  bool spin_until(const Condition& condition) const {
    if (!has_processors_) {
      return false;
    }
    auto end = std::chrono::steady_clock::now() + kSpin;
    do {
      for (int i = 0; i < 64; ++i) {
        if (condition()) {
          return true;
        }
        spin_once();
      }
      // Whoever is waited for may be waiting for this processor.
      std::this_thread::yield();
    } while (std::chrono::steady_clock::now() < end);
    return condition();
  }

  const pid_t owner_;
  const bool has_processors_;
  std::mutex busy_;
  Loop* loop_{nullptr};
  // Written one after the other and read in the opposite order, so that no
  // helper falls asleep over work: all in one order.
  std::atomic<int> wanted_{0}; // helpers still to start on the loop
  std::atomic<int> running_{0}; // helpers wanted or at work
  std::atomic<int> sleeping_{0};
  std::mutex mutex_; // for sleep only
  std::condition_variable wake_;
  std::condition_variable done_;
  std::deque<Helper> helpers_;
};

} // namespace

int num_threads() {
  static const int count = read_num_threads();
  return count;
}

void parallel_for(
    int64_t count,
    double work,
    const std::function<void(int64_t)>& body) {
  int64_t helpers = std::min<int64_t>(
      {num_threads() - 1,
       count - 1,
       static_cast<int64_t>(work / kWorkWorthAThread)});
  if (helpers < 1) {
    for (int64_t i = 0; i < count; ++i) {
      body(i);
    }
    return;
  }
  Loop loop(body, count);
  bool may_wake = work >= kWorkWorthAWakeup;
  if (!Pool::instance().run(loop, static_cast<int>(helpers), may_wake)) {
    loop.work();
  }
  if (loop.error) {
    std::rethrow_exception(loop.error);
  }
}

} // namespace mlx_convt::cpu
