// That the stand-ins for Metal's functions compute the right values.
#include "value_checks.h"

#include <cstdio>
#include <vector>

#include "case.h"
#include "runtime.h"

using emulator::Access;

namespace matrix_product {

// y[0, 64) = x[0, 64) * transposed x[64, 128), two threadgroups adding up.
template <typename T>
METAL_FUNC void multiply(
    const DEVICE float* x,
    DEVICE float* y,
    THREADGROUP T* a_tile,
    THREADGROUP T* b_tile,
    uint3 tgid,
    uint lane) {
  for (int i = int(lane); i < 64; i += 32) {
    a_tile[i] = T(x[i]);
    b_tile[i] = T(x[64 + i]);
  }
  simdgroup_barrier(mem_flags::mem_threadgroup);
  simdgroup_matrix<T, 8, 8> a;
  simdgroup_matrix<T, 8, 8> b;
  simdgroup_matrix<float, 8, 8> sum =
      make_filled_simdgroup_matrix<float, 8, 8>(1.0f);
  simdgroup_load(a, a_tile, 8);
  simdgroup_load(b, b_tile, 8, ulong2(0), true);
  simdgroup_multiply_accumulate(sum, a, b, sum);
  simdgroup_store(sum, y + int(tgid.x) * 64, 8);
}

} // namespace matrix_product

namespace product_of_float {
CASE_KERNEL(32) {
  KERNEL_IDS_INIT
  TG_ARRAY(float, a, [64]);
  TG_ARRAY(float, b, [64]);
  matrix_product::multiply<float>(x, y, a, b, tgid, lane);
}
} // namespace product_of_float

namespace product_of_half {
CASE_KERNEL(32) {
  KERNEL_IDS_INIT
  TG_ARRAY(half, a, [64]);
  TG_ARRAY(half, b, [64]);
  matrix_product::multiply<half>(x, y, a, b, tgid, lane);
}
} // namespace product_of_half

namespace product_of_bfloat {
CASE_KERNEL(32) {
  KERNEL_IDS_INIT
  TG_ARRAY(bfloat, a, [64]);
  TG_ARRAY(bfloat, b, [64]);
  matrix_product::multiply<bfloat>(x, y, a, b, tgid, lane);
}
} // namespace product_of_bfloat

// A kernel must not rely on which lane holds which element.
namespace elements_of_lanes {
CASE_KERNEL(32) {
  KERNEL_IDS_INIT
  TG_ARRAY(float, tile, [64]);
  for (int i = int(lane); i < 64; i += 32) {
    tile[i] = x[i];
  }
  simdgroup_barrier(mem_flags::mem_threadgroup);
  simdgroup_matrix<float, 8, 8> a;
  simdgroup_load(a, tile, 8);
  y[int(tgid.x) * 64 + int(lane) * 2] = a.first;
  y[int(tgid.x) * 64 + int(lane) * 2 + 1] = a.second;
}
} // namespace elements_of_lanes

namespace lanes_talk {
CASE_KERNEL(32) {
  KERNEL_IDS_INIT
  const float own = float(lane);
  DEVICE float* to = y + int(tgid.x) * 64;
  const float down = simd_shuffle_down(own, 3);
  const float up = simd_shuffle_up(own, 3);
  const float crossed = simd_shuffle_xor(own, 5);
  const float first = simd_shuffle(own, 7);
  const float sum = simd_sum(own);
  to[lane] = down + 100.0f * up;
  to[32 + lane] = fma(10000.0f, sum, crossed + 100.0f * first);
}
} // namespace lanes_talk

