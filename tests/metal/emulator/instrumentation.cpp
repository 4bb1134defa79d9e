// g++ -fsanitize=thread calls these hooks around every load and store. The
// sanitizer's own library is never linked.
#include "instrumentation.h"

#include <cstdint>
#include <cstring>

#include "device_memory.h"
#include "errors.h"
#include "fibers.h"
#include "stacks.h"
#include "threadgroup_memory.h"

namespace emulator {

bool saw_instrumentation = false;

namespace {

void check_stack(int owner, const void* instruction) {
  const auto self = int(running_thread());
  if (owner == kStackOverflow) {
    report("stack overflow, at %s", describe_address(instruction));
    abandon_launch();
  }
  if (owner != self) {
    report(
        "access to the stack of thread %d, at %s",
        owner,
        describe_address(instruction));
  }
}

void check_access(
    const void* address,
    size_t bytes,
    bool is_write,
    const void* instruction) {
  if (!in_kernel) {
    return;
  }
  saw_instrumentation = true;
  const int owner = stack_owner(address);
  if (owner != kNoStack) {
    check_stack(owner, instruction);
    return;
  }
  if (check_threadgroup_access(address, bytes, is_write, instruction) ||
      check_device_access(address, bytes, is_write, instruction)) {
    return;
  }
  if (is_write) {
    report(
        "write to program-scope memory, at %s", describe_address(instruction));
    abandon_launch();
  }
}

void check_aligned(
    const void* address,
    size_t bytes,
    bool is_write,
    const void* instruction) {
  if (in_kernel && reinterpret_cast<uintptr_t>(address) % bytes != 0) {
    const char* buffer = describe_device_address(address);
    report(
        "misaligned %s of %zu bytes: %s, at %s",
        is_write ? "write" : "read",
        bytes,
        buffer ? buffer : "not in a buffer",
        describe_address(instruction));
  }
  check_access(address, bytes, is_write, instruction);
}

} // namespace

} // namespace emulator

using emulator::check_access;
using emulator::check_aligned;

// Of the access: a return address is that of the instruction after the call.
#define INSTRUCTION (static_cast<const char*>(__builtin_return_address(0)) - 1)

#define HOOKS(BYTES)                             \
  void __tsan_read##BYTES(void* p) {             \
    check_aligned(p, BYTES, false, INSTRUCTION); \
  }                                              \
  void __tsan_write##BYTES(void* p) {            \
    check_aligned(p, BYTES, true, INSTRUCTION);  \
  }                                              \
  void __tsan_unaligned_read##BYTES(void* p) {   \
    check_access(p, BYTES, false, INSTRUCTION);  \
  }                                              \
  void __tsan_unaligned_write##BYTES(void* p) {  \
    check_access(p, BYTES, true, INSTRUCTION);   \
  }

extern "C" {

void __tsan_init() {}

void __tsan_func_entry(void*) {
  emulator::saw_instrumentation |= emulator::in_kernel;
}

void __tsan_func_exit() {}

HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)

void __tsan_read_range(void* p, size_t bytes) {
  check_access(p, bytes, false, INSTRUCTION);
}

void __tsan_write_range(void* p, size_t bytes) {
  check_access(p, bytes, true, INSTRUCTION);
}

} // extern "C"
