// Defects in the use of buffers.
#pragma once

#include "case.h"

namespace read_past_the_end {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(tgid.x) * 64 + int(sg * 32 + lane);
  y[i] = x[i + *is_broken];
}
} // namespace read_past_the_end

namespace read_before_the_start {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(tgid.x) * 64 + int(sg * 32 + lane);
  y[i] = x[i - *is_broken];
}
} // namespace read_before_the_start

namespace read_far_away {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(tgid.x) * 64 + int(sg * 32 + lane);
  y[i] = x[i + *is_broken * 100000000l];
}
} // namespace read_far_away

namespace write_past_the_end {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(tgid.x) * 64 + int(sg * 32 + lane);
  y[i] = x[i];
  if (i == 127) {
    y[i + *is_broken] = x[i];
  }
}
} // namespace write_past_the_end

namespace half_read_past_the_end {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(tgid.x) * 64 + int(sg * 32 + lane);
  const DEVICE uchar* bytes = (const DEVICE uchar*)(x + i);
  const DEVICE half* halves =
      (const DEVICE half*)(bytes + (i == 127 ? 2 * *is_broken : 0));
  y[i] = float(halves[1]);
}
} // namespace half_read_past_the_end

namespace write_to_an_input {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(tgid.x) * 64 + int(sg * 32 + lane);
  y[i] = x[i];
  if (*is_broken != 0) {
    ((DEVICE float*)x)[i] = 1.0f;
  }
}
} // namespace write_to_an_input

namespace output_left_unwritten {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(tgid.x) * 64 + int(sg * 32 + lane);
  if (*is_broken == 0 || i != 77) {
    y[i] = x[i];
  }
}
} // namespace output_left_unwritten

namespace output_never_touched {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(tgid.x) * 64 + int(sg * 32 + lane);
  if (*is_broken == 0) {
    y[i] = x[i];
  }
}
} // namespace output_never_touched

namespace uninitialised_device_read {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(tgid.x) * 64 + int(sg * 32 + lane);
  const float before = *is_broken != 0 ? y[i] : 0.0f;
  y[i] = x[i] + before;
}
} // namespace uninitialised_device_read

namespace device_race_in_a_threadgroup {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int first = int(tgid.x) * 64;
  const int i = int(sg * 32 + lane);
  y[first + i] = x[first + i];
  // The flag of the wrong memory orders nothing.
  threadgroup_barrier(
      *is_broken != 0 ? mem_flags::mem_threadgroup : mem_flags::mem_device);
  if (i < 32) {
    y[first + 32 + i] += 1.0f;
  }
}
} // namespace device_race_in_a_threadgroup

namespace device_race_between_threadgroups {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(sg * 32 + lane);
  y[int(tgid.x) * 64 + i] = x[i];
  if (*is_broken != 0) {
    y[i] = x[i];
  }
}
} // namespace device_race_between_threadgroups

namespace misaligned_vector_read {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(tgid.x) * 64 + int(sg * 32 + lane);
  const int start = min(i, 120) / 4 * 4 + *is_broken;
  const float4 values = *(const DEVICE float4*)(x + start);
  y[i] = values.x + values.w;
}
} // namespace misaligned_vector_read

namespace misaligned_vector_write {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(tgid.x) * 64 + int(sg * 32 + lane);
  y[i] = x[i];
  threadgroup_barrier(mem_flags::mem_device);
  if (i == 8) {
    *(DEVICE uint4*)(y + i + *is_broken) = uint4(0);
  }
}
} // namespace misaligned_vector_write

namespace wild_pointer {
CASE_KERNEL(64) {
  KERNEL_IDS_INIT
  const int i = int(tgid.x) * 64 + int(sg * 32 + lane);
  const DEVICE float* from = *is_broken != 0 ? (const DEVICE float*)4096 : x;
  y[i] = from[i];
}
} // namespace wild_pointer

inline constexpr Case kDeviceCases[] = {
    CASE(read_past_the_end, "device read out of bounds: 4 bytes at x+512"),
    CASE(read_before_the_start, "device read out of bounds: 4 bytes at x-4"),
    CASE(read_far_away, "device read out of bounds: 4 bytes at x+4000"),
    CASE(write_past_the_end, "device write out of bounds: 4 bytes at y+512"),
    CASE(half_read_past_the_end, "device read out of bounds: 2 bytes at x+512"),
    CASE(write_to_an_input, "write to an input: x+"),
    CASE(
        output_left_unwritten,
        "unwritten output: 4 of 512 bytes of y, the first at y+308"),
    CASE(output_never_touched, "unwritten output: 512 of 512 bytes of y"),
    CASE(uninitialised_device_read, "uninitialised device read: y+"),
    CASE(device_race_in_a_threadgroup, "device race, "),
    CASE(device_race_between_threadgroups, "device race, write after write"),
    CASE(
        misaligned_vector_read,
        "undefined behaviour, misaligned access to x+"),
    CASE(
        misaligned_vector_write,
        "undefined behaviour, misaligned access to y+"),
    CASE(wild_pointer, "fault at address 0x1"),
};
