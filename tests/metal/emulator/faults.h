// Signals in a kernel become errors.
#pragma once

#include <csignal>

namespace emulator {

// Catches signals while it lives, and gives the old handlers back.
class FaultHandler {
 public:
  FaultHandler();
  ~FaultHandler();
  FaultHandler(const FaultHandler&) = delete;
  FaultHandler& operator=(const FaultHandler&) = delete;

 private:
  static constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
  struct sigaction old_actions_[4];
  stack_t old_stack_;
};

} // namespace emulator
