// Switching between fibers, and who runs next.
#include "fibers.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <random>

#include "access_order.h"
#include "scheduler.h"
#include "stacks.h"

namespace emulator {

bool in_kernel = false;
Clock now;
Fiber fibers[kMaxThreads];
SimdGroup groups[kMaxThreads / kLanes];
uint32_t group_count;
uint32_t thread_count;
Fiber* running;

namespace {

uint32_t group_at[kMaxThreads / kLanes]; // in their order
uint32_t done_count;
void* scheduler_stack;
bool abandoned;
const Threadgroup* threadgroup;

Fiber& fiber_at(const SimdGroup& group, uint32_t place) {
  const auto index = uint32_t(&group - groups);
  return fibers[index * kLanes + group.lane_at[place]];
}

// Lanes of the same SIMD-group come first, which keeps their stacks in cache.
Fiber* next_ready() {
  const SimdGroup& group = *running->group;
  const uint32_t later = group.ready & (~1u << running->place);
  if (later) {
    return &fiber_at(group, std::countr_zero(later));
  }
  if (group.ready) {
    return &fiber_at(group, std::countr_zero(group.ready));
  }
  for (uint32_t i = 0; i < group_count; ++i) {
    const SimdGroup& other = groups[group_at[i]];
    if (other.ready) {
      return &fiber_at(other, std::countr_zero(other.ready));
    }
  }
  return nullptr;
}

void run_fiber() {
  threadgroup->kernel(threadgroup->args);
  running->is_done = true;
  ++done_count;
  wait(*running, {"the end", "", 0});
  switch_to_next();
  std::abort();
}

void start_fiber(uint32_t thread) {
  Fiber& fiber = fibers[thread];
  const uint32_t lane = thread % kLanes;
  const uint32_t layout =
      threadgroup->permuted_layout ? (lane * 5 + 3) % kLanes : lane;
  fiber = {};
  fiber.group = &groups[thread / kLanes];
  fiber.ids = {
      {threadgroup->position[0],
       threadgroup->position[1],
       threadgroup->position[2]},
      thread / kLanes,
      lane,
      ((layout / 4) & 4) + (layout / 2) % 4,
      ((layout / 4) & 2) * 2 + (layout % 2) * 2};
  fiber.stack = fresh_stack(thread, run_fiber);
}

void order_lanes(std::mt19937& random) {
  for (uint32_t i = 0; i < group_count; ++i) {
    group_at[i] = i;
    SimdGroup& group = groups[i];
    group.lanes = std::min(kLanes, thread_count - i * kLanes);
    group.all = ~0u >> (kLanes - group.lanes);
    group.ready = group.all;
    group.arrived = 0;
    group.turn = 0;
    for (uint32_t lane = 0; lane < group.lanes; ++lane) {
      group.lane_at[lane] = lane;
    }
    if (threadgroup->order == Order::Reverse) {
      std::reverse(group.lane_at, group.lane_at + group.lanes);
    } else if (threadgroup->order == Order::Random) {
      std::shuffle(group.lane_at, group.lane_at + group.lanes, random);
    }
    for (uint32_t place = 0; place < group.lanes; ++place) {
      fiber_at(group, place).place = place;
    }
  }
  if (threadgroup->order == Order::Reverse) {
    std::reverse(group_at, group_at + group_count);
  } else if (threadgroup->order == Order::Random) {
    std::shuffle(group_at, group_at + group_count, random);
  }
}

} // namespace

void switch_to_next() {
  Fiber* from = running;
  Fiber* to = next_ready();
  if (!to) {
    emulator_switch(&from->stack, scheduler_stack);
    return;
  }
  running = to;
  now.thread = uint32_t(to - fibers);
  now.simd_group = to->ids.simd_group;
  emulator_switch(&from->stack, to->stack);
}

void wait(Fiber& fiber, const Site& site) {
  fiber.site = site;
  fiber.group->ready &= ~(1u << fiber.place);
}

const ThreadIds& thread_ids() {
  return running->ids;
}

uint32_t running_thread() {
  return uint32_t(running - fibers);
}

bool is_simd_group_whole() {
  return running->group->lanes == kLanes;
}

void abandon_launch() {
  abandoned = true;
  void* unused;
  emulator_switch(&unused, scheduler_stack);
  std::abort();
}

bool run_threadgroup(const Threadgroup& which) {
  threadgroup = &which;
  thread_count = which.threads;
  group_count = (thread_count + kLanes - 1) / kLanes;
  done_count = 0;
  start_barriers();
  abandoned = false;
  std::mt19937 random(which.seed);
  for (uint32_t i = 0; i < thread_count; ++i) {
    start_fiber(i);
  }
  order_lanes(random);
  running = &fiber_at(groups[group_at[0]], 0);
  now.thread = uint32_t(running - fibers);
  now.simd_group = running->ids.simd_group;
  in_kernel = true;
  emulator_switch(&scheduler_stack, running->stack);
  in_kernel = false;
  if (abandoned) {
    return false;
  }
  if (done_count != thread_count) {
    report_deadlock();
    return false;
  }
  return are_uniform_at_end();
}

} // namespace emulator
