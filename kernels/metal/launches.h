// What the plans of all contractions are made with.
#pragma once

#include <cstring>
#include <type_traits>

#include "plan.h"

namespace mlx_convt::metal {

// Towards positive infinity; b is positive.
inline int64_t divide_up(int64_t a, int64_t b) {
  return a >= 0 ? (a + b - 1) / b : -(-a / b);
}

inline int64_t round_up(int64_t a, int64_t b) {
  return divide_up(a, b) * b;
}

// Coordinates, counts of pixels and sizes in the kernels have 32 bits, and sums
// of two of them must fit; offsets in memory have 64.
inline constexpr int64_t kLimit = int64_t{1} << 30;

// Matrices of a SIMD-group are 8x8: all tiles are cut at multiples of it.
inline constexpr int64_t kMatrix = 8;

// Sums of splits, bytes.
inline constexpr int64_t kMostPartial = int64_t{64} << 20;

// Parameters and tables as the ints that they are.
template <typename P>
Slot add_constants(LaunchPlan& plan, const P* values, size_t count) {
  static_assert(
      std::is_trivially_copyable_v<P> && sizeof(P) % sizeof(int) == 0);
  std::vector<int> ints(count * sizeof(P) / sizeof(int));
  std::memcpy(ints.data(), values, count * sizeof(P));
  plan.constants.push_back(std::move(ints));
  return {Memory::Constants, static_cast<int>(plan.constants.size()) - 1};
}

template <typename P>
Slot add_constants(LaunchPlan& plan, const P& value) {
  return add_constants(plan, &value, 1);
}

template <typename P>
Slot add_constants(LaunchPlan& plan, const std::vector<P>& values) {
  return add_constants(plan, values.data(), values.size());
}

inline Slot add_temporary(LaunchPlan& plan, int64_t bytes) {
  plan.temporaries.push_back(bytes);
  return {Memory::Temporary, static_cast<int>(plan.temporaries.size()) - 1};
}

// In the place of a buffer that the kernel takes and does not touch. Nothing
// else, for Metal lets no two arguments overlap if one is written to.
inline Slot unused(LaunchPlan& plan) {
  return add_temporary(plan, 16);
}

inline Slot written(Slot slot) {
  slot.is_written = true;
  return slot;
}

} // namespace mlx_convt::metal
