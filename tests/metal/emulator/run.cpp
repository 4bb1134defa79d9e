// One launch: what Metal demands of it, and its threadgroups in their order.
#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "access_order.h"
#include "device_memory.h"
#include "errors.h"
#include "faults.h"
#include "fibers.h"
#include "instrumentation.h"
#include "runtime.h"
#include "threadgroup_memory.h"

namespace emulator {

namespace {

constexpr int kMultiplyAddsOfProduct = 8 * 8 * 8;
// A broken kernel would fail in every thread.
constexpr int kMaxErrors = 1000;

uint64_t product(const uint32_t (&extent)[3]) {
  return uint64_t(extent[0]) * extent[1] * extent[2];
}

bool is_valid(const Launch& launch) {
  const uint64_t threads = product(launch.threads);
  if (threads == 0 || threads > kMaxThreads) {
    report(
        "%zu threads per threadgroup, Metal has 1 to %u",
        size_t(threads),
        kMaxThreads);
    return false;
  }
  if (threads != uint64_t(launch.declared_threads)) {
    report(
        "launched with %zu threads per threadgroup, the kernel declares %d",
        size_t(threads),
        launch.declared_threads);
    return false;
  }
  if (product(launch.grid) == 0) {
    report("launched with an empty grid");
    return false;
  }
  return true;
}

std::vector<uint64_t>
ordered_groups(const Launch& launch, uint64_t first, uint64_t last) {
  std::vector<uint64_t> groups(last - first);
  std::iota(groups.begin(), groups.end(), first);
  if (launch.order == Order::Reverse) {
    std::reverse(groups.begin(), groups.end());
  } else if (launch.order == Order::Random) {
    std::mt19937_64 random(launch.seed);
    std::shuffle(groups.begin(), groups.end(), random);
  }
  return groups;
}

void run_groups(const Launch& launch) {
  const uint64_t total = product(launch.grid);
  const uint64_t last = std::min(launch.last_group, total);
  const uint64_t first = std::min(launch.first_group, last);
  const int errors_before = error_count();
  for (uint64_t group : ordered_groups(launch, first, last)) {
    const uint64_t rows = group / launch.grid[0];
    poison_threadgroup_arrays();
    Threadgroup threadgroup = {
        launch.kernel,
        launch.args,
        {uint32_t(group % launch.grid[0]),
         uint32_t(rows % launch.grid[1]),
         uint32_t(rows / launch.grid[1])},
        uint32_t(product(launch.threads)),
        launch.order,
        uint32_t(launch.seed + group),
        launch.permuted_layout};
    if (!run_threadgroup(threadgroup) ||
        error_count() > errors_before + kMaxErrors) {
      return;
    }
  }
  if (saw_instrumentation && last - first == total) {
    for (int i = 0; i < launch.arg_count; ++i) {
      report_unwritten_output(launch.args[i]);
    }
  }
}

} // namespace

int run(const Launch& launch, Counts* counts) {
  const int errors_before = error_count();
  fma_calls = 0;
  products = 0;
  barriers_passed = 0;
  saw_instrumentation = false;
  now.first_group_of_launch = now.group + 1;
  start_counting_device_bytes();
  forget_threadgroup_arrays();
  if (is_valid(launch)) {
    FaultHandler handler;
    run_groups(launch);
  }
  if (counts) {
    *counts = {
        products * kMultiplyAddsOfProduct + fma_calls,
        device_bytes_loaded(),
        device_bytes_stored(),
        barriers_passed,
        threadgroup_bytes()};
  }
  return error_count() - errors_before;
}

} // namespace emulator
