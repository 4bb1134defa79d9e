// Maps the stacks once; a guard page below each catches an overflow.
#include "stacks.h"

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "fibers.h"

// System V, x86-64: six registers are the caller's to find again.
asm(R"(
.text
.globl emulator_switch
.hidden emulator_switch
.type emulator_switch, @function
emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size emulator_switch, .-emulator_switch
)");

namespace emulator {

namespace {

constexpr int kSavedRegisters = 6;
constexpr size_t kPage = 4096;
constexpr size_t kStack = 64 * 1024;
// Not a power of two, so that the stacks do not share their cache sets.
constexpr size_t kStride = kStack + kPage;

char* map_stacks() {
  void* mapped = mmap(
      nullptr,
      kMaxThreads * kStride,
      PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
      -1,
      0);
  if (mapped == MAP_FAILED) {
    std::abort();
  }
  char* stacks = static_cast<char*>(mapped);
  for (uint32_t i = 0; i < kMaxThreads; ++i) {
    mprotect(stacks + i * kStride, kPage, PROT_NONE);
  }
  return stacks;
}

char* const stacks = map_stacks();

} // namespace

void* stack_end(uint32_t thread) {
  // Two cache lines further down from lane to lane, for the same reason.
  return stacks + (thread + 1) * kStride - 64 - thread % kLanes * 128;
}

void* fresh_stack(uint32_t thread, void (*entry)()) {
  void** top = static_cast<void**>(stack_end(thread));
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(entry);
  top -= kSavedRegisters;
  std::memset(top, 0, kSavedRegisters * sizeof(void*));
  return top;
}

int stack_owner(const void* address) {
  const size_t offset = size_t(static_cast<const char*>(address) - stacks);
  if (offset >= kMaxThreads * kStride) {
    return kNoStack;
  }
  return offset % kStride < kPage ? kStackOverflow : int(offset / kStride);
}

} // namespace emulator
