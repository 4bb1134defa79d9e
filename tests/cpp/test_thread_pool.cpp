// The pool: who runs what, errors, callers beside and inside each other.
#include "cpu/thread_pool.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <functional>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "affinity.h"
#include "check.h"

namespace {

using namespace mlx_convt::cpu;
using namespace test;

constexpr double kMuchWork = 1e9;
constexpr double kSomeWork = 1e5; // not worth a wake-up

// How often parallel_for called its body with each index.
std::vector<int> calls_of(int64_t count, double work) {
  std::vector<std::atomic<int>> calls(count);
  parallel_for(count, work, [&](int64_t i) { ++calls.at(i); });
  return {calls.begin(), calls.end()};
}

TEST(every_index_runs_once) {
  for (double work : {0.0, kSomeWork, kMuchWork}) {
    for (int64_t count : {0, 1, 2, 3, 4, 5, 100, 10000}) {
      for (int repeat = 0; repeat < 20; ++repeat) {
        CHECK_EQUAL(calls_of(count, work), std::vector<int>(count, 1));
      }
    }
  }
}

TEST(little_work_stays_on_the_caller) {
  std::set<std::thread::id> ids;
  parallel_for(
      100, 100, [&](int64_t) { ids.insert(std::this_thread::get_id()); });
  CHECK(ids == std::set{std::this_thread::get_id()});
}

TEST(some_work_wakes_nobody) {
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  std::set<std::thread::id> ids;
  std::mutex mutex;
  parallel_for(100, kSomeWork, [&](int64_t) {
    std::this_thread::sleep_for(std::chrono::microseconds(100));
    std::lock_guard lock(mutex);
    ids.insert(std::this_thread::get_id());
  });
  CHECK(ids == std::set{std::this_thread::get_id()});
}

TEST(much_work_is_shared) {
  std::mutex mutex;
  std::set<std::thread::id> ids;
  // Each index waits for a second thread, but not for ever.
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  parallel_for(64, kMuchWork, [&](int64_t) {
    while (std::chrono::steady_clock::now() < deadline) {
      std::lock_guard lock(mutex);
      ids.insert(std::this_thread::get_id());
      if (ids.size() > 1) {
        return;
      }
    }
  });
  CHECK(ids.size() > 1 && int(ids.size()) <= num_threads());
}

// Runs `job` on a helper while the caller waits for it to begin.
void on_a_helper(const std::function<void()>& job) {
  auto caller = std::this_thread::get_id();
  std::atomic<bool> begun = false;
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  parallel_for(2, kMuchWork, [&](int64_t) {
    if (std::this_thread::get_id() != caller) {
      begun = true;
      job();
    }
    while (!begun && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
    }
  });
  CHECK(begun);
}

TEST(a_loop_ends_with_its_last_index) {
  for (int pause_ms : {0, 1, 20}) {
    bool ended = false;
    std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms));
    on_a_helper([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms));
      ended = true;
    });
    CHECK(ended);
  }
}

TEST(helpers_come_from_spinning_and_from_sleep) {
  for (int pause_us : {0, 10, 60, 500}) {
    for (int repeat = 0; repeat < 200; ++repeat) {
      CHECK_EQUAL(calls_of(9, kMuchWork), std::vector<int>(9, 1));
      std::this_thread::sleep_for(std::chrono::microseconds(pause_us));
    }
  }
}

TEST(idle_helpers_fall_asleep) {
  calls_of(100, kMuchWork);
  // Spinning helpers would take as much processor time as they are given.
  auto spent = [] {
    auto before = std::clock();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return double(std::clock() - before) / CLOCKS_PER_SEC;
  };
  double least = 1;
  for (int repeat = 0; repeat < 50 && least > 0.01; ++repeat) {
    least = std::min(least, spent());
  }
  CHECK(least <= 0.01);
}

