// Defects in what threads do together, and in what each does alone.
#pragma once

#include "case.h"

namespace return_before_a_barrier {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(tgid.x) * 64 + int(sg * 32 + lane);
  y[i] = x[i];
  if (*is_broken != 0 && lane == 5) {
    return;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
}
} // namespace return_before_a_barrier

namespace different_barriers {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(tgid.x) * 64 + int(sg * 32 + lane);
  y[i] = x[i];
  if (*is_broken != 0 && sg == 1) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
  } else {
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
}
} // namespace different_barriers

namespace barriers_of_different_kinds {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(tgid.x) * 64 + int(sg * 32 + lane);
  y[i] = x[i];
  if (*is_broken != 0 && lane < 8) {
    simdgroup_barrier(mem_flags::mem_threadgroup);
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
}
} // namespace barriers_of_different_kinds

namespace divergent_sums {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(tgid.x) * 64 + int(sg * 32 + lane);
  float sum = x[i];
  if (*is_broken != 0 && lane < 16) {
    sum = simd_sum(sum);
  } else {
    sum = simd_sum(sum);
  }
  y[i] = sum;
}
} // namespace divergent_sums

namespace return_before_a_product {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(tgid.x) * 64 + int(sg * 32 + lane);
  y[i] = x[i];
  if (*is_broken != 0 && lane == 31) {
    return;
  }
  simdgroup_matrix<float, 8, 8> sum =
      make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  simdgroup_multiply_accumulate(sum, sum, sum, sum);
}
} // namespace return_before_a_product

namespace partial_simdgroup {
CASE_KERNEL(48) {
  KERNEL_IDS_INIT
  const int thread = int(sg * 32 + lane);
  const int i = int(tgid.x) * 48 + thread;
  y[i] = *is_broken != 0 || sg == 0 ? simd_sum(x[i]) : 0.0f;
  if (i < 32) {
    y[96 + i] = 0.0f;
  }
}
} // namespace partial_simdgroup

namespace shuffle_from_no_lane {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(tgid.x) * 64 + int(sg * 32 + lane);
  y[i] = simd_shuffle(x[i], ushort(lane + *is_broken));
}
} // namespace shuffle_from_no_lane

namespace lanes_load_from_different_addresses {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(tgid.x) * 64 + int(sg * 32 + lane);
  simdgroup_matrix<float, 8, 8> a;
  simdgroup_load(a, x + (*is_broken != 0 ? lane : 0), 8);
  y[i] = simd_sum(x[i]);
}
} // namespace lanes_load_from_different_addresses

namespace lanes_store_to_different_addresses {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  simdgroup_matrix<float, 8, 8> a;
  simdgroup_load(a, x, 8);
  if (sg == 0) {
    // The last that the lanes do: there is no meeting after it.
    const int group = *is_broken != 0 ? int(lane) % 2 : int(tgid.x);
    simdgroup_store(a, y + group * 64, 8);
  }
}
} // namespace lanes_store_to_different_addresses

int at_program_scope = 0;

namespace program_scope_write {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(tgid.x) * 64 + int(sg * 32 + lane);
  y[i] = x[i] + float(at_program_scope);
  if (*is_broken != 0) {
    at_program_scope = i;
  }
}
} // namespace program_scope_write

namespace stack_of_another_thread {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  TG_ARRAY(ulong, addresses, [64]);
  const int i = int(sg * 32 + lane);
  int own = i;
  addresses[i] = ulong(&own);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  const int from = *is_broken != 0 ? 63 - i : i;
  y[int(tgid.x) * 64 + i] = x[i] + float(*(THREAD int*)addresses[from]);
  threadgroup_barrier(mem_flags::mem_threadgroup);
}
} // namespace stack_of_another_thread

namespace stack_overflow {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(tgid.x) * 64 + int(sg * 32 + lane);
  y[i] = x[i];
  if (*is_broken != 0) {
    volatile int much[100 * 1024 / sizeof(int)];
    much[i] = 1;
    y[i] = float(much[i]);
  }
}
} // namespace stack_overflow

namespace index_outside_of_a_private_array {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(tgid.x) * 64 + int(sg * 32 + lane);
  float own[4] = {x[i], 0.0f, 0.0f, 0.0f};
  y[i] = own[i % 4 + *is_broken];
}
} // namespace index_outside_of_a_private_array

namespace overflow_of_int {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(tgid.x) * 64 + int(sg * 32 + lane);
  const int large = *is_broken * 0x7fffffff + i;
  y[i] = x[i] + float(large);
}
} // namespace overflow_of_int

namespace shift_too_far {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(tgid.x) * 64 + int(sg * 32 + lane);
  y[i] = x[i] + float(1 << (*is_broken * 32));
}
} // namespace shift_too_far

namespace division_by_zero {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(tgid.x) * 64 + int(sg * 32 + lane);
  y[i] = x[i] + float(i / (1 - *is_broken));
}
} // namespace division_by_zero

// What -fsanitize-undefined-trap-on-error makes of the four above.
namespace trap {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(tgid.x) * 64 + int(sg * 32 + lane);
  if (*is_broken != 0) {
    __builtin_trap();
  }
  y[i] = x[i];
}
} // namespace trap

inline constexpr Case kThreadCases[] = {
    CASE(return_before_a_barrier, "divergent barrier"),
    CASE(different_barriers, "divergent barrier"),
    CASE(barriers_of_different_kinds, "divergent barrier"),
    CASE(divergent_sums, "divergent SIMD-group"),
    CASE(return_before_a_product, "divergent barrier"),
    CASE(partial_simdgroup, "partial SIMD-group at simd_sum"),
    CASE(shuffle_from_no_lane, "simd_shuffle from lane 32"),
    CASE(lanes_load_from_different_addresses, "lanes differ in the address"),
    CASE(lanes_store_to_different_addresses, "lanes differ in the address"),
    CASE(program_scope_write, "write to program-scope memory"),
    CASE(stack_of_another_thread, "access to the stack of thread"),
    CASE(stack_overflow, "stack overflow"),
    CASE(
        index_outside_of_a_private_array,
        "undefined behaviour, array index out of bounds"),
    CASE(overflow_of_int, "undefined behaviour, integer overflow"),
    CASE(shift_too_far, "undefined behaviour, shift out of range"),
    CASE(division_by_zero, "undefined behaviour, division by zero"),
    CASE(trap, "undefined behaviour, trapped"),
};
