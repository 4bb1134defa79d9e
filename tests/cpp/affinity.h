// The processors that a thread may run on, where the system tells.
#pragma once

#ifdef __linux__
#include <sched.h>
#include <unistd.h>

#include <set>

namespace test {

// Where a thread may run; 0 is the caller.
inline std::set<int> processors(pid_t thread = 0) {
  cpu_set_t set;
  sched_getaffinity(thread, sizeof(set), &set);
  std::set<int> result;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &set)) {
      result.insert(i);
    }
  }
  return result;
}

inline void let_run_on(const std::set<int>& processors, pid_t thread = 0) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int i : processors) {
    CPU_SET(i, &set);
  }
  sched_setaffinity(thread, sizeof(set), &set);
}

} // namespace test
#endif
