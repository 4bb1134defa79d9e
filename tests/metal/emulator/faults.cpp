// Reports the fault, then lets the handler return into abandon_launch.
#include "faults.h"

#include <ucontext.h>

#include <cstring>

#include "device_memory.h"
#include "errors.h"
#include "fibers.h"
#include "stacks.h"

namespace emulator {

namespace {

alignas(16) char handler_stack[64 * 1024];

void report_fault(int signal, const void* address, const void* instruction) {
  const char* place = describe_address(instruction);
  if (signal == SIGILL) {
    report(
        "undefined behaviour, trapped (alignment, array index, shift, overflow "
        "or division), at %s",
        place);
    return;
  }
  if (signal == SIGFPE) {
    report("integer division by zero or overflow, at %s", place);
    return;
  }
  if (stack_owner(address) == kStackOverflow) {
    report("stack overflow, at %s", place);
    return;
  }
  if (const char* buffer = describe_device_address(address)) {
    report("device fault out of bounds: %s, at %s", buffer, place);
    return;
  }
  report("fault at address %p, at %s", address, place);
}

void on_fault(int signal, siginfo_t* info, void* context) {
  if (!in_kernel) {
    // Not ours: the instruction runs again and fails as it would have.
    std::signal(signal, SIG_DFL);
    return;
  }
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  report_fault(
      signal, info->si_addr, reinterpret_cast<void*>(registers[REG_RIP]));
  // As after a call at the upper end of the stack, which may have overflowed.
  auto end = reinterpret_cast<greg_t>(stack_end(running_thread()));
  registers[REG_RSP] = end / 16 * 16 - 8;
  registers[REG_RIP] = reinterpret_cast<greg_t>(abandon_launch);
}

} // namespace

FaultHandler::FaultHandler() {
  stack_t stack = {};
  stack.ss_sp = handler_stack;
  stack.ss_size = sizeof handler_stack;
  sigaltstack(&stack, &old_stack_);
  struct sigaction action = {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (int i = 0; i < 4; ++i) {
    sigaction(kSignals[i], &action, &old_actions_[i]);
  }
}

FaultHandler::~FaultHandler() {
  for (int i = 0; i < 4; ++i) {
    sigaction(kSignals[i], &old_actions_[i], nullptr);
  }
  sigaltstack(&old_stack_, nullptr);
}

} // namespace emulator
