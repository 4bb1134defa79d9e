// What depends on how a kernel is launched, and on its buffers.
#include "host_checks.h"

#include <cstdio>
#include <cstring>
#include <vector>

#include "case.h"
#include "runtime.h"

using emulator::Access;
using emulator::Counts;
using emulator::Launch;
using emulator::run;

namespace copy_floats {
KERNEL(64)
kernel(const DEVICE float* x BUFFER(0), DEVICE float* y BUFFER(1) KERNEL_IDS) {
  KERNEL_IDS_INIT
  const long i = long(tgid.x) * 64 + sg * 32 + lane;
  y[i] = x[i];
}
} // namespace copy_floats

namespace copy_bytes {
KERNEL(32)
kernel(
    const DEVICE uchar* x BUFFER(0),
    DEVICE uchar* y BUFFER(1),
    const CONSTANT int* count BUFFER(2) KERNEL_IDS) {
  KERNEL_IDS_INIT
  for (int i = int(lane); i < *count; i += 32) {
    y[i] = x[i];
  }
}
} // namespace copy_bytes

namespace many_threads {
KERNEL(1056) kernel(DEVICE float* y BUFFER(0) KERNEL_IDS) {
  KERNEL_IDS_INIT
  y[sg * 32 + lane] = 0.0f;
}
} // namespace many_threads

