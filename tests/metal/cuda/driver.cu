// Runs launches that a file describes and writes what they leave behind.
// Usage: driver LAUNCHES RESULTS [FILL]
//
// LAUNCHES, all numbers unsigned, of 64 bits and little-endian:
//   buffers: count; each: 1 if writable else 0, bytes, its content
//   launches: count; each: bytes of the kernel's name, the name, grid (3),
//     threads, arguments: count, indices of buffers
// RESULTS is the content of the writable buffers, one after the other. They
// start with FILL in every byte; without it nothing writes them beforehand, so
// that initcheck sees a kernel read what none has written.
#include <cuda_runtime.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#define CHECK(call) check(call, #call)

static void fail(const std::string& what, const char* why) {
  std::fprintf(stderr, "%s: %s\n", what.c_str(), why);
  std::exit(1);
}

static void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) {
    fail(what, cudaGetErrorString(error));
  }
}

static std::map<std::string, const void*>& kernels() {
  static std::map<std::string, const void*> by_name;
  return by_name;
}

// The sources that hold kernels call this before main.
bool add_kernel(const char* name, const void* kernel) {
  return kernels().emplace(name, kernel).second;
}

class Reader {
 public:
  explicit Reader(const char* path) : file_(path, std::ios::binary) {
    file_.exceptions(std::ios::failbit | std::ios::badbit);
  }

  uint64_t number() {
    uint64_t value;
    file_.read(reinterpret_cast<char*>(&value), sizeof(value));
    return value;
  }

  std::string bytes() {
    std::string value(number(), '\0');
    file_.read(value.data(), value.size());
    return value;
  }

 private:
  std::ifstream file_;
};

struct Buffer {
  bool writable;
  std::string content;
  void* memory;
};

static std::vector<Buffer> read_buffers(Reader& reader, const char* fill) {
  std::vector<Buffer> buffers(reader.number());
  for (Buffer& buffer : buffers) {
    buffer.writable = reader.number() != 0;
    buffer.content = reader.bytes();
    const size_t bytes = buffer.content.size();
    CHECK(cudaMalloc(&buffer.memory, bytes));
    if (!buffer.writable) {
      CHECK(cudaMemcpy(
          buffer.memory, buffer.content.data(), bytes, cudaMemcpyHostToDevice));
    } else if (fill != nullptr) {
      CHECK(cudaMemset(buffer.memory, std::atoi(fill), bytes));
    }
  }
  return buffers;
}

static void launch(Reader& reader, std::vector<Buffer>& buffers) {
  const std::string name = reader.bytes();
  if (kernels().count(name) == 0) {
    fail(name, "no such kernel");
  }
  dim3 grid;
  grid.x = reader.number();
  grid.y = reader.number();
  grid.z = reader.number();
  const dim3 threads(reader.number());
  std::vector<void*> arguments(reader.number());
  for (void*& argument : arguments) {
    argument = &buffers.at(reader.number()).memory;
  }
  check(
      cudaLaunchKernel(
          kernels()[name], grid, threads, arguments.data(), 0, nullptr),
      name.c_str());
}

int main(int count, char** arguments) {
  Reader reader(arguments[1]);
  std::ofstream results(arguments[2], std::ios::binary);
  std::vector<Buffer> buffers =
      read_buffers(reader, count > 3 ? arguments[3] : nullptr);
  for (uint64_t left = reader.number(); left > 0; --left) {
    launch(reader, buffers);
  }
  CHECK(cudaDeviceSynchronize());
  for (const Buffer& buffer : buffers) {
    std::string content(buffer.content.size(), '\0');
    CHECK(cudaMemcpy(
        content.data(), buffer.memory, content.size(), cudaMemcpyDeviceToHost));
    if (buffer.writable) {
      results << content;
    } else if (content != buffer.content) {
      fail("an input", "a kernel has written to it");
    }
    CHECK(cudaFree(buffer.memory));
  }
  return results.flush() ? 0 : 1;
}
