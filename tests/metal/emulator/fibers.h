// One fiber per Metal thread, in SIMD-groups of 32 that wait for one another.
#pragma once

#include <cstdint>

#include "kernel_calls.h"
#include "runtime.h"

namespace emulator {

inline constexpr uint32_t kLanes = 32;
inline constexpr uint32_t kMaxThreads = 1024;

// Whether a kernel's fiber is running, and not the scheduler.
extern bool in_kernel;
extern uint64_t barriers_passed;
extern uint64_t products; // of 8x8 matrices

// Runs one threadgroup to its end, or to the first error that ends a launch.
struct Threadgroup {
  void (*kernel)(void** args);
  void** args;
  uint32_t position[3];
  uint32_t threads;
  Order order;
  uint32_t seed;
  bool permuted_layout;
};
bool run_threadgroup(const Threadgroup& threadgroup);

// Leaves the kernel for good. For errors that it cannot survive.
[[noreturn]] void abandon_launch();

uint32_t running_thread();
bool is_simd_group_whole();

// What a SIMD-group computes together once its last lane has arrived.
struct Meeting {
  alignas(32) float a[8][8];
  alignas(32) float b[8][8];
  alignas(32) float c[8][8];
  uint64_t bits[kLanes];
};

// The SIMD-group's next meeting. Two take turns: a lane may enter the next
// while slower ones still read the results of this one.
Meeting& next_meeting();
// True for the last lane to arrive, which runs first.
bool meet_simd_group(const Site& site);

} // namespace emulator
