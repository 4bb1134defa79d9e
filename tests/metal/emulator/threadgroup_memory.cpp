// Whether a kernel may touch what it touches in threadgroup memory.
#include "threadgroup_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "access_order.h"
#include "errors.h"
#include "fibers.h"
#include "kernel_calls.h"

namespace emulator {

namespace {

constexpr size_t kLimit = 32 * 1024;
constexpr size_t kAlignment = 16;
// Each array lies in the middle of a slot, with nothing around it.
constexpr size_t kSlot = 256 * 1024;
constexpr size_t kLead = kSlot / 4;
constexpr size_t kSlots = 32;

struct Array {
  std::string name;
  int line;
  size_t bytes;
  char* begin;
};

std::vector<Array> arrays;

template <typename T>
T* map_lazily(size_t count) {
  void* mapped = mmap(
      nullptr,
      count * sizeof(T),
      PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
      -1,
      0);
  if (mapped == MAP_FAILED) {
    std::abort();
  }
  return static_cast<T*>(mapped);
}

char* const memory = map_lazily<char>(kSlots * kSlot);
Cell* const cells = map_lazily<Cell>(kSlots * kSlot);

size_t rounded_up(size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

void check_order(
    const Array& array,
    size_t offset,
    size_t bytes,
    bool is_write,
    const void* instruction) {
  Cell* touched = cells + (array.begin - memory) + offset;
  const Race race = note_touches<Memory::Threadgroup>(touched, bytes, is_write);
  if (race.conflict == Conflict::Uninitialised) {
    report(
        "uninitialised threadgroup read: %s+%zu, at %s",
        array.name.c_str(),
        offset + race.byte,
        describe_address(instruction));
  } else if (race.conflict != Conflict::None) {
    report(
        "threadgroup race, %s: %s+%zu with thread %u, at %s",
        name_of(race.conflict),
        array.name.c_str(),
        offset + race.byte,
        race.other_thread,
        describe_address(instruction));
  }
}

} // namespace

void forget_threadgroup_arrays() {
  arrays.clear();
}

void poison_threadgroup_arrays() {
  for (const Array& array : arrays) {
    std::memset(array.begin, 0xff, array.bytes);
  }
}

uint64_t threadgroup_bytes() {
  uint64_t total = 0;
  for (const Array& array : arrays) {
    total += rounded_up(array.bytes);
  }
  return total;
}

void* threadgroup_array(
    const char* name,
    int line,
    size_t bytes,
    size_t align) {
  for (const Array& array : arrays) {
    if (array.line == line && array.name == name) {
      return array.begin;
    }
  }
  if (align > kAlignment || arrays.size() == kSlots || bytes > kSlot / 2) {
    report("threadgroup array %s is beyond the emulator's limits", name);
    abandon_launch();
  }
  char* begin = memory + arrays.size() * kSlot + kLead;
  arrays.push_back({name, line, bytes, begin});
  std::memset(begin, 0xff, bytes);
  if (threadgroup_bytes() > kLimit) {
    report(
        "%zu bytes of threadgroup memory with %s, Metal has %zu",
        size_t(threadgroup_bytes()),
        name,
        kLimit);
    abandon_launch();
  }
  return begin;
}

bool check_threadgroup_access(
    const void* address,
    size_t bytes,
    bool is_write,
    const void* instruction) {
  const auto at = static_cast<const char*>(address) - memory;
  if (at < 0 || size_t(at) >= kSlots * kSlot) {
    return false;
  }
  const size_t slot = size_t(at) / kSlot;
  if (slot >= arrays.size()) {
    report("wild threadgroup access, at %s", describe_address(instruction));
    abandon_launch();
  }
  const Array& array = arrays[slot];
  const auto offset = static_cast<const char*>(address) - array.begin;
  if (offset < 0 || size_t(offset) + bytes > array.bytes) {
    report(
        "threadgroup %s out of bounds: %zu bytes at %s%+td of %zu, at %s",
        is_write ? "write" : "read",
        bytes,
        array.name.c_str(),
        offset,
        array.bytes,
        describe_address(instruction));
    abandon_launch();
  }
  check_order(array, size_t(offset), bytes, is_write, instruction);
  return true;
}

} // namespace emulator
