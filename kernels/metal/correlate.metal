// Output and InputGrad as products of tiles: rows are positions of one class,
// columns its phases and result channels, the reduction runs over taps and
// channels. C[m, n] = sum A[m, k] * B[k, n] in float32; A is gathered from the
// source, B is packed by pack_weights. CT_BM x CT_BN results a threadgroup,
// CT_WM x CT_WN SIMD-groups, CT_BK of the reduction at once.

template <typename T, int BM, int BN, int BK, int WM, int WN>
METAL_FUNC void correlate(
    const DEVICE T* source,
    const DEVICE T* weights,
    const DEVICE T* bias,
    DEVICE T* result,
    DEVICE float* partial,
    const CONSTANT Correlation* p,
    const CONSTANT AxisClass* classes,
    const CONSTANT SourceTerm* terms,
    THREADGROUP uint4* tiles,
    THREADGROUP int4* row_pixels,
    uint3 tgid,
    uint sg,
    uint lane) {
  constexpr int VEC = 16 / int(sizeof(T));
  constexpr int THREADS = WM * WN * 32;
  static_assert(THREADS == CT_THREADS, "");
  constexpr int LDA = BK + VEC;
  constexpr int LDB = BN + VEC;
  constexpr int TM = BM / (8 * WM);
  constexpr int TN = BN / (8 * WN);
  constexpr int A_ACROSS = BK / VEC; // threads beside each other in a row
  constexpr int A_DOWN = THREADS / A_ACROSS;
  constexpr int A_LOADS = BM / A_DOWN;
  constexpr int B_ACROSS = BN / VEC;
  constexpr int B_DOWN = THREADS / B_ACROSS;
  constexpr int B_LOADS = BK / B_DOWN;
  static_assert(BM % (8 * WM) == 0 && BN % (8 * WN) == 0 && BK % 8 == 0, "");
  static_assert(A_DOWN * A_LOADS == BM && B_DOWN * B_LOADS == BK, "");
  static_assert(TM * TN <= 16, "more accumulators would leave the registers");
  THREADGROUP T* a_tile = (THREADGROUP T*)tiles;
  THREADGROUP T* b_tile = a_tile + BM * LDA;

  const int tid = int(sg * 32 + lane);
  const int class_count = p->classes[0] * p->classes[1] * p->classes[2];
  const int split = int(tgid.z) % p->splits;
  const int group_class = int(tgid.z) / p->splits;
  const int group = group_class / class_count;
  const int class_index = group_class - group * class_count;
  const ClassOfAxes set = class_of(class_index, p, classes);
  const int rows = rows_of(set, p);
  const int row_0 = int(tgid.y) * BM;
  const int column_0 = int(tgid.x) * BN;
  if (row_0 >= rows) {
    return; // the whole threadgroup: classes differ in their positions
  }

  // For the stores at the end.
  for (int i = tid; i < BM; i += THREADS) {
    row_pixels[i] = result_of(row_0 + i, rows, set, p);
  }

  // The rows that this thread copies.
  const int a_column = tid % A_ACROSS * VEC;
  const int a_row = tid / A_ACROSS;
  SourcePixel a_at[A_LOADS];
  UNROLL
  for (int i = 0; i < A_LOADS; ++i) {
    a_at[i] = source_of(row_0 + a_row + i * A_DOWN, rows, set, p);
  }
  const int b_column = column_0 + tid % B_ACROSS * VEC;
  const int b_row = tid / B_ACROSS;

  simdgroup_matrix<float, 8, 8> acc[TM * TN];
  UNROLL
  for (int i = 0; i < TM * TN; ++i) {
    acc[i] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  }
  const int sg_row = int(sg) / WN * (TM * 8);
  const int sg_column = int(sg) % WN * (TN * 8);
  const int tall = min(TM, (rows - row_0 - sg_row + 7) / 8);
  const int wide = min(TN, (p->columns - column_0 - sg_column + 7) / 8);

  // Gathered weights have one slot a class, whose terms know their offsets.
  const int reduction = p->gathered == 0 ? p->reduction
                                         : p->group_source * set.axis[0]->taps *
          set.axis[1]->taps * set.axis[2]->taps;
  LiveTaps live[3];
  live_taps_of(live, row_0, min(row_0 + BM, rows) - 1, set, p);
  const int slices = slices_of<BK>(live, reduction);
  const CONSTANT SourceTerm* class_terms = terms + long(class_index) * p->terms;

  const DEVICE T* group_weights = weights +
      long(group) * p->slots[0] * p->slots[1] * p->slots[2] *
          p->padded_reduction * p->padded_columns;
  const DEVICE T* group_source_channels = source + group * p->group_source;

  // A slice is read into registers while the one before it is multiplied.
  uint4 a_next[A_LOADS];
  uint4 b_next[B_LOADS];
  const int split_slices = (slices + p->splits - 1) / p->splits;
  int left = min(split_slices, slices - split * split_slices);
  Slice slice;
  if (left > 0) {
    slice = slice_at<BK>(split * split_slices, live, reduction);
  }
  Slice held;
  bool is_held = false;
  while (left > 0 || is_held) {
    if (is_held) {
      threadgroup_barrier(mem_flags::mem_threadgroup);
      UNROLL
      for (int i = 0; i < B_LOADS; ++i) {
        THREADGROUP T* to =
            b_tile + (b_row + i * B_DOWN) * LDB + (b_column - column_0);
        *(THREADGROUP uint4*)to = b_next[i];
      }
      UNROLL
      for (int i = 0; i < A_LOADS; ++i) {
        THREADGROUP T* to = a_tile + (a_row + i * A_DOWN) * LDA + a_column;
        if (p->vector_source != 0) {
          *(THREADGROUP uint4*)to = a_next[i];
        } else {
          gather<T, VEC>(
              to,
              group_source_channels,
              a_at[i],
              held.channel + a_column,
              reduction,
              offset_of(held, set, p),
              class_terms,
              p);
        }
      }
      threadgroup_barrier(mem_flags::mem_threadgroup);
    }

    const bool is_next = left > 0;
    if (is_next) {
      const Offset offset = offset_of(slice, set, p);
      if (p->vector_source != 0) {
        UNROLL
        for (int i = 0; i < A_LOADS; ++i) {
          const int channel = slice.channel + a_column;
          const bool has_value = channel < reduction &&
              is_inside(a_at[i].z + offset.z,
                        a_at[i].y + offset.y,
                        a_at[i].x + offset.x,
                        p->source);
          a_next[i] = uint4(0);
          if (has_value) {
            a_next[i] = *(const DEVICE uint4*)(group_source_channels +
                                               (a_at[i].index + offset.pixels) *
                                                   p->source_channels +
                                               channel);
          }
        }
      }
      const DEVICE T* slot = group_weights +
          long(slot_of(slice, set, class_index, p)) * p->padded_reduction *
              p->padded_columns;
      UNROLL
      for (int i = 0; i < B_LOADS; ++i) {
        const int row = slice.channel + b_row + i * B_DOWN;
        b_next[i] = uint4(0);
        if (row < p->padded_reduction && b_column < p->padded_columns) {
          b_next[i] =
              *(const DEVICE uint4*)(slot + long(row) * p->padded_columns +
                                     b_column);
        }
      }
    }

    if (is_held && tall > 0 && wide > 0) {
      const int depth = reduction - held.channel; // rounded up to 8
      const THREADGROUP T* a_rows = a_tile + sg_row * LDA;
      const THREADGROUP T* b_columns = b_tile + sg_column;
      if (tall == TM && wide == TN && depth >= BK) {
        multiply<T, TM, TN, LDA, LDB, BK, false, true>(
            acc, a_rows, b_columns, depth, tall, wide);
      } else {
        multiply<T, TM, TN, LDA, LDB, BK, false, false>(
            acc, a_rows, b_columns, depth, tall, wide);
      }
    }
    is_held = is_next;
    if (is_next) {
      held = slice;
      advance<BK>(slice, live, reduction);
      --left;
    }
  }

  // Eight rows at a time go through threadgroup memory, where the tiles were,
  // so that neighbouring lanes store neighbouring channels.
  constexpr int ACROSS = TN * 8;
  constexpr int DOWN = 32 / ACROSS;
  static_assert(DOWN * ACROSS == 32, "a row of results per 8, 16 or 32 lanes");
  const int across = int(lane) % ACROSS;
  const int column_index = column_0 + sg_column + across;
  const Column column = column_of(column_index, group, p);
  THREADGROUP float* stage = (THREADGROUP float*)tiles + int(sg) * 8 * ACROSS;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  UNROLL
  for (int i = 0; i < TM; ++i) {
    if (i < tall && wide > 0) {
      stage_rows<TN>(acc + i * TN, stage);
      UNROLL
      for (int t = 0; t < 8; t += DOWN) {
        const int r = t + int(lane) / ACROSS;
        if (column_index < p->columns) {
          store_sum<T>(
              stage[r * ACROSS + across],
              row_pixels[sg_row + i * 8 + r],
              column,
              split,
              bias,
              result,
              partial,
              p);
        }
      }
      simdgroup_barrier(mem_flags::mem_threadgroup);
    }
  }
}

