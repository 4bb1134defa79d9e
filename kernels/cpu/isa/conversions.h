// Moves between storage and sums; see vector.h for how it is compiled.
#pragma once

#include "vector.h"

namespace mlx_convt::cpu {
namespace {

inline uint32_t bits_of(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof(bits));
  return bits;
}

inline float float_of(uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof(value));
  return value;
}

inline float to_acc(float value) {
  return value;
}
inline double to_acc(double value) {
  return value;
}
inline BFloatPair to_acc(BFloatPair value) {
  return value;
}
inline float to_acc(BFloat value) {
  return float_of(static_cast<uint32_t>(value.bits) << 16);
}
inline float to_acc(Half value) {
  // The exponent is rebiased by an exact product, subnormal numbers included.
  uint32_t magnitude = (value.bits & 0x7fffu) << 13;
  uint32_t bits = bits_of(float_of(magnitude) * 0x1p112f);
  bits |= magnitude >= 0x0f800000u ? 0x7f800000u : 0u; // infinity, NaN
  return float_of(bits | (value.bits & 0x8000u) << 16);
}

inline void from_acc(float& to, float value) {
  to = value;
}
inline void from_acc(double& to, double value) {
  to = value;
}
inline void from_acc(BFloat& to, float value) {
  uint32_t bits = bits_of(value);
  uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1)) >> 16;
  bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
  to.bits = is_nan ? (bits >> 16) | 0x40u : rounded;
}
inline void from_acc(Half& to, float value) {
  uint32_t bits = bits_of(value);
  uint32_t magnitude = bits & 0x7fffffffu;
  // Below 2^-14 the sum with 0.5 leaves the rounded subnormal in the low bits.
  uint32_t subnormal = bits_of(float_of(magnitude) + 0.5f) - 0x3f000000u;
  uint32_t normal =
      (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1)) >> 13;
  uint32_t special = magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u;
  uint32_t half = magnitude >= 0x47800000u ? special
      : magnitude < 0x38800000u            ? subnormal
                                           : normal;
  to.bits = half | ((bits >> 16) & 0x8000u);
}

template <typename S>
struct IsHalf {
  static constexpr bool value = false;
};
template <>
struct IsHalf<Half> {
  static constexpr bool value = true;
};

// Vectors of float16 where the processor converts them.
template <int Bytes>
struct HalfVectors {
  static constexpr int lanes = 0;
};

