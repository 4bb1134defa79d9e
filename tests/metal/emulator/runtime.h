// Runs Metal kernels on one CPU thread and reports what would be undefined on a
// GPU. Not for use by several threads at once.
#pragma once

#include <cstddef>
#include <cstdint>

namespace emulator {

struct Counts {
  uint64_t multiply_adds; // 512 per 8x8 product, one per call of fma
  uint64_t loads; // bytes read of buffers, in the checked build
  uint64_t stores; // bytes written to buffers, in the checked build
  uint64_t barriers; // of threadgroups
  uint64_t threadgroup_bytes; // of the threadgroup that takes most
};

// In which order threads run, SIMD-groups after one another, and threadgroups.
enum class Order { Forward, Reverse, Random };

enum class Access { Read, Write, ReadWrite, Constant };

struct Launch {
  void (*kernel)(void** args);
  void** args; // buffers that `allocate` returned
  int arg_count;
  uint32_t grid[3]; // threadgroups
  uint32_t threads[3]; // of a threadgroup
  int declared_threads; // what the kernel's KERNEL says
  Order order = Order::Forward;
  uint32_t seed = 1; // of Order::Random
  // Lanes hold other elements of a matrix than on Apple's GPUs: a kernel that
  // only loads and stores matrices must not notice.
  bool permuted_layout = false;
  // Which threadgroups to run, x fastest; a part of the grid leaves the check
  // for unwritten outputs out.
  uint64_t first_group = 0;
  uint64_t last_group = UINT64_MAX;
};

// A buffer whose first byte lies `misalign` (0 to 15) bytes past a multiple of
// 16. Without `init` its bytes count as never written.
void* allocate(
    const char* name,
    size_t bytes,
    Access access,
    const void* init,
    size_t misalign);

// From or to the host; a write makes these bytes initialised.
void read(const void* buffer, size_t offset, void* to, size_t bytes);
void write(void* buffer, size_t offset, const void* from, size_t bytes);

// All bytes of a buffer count as written; those of a large one are zeros.
void mark_initialised(void* buffer);

// Which bytes are initialised stays, as for a temporary that one launch writes
// and the next one reads.
void change_access(void* buffer, Access access);

void release_all();

// The number of errors found.
int run(const Launch& launch, Counts* counts);

// Of all runs since the last clear_errors, one a line; only the first are kept.
const char* errors();
void clear_errors();

} // namespace emulator
