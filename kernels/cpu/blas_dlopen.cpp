#include "blas.h"

#include <dlfcn.h>

#include <cstdlib>

namespace mlx_convt::cpu {
namespace {

// CBLAS's enumerations are ints with these values.
constexpr int kRowMajor = 101;
constexpr int kNoTrans = 111;
constexpr int kTrans = 112;

template <typename T>
using GemmFunction = void (*)(
    int,
    int,
    int,
    int,
    int,
    int,
    T,
    const T*,
    int,
    const T*,
    int,
    T,
    T*,
    int);

// The functions of the library that MLX_CONVT_BLAS names. Its integers must
// be 32 bits wide.
struct Library {
  GemmFunction<float> sgemm{nullptr};
  GemmFunction<double> dgemm{nullptr};
  std::string why_not;

  Library() {
    const char* path = std::getenv("MLX_CONVT_BLAS");
    if (!path || !*path) {
      why_not = "MLX_CONVT_BLAS is not set";
      return;
    }
    void* handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
      why_not = std::string("the library of MLX_CONVT_BLAS does not load: ") +
          dlerror();
      return;
    }
    // The second is the prefix in the libraries that SciPy's wheels carry.
    for (std::string prefix : {"", "scipy_"}) {
      auto find = [&](const char* name) {
        return dlsym(handle, (prefix + name).c_str());
      };
      sgemm = reinterpret_cast<GemmFunction<float>>(find("cblas_sgemm"));
      dgemm = reinterpret_cast<GemmFunction<double>>(find("cblas_dgemm"));
      if (sgemm && dgemm) {
        return;
      }
    }
    why_not = std::string("no cblas_sgemm and cblas_dgemm in ") + path;
  }
};

const Library& library() {
  // Never destroyed: streams may still compute while the process exits.
  static const auto* instance = new Library;
  return *instance;
}

template <typename T>
void call(GemmFunction<T> gemm, const Gemm<T>& g) {
  gemm(
      kRowMajor,
      g.transpose_a ? kTrans : kNoTrans,
      kNoTrans,
      g.m,
      g.n,
      g.k,
      T(1),
      g.a,
      g.lda,
      g.b,
      g.ldb,
      g.beta,
      g.c,
      g.ldc);
}

} // namespace

std::string blas_why_not() {
  return library().why_not;
}

bool blas_is_preferred() {
  return false;
}

void blas_gemm(const Gemm<float>& g) {
  call(library().sgemm, g);
}

void blas_gemm(const Gemm<double>& g) {
  call(library().dgemm, g);
}

} // namespace mlx_convt::cpu
