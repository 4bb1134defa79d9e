// What the stand-ins for Metal's headers ask of the runtime. Kept free of
// templates, so that it is compiled once and without instrumentation.
#pragma once

#include <cstddef>
#include <cstdint>

namespace emulator {

// A place in a kernel, as __builtin_FILE and __builtin_LINE give it.
struct Site {
  const char* what;
  const char* file;
  int line;
};

struct ThreadIds {
  uint32_t threadgroup[3];
  uint32_t simd_group;
  uint32_t lane;
  // Of the lane's two elements in an 8x8 matrix; they lie side by side.
  uint32_t fragment_row;
  uint32_t fragment_column;
};

struct Pair {
  float first;
  float second;
};

extern uint64_t fma_calls __attribute__((visibility("hidden")));

const ThreadIds& thread_ids();

void threadgroup_barrier(bool orders_device, bool orders_threadgroup, Site);
void simdgroup_barrier(bool orders_device, bool orders_threadgroup, Site);

// The lane's elements of a * b + c; waits for the whole SIMD-group.
Pair multiply_accumulate(Pair a, Pair b, Pair c, Site);
// The bits that another lane passes; waits for the whole SIMD-group.
uint64_t exchange(uint64_t bits, int source_lane, Site);
float sum_of_lanes(float value, Site);

// Arguments that Metal wants equal in all lanes; compared when they next meet.
void expect_uniform(const volatile void* pointer, uint64_t stride, bool flag);

// The same array for all threads of a threadgroup.
void* threadgroup_array(const char* name, int line, size_t bytes, size_t align);

} // namespace emulator