namespace {

int failed = 0;

void expect(bool is_right, const char* what) {
  std::printf("%s %s\n", is_right ? "ok" : "FAILED", what);
  failed += !is_right;
}

struct Result {
  std::vector<float> y;
  emulator::Counts counts;
  int errors;
};

Result
run(void (*kernel)(void**), const std::vector<float>& x, bool permuted_layout) {
  Result result;
  result.y.resize(128);
  int unused = 0;
  void* args[] = {
      emulator::allocate("x", 512, Access::Read, x.data(), 0),
      emulator::allocate("y", 512, Access::Write, nullptr, 0),
      emulator::allocate("is_broken", 4, Access::Constant, &unused, 0)};
  emulator::Launch launch = {};
  launch.kernel = kernel;
  launch.args = args;
  launch.arg_count = 3;
  launch.grid[0] = 2;
  launch.grid[1] = launch.grid[2] = 1;
  launch.threads[0] = 32;
  launch.threads[1] = launch.threads[2] = 1;
  launch.declared_threads = 32;
  launch.permuted_layout = permuted_layout;
  result.errors = emulator::run(launch, &result.counts);
  emulator::read(args[1], 0, result.y.data(), 512);
  emulator::release_all();
  return result;
}

void check_products() {
  // Small integers: exact in every type.
  std::vector<float> x(128);
  for (int i = 0; i < 128; ++i) {
    x[i] = float(i * 37 % 17 - 8);
  }
  std::vector<float> expected(128, 1.0f);
  for (int i = 0; i < 128; ++i) {
    for (int k = 0; k < 8; ++k) {
      expected[i] += x[i % 64 / 8 * 8 + k] * x[64 + i % 8 * 8 + k];
    }
  }
  bool is_right = true;
  for (bool permuted : {false, true}) {
    for (auto kernel :
         {emulator::call<product_of_float::kernel>,
          emulator::call<product_of_half::kernel>,
          emulator::call<product_of_bfloat::kernel>}) {
      const Result result = run(kernel, x, permuted);
      is_right &= result.errors == 0 && result.y == expected &&
          result.counts.multiply_adds == 2 * 512;
    }
  }
  expect(is_right, "products of 8x8 matrices in both layouts");

  const auto kernel = emulator::call<elements_of_lanes::kernel>;
  const Result apple = run(kernel, x, false);
  expect(
      apple.y[2] == x[2] && apple.y[4] == x[8] && apple.y[16] == x[4] &&
          apple.y[32] == x[32],
      "Apple's layout of a matrix");
  expect(
      apple.y != run(kernel, x, true).y, "another layout is seen by a kernel");
}

void check_lanes() {
  const std::vector<float> x(128, 0.0f);
  const Result result = run(emulator::call<lanes_talk::kernel>, x, false);
  bool is_right = result.errors == 0 && result.counts.multiply_adds == 64;
  for (int i = 0; i < 32; ++i) {
    const int down = i + 3 < 32 ? i + 3 : i;
    const int up = i >= 3 ? i - 3 : i;
    is_right &= result.y[i] == float(down + 100 * up);
    is_right &= result.y[32 + i] == float((i ^ 5) + 100 * 7 + 10000 * 496);
  }
  expect(is_right, "sums and shuffles of lanes");
}

void check_bfloat() {
  const float nan = __builtin_nanf("");
  expect(
      float(bfloat(1.00390625f)) == 1.0f &&
          float(bfloat(1.01171875f)) == 1.015625f &&
          float(bfloat(1.00390637f)) == 1.0078125f &&
          float(bfloat(-3.0f)) == -3.0f &&
          float(bfloat(nan)) != float(bfloat(nan)),
      "bfloat rounds to nearest, ties to even");
}

void check_alignment() {
  static_assert(sizeof(float3) == 16 && alignof(float3) == 16);
  static_assert(sizeof(uint4) == 16 && alignof(uint4) == 16);
  static_assert(sizeof(half4) == 8 && alignof(half4) == 8);
  static_assert(sizeof(bfloat) == 2 && alignof(bfloat) == 2);
}

} // namespace

int value_failures() {
  check_products();
  check_lanes();
  check_bfloat();
  check_alignment();
  return failed;
}