namespace {

int failed = 0;

void expect(bool is_right, const char* what) {
  std::printf("%s %s\n", is_right ? "ok" : "FAILED", what);
  if (!is_right) {
    std::fputs(emulator::errors(), stdout);
    ++failed;
  }
}

bool has_error(const char* phrase) {
  return std::strstr(emulator::errors(), phrase) != nullptr;
}

template <size_t N>
Launch launch_of(
    void (*kernel)(void**),
    void* (&args)[N],
    uint32_t groups,
    uint32_t threads) {
  Launch launch = {};
  launch.kernel = kernel;
  launch.args = args;
  launch.arg_count = N;
  launch.grid[0] = groups;
  launch.grid[1] = launch.grid[2] = 1;
  launch.threads[0] = threads;
  launch.threads[1] = launch.threads[2] = 1;
  launch.declared_threads = int(threads);
  return launch;
}

void start() {
  emulator::release_all();
  emulator::clear_errors();
}

void check_launch_sizes() {
  start();
  const std::vector<float> x(128, 2.0f);
  void* args[] = {
      emulator::allocate("x", 512, Access::Read, x.data(), 0),
      emulator::allocate("y", 512, Access::Write, nullptr, 0)};
  Launch launch = launch_of(emulator::call<copy_floats::kernel>, args, 2, 64);
  launch.threads[0] = 32;
  run(launch, nullptr);
  expect(
      has_error(
          "launched with 32 threads per threadgroup, the kernel "
          "declares 64"),
      "threads that the kernel does not declare");

  emulator::clear_errors();
  launch.threads[0] = 64;
  launch.grid[1] = 0;
  run(launch, nullptr);
  expect(has_error("empty grid"), "empty grid");

  emulator::clear_errors();
  void* outputs[] = {args[1]};
  run(launch_of(emulator::call<many_threads::kernel>, outputs, 1, 1056),
      nullptr);
  expect(has_error("1056 threads per threadgroup"), "more than 1024 threads");
}

void check_counts_and_parts() {
  start();
  const std::vector<float> x(256, 2.0f);
  void* args[] = {
      emulator::allocate("x", 1024, Access::Read, x.data(), 0),
      emulator::allocate("y", 1024, Access::Write, nullptr, 0)};
  Launch launch = launch_of(emulator::call<copy_floats::kernel>, args, 4, 64);
  launch.first_group = 1;
  launch.last_group = 3;
  Counts counts;
  expect(run(launch, &counts) == 0, "part of a grid leaves outputs unwritten");
  expect(
      counts.loads == 512 && counts.stores == 512,
      "bytes loaded and stored are counted");
  float y[4];
  emulator::read(args[1], 64 * sizeof(float), y, sizeof y);
  expect(y[0] == 2.0f && y[3] == 2.0f, "results are read back");
}

// One launch writes what the next one reads.
void check_temporaries() {
  start();
  const std::vector<float> x(128, 3.0f);
  void* temporary = emulator::allocate("t", 512, Access::Write, nullptr, 0);
  void* first[] = {
      emulator::allocate("x", 512, Access::Read, x.data(), 0), temporary};
  void* second[] = {
      temporary, emulator::allocate("y", 512, Access::Write, nullptr, 0)};
  const auto kernel = emulator::call<copy_floats::kernel>;
  Launch part = launch_of(kernel, first, 2, 64);
  part.last_group = 1;
  run(part, nullptr);
  emulator::change_access(temporary, Access::Read);
  run(launch_of(kernel, second, 2, 64), nullptr);
  expect(
      has_error("uninitialised device read: t+256"),
      "a temporary that is written in part");

  emulator::clear_errors();
  emulator::change_access(temporary, Access::Write);
  expect(
      run(launch_of(kernel, first, 2, 64), nullptr) == 0 &&
          run(launch_of(kernel, first, 2, 64), nullptr) == 0,
      "launches do not race with one another");
  emulator::change_access(temporary, Access::Read);
  expect(
      run(launch_of(kernel, second, 2, 64), nullptr) == 0,
      "a temporary that is written whole");
}

// Every length and every distance from a multiple of 16.
void check_bounds_to_the_byte() {
  bool is_clean = true;
  bool is_caught = true;
  for (size_t bytes = 0; bytes <= 33; ++bytes) {
    for (size_t misalign = 0; misalign < 16; ++misalign) {
      start();
      const std::vector<unsigned char> x(bytes + 1, 7);
      const int right = int(bytes);
      const int wrong = right + 1;
      void* args[] = {
          emulator::allocate("x", bytes, Access::Read, x.data(), misalign),
          emulator::allocate("y", bytes + 1, Access::ReadWrite, nullptr, 0),
          emulator::allocate("n", 4, Access::Constant, &right, 0)};
      is_clean &= size_t(args[0]) % 16 == misalign;
      const auto kernel = emulator::call<copy_bytes::kernel>;
      is_clean &= run(launch_of(kernel, args, 1, 32), nullptr) == 0;
      args[2] = emulator::allocate("n", 4, Access::Constant, &wrong, 0);
      run(launch_of(kernel, args, 1, 32), nullptr);
      is_caught &= has_error("device read out of bounds: 1 bytes at x+");
    }
  }
  expect(is_clean, "buffers of 0 to 33 bytes, 0 to 15 past alignment");
  expect(is_caught, "one byte past the end of each of them");
}

// Far beyond the memory of the machine that runs this.
void check_huge_buffers() {
  start();
  const size_t bytes = size_t(16) << 30;
  const uint32_t groups = uint32_t(bytes / sizeof(float) / 64);
  void* args[] = {
      emulator::allocate("x", bytes, Access::Read, nullptr, 0),
      emulator::allocate("y", bytes, Access::Write, nullptr, 0)};
  const std::vector<float> x(64, 5.0f);
  emulator::write(args[0], bytes - 256, x.data(), 256);
  Launch launch =
      launch_of(emulator::call<copy_floats::kernel>, args, groups, 64);
  launch.first_group = groups - 1;
  float last = 0.0f;
  const bool is_clean = run(launch, nullptr) == 0;
  emulator::read(args[1], bytes - 4, &last, 4);
  expect(is_clean && last == 5.0f, "the last threadgroup of 16 GiB");
  launch.first_group = groups - 2;
  run(launch, nullptr);
  expect(
      has_error("uninitialised device read: x+17179868672"),
      "what the host has not written of 16 GiB");
}

void check_bounded_errors() {
  start();
  void* args[] = {
      emulator::allocate("x", 1 << 16, Access::Read, nullptr, 0),
      emulator::allocate("y", 1 << 16, Access::Write, nullptr, 0)};
  const int errors = run(
      launch_of(emulator::call<copy_floats::kernel>, args, 256, 64), nullptr);
  expect(
      errors > 12 && std::strlen(emulator::errors()) < 12 * 512,
      "only the first errors are kept");
}

} // namespace

int host_failures() {
  check_launch_sizes();
  check_counts_and_parts();
  check_temporaries();
  check_bounds_to_the_byte();
  check_huge_buffers();
  check_bounded_errors();
  emulator::release_all();
  return failed;
}
