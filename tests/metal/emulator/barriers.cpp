// Where threads wait for one another, and whether all wait at the same place.
#include <cstring>

#include "access_order.h"
#include "errors.h"
#include "scheduler.h"

namespace emulator {

uint64_t barriers_passed = 0;

namespace {

uint32_t at_barrier;

// The same literal mostly has the same address.
bool is_same_text(const char* a, const char* b) {
  return a == b || !std::strcmp(a, b);
}

bool is_same_place(const Site& a, const Site& b) {
  return a.line == b.line && is_same_text(a.what, b.what) &&
      is_same_text(a.file, b.file);
}

void report_divergence(const char* of, const Site& a, const Site& b) {
  report(
      "divergent %s: one thread is at %s (%s:%d), another at %s (%s:%d)",
      of,
      a.what,
      a.file,
      a.line,
      b.what,
      b.file,
      b.line);
}

// Metal wants these arguments equal in all lanes.
bool is_uniform(const Fiber& fiber, uint64_t expected) {
  if (fiber.uniform != expected) {
    report(
        "lanes differ in the address or stride of a simdgroup_load or "
        "simdgroup_store before %s (%s:%d)",
        fiber.site.what,
        fiber.site.file,
        fiber.site.line);
  }
  return fiber.uniform == expected;
}

void set_floors(uint32_t (&floors)[2], bool device, bool threadgroup) {
  if (device) {
    floors[int(Memory::Device)] = now.moment;
  }
  if (threadgroup) {
    floors[int(Memory::Threadgroup)] = now.moment;
  }
}

} // namespace

void start_barriers() {
  at_barrier = 0;
  ++now.group;
  now.moment = 0;
  std::memset(now.floor, 0, sizeof now.floor);
  std::memset(now.simd_floor, 0, sizeof now.simd_floor);
}

bool are_uniform_at_end() {
  for (uint32_t i = 0; i < thread_count; ++i) {
    if (!is_uniform(fibers[i], fibers[i / kLanes * kLanes].uniform)) {
      return false;
    }
  }
  return true;
}

void report_deadlock() {
  const Fiber* waiting = nullptr;
  const Fiber* other = nullptr;
  for (uint32_t i = 0; i < thread_count; ++i) {
    const Fiber& fiber = fibers[i];
    if (!waiting && !fiber.is_done) {
      waiting = &fiber;
    }
    if (waiting && !is_same_place(fiber.site, waiting->site)) {
      other = &fiber;
    }
  }
  if (!other) {
    other = &fibers[0];
  }
  report_divergence("barrier", waiting->site, other->site);
}

void expect_uniform(const volatile void* pointer, uint64_t stride, bool flag) {
  const auto address = reinterpret_cast<uintptr_t>(pointer);
  running->uniform = (running->uniform + address) * 0x9e3779b97f4a7c15u;
  running->uniform ^= stride * 2 + flag;
}

Meeting& next_meeting() {
  SimdGroup& group = *running->group;
  return group.meetings[group.turn % 2];
}

bool meet_simd_group(const Site& site) {
  Fiber& fiber = *running;
  SimdGroup& group = *fiber.group;
  fiber.site = site;
  if (group.arrived == 0) {
    group.site = site;
    group.uniform = fiber.uniform;
  } else if (!is_same_place(site, group.site)) {
    report_divergence("SIMD-group", site, group.site);
    abandon_launch();
  } else if (!is_uniform(fiber, group.uniform)) {
    abandon_launch();
  }
  if (++group.arrived < group.lanes) {
    wait(fiber, site);
    switch_to_next();
    return false;
  }
  group.arrived = 0;
  group.ready = group.all;
  ++group.turn;
  return true;
}

void simdgroup_barrier(bool orders_device, bool orders_threadgroup, Site site) {
  if (!meet_simd_group(site)) {
    return;
  }
  ++now.moment;
  set_floors(now.simd_floor[now.simd_group], orders_device, orders_threadgroup);
}

void threadgroup_barrier(
    bool orders_device,
    bool orders_threadgroup,
    Site site) {
  wait(*running, site);
  if (++at_barrier < thread_count) {
    switch_to_next();
    return;
  }
  for (uint32_t i = 0; i < thread_count; ++i) {
    if (!is_same_place(fibers[i].site, site)) {
      report_divergence("barrier", fibers[i].site, site);
      abandon_launch();
    }
  }
  for (uint32_t i = 0; i < group_count; ++i) {
    groups[i].ready = groups[i].all;
  }
  at_barrier = 0;
  ++barriers_passed;
  ++now.moment;
  set_floors(now.floor, orders_device, orders_threadgroup);
}

} // namespace emulator
