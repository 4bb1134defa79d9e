// Vectors in the compilers' common extension. Included, with the other
// headers of inner loops, by one translation unit per instruction set, each
// with its own compiler flags: the unnamed namespace keeps the linker from
// mixing their code, and no standard header is used for the same reason.
#pragma once

#include "kernels.h"

namespace mlx_convt::cpu {
namespace {

template <typename T, int Bytes>
struct VectorOf {
  typedef T type __attribute__((vector_size(Bytes)));
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

} // namespace
} // namespace mlx_convt::cpu
