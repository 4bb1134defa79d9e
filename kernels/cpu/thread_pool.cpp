#include "thread_pool.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#ifdef __linux__
#include <sched.h>
#endif

namespace mlx_convt::cpu {
namespace {

// Waking a thread costs 5 to 50 us, which is this many multiply-adds.
constexpr double kWorkWorthAThread = 2e5;

#ifdef __linux__
int available_processors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    return CPU_COUNT(&set);
  }
  return static_cast<int>(std::thread::hardware_concurrency());
}
#else
int available_processors() {
  return static_cast<int>(std::thread::hardware_concurrency());
}
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
 public:
  // The pool lives as long as the process: MLX's stream threads may still be
  // computing while static objects are destroyed.
  static Pool& instance() {
    static Pool* pool = new Pool(num_threads() - 1);
    return *pool;
  }

  bool run(Loop& loop, int helpers) {
    std::unique_lock busy(busy_, std::try_to_lock);
    if (!busy.owns_lock() || getpid() != owner_) {
      return false;
    }
    {
      std::lock_guard lock(mutex_);
      loop_ = &loop;
      wanted_ = std::min(helpers, static_cast<int>(threads_.size()));
      running_ = wanted_;
    }
    wake_.notify_all();
    loop.work();
    std::unique_lock lock(mutex_);
    // Helpers that have not woken yet are no longer needed.
    running_ -= wanted_;
    wanted_ = 0;
    done_.wait(lock, [this] { return running_ == 0; });
    loop_ = nullptr;
    return true;
  }

 private:
  explicit Pool(int size) : owner_(getpid()) {
    threads_.reserve(size);
    try {
      for (int i = 0; i < size; ++i) {
        threads_.emplace_back([this] { serve(); });
      }
    } catch (const std::system_error&) {
      // The system grants no more: those that started will do.
    }
  }

  void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return wanted_ > 0; });
      --wanted_;
      auto* loop = loop_;
      lock.unlock();
      loop->work();
      lock.lock();
      if (--running_ == 0) {
        done_.notify_one();
      }
    }
  }

  pid_t owner_;
  std::mutex busy_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  Loop* loop_{nullptr};
  int wanted_{0}; // helpers still to start on the loop
  int running_{0}; // helpers wanted or at work
  std::vector<std::thread> threads_;
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
  if (!Pool::instance().run(loop, static_cast<int>(helpers))) {
    loop.work();
  }
  if (loop.error) {
    std::rethrow_exception(loop.error);
  }
}

} // namespace mlx_convt::cpu
