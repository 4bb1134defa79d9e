// Threads kept off a processor, and what they may use then.
#include "cpu/processors.h"

#include <atomic>
#include <set>
#include <thread>

#include "affinity.h"
#include "check.h"

#ifdef __linux__
namespace {

using namespace mlx_convt::cpu;
using namespace test;

TEST(a_detour_follows_what_the_caller_may_use) {
  auto all = processors();
  if (all.size() < 2) {
    return;
  }
  int first = *all.begin();
  int last = *all.rbegin();
  std::atomic<pid_t> id = 0;
  std::atomic<bool> is_done = false;
  std::thread thread([&] {
    id = gettid();
    is_done.wait(false);
  });
  while (!id) {
    std::this_thread::yield();
  }
  auto but = [&](int processor) {
    auto set = all;
    set.erase(processor);
    return set;
  };
  Detour detour;
  CHECK(!detour.is_out_of_date(first));
  detour.begin(thread, first);
  CHECK(processors(id) == but(first));
  CHECK(!detour.is_out_of_date(first) && detour.is_out_of_date(last));
  detour.begin(thread, last);
  CHECK(processors(id) == but(last));

  // Fewer processors, then none but the caller's, then all of them again.
  let_run_on(but(first));
  CHECK(detour.is_out_of_date(last));
  detour.begin(thread, last);
  auto expected = but(last);
  if (all.size() > 2) {
    expected.erase(first);
  }
  CHECK(processors(id) == expected);
  let_run_on({first});
  detour.begin(thread, first);
  let_run_on(all);
  detour.begin(thread, first);
  CHECK(processors(id) == but(first));

  // Somebody else's word.
  let_run_on({first}, id);
  detour.begin(thread, first);
  CHECK(processors(id) == std::set{first});
  CHECK(!detour.is_out_of_date(last));
  is_done = true;
  is_done.notify_one();
  thread.join();
}

} // namespace
#endif
