// Shows that each check of the emulator fires on a kernel with the defect, and
// stays silent on the same kernel without it.
#include <cstdio>
#include <cstring>
#include <vector>

#include "device_cases.h"
#include "host_checks.h"
#include "runtime.h"
#include "thread_cases.h"
#include "threadgroup_cases.h"
#include "value_checks.h"

namespace {

using emulator::Access;
using emulator::Order;

int run_case(const Case& which, int is_broken, Order order) {
  emulator::clear_errors();
  const std::vector<float> x(kElements, 1.0f);
  void* args[] = {
      emulator::allocate(
          "x", kElements * sizeof(float), Access::Read, x.data(), 0),
      emulator::allocate(
          "y", kElements * sizeof(float), Access::Write, nullptr, 0),
      emulator::allocate(
          "is_broken", sizeof(int), Access::Constant, &is_broken, 0)};
  emulator::Launch launch = {};
  launch.kernel = which.kernel;
  launch.args = args;
  launch.arg_count = 3;
  launch.declared_threads = which.threads;
  launch.grid[0] = 2;
  launch.grid[1] = launch.grid[2] = 1;
  launch.threads[0] = uint32_t(which.threads);
  launch.threads[1] = launch.threads[2] = 1;
  launch.order = order;
  const int errors = emulator::run(launch, nullptr);
  emulator::release_all();
  return errors;
}

bool fires_only_when_broken(const Case& which) {
  for (Order order : {Order::Forward, Order::Reverse, Order::Random}) {
    if (run_case(which, 0, order) != 0) {
      std::printf("FAILED %s: without its defect:\n", which.name);
      std::fputs(emulator::errors(), stdout);
      return false;
    }
    const int errors = run_case(which, 1, order);
    if (errors == 0 || !std::strstr(emulator::errors(), which.phrase)) {
      std::printf("FAILED %s: no \"%s\" in:\n", which.name, which.phrase);
      std::fputs(emulator::errors(), stdout);
      return false;
    }
  }
  std::printf("ok %s\n", which.name);
  return true;
}

template <size_t N>
int failures(const Case (&cases)[N]) {
  int failed = 0;
  for (const Case& which : cases) {
    failed += !fires_only_when_broken(which);
  }
  return failed;
}

} // namespace

int main() {
  const int failed = failures(kDeviceCases) + failures(kThreadgroupCases) +
      failures(kThreadCases) + host_failures() + value_failures();
  std::printf("%d failed\n", failed);
  return failed == 0 ? 0 : 1;
}
