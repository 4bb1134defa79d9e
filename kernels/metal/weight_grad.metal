// WeightGrad as products of tiles: rows are pairs of a tap and an output
// channel, columns input channels, the reduction runs over the input pixels of
// one split. C[m, n] = sum A[k, m] * B[k, n] in float32, A from y and B from x.
template <typename T, int BM, int BN, int BK, int WM, int WN>
METAL_FUNC void weight_grad(
    const DEVICE T* x,
    const DEVICE T* y,
    DEVICE T* result,
    DEVICE float* partial,
    const CONSTANT Reduction* p,
    THREADGROUP uint4* tiles,
    THREADGROUP int4* pixels,
    uint3 tgid,
    uint sg,
    uint lane) {
  constexpr int VEC = 16 / int(sizeof(T));
  constexpr int THREADS = WM * WN * 32;
  static_assert(THREADS == CT_THREADS, "");
  constexpr int LDA = BM + VEC;
  constexpr int LDB = BN + VEC;
  constexpr int TM = BM / (8 * WM);
  constexpr int TN = BN / (8 * WN);
  constexpr int A_DOWN = THREADS / (BM / VEC); // pixels copied at once
  constexpr int B_DOWN = THREADS / (BN / VEC);
  constexpr int A_LOADS = BK / A_DOWN;
  constexpr int B_LOADS = BK / B_DOWN;
  static_assert(A_DOWN * A_LOADS == BK && B_DOWN * B_LOADS == BK, "");
  static_assert(THREADS % BM == 0 && THREADS % BN == 0, "");
  static_assert(BK <= THREADS && BK % 8 == 0, "");
  static_assert(TM * TN <= 16, "more accumulators would leave the registers");
  THREADGROUP T* a_tile = (THREADGROUP T*)tiles;
  THREADGROUP T* b_tile = a_tile + BK * LDA;

  const int tid = int(sg * 32 + lane);
  const int group = int(tgid.z) / p->splits;
  const int split = int(tgid.z) - group * p->splits;
  const int taps = p->window[0] * p->window[1] * p->window[2];
  const int rows = taps * p->group_out;
  const int row_0 = int(tgid.y) * BM;
  const int column_0 = int(tgid.x) * BN;
  const int first = split * p->split_pixels;
  const int last = min(first + p->split_pixels, p->pixels);

  // A thread copies the same rows, and the same columns, of every slice.
  const int a_width = p->vector_y != 0 ? VEC : 1;
  const int a_across = BM / a_width;
  const int a_local = tid % a_across * a_width;
  const int a_row = row_0 + a_local;
  const bool has_row = a_row < rows;
  const int a_tap = a_row / p->group_out;
  const TapShift shift = shift_of(has_row ? a_tap : 0, p);
  const int a_channel = group * p->group_out + a_row - a_tap * p->group_out;
  const int b_width = p->vector_x != 0 ? VEC : 1;
  const int b_across = BN / b_width;
  const int b_local = tid % b_across * b_width;
  const bool has_column = column_0 + b_local < p->group_in;
  const int b_channel = group * p->group_in + column_0 + b_local;

  simdgroup_matrix<float, 8, 8> acc[TM * TN];
  UNROLL
  for (int i = 0; i < TM * TN; ++i) {
    acc[i] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  }
  const int sg_row = int(sg) / WN * (TM * 8);
  const int sg_column = int(sg) % WN * (TN * 8);
  const int tall = min(TM, (rows - row_0 - sg_row + 7) / 8);
  const int wide = min(TN, (p->group_in - column_0 - sg_column + 7) / 8);

  // Slice by slice: `pixels` holds where those of the slice to be read and of
  // the one before lie, which the registers or the tiles hold.
  uint4 a_next[A_LOADS];
  uint4 b_next[B_LOADS];
  int4 own = input_pixel(min(first + tid % BK, p->pixels - 1), p);
  int held = first; // first pixel of the slice in the registers
  int next = first;
  bool is_held = false;
  bool more = first < last;
  THREADGROUP int4* next_pixels = pixels;
  THREADGROUP int4* held_pixels = pixels + BK;
  while (more) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (tid < BK) {
      next_pixels[tid] = meet(own, p);
      own = step_on(own, BK, p);
    }
    if (is_held) {
      if (p->vector_y != 0) {
        UNROLL
        for (int i = 0; i < A_LOADS; ++i) {
          const int k = tid / a_across + i * A_DOWN;
          *(THREADGROUP uint4*)(a_tile + k * LDA + a_local) = a_next[i];
        }
      } else {
        for (int k = tid / a_across; k < BK; k += THREADS / BM) {
          const long from = has_row && held + k < last
              ? met_at(held_pixels[k], shift.z, shift.y, shift.x, p)
              : -1;
          a_tile[k * LDA + a_local] = from >= 0 ? y[from + a_channel] : T(0.0f);
        }
      }
      if (p->vector_x != 0) {
        UNROLL
        for (int i = 0; i < B_LOADS; ++i) {
          const int k = tid / b_across + i * B_DOWN;
          *(THREADGROUP uint4*)(b_tile + k * LDB + b_local) = b_next[i];
        }
      } else {
        for (int k = tid / b_across; k < BK; k += THREADS / BN) {
          b_tile[k * LDB + b_local] = has_column && held + k < last
              ? x[long(held + k) * p->c_in + b_channel]
              : T(0.0f);
        }
      }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);

    const bool is_next = next < last;
    if (is_next && p->vector_y != 0) {
      UNROLL
      for (int i = 0; i < A_LOADS; ++i) {
        const int k = tid / a_across + i * A_DOWN;
        a_next[i] = uint4(0);
        if (has_row && next + k < last) {
          const long from =
              met_at(next_pixels[k], shift.z, shift.y, shift.x, p);
          if (from >= 0) {
            a_next[i] = *(const DEVICE uint4*)(y + from + a_channel);
          }
        }
      }
    }
    if (is_next && p->vector_x != 0) {
      UNROLL
      for (int i = 0; i < B_LOADS; ++i) {
        const int k = tid / b_across + i * B_DOWN;
        b_next[i] = uint4(0);
        if (has_column && next + k < last) {
          b_next[i] =
              *(const DEVICE uint4*)(x + long(next + k) * p->c_in + b_channel);
        }
      }
    }

    if (is_held && tall > 0 && wide > 0) {
      const int depth = last - held;
      const THREADGROUP T* a_rows = a_tile + sg_row;
      const THREADGROUP T* b_columns = b_tile + sg_column;
      if (tall == TM && wide == TN && depth >= BK) {
        multiply<T, TM, TN, LDA, LDB, BK, true, true>(
            acc, a_rows, b_columns, depth, tall, wide);
      } else {
        multiply<T, TM, TN, LDA, LDB, BK, true, false>(
            acc, a_rows, b_columns, depth, tall, wide);
      }
    }
    more = is_next;
    is_held = true;
    held = next;
    next += BK;
    THREADGROUP int4* swap = next_pixels;
    next_pixels = held_pixels;
    held_pixels = swap;
  }

  constexpr int ACROSS = TN * 8;
  constexpr int DOWN = 32 / ACROSS;
  static_assert(DOWN * ACROSS == 32, "a row of results per 8, 16 or 32 lanes");
  const int column = column_0 + sg_column + int(lane) % ACROSS;
  // Where the tiles were: the last products have read them.
  THREADGROUP float* stage = (THREADGROUP float*)tiles + int(sg) * 8 * ACROSS;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  DEVICE float* split_partial = partial + long(split) * p->elements;
  UNROLL
  for (int i = 0; i < TM; ++i) {
    if (i < tall && wide > 0) {
      stage_rows<TN>(acc + i * TN, stage);
      UNROLL
      for (int t = 0; t < 8; t += DOWN) {
        const int r = t + int(lane) / ACROSS;
        const int row = row_0 + sg_row + i * 8 + r;
        if (row < rows && column < p->group_in) {
          const int tap = row / p->group_out;
          const int output = group * p->group_out + row - tap * p->group_out;
          const int to = (output * taps + tap) * p->group_in + column;
          const float sum = stage[r * ACROSS + int(lane) % ACROSS];
          if (p->splits > 1) {
            split_partial[to] = sum;
          } else {
            result[to] = T(sum);
          }
        }
      }
      simdgroup_barrier(mem_flags::mem_threadgroup);
    }
  }
}

KERNEL(CT_THREADS)
CT_NAME(
    const DEVICE CT_T* x BUFFER(0),
    const DEVICE CT_T* y BUFFER(1),
    DEVICE CT_T* result BUFFER(2),
    DEVICE float* partial BUFFER(3),
    const CONSTANT Reduction* p BUFFER(4) KERNEL_IDS) {
  KERNEL_IDS_INIT
  constexpr int VEC = 16 / int(sizeof(CT_T));
  constexpr int TILES = CT_BK * (CT_BM + VEC + CT_BN + VEC) / VEC;
  static_assert(TILES * 16 >= CT_BN * CT_WM * 8 * 4, "results in their place");
  TG_ARRAY(uint4, tiles, [TILES]);
  TG_ARRAY(int4, pixels, [2 * CT_BK]);
  weight_grad<CT_T, CT_BM, CT_BN, CT_BK, CT_WM, CT_WN>(
      x, y, result, partial, p, tiles, pixels, tgid, sg, lane);
}
