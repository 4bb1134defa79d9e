#include "blas.h"

#include <Accelerate/Accelerate.h>

namespace mlx_convt::cpu {

std::string blas_why_not() {
  return "";
}

// Accelerate reaches the matrix units, which no NEON kernel does.
bool blas_is_preferred() {
  return true;
}

void blas_gemm(const Gemm<float>& g) {
  cblas_sgemm(
      CblasRowMajor,
      g.transpose_a ? CblasTrans : CblasNoTrans,
      CblasNoTrans,
      g.m,
      g.n,
      g.k,
      1.0f,
      g.a,
      g.lda,
      g.b,
      g.ldb,
      g.beta,
      g.c,
      g.ldc);
}

void blas_gemm(const Gemm<double>& g) {
  cblas_dgemm(
      CblasRowMajor,
      g.transpose_a ? CblasTrans : CblasNoTrans,
      CblasNoTrans,
      g.m,
      g.n,
      g.k,
      1.0,
      g.a,
      g.lda,
      g.b,
      g.ldb,
      g.beta,
      g.c,
      g.ldc);
}

} // namespace mlx_convt::cpu
