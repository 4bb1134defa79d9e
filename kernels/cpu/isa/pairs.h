// Products of bfloat16 pairs, where the instruction set has them; see vector.h
// for how it is compiled.
#pragma once

#include "conversions.h"
#include "tiles.h"

namespace mlx_convt::cpu {
namespace {

#ifdef __AVX512BF16__
inline void zip_pairs(
    BFloatPair* to,
    const BFloat* first,
    const BFloat* second,
    int64_t count) {
  for (int64_t j = 0; j < count; ++j) {
    to[j] = {first[j], second[j]};
  }
}

// Of up to 16 lanes.
inline __mmask16 first_lanes(int64_t count) {
  return count < 16 ? (1u << count) - 1 : 0xffff;
}

// The lesser of `least` and, but for zeros, twice the magnitudes less one.
inline __m512i lesser(__m512i least, __m512i values) {
  auto doubled = _mm512_add_epi16(values, values);
  auto one = _mm512_set1_epi16(1);
  return _mm512_min_epu16(least, _mm512_sub_epi16(doubled, one));
}

inline uint16_t least_of_pairs(
    const BFloatPair* from,
    int64_t rows,
    int64_t step,
    int64_t length) {
  __m512i least = _mm512_set1_epi16(-1);
  int64_t whole = length / 16 * 16;
  auto rest = first_lanes(length - whole);
  for (; rows > 0; --rows, from += step) {
    for (int64_t i = 0; i < whole; i += 16) {
      least = lesser(least, _mm512_loadu_si512(from + i));
    }
    least = lesser(least, _mm512_maskz_loadu_epi32(rest, from + whole));
  }
  uint16_t values[32];
  store(values, least);
  uint16_t result = values[0];
  for (uint16_t value : values) {
    result = value < result ? value : result;
  }
  return result;
}

// For sums that are never subnormal: the instruction would take them for zeros.
inline void narrow_pairs(BFloat* to, const float* from, int64_t count) {
  for (int64_t i = 0; i < count; i += 16) {
    auto lanes = first_lanes(count - i);
    auto narrow = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(lanes, from + i));
    _mm256_mask_storeu_epi16(to + i, lanes, (__m256i)narrow);
  }
}

template <int Bytes, int Rows>
constexpr Kernels<BFloatPair> pair_kernels_of() {
  using Matrix = Tiles<BFloatPair, Bytes, Rows>;
  return {
      Matrix::kLanes,
      Rows,
      Matrix::most_columns,
      Matrix::tile,
      zip_pairs,
      least_of_pairs};
}

template <int Bytes>
constexpr Copies<BFloatPair> pair_copies_of() {
  using Copy = CopiesOf<BFloatPair, Bytes>;
  return {
      Copy::gather,
      Copy::transpose,
      nullptr,
      nullptr,
      nullptr,
      Copy::widen,
      narrow_pairs};
}
#else
template <int Bytes, int Rows>
constexpr Kernels<BFloatPair> pair_kernels_of() {
  return {};
}

template <int Bytes>
constexpr Copies<BFloatPair> pair_copies_of() {
  return {};
}
#endif

} // namespace
} // namespace mlx_convt::cpu