#ifdef __F16C__
template <>
struct HalfVectors<32> {
  static constexpr int lanes = 8;
  static __m256 widen(const Half* from) {
    return _mm256_cvtph_ps(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  static void narrow(Half* to, const float* from) {
    _mm_storeu_si128(
        reinterpret_cast<__m128i*>(to),
        _mm256_cvtps_ph(_mm256_loadu_ps(from), _MM_FROUND_TO_NEAREST_INT));
  }
};
#endif

#ifdef __AVX512F__
template <>
struct HalfVectors<64> {
  static constexpr int lanes = 16;
  // GCC warns of the unmasked form, whose unused operand it leaves undefined.
  static __m512 widen(const Half* from) {
    return _mm512_maskz_cvtph_ps(
        0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  static void narrow(Half* to, const float* from) {
    _mm256_storeu_si256(
        reinterpret_cast<__m256i*>(to),
        _mm512_cvtps_ph(_mm512_loadu_ps(from), _MM_FROUND_TO_NEAREST_INT));
  }
};
#endif

template <typename S, int Bytes>
struct CopiesOf {
  using T = Acc<S>;
  using V = typename VectorOf<T, Bytes>::type;
  static constexpr int kLanes = Bytes / sizeof(T);
  using Vectors = HalfVectors<IsHalf<S>::value ? Bytes : 0>;
  static constexpr bool kConverts = Vectors::lanes == kLanes;

  static void widen(T* to, const S* from, int64_t count) {
    int64_t i = 0;
    if constexpr (kConverts) {
      for (; i + kLanes <= count; i += kLanes) {
        store(to + i, V(Vectors::widen(from + i)));
      }
    }
    for (; i < count; ++i) {
      to[i] = to_acc(from[i]);
    }
  }

  static void narrow(S* to, const T* from, int64_t count) {
    int64_t i = 0;
    if constexpr (kConverts) {
      for (; i + kLanes <= count; i += kLanes) {
        Vectors::narrow(to + i, from + i);
      }
    }
    for (; i < count; ++i) {
      from_acc(to[i], from[i]);
    }
  }

  static void gather(
      T* panel,
      const S* source,
      const S* source_end,
      int64_t rows,
      int64_t step,
      int64_t length) {
    if constexpr (sizeof(S) == sizeof(T)) {
      // Short rows: whole vectors, as long as they stay inside the source.
      int64_t padded = (length + kLanes - 1) / kLanes * kLanes;
      int64_t last = (rows - 1) * step + padded;
      if (padded <= 4 * kLanes && last <= source_end - source) {
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t i = 0; i < padded; i += kLanes) {
            store(panel + i, load<V>(source + i));
          }
          panel += kPitch<T>;
          source += step;
        }
      } else {
        for (int64_t r = 0; r < rows; ++r) {
          __builtin_memcpy(panel, source, length * sizeof(T));
          panel += kPitch<T>;
          source += step;
        }
      }
    } else {
      for (int64_t r = 0; r < rows; ++r) {
        widen(panel + r * kPitch<T>, source + r * step, length);
      }
    }
  }

  static V load_row(const S* row) {
    if constexpr (sizeof(S) == sizeof(T)) {
      return load<V>(row);
    } else if constexpr (kConverts) {
      return V(Vectors::widen(row));
    } else {
      T values[kLanes];
      widen(values, row, kLanes);
      return load<V>(values);
    }
  }

  // A block of up to a vector of rows and of values from each, `width` of
  // which go to `to`.
  template <bool Whole>
  static void transpose_of(
      T* to,
      int64_t step,
      const S* const* rows,
      int64_t count,
      int64_t k,
      int64_t width,
      int64_t ahead) {
    V block[kLanes];
#pragma GCC unroll 16
    for (int r = 0; r < kLanes; ++r) {
      if constexpr (Whole) {
        __builtin_prefetch(rows[r] + k + ahead);
        block[r] = load_row(rows[r] + k);
      } else if (r < count && width == kLanes) {
        block[r] = load_row(rows[r] + k);
      } else {
        T values[kLanes] = {};
        if (r < count) {
          widen(values, rows[r] + k, width);
        }
        block[r] = load<V>(values);
      }
    }
    transpose_block<T, Bytes>(block);
    to += k * step;
#pragma GCC unroll 16
    for (int r = 0; r < kLanes; ++r) {
      if (Whole || r < width) {
        store(to + r * step, block[r]);
      }
    }
  }

  static void transpose(
      T* to,
      int64_t step,
      const S* const* rows,
      int64_t count,
      int64_t length,
      int64_t ahead) {
    int64_t blocks = (count + kLanes - 1) / kLanes;
    bool is_narrow = step < blocks * kLanes;
    for (int64_t n = 0; n < blocks; ++n) {
      // In a narrow matrix the zeros behind the last row reach into the next
      // line, which the first rows then overwrite.
      int64_t i = (is_narrow ? blocks - 1 - n : n) * kLanes;
      const S* const* at = rows + i;
      if (count - i >= kLanes && length >= kLanes) {
        for (int64_t k = 0; k < length - kLanes; k += kLanes) {
          transpose_of<true>(to + i, step, at, kLanes, k, kLanes, ahead);
        }
        // The last block overlaps the one before.
        transpose_of<true>(
            to + i, step, at, kLanes, length - kLanes, kLanes, ahead);
      } else {
        for (int64_t k = 0; k < length; k += kLanes) {
          int64_t width = length - k < kLanes ? length - k : kLanes;
          transpose_of<false>(to + i, step, at, count - i, k, width, ahead);
        }
      }
    }
  }
};

} // namespace
} // namespace mlx_convt::cpu
