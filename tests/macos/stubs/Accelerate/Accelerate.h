// Stands in for Apple's Accelerate, which ziglang does not ship: the functions
// of its CBLAS that blas_accelerate.cpp calls, under the symbols that Apple's
// headers give them with ACCELERATE_NEW_LAPACK (cblas_new.h, 32-bit integers).
#pragma once

#ifndef ACCELERATE_NEW_LAPACK
#error "Without ACCELERATE_NEW_LAPACK Accelerate has a deprecated CBLAS."
#endif

enum CBLAS_ORDER { CblasRowMajor = 101, CblasColMajor = 102 };
enum CBLAS_TRANSPOSE {
  CblasNoTrans = 111,
  CblasTrans = 112,
  CblasConjTrans = 113
};

extern "C" {

void cblas_sgemm(
    const enum CBLAS_ORDER ORDER,
    const enum CBLAS_TRANSPOSE TRANSA,
    const enum CBLAS_TRANSPOSE TRANSB,
    const int M,
    const int N,
    const int K,
    const float ALPHA,
    const float* A,
    const int LDA,
    const float* B,
    const int LDB,
    const float BETA,
    float* C,
    const int LDC) __asm("_cblas_sgemm$NEWLAPACK");

void cblas_dgemm(
    const enum CBLAS_ORDER ORDER,
    const enum CBLAS_TRANSPOSE TRANSA,
    const enum CBLAS_TRANSPOSE TRANSB,
    const int M,
    const int N,
    const int K,
    const double ALPHA,
    const double* A,
    const int LDA,
    const double* B,
    const int LDB,
    const double BETA,
    double* C,
    const int LDC) __asm("_cblas_dgemm$NEWLAPACK");

} // extern "C"
