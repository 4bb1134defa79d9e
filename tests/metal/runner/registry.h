// The kernels that have been compiled for the emulator, by name. Libraries of
// them register theirs as they are loaded.
#pragma once

namespace runner {

struct Kernel {
  const char* name;
  void (*call)(void** buffers);
  int buffer_count;
  int declared_threads;
};

struct Registration {
  explicit Registration(const Kernel& kernel);
};

} // namespace runner
