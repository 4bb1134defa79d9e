// How small the numbers are that were multiplied as pairs.
#pragma once

#include <algorithm>
#include <atomic>

#include "isa/kernels.h"

namespace mlx_convt::cpu {

// Products of pairs take subnormal operands and sums for zeros. Both are
// multiples of the last place of the least operands, so that there are none
// where that is a normal number.
class PairRange {
 public:
  void add_panel(const BFloatPair* panel, int64_t rows, int64_t columns) {
    lower(
        panel_,
        kernels<BFloatPair>().least(panel, rows, kPitch<BFloatPair>, columns));
  }
  void add_weights(const BFloatPair* packed, int64_t count) {
    lower(weights_, kernels<BFloatPair>().least(packed, 1, count, count));
  }

  // Of what has been added; once false it stays so.
  bool has_normal_sums() const {
    int panel = exponent(panel_.load(std::memory_order_relaxed));
    int weights = exponent(weights_.load(std::memory_order_relaxed));
    return std::min(panel, weights) > 0 &&
        panel + weights - 2 * kBias - 2 * kFraction >= 1 - kBias;
  }

  // Whether a sum may start with this value.
  static bool is_normal_start(BFloat value) {
    int magnitude = value.bits & 0x7fff;
    return magnitude == 0 || (magnitude >> kFraction) > kFraction;
  }

 private:
  static constexpr int kFraction = 7; // bits of bfloat16
  static constexpr int kBias = 127;

  // Of the least magnitude, as `least` returns it.
  static int exponent(uint16_t least) {
    return ((least + 1) / 2) >> kFraction;
  }

  static void lower(std::atomic<uint16_t>& least, uint16_t value) {
    auto before = least.load(std::memory_order_relaxed);
    while (value < before &&
           !least.compare_exchange_weak(
               before, value, std::memory_order_relaxed)) {
    }
  }

  std::atomic<uint16_t> panel_{0xffff};
  std::atomic<uint16_t> weights_{0xffff};
};

} // namespace mlx_convt::cpu
