// The 16-bit formats from their definition, in double arithmetic, and random
// numbers that are the same on every machine.
#pragma once

#include <cmath>
#include <limits>
#include <random>
#include <type_traits>

#include "cpu/problem.h"

namespace test {

using mlx_convt::cpu::BFloat;
using mlx_convt::cpu::Half;

// The standard fixes the engine's numbers but not those of distributions.
class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}

  int64_t operator()(int64_t least, int64_t most) {
    return least + static_cast<int64_t>(engine_() % (most - least + 1));
  }

 private:
  std::mt19937 engine_;
};

template <typename S>
struct Format;
template <>
struct Format<Half> {
  static constexpr int kFraction = 10;
  static constexpr int kLeastExponent = -14;
  static constexpr uint16_t kInfinity = 0x7c00;
};
template <>
struct Format<BFloat> {
  static constexpr int kFraction = 7;
  static constexpr int kLeastExponent = -126;
  static constexpr uint16_t kInfinity = 0x7f80;
};

inline double decode(float value) {
  return value;
}
inline double decode(double value) {
  return value;
}
template <typename S>
double decode(S value) {
  using F = Format<S>;
  int magnitude = value.bits & 0x7fff;
  double sign = value.bits & 0x8000 ? -1.0 : 1.0;
  if (magnitude >= F::kInfinity) {
    return magnitude == F::kInfinity
        ? sign * std::numeric_limits<double>::infinity()
        : std::numeric_limits<double>::quiet_NaN();
  }
  int exponent = magnitude >> F::kFraction;
  int fraction = magnitude & ((1 << F::kFraction) - 1);
  if (exponent > 0) {
    fraction += 1 << F::kFraction;
    --exponent;
  }
  return sign *
      std::ldexp(fraction, exponent + F::kLeastExponent - F::kFraction);
}

// Rounds to nearest, ties to even; not for NaN.
template <typename S>
S encode(double value) {
  if constexpr (std::is_floating_point_v<S>) {
    return static_cast<S>(value);
  } else {
    using F = Format<S>;
    int sign = std::signbit(value) ? 0x8000 : 0;
    value = std::fabs(value);
    int exponent = F::kLeastExponent;
    if (value > 0) {
      exponent = std::max(exponent, std::ilogb(value));
    }
    // A quotient that rounds up to the next power carries into the exponent.
    double bits = F::kInfinity;
    if (value < std::ldexp(1.0, 130)) {
      bits = std::ldexp(exponent - F::kLeastExponent, F::kFraction) +
          std::nearbyint(std::ldexp(value, F::kFraction - exponent));
    }
    bits = std::min<double>(bits, F::kInfinity);
    return {static_cast<uint16_t>(sign | static_cast<int>(bits))};
  }
}

} // namespace test
