// Vectors in the compilers' common extension. Included, with the other
// headers of inner loops, by one translation unit per instruction set, each
// with its own compiler flags: the unnamed namespace keeps the linker from
// mixing their code, and no standard header is used for the same reason.
#pragma once

#ifdef __AVX2__
#include <immintrin.h> // intrinsics: always inlined, no code of its own
#endif

#include "kernels.h"

namespace mlx_convt::cpu {
namespace {

template <typename T, int Bytes>
struct VectorOf {
  typedef T type __attribute__((vector_size(Bytes)));
};

template <int Bytes>
struct VectorOf<BFloatPair, Bytes> {
  typedef int32_t type __attribute__((vector_size(Bytes)));
};

template <typename V, typename T>
inline V load(const T* from) {
  V v;
  __builtin_memcpy(&v, from, sizeof(V));
  return v;
}

template <typename V, typename T>
inline void store(T* to, V v) {
  __builtin_memcpy(to, &v, sizeof(V));
}

// stream() stores past the caches, to an aligned place: what it replaces is
// not read first. fence_streams() before another thread may read.
#if defined(__AVX512F__)
template <typename V, typename T>
inline void stream(T* to, V v) {
  _mm512_stream_si512(reinterpret_cast<__m512i*>(to), (__m512i)v);
}
#elif defined(__AVX2__)
template <typename V, typename T>
inline void stream(T* to, V v) {
  _mm256_stream_si256(reinterpret_cast<__m256i*>(to), (__m256i)v);
}
#else
template <typename V, typename T>
inline void stream(T* to, V v) {
  store(to, v);
}
#endif

#ifdef __AVX2__
inline void fence_streams() {
  _mm_sfence();
}
#else
inline void fence_streams() {}
#endif

template <int... I>
struct Indices {};

template <int N, int... I>
struct IndicesTo : IndicesTo<N - 1, N - 1, I...> {};
template <int... I>
struct IndicesTo<0, I...> {
  using type = Indices<I...>;
};

// Of two vectors cut into pieces of Half lanes, the even pieces of both or
// the odd ones: a step of a transposition.
template <int Half, bool Odd, typename V, int... I>
inline V interleave(V a, V b, Indices<I...>) {
  constexpr int lanes = sizeof...(I);
  return __builtin_shufflevector(
      a, b, ((I & Half) ? lanes : 0) + (I & ~Half) + (Odd ? Half : 0)...);
}

// Rows and columns of a square of vectors change places.
template <typename T, int Bytes, int Half = Bytes / sizeof(T) / 2>
inline void transpose_block(typename VectorOf<T, Bytes>::type* rows) {
  constexpr int lanes = Bytes / sizeof(T);
  if constexpr (Half > 0) {
    using All = typename IndicesTo<lanes>::type;
#pragma GCC unroll 16
    for (int i = 0; i < lanes; ++i) {
      if (!(i & Half)) {
        auto a = rows[i];
        auto b = rows[i + Half];
        rows[i] = interleave<Half, false>(a, b, All{});
        rows[i + Half] = interleave<Half, true>(a, b, All{});
      }
    }
    transpose_block<T, Bytes, Half / 2>(rows);
  }
}

// Keeps GCC from loading v again as the operand of each of its uses.
#if defined(__x86_64__)
template <typename V>
inline void keep_in_register(V& v) {
  asm("" : "+v"(v));
}
#else
template <typename V>
inline void keep_in_register(V&) {}
#endif

// Lane l of the result is lane order[l] of v.
#ifdef __clang__
template <typename V, typename I>
inline V shuffle(V v, I order) {
  V result;
  for (unsigned l = 0; l < sizeof(V) / sizeof(v[0]); ++l) {
    result[l] = v[order[l]];
  }
  return result;
}
#else
template <typename V, typename I>
inline V shuffle(V v, I order) {
  return __builtin_shuffle(v, order);
}
#endif

} // namespace
} // namespace mlx_convt::cpu
