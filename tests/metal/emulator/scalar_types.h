// Metal's scalar types. <cmath> and <limits> stay out: they would double the
// time to compile a kernel.
#pragma once

#include <cstddef>
#include <cstdint>

using uchar = unsigned char;
using ushort = unsigned short;
using uint = unsigned int;
using ulong = unsigned long;
using half = _Float16;

namespace metal {

template <typename To, typename From>
inline To as_type(From from) {
  static_assert(sizeof(To) == sizeof(From), "as_type keeps the size");
  To to;
  __builtin_memcpy(&to, &from, sizeof(to));
  return to;
}

} // namespace metal

// Metal converts bfloat to float by itself, but never the other way.
struct bfloat {
  uint16_t bits;

  bfloat() = default;
  explicit bfloat(float value) : bits(rounded(value)) {}
  explicit bfloat(double value) : bfloat(float(value)) {}
  explicit bfloat(half value) : bfloat(float(value)) {}
  explicit bfloat(int value) : bfloat(float(value)) {}
  explicit bfloat(uint value) : bfloat(float(value)) {}

  operator float() const {
    return metal::as_type<float>(uint32_t(bits) << 16);
  }

 private:
  // To the nearest, ties to even; a NaN stays one.
  static uint16_t rounded(float value) {
    const uint32_t wide = metal::as_type<uint32_t>(value);
    if ((wide & 0x7fffffffu) > 0x7f800000u) {
      return uint16_t(wide >> 16 | 0x40u);
    }
    return uint16_t((wide + 0x7fffu + (wide >> 16 & 1u)) >> 16);
  }
};
