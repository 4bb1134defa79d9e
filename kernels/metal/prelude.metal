// What real Metal puts behind the names that the kernels are written in.
#include <metal_simdgroup_matrix>
#include <metal_stdlib>
using namespace metal;
#define KERNEL(threads) \
  [[kernel, max_total_threads_per_threadgroup(threads)]] void
#define BUFFER(n) [[buffer(n)]]
#define KERNEL_IDS                                \
  , uint3 tgid [[threadgroup_position_in_grid]],  \
      uint sg [[simdgroup_index_in_threadgroup]], \
      uint lane [[thread_index_in_simdgroup]]
#define KERNEL_IDS_INIT
#define TG_ARRAY(T, name, ...) threadgroup T name __VA_ARGS__
#define UNROLL _Pragma("clang loop unroll(full)")
#define DEVICE device
#define CONSTANT constant
#define THREADGROUP threadgroup
#define THREAD thread
