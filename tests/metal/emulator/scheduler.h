// The fibers of the running threadgroup: for fibers.cpp and barriers.cpp.
#pragma once

#include "fibers.h"

namespace emulator {

// Of fibers that run after one another: bit i of `ready` is the i-th of them.
struct SimdGroup {
  uint32_t ready;
  uint32_t all;
  uint32_t lanes;
  uint32_t arrived;
  uint32_t turn;
  Site site; // of the first lane to arrive
  uint64_t uniform;
  uint32_t lane_at[kLanes];
  Meeting meetings[2];
};

struct Fiber {
  void* stack;
  SimdGroup* group;
  uint32_t place; // in its group's order
  bool is_done;
  uint64_t uniform; // hash of the arguments that must be equal in all lanes
  Site site; // where it waits
  ThreadIds ids;
};

extern Fiber fibers[kMaxThreads];
extern SimdGroup groups[kMaxThreads / kLanes];
extern uint32_t group_count;
extern uint32_t thread_count;
extern Fiber* running;

// The fiber is not ready until its SIMD-group is made so again.
void wait(Fiber& fiber, const Site& site);
void switch_to_next();

// Of a threadgroup's begin and end.
void start_barriers();
void report_deadlock();
bool are_uniform_at_end();

} // namespace emulator
