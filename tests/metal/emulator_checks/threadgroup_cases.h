// Defects in the use of threadgroup memory.
#pragma once

#include "case.h"

namespace threadgroup_read_past_the_end {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  TG_ARRAY(float, tile, [64]);
  const int i = int(sg * 32 + lane);
  tile[i] = x[i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  THREADGROUP float* start = tile;
  y[int(tgid.x) * 64 + i] = start[i + *is_broken];
}
} // namespace threadgroup_read_past_the_end

namespace threadgroup_write_before_the_start {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  TG_ARRAY(float, other, [64]);
  TG_ARRAY(float, tile, [64]);
  const int i = int(sg * 32 + lane);
  THREADGROUP float* start = tile;
  other[i] = 0.0f;
  start[i - *is_broken] = x[i];
  y[int(tgid.x) * 64 + i] = start[i - *is_broken];
}
} // namespace threadgroup_write_before_the_start

namespace uninitialised_threadgroup_read {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  TG_ARRAY(float, tile, [64]);
  const int i = int(sg * 32 + lane);
  if (*is_broken == 0 || i != 9 || tgid.x == 0) {
    tile[i] = x[i];
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  y[int(tgid.x) * 64 + i] = tile[63 - i];
}
} // namespace uninitialised_threadgroup_read

namespace missing_barrier_after_the_write {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  TG_ARRAY(float, tile, [64]);
  const int i = int(sg * 32 + lane);
  tile[i] = x[i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  tile[i] = x[i] + 1.0f;
  if (*is_broken == 0) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  y[int(tgid.x) * 64 + i] = tile[63 - i];
}
} // namespace missing_barrier_after_the_write

namespace missing_barrier_before_the_write {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  TG_ARRAY(float, tile, [64]);
  const int i = int(sg * 32 + lane);
  tile[i] = x[i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  const float other = tile[63 - i];
  if (*is_broken == 0) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  tile[i] = other;
  y[int(tgid.x) * 64 + i] = tile[i];
}
} // namespace missing_barrier_before_the_write

namespace two_threads_write_one_element {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  TG_ARRAY(float, tile, [64]);
  const int i = int(sg * 32 + lane);
  tile[*is_broken != 0 ? i / 2 : i] = 1.0f;
  y[int(tgid.x) * 64 + i] = x[i];
}
} // namespace two_threads_write_one_element

namespace barrier_of_the_wrong_memory {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  TG_ARRAY(float, tile, [64]);
  const int i = int(sg * 32 + lane);
  tile[i] = x[i];
  mem_flags ordered = mem_flags::mem_threadgroup;
  if (*is_broken != 0) {
    ordered = mem_flags::mem_device;
  }
  threadgroup_barrier(ordered);
  y[int(tgid.x) * 64 + i] = tile[63 - i];
}
} // namespace barrier_of_the_wrong_memory

namespace missing_simdgroup_barrier {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  TG_ARRAY(float, tile, [64]);
  const int i = int(sg * 32 + lane);
  tile[i] = x[i];
  mem_flags ordered = mem_flags::mem_threadgroup;
  if (*is_broken != 0) {
    ordered = mem_flags::mem_none;
  }
  simdgroup_barrier(ordered);
  y[int(tgid.x) * 64 + i] = tile[int(sg) * 32 + 31 - int(lane)];
}
} // namespace missing_simdgroup_barrier

namespace simdgroup_barrier_between_simdgroups {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  TG_ARRAY(float, tile, [64]);
  const int i = int(sg * 32 + lane);
  tile[i] = x[i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  tile[i] += 1.0f;
  simdgroup_barrier(mem_flags::mem_threadgroup);
  y[int(tgid.x) * 64 + i] = tile[*is_broken != 0 ? 63 - i : i];
}
} // namespace simdgroup_barrier_between_simdgroups

namespace matrix_store_races_with_a_read {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  TG_ARRAY(float, tile, [128]);
  const int i = int(sg * 32 + lane);
  THREADGROUP float* own = tile + int(sg) * 64;
  simdgroup_store(make_filled_simdgroup_matrix<float, 8, 8>(1.0f), own, 8);
  if (*is_broken == 0) {
    simdgroup_barrier(mem_flags::mem_threadgroup);
  } else {
    simdgroup_barrier(mem_flags::mem_none);
  }
  y[int(tgid.x) * 64 + i] = own[63 - lane] + x[i];
}
} // namespace matrix_store_races_with_a_read

namespace too_much_threadgroup_memory {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  TG_ARRAY(float, tile, [8 * 1024]);
  const int i = int(sg * 32 + lane);
  tile[i] = x[i];
  if (*is_broken != 0 && i == 0) {
    TG_ARRAY(float, more, [1]);
    more[0] = 0.0f;
  }
  y[int(tgid.x) * 64 + i] = tile[i];
}
} // namespace too_much_threadgroup_memory

inline constexpr Case kThreadgroupCases[] = {
    CASE(
        threadgroup_read_past_the_end,
        "threadgroup read out of bounds: 4 bytes at tile+256 of 256"),
    CASE(
        threadgroup_write_before_the_start,
        "threadgroup write out of bounds: 4 bytes at tile-4 of 256"),
    CASE(uninitialised_threadgroup_read, "uninitialised threadgroup read: t"),
    CASE(missing_barrier_after_the_write, "threadgroup race, "),
    CASE(missing_barrier_before_the_write, "threadgroup race, "),
    CASE(two_threads_write_one_element, "threadgroup race, write after write"),
    CASE(barrier_of_the_wrong_memory, "threadgroup race, read after write"),
    CASE(missing_simdgroup_barrier, "threadgroup race, read after write"),
    CASE(simdgroup_barrier_between_simdgroups, "threadgroup race, "),
    CASE(matrix_store_races_with_a_read, "threadgroup race, read after write"),
    CASE(too_much_threadgroup_memory, "32784 bytes of threadgroup memory"),
};
