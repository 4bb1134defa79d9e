// The functions that the lanes of a SIMD-group compute together.
#include "errors.h"
#include "fibers.h"

namespace emulator {

uint64_t fma_calls = 0;
uint64_t products = 0;

namespace {

// On Metal the other lanes' values would be undefined.
void check_is_whole(const Site& site) {
  if (!is_simd_group_whole()) {
    report("partial SIMD-group at %s (%s:%d)", site.what, site.file, site.line);
    abandon_launch();
  }
}

void multiply(Meeting& x) {
  for (int i = 0; i < 8; ++i) {
    for (int k = 0; k < 8; ++k) {
      for (int j = 0; j < 8; ++j) {
        x.c[i][j] = __builtin_fmaf(x.a[i][k], x.b[k][j], x.c[i][j]);
      }
    }
  }
}

} // namespace

Pair multiply_accumulate(Pair a, Pair b, Pair c, Site site) {
  check_is_whole(site);
  Meeting& meeting = next_meeting();
  const ThreadIds& ids = thread_ids();
  const uint32_t row = ids.fragment_row;
  const uint32_t column = ids.fragment_column;
  meeting.a[row][column] = a.first;
  meeting.a[row][column + 1] = a.second;
  meeting.b[row][column] = b.first;
  meeting.b[row][column + 1] = b.second;
  meeting.c[row][column] = c.first;
  meeting.c[row][column + 1] = c.second;
  if (meet_simd_group(site)) {
    multiply(meeting);
    ++products;
  }
  return {meeting.c[row][column], meeting.c[row][column + 1]};
}

uint64_t exchange(uint64_t bits, int source_lane, Site site) {
  check_is_whole(site);
  if (source_lane < 0 || source_lane >= int(kLanes)) {
    report(
        "%s from lane %d (%s:%d)",
        site.what,
        source_lane,
        site.file,
        site.line);
    abandon_launch();
  }
  Meeting& meeting = next_meeting();
  meeting.bits[thread_ids().lane] = bits;
  meet_simd_group(site);
  return meeting.bits[source_lane];
}

float sum_of_lanes(float value, Site site) {
  check_is_whole(site);
  Meeting& meeting = next_meeting();
  float* sums = meeting.c[0];
  sums[thread_ids().lane] = value;
  if (meet_simd_group(site)) {
    for (uint32_t half = kLanes / 2; half > 0; half /= 2) {
      for (uint32_t i = 0; i < half; ++i) {
        sums[i] += sums[i + half];
      }
    }
  }
  return sums[0];
}

} // namespace emulator
