// What the device that stands in for Metal is told, and how it is to behave.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "mlx/array.h"

namespace encoder {

namespace mx = mlx::core;

// At one buffer index.
struct Binding {
  const char* memory = nullptr; // of an array; null where it is `bytes`
  size_t size = 0;
  bool is_written = false;
  std::vector<char> bytes;
};

struct Dispatch {
  std::string kernel;
  uint64_t grid[3];
  uint64_t threads[3];
  std::map<int, Binding> bindings;
};

struct Record {
  std::vector<std::string> events;
  std::vector<std::string> misuses; // what Metal does not allow
  std::vector<Dispatch> dispatches;
  // All that keeps memory alive: bindings are addresses only, as in Metal's
  // command buffers.
  std::vector<mx::array> temporaries;
};

struct Behaviour {
  int generation = 13;
  uint64_t most_threads = 1024; // of a threadgroup
  uint64_t most_bytes = UINT64_MAX; // of a buffer
  std::string refused; // the function that does not compile
};

inline constexpr int kStream = 7; // the only one with an encoder

// Neither is ever destroyed: MLX's allocator may go before.
Record& record();
Behaviour& behaviour();

// Forgets its libraries and pipelines.
void replace_device();

// Null where it has not been compiled.
const char* text_of_library(const std::string& name);

} // namespace encoder
