// The CBLAS that the `blas` algorithm calls: Accelerate on macOS, a library
// named by MLX_CONVT_BLAS elsewhere.
#pragma once

#include <string>

namespace mlx_convt::cpu {

// Row major: C[m,n] = op(A) * B + beta * C.
template <typename T>
struct Gemm {
  bool transpose_a;
  int m;
  int n;
  int k;
  const T* a;
  int lda;
  const T* b;
  int ldb;
  T beta;
  T* c;
  int ldc;
};

// Empty when a CBLAS is there, else what is missing.
std::string blas_why_not();

// Whether the CBLAS beats our own microkernels on this platform.
bool blas_is_preferred();

void blas_gemm(const Gemm<float>&);
void blas_gemm(const Gemm<double>&);

} // namespace mlx_convt::cpu