KERNEL(CT_THREADS)
CT_NAME(
    const DEVICE CT_T* source BUFFER(0),
    const DEVICE CT_T* weights BUFFER(1),
    const DEVICE CT_T* bias BUFFER(2),
    DEVICE CT_T* result BUFFER(3),
    DEVICE float* partial BUFFER(4),
    const CONSTANT Correlation* p BUFFER(5),
    const CONSTANT AxisClass* classes BUFFER(6),
    const CONSTANT SourceTerm* terms BUFFER(7) KERNEL_IDS) {
  KERNEL_IDS_INIT
  constexpr int VEC = 16 / int(sizeof(CT_T));
  constexpr int TILES = (CT_BM * (CT_BK + VEC) + CT_BK * (CT_BN + VEC)) / VEC;
  static_assert(TILES * 16 >= CT_BN * CT_WM * 8 * 4, "results in their place");
  TG_ARRAY(uint4, tiles, [TILES]);
  TG_ARRAY(int4, row_pixels, [CT_BM]);
  correlate<CT_T, CT_BM, CT_BN, CT_BK, CT_WM, CT_WN>(
      source,
      weights,
      bias,
      result,
      partial,
      p,
      classes,
      terms,
      tiles,
      row_pixels,
      tgid,
      sg,
      lane);
}
