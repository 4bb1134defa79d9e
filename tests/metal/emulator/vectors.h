// Metal's vectors of two, three and four, aligned as Metal aligns them.
#pragma once

#include "scalar_types.h"

namespace metal {

template <typename T, int N>
struct vec;

// The operators of a vector, element by element; a scalar is one for all.
template <typename Vec, typename T, int N>
struct VectorOperators {
  friend Vec operator+(Vec a, Vec b) {
    for (int i = 0; i < N; ++i) {
      a[i] = T(a[i] + b[i]);
    }
    return a;
  }
  friend Vec operator-(Vec a, Vec b) {
    for (int i = 0; i < N; ++i) {
      a[i] = T(a[i] - b[i]);
    }
    return a;
  }
  friend Vec operator*(Vec a, Vec b) {
    for (int i = 0; i < N; ++i) {
      a[i] = T(a[i] * b[i]);
    }
    return a;
  }
  friend Vec operator/(Vec a, Vec b) {
    for (int i = 0; i < N; ++i) {
      a[i] = T(a[i] / b[i]);
    }
    return a;
  }
  friend Vec operator-(Vec a) {
    for (int i = 0; i < N; ++i) {
      a[i] = T(-a[i]);
    }
    return a;
  }
  Vec& operator+=(Vec b) {
    return self() = self() + b;
  }
  Vec& operator-=(Vec b) {
    return self() = self() - b;
  }
  Vec& operator*=(Vec b) {
    return self() = self() * b;
  }

 private:
  Vec& self() {
    return static_cast<Vec&>(*this);
  }
};

template <typename T>
struct alignas(2 * sizeof(T)) vec<T, 2> : VectorOperators<vec<T, 2>, T, 2> {
  T x, y;

  vec() = default;
  vec(T all) : x(all), y(all) {}
  vec(T x, T y) : x(x), y(y) {}

  T& operator[](int i) {
    return i == 0 ? x : y;
  }
  const T& operator[](int i) const {
    return i == 0 ? x : y;
  }
};

template <typename T>
struct alignas(4 * sizeof(T)) vec<T, 3> : VectorOperators<vec<T, 3>, T, 3> {
  T x, y, z;

  vec() = default;
  vec(T all) : x(all), y(all), z(all) {}
  vec(T x, T y, T z) : x(x), y(y), z(z) {}

  T& operator[](int i) {
    return i == 0 ? x : i == 1 ? y : z;
  }
  const T& operator[](int i) const {
    return i == 0 ? x : i == 1 ? y : z;
  }
};

template <typename T>
struct alignas(4 * sizeof(T)) vec<T, 4> : VectorOperators<vec<T, 4>, T, 4> {
  T x, y, z, w;

  vec() = default;
  vec(T all) : x(all), y(all), z(all), w(all) {}
  vec(T x, T y, T z, T w) : x(x), y(y), z(z), w(w) {}

  T& operator[](int i) {
    return i == 0 ? x : i == 1 ? y : i == 2 ? z : w;
  }
  const T& operator[](int i) const {
    return i == 0 ? x : i == 1 ? y : i == 2 ? z : w;
  }
};

} // namespace metal

using int2 = metal::vec<int, 2>;
using int3 = metal::vec<int, 3>;
using int4 = metal::vec<int, 4>;
using uint2 = metal::vec<uint, 2>;
using uint3 = metal::vec<uint, 3>;
using uint4 = metal::vec<uint, 4>;
using ulong2 = metal::vec<ulong, 2>;
using float2 = metal::vec<float, 2>;
using float3 = metal::vec<float, 3>;
using float4 = metal::vec<float, 4>;
using half2 = metal::vec<half, 2>;
using half4 = metal::vec<half, 4>;
