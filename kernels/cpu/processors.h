// The processors that threads may run on.
#pragma once

#include <thread>

#ifdef __linux__
#include <sched.h>
#endif

namespace mlx_convt::cpu {

// How many the calling thread may run on.
int available_processors();

// Where the caller runs; -1 where the system does not say.
int current_processor();

// Keeps a thread off the processor of its caller. Whoever else says where the
// thread may run is obeyed.
class Detour {
 public:
  // Lets the thread run wherever the caller may, except there.
  void begin(std::thread&, int processor);

  // Whether it has begun, and another processor, or one of a set that has
  // changed, should be kept free.
  bool is_out_of_date(int processor) const;

 private:
#ifdef __linux__
  int processor_{-1}; // none before it has begun
  cpu_set_t allowed_; // the caller's
  cpu_set_t given_; // the thread's
#endif
};

} // namespace mlx_convt::cpu
