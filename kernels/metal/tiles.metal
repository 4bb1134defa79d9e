// The product of two tiles in threadgroup memory, for one SIMD-group.

// acc += A * B over `depth` of the reduction, at most BK. A lies row by row, or
// reduction by reduction where A_TURNED. Only the first `tall` by `wide`
// matrices of 8x8 hold results; all of them, and all of BK, where WHOLE.
template <
    typename T,
    int TM,
    int TN,
    int LDA,
    int LDB,
    int BK,
    bool A_TURNED,
    bool WHOLE>
METAL_FUNC void multiply(
    THREAD simdgroup_matrix<float, 8, 8>* acc,
    const THREADGROUP T* a_tile,
    const THREADGROUP T* b_tile,
    int depth,
    int tall,
    int wide) {
  UNROLL
  for (int k = 0; k < BK; k += 8) {
    if (WHOLE || k < depth) {
      simdgroup_matrix<T, 8, 8> a[TM];
      simdgroup_matrix<T, 8, 8> b[TN];
      UNROLL
      for (int i = 0; i < TM; ++i) {
        if (WHOLE || i < tall) {
          if (A_TURNED) {
            simdgroup_load(
                a[i], a_tile + k * LDA + i * 8, LDA, ulong2(0), true);
          } else {
            simdgroup_load(a[i], a_tile + i * 8 * LDA + k, LDA);
          }
        }
      }
      UNROLL
      for (int j = 0; j < TN; ++j) {
        if (WHOLE || j < wide) {
          simdgroup_load(b[j], b_tile + k * LDB + j * 8, LDB);
        }
      }
      UNROLL
      for (int i = 0; i < TM; ++i) {
        UNROLL
        for (int j = 0; j < TN; ++j) {
          if (WHOLE || (i < tall && j < wide)) {
            simdgroup_multiply_accumulate(
                acc[i * TN + j], a[i], b[j], acc[i * TN + j]);
          }
        }
      }
    }
  }
}

// A row of 8x8 matrices, to be read by all lanes of the SIMD-group.
template <int TN>
METAL_FUNC void stage_rows(
    THREAD simdgroup_matrix<float, 8, 8>* acc,
    THREADGROUP float* stage) {
  UNROLL
  for (int j = 0; j < TN; ++j) {
    simdgroup_store(acc[j], stage + j * 8, TN * 8);
  }
  simdgroup_barrier(mem_flags::mem_threadgroup);
}