#ifdef __linux__
// Lets the only helper fall asleep on the processor of the caller, free to run
// where that may, and then runs `job` on it. False if the caller moved.
bool met_on_one_processor(pid_t& helper, const std::function<void()>& job) {
  auto all = processors();
  int here = sched_getcpu();
  on_a_helper([&] {
    helper = gettid();
    let_run_on({here});
  });
  // Asleep there, or about to be.
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  let_run_on(all, helper);
  bool stayed = sched_getcpu() == here;
  on_a_helper(job);
  return stayed && sched_getcpu() == here;
}

// Which helper comes is known, and it has somewhere to go.
bool helper_can_be_moved() {
  return num_threads() == 2 && processors().size() > 1;
}

TEST(helpers_leave_the_processor_of_the_caller) {
  auto all = processors();
  int met = 0;
  for (int i = 0; helper_can_be_moved() && i < 200 && met < 5; ++i) {
    auto elsewhere = all;
    elsewhere.erase(sched_getcpu());
    std::set<int> during;
    pid_t helper = 0;
    if (met_on_one_processor(helper, [&] { during = processors(); })) {
      ++met;
      CHECK(during == elsewhere);
    }
    let_run_on(all, helper);
  }
  CHECK(met > 0 || !helper_can_be_moved());
  CHECK(processors() == all);
}

TEST(where_a_helper_may_run_is_for_others_to_say) {
  auto all = processors();
  for (int i = 0; helper_can_be_moved() && i < 20; ++i) {
    pid_t helper = 0;
    met_on_one_processor(helper, [] {});
    // As `taskset` would.
    std::set<int> here = {sched_getcpu()};
    let_run_on(here, helper);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    on_a_helper([] {});
    CHECK(processors(helper) == here);
    let_run_on(all, helper);
  }
}
#endif

TEST(the_first_exception_reaches_the_caller) {
  for (double work : {0.0, kMuchWork}) {
    for (int64_t bad : {0, 1, 50, 99}) {
      std::atomic<int> calls = 0;
      auto error = test::error_of<std::runtime_error>([&] {
        parallel_for(100, work, [&](int64_t i) {
          ++calls;
          if (i == bad) {
            throw std::runtime_error("index " + std::to_string(i));
          }
        });
      });
      CHECK_EQUAL(error, "index " + std::to_string(bad));
      CHECK(calls > bad && calls <= 100);
      CHECK_EQUAL(calls_of(100, work), std::vector<int>(100, 1));
    }
  }
  auto error = test::error_of<std::runtime_error>([] {
    parallel_for(1000, kMuchWork, [](int64_t) {
      throw std::runtime_error("all of them");
    });
  });
  CHECK_EQUAL(error, "all of them");
}

TEST(callers_do_not_disturb_each_other) {
  std::vector<std::thread> callers;
  std::atomic<int> wrong = 0;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&, caller] {
      for (int repeat = 0; repeat < 300; ++repeat) {
        int64_t count = 10 + caller + repeat % 7;
        try {
          wrong += calls_of(count, kMuchWork) != std::vector<int>(count, 1);
          parallel_for(count, kMuchWork, [&](int64_t) { throw caller; });
        } catch (int thrown) {
          wrong += thrown != caller;
        }
      }
    });
  }
  for (auto& caller : callers) {
    caller.join();
  }
  CHECK_EQUAL(wrong, 0);
}

TEST(a_loop_inside_a_loop_ends) {
  std::atomic<int> calls = 0;
  parallel_for(20, kMuchWork, [&](int64_t) {
    parallel_for(30, kMuchWork, [&](int64_t) { ++calls; });
  });
  CHECK_EQUAL(calls, 600);
}

TEST(a_forked_child_runs_its_loops_alone) {
  pid_t child = fork();
  if (child == 0) {
    alarm(60); // main's is not inherited
    bool right = calls_of(100, kMuchWork) == std::vector<int>(100, 1);
    _exit(right ? 0 : 1);
  }
  int status = -1;
  CHECK_EQUAL(waitpid(child, &status, 0), child);
  CHECK_EQUAL(status, 0);
  CHECK_EQUAL(calls_of(100, kMuchWork), std::vector<int>(100, 1));
}

} // namespace
