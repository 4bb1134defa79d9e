// Metal's library as far as the kernels use it, and no more lenient than it:
// declarations only, over the address spaces of the prelude that includes this.
#pragma once

#define METAL_FUNC inline
// A kernel's size is checked where it is declared.
#define KERNEL(threads)                              \
  static_assert(                                     \
      (threads) % 32 == 0 && (threads) <= 1024,      \
      "a threadgroup is 1 to 32 whole SIMD-groups"); \
  KERNEL_FUNCTION void
#define BUFFER(n)
#define KERNEL_IDS , uint3 tgid, uint sg, uint lane
#define KERNEL_IDS_INIT
#define UNROLL _Pragma("clang loop unroll(full)")

typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;

// A vector is made of one scalar or of as many as it has.
#define VECTORS_OF(T)                                 \
  typedef T T##2 __attribute__((ext_vector_type(2))); \
  typedef T T##3 __attribute__((ext_vector_type(3))); \
  typedef T T##4 __attribute__((ext_vector_type(4))); \
  T##2 make_##T##2(T);                                \
  T##2 make_##T##2(T, T);                             \
  T##3 make_##T##3(T);                                \
  T##3 make_##T##3(T, T, T);                          \
  T##4 make_##T##4(T);                                \
  T##4 make_##T##4(T, T, T, T);
VECTORS_OF(int)
VECTORS_OF(uint)
VECTORS_OF(float)
VECTORS_OF(ulong)

// Clang's own vectors have no such constructors; a name without a parenthesis
// behind it stays the type.
#define int2(...) make_int2(__VA_ARGS__)
#define int3(...) make_int3(__VA_ARGS__)
#define int4(...) make_int4(__VA_ARGS__)
#define uint2(...) make_uint2(__VA_ARGS__)
#define uint3(...) make_uint3(__VA_ARGS__)
#define uint4(...) make_uint4(__VA_ARGS__)
#define float2(...) make_float2(__VA_ARGS__)
#define float3(...) make_float3(__VA_ARGS__)
#define float4(...) make_float4(__VA_ARGS__)
#define ulong2(...) make_ulong2(__VA_ARGS__)

namespace metal {

enum class mem_flags { mem_none, mem_device, mem_threadgroup };
void threadgroup_barrier(mem_flags);
void simdgroup_barrier(mem_flags);

// Metal overloads these by type, so that a mixture of types is ambiguous.
template <typename T>
T min(T, T);
template <typename T>
T max(T, T);

// Only float: elsewhere Metal computes in the type it is given.
float fma(float, float, float);
template <typename A, typename B, typename C>
float fma(A, B, C) = delete;
float simd_sum(float);
template <typename T>
float simd_sum(T) = delete;

template <typename T>
T simd_shuffle(T, ushort lane);
template <typename T>
T simd_shuffle_xor(T, ushort mask);
template <typename T>
T simd_shuffle_up(T, ushort delta);
template <typename T>
T simd_shuffle_down(T, ushort delta);

template <typename T, int Columns, int Rows>
class simdgroup_matrix {
  static_assert(Columns == 8 && Rows == 8, "Metal has no other size");
  T elements_[2];
};

template <typename T, int Columns, int Rows = Columns>
simdgroup_matrix<T, Columns, Rows> make_filled_simdgroup_matrix(T);

template <typename T, int Columns, int Rows>
void simdgroup_load(
    THREAD simdgroup_matrix<T, Columns, Rows>& to,
    const THREADGROUP T* from,
    ulong elements_per_row = Columns,
    ulong2 origin = 0,
    bool transpose = false);
template <typename T, int Columns, int Rows>
void simdgroup_store(
    simdgroup_matrix<T, Columns, Rows> from,
    THREADGROUP T* to,
    ulong elements_per_row = Columns,
    ulong2 origin = 0,
    bool transpose = false);

#ifndef ONE_ADDRESS_SPACE
template <typename T, int Columns, int Rows>
void simdgroup_load(
    THREAD simdgroup_matrix<T, Columns, Rows>& to,
    const DEVICE T* from,
    ulong elements_per_row = Columns,
    ulong2 origin = 0,
    bool transpose = false);
template <typename T, int Columns, int Rows>
void simdgroup_store(
    simdgroup_matrix<T, Columns, Rows> from,
    DEVICE T* to,
    ulong elements_per_row = Columns,
    ulong2 origin = 0,
    bool transpose = false);
#endif

// As Metal has them, the operands are lvalues too.
template <typename T>
void simdgroup_multiply_accumulate(
    THREAD simdgroup_matrix<float, 8, 8>& d,
    THREAD simdgroup_matrix<T, 8, 8>& a,
    THREAD simdgroup_matrix<T, 8, 8>& b,
    THREAD simdgroup_matrix<float, 8, 8>& c);

} // namespace metal
using namespace metal;
