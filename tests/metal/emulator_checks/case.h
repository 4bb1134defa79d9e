// A kernel with one defect, which it shows only where is_broken says so: the
// same text without it must run clean.
#pragma once

#include "bind.h"
#include "prelude.h"

// Two threadgroups of 64 threads, unless a case says otherwise.
#define CASE_KERNEL(threads)                            \
  KERNEL(threads)                                       \
  kernel(                                               \
      [[maybe_unused]] const DEVICE float* x BUFFER(0), \
      DEVICE float* y BUFFER(1),                        \
      [[maybe_unused]] const CONSTANT int* is_broken BUFFER(2) KERNEL_IDS)

#define CASE(name, phrase) \
  {#name, emulator::call<name::kernel>, name::declared_threads, phrase}

struct Case {
  const char* name;
  void (*kernel)(void** args);
  int threads;
  const char* phrase; // in the text of the error
};

inline constexpr int kThreads = 64;
inline constexpr int kElements = 2 * kThreads;
