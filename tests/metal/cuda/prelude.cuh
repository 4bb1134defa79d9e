// The names that the kernels are written in, for nvcc: a SIMD-group is a warp,
// threadgroup memory is shared memory, all address spaces are the generic one.
#pragma once
#define CUDA_NO_HALF // its own type of that name converts in other ways
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#define DEVICE
#define CONSTANT
#define THREADGROUP
#define THREAD
#define METAL_FUNC __device__ __forceinline__
#define KERNEL(threads) __global__ void __launch_bounds__(threads)
#define BUFFER(n)
#define KERNEL_IDS
#define KERNEL_IDS_INIT                              \
  [[maybe_unused]] const uint3 tgid = blockIdx;      \
  [[maybe_unused]] const uint sg = threadIdx.x / 32; \
  [[maybe_unused]] const uint lane = threadIdx.x % 32;
#define TG_ARRAY(T, name, ...) __shared__ __align__(16) T name __VA_ARGS__
#define UNROLL _Pragma("unroll")

using uchar = unsigned char;
using ushort = unsigned short;
using uint = unsigned int;
using ulong = unsigned long;

// Metal's half converts to and from float by itself, bfloat only to float.
struct half {
  half() = default;
  METAL_FUNC half(float value) : value_(__float2half_rn(value)) {}
  METAL_FUNC operator float() const {
    return __half2float(value_);
  }

 private:
  __half value_;
};

struct bfloat {
  bfloat() = default;
  METAL_FUNC explicit bfloat(float value)
      : value_(__float2bfloat16_rn(value)) {}
  METAL_FUNC operator float() const {
    return __bfloat162float(value_);
  }

 private:
  __nv_bfloat16 value_;
};

// CUDA's vectors have no constructors from one scalar or from all.
template <typename Vector, typename... Scalars>
METAL_FUNC Vector make_vector(Scalars... scalars) {
  using Element = decltype(Vector::x);
  constexpr int COUNT = sizeof(Vector) / sizeof(Element);
  constexpr bool ONE_FOR_ALL = sizeof...(Scalars) == 1;
  static_assert(ONE_FOR_ALL || sizeof...(Scalars) == COUNT);
  const Element given[] = {Element(scalars)...};
  Vector vector;
  UNROLL
  for (int i = 0; i < COUNT; ++i) {
    (&vector.x)[i] = given[ONE_FOR_ALL ? 0 : i];
  }
  return vector;
}

// Without a parenthesis behind it, such a name stays the type.
#define int2(...) make_vector<int2>(__VA_ARGS__)
#define int3(...) make_vector<int3>(__VA_ARGS__)
#define int4(...) make_vector<int4>(__VA_ARGS__)
#define uint2(...) make_vector<uint2>(__VA_ARGS__)
#define uint3(...) make_vector<uint3>(__VA_ARGS__)
#define uint4(...) make_vector<uint4>(__VA_ARGS__)
#define float2(...) make_vector<float2>(__VA_ARGS__)
#define float3(...) make_vector<float3>(__VA_ARGS__)
#define float4(...) make_vector<float4>(__VA_ARGS__)
#define ulong2(...) make_vector<ulong2>(__VA_ARGS__)

namespace metal {

using ::fma;
using ::max;
using ::min;

enum class mem_flags { mem_none, mem_device, mem_threadgroup };

METAL_FUNC void threadgroup_barrier(mem_flags) {
  __syncthreads();
}

METAL_FUNC void simdgroup_barrier(mem_flags) {
  __syncwarp();
}

constexpr uint ALL_LANES = 0xffffffff;

template <typename T>
METAL_FUNC T simd_shuffle(T value, ushort lane) {
  return __shfl_sync(ALL_LANES, value, lane);
}

template <typename T>
METAL_FUNC T simd_shuffle_xor(T value, ushort mask) {
  return __shfl_xor_sync(ALL_LANES, value, mask);
}

template <typename T>
METAL_FUNC T simd_shuffle_up(T value, ushort delta) {
  return __shfl_up_sync(ALL_LANES, value, delta);
}

template <typename T>
METAL_FUNC T simd_shuffle_down(T value, ushort delta) {
  return __shfl_down_sync(ALL_LANES, value, delta);
}

METAL_FUNC float simd_sum(float value) {
  UNROLL
  for (int mask = 16; mask > 0; mask /= 2) {
    value += __shfl_xor_sync(ALL_LANES, value, mask);
  }
  return value;
}

} // namespace metal
using namespace metal;

#include "simdgroup_matrix.cuh"
