// Output and InputGrad with at most CT_ROWS rows a class: the weights are most
// of the memory there is to read, so each is read once, where it lies. Eight
// SIMD-groups compute 32 columns.
// CT_ALONG_REDUCTION: lanes run along the reduction, as w does in Output.
// Otherwise along the columns, as in InputGrad; SIMD-groups share the
// reduction.

// Adds channels [begin, end) of one tap, from `begin` in steps.
template <typename T, int ROWS, int ACROSS>
METAL_FUNC void add_tap(
    THREAD float (&sums)[ROWS][ACROSS],
    const THREAD bool (&is_live)[ROWS],
    const THREAD long (&first)[ROWS],
    const DEVICE T* source,
    const DEVICE T* weights,
    int column,
    int columns,
    const CONSTANT WeightStrides* strides,
    int begin,
    int end,
    int step) {
  for (int c = begin; c < end; c += step) {
    float value[ROWS];
    UNROLL
    for (int r = 0; r < ROWS; ++r) {
      value[r] = is_live[r] ? float(source[first[r] + c]) : 0.0f;
    }
    UNROLL
    for (int o = 0; o < ACROSS; ++o) {
      if (column + o < columns) {
        const long at =
            long(c) * strides->channel + long(column + o) * strides->column;
        const float weight = float(weights[at]);
        UNROLL
        for (int r = 0; r < ROWS; ++r) {
          if (is_live[r]) {
            sums[r][o] = fma(value[r], weight, sums[r][o]);
          }
        }
      }
    }
  }
}

template <typename T, int ROWS, bool ALONG_REDUCTION>
METAL_FUNC void few_rows(
    const DEVICE T* source,
    const DEVICE T* weights,
    const DEVICE T* bias,
    DEVICE T* result,
    DEVICE float* partial,
    const CONSTANT Correlation* p,
    const CONSTANT AxisClass* classes,
    const CONSTANT WeightStrides* strides,
    THREADGROUP float* parts,
    uint3 tgid,
    uint sg,
    uint lane) {
  constexpr int CHUNK = CT_CHANNELS; // between two looks at the edges
  constexpr int SIMD_GROUPS = CT_THREADS / 32;
  constexpr int ACROSS = ALONG_REDUCTION ? 4 : 1; // columns of a lane
  static_assert(ROWS <= SIMD_GROUPS && ROWS * 4 <= 32, "");
  const int class_count = p->classes[0] * p->classes[1] * p->classes[2];
  const int group = int(tgid.z) / class_count;
  const ClassOfAxes set =
      class_of(int(tgid.z) - group * class_count, p, classes);
  const int rows = rows_of(set, p);
  const int column =
      int(tgid.x) * 32 + (ALONG_REDUCTION ? int(sg) * ACROSS : int(lane));

  float sums[ROWS][ACROSS];
  SourcePixel at[ROWS];
  UNROLL
  for (int r = 0; r < ROWS; ++r) {
    at[r] = source_of(r, rows, set, p);
    UNROLL
    for (int o = 0; o < ACROSS; ++o) {
      sums[r][o] = 0.0f;
    }
  }

  const DEVICE T* group_weights = weights + long(group) * strides->group;
  const DEVICE T* group_source_channels = source + group * p->group_source;
  const int split = int(tgid.y);
  LiveTaps taps[3];
  live_taps_of(taps, 0, rows - 1, set, p);
  const int slices = slices_of<CHUNK>(taps, p->reduction);
  const int split_slices = (slices + p->splits - 1) / p->splits;
  int left = min(split_slices, slices - split * split_slices);
  Slice slice;
  if (left > 0) {
    slice = slice_at<CHUNK>(split * split_slices, taps, p->reduction);
  }
  for (; left > 0; --left) {
    const Offset offset = offset_of(slice, set, p);
    bool is_live[ROWS];
    long first[ROWS];
    bool any = false;
    UNROLL
    for (int r = 0; r < ROWS; ++r) {
      is_live[r] = is_inside(
          at[r].z + offset.z,
          at[r].y + offset.y,
          at[r].x + offset.x,
          p->source);
      first[r] = (at[r].index + offset.pixels) * p->source_channels;
      any = any || is_live[r];
    }
    if (any) {
      const int z = set.axis[0]->first_tap + slice.tap[0] * p->tap_step[0];
      const int y = set.axis[1]->first_tap + slice.tap[1] * p->tap_step[1];
      const int x = set.axis[2]->first_tap + slice.tap[2] * p->tap_step[2];
      add_tap<T, ROWS, ACROSS>(
          sums,
          is_live,
          first,
          group_source_channels,
          group_weights + pixel_at(0, z, y, x, p->window) * strides->tap,
          column,
          p->columns,
          strides,
          slice.channel + (ALONG_REDUCTION ? int(lane) : int(sg)),
          min(slice.channel + CHUNK, p->reduction),
          ALONG_REDUCTION ? 32 : SIMD_GROUPS);
    }
    advance<CHUNK>(slice, taps, p->reduction);
  }

  // One lane is left with the sum of one row and column.
  int row = int(sg);
  int result_column = column;
  float sum = 0.0f;
  if (ALONG_REDUCTION) {
    UNROLL
    for (int r = 0; r < ROWS; ++r) {
      UNROLL
      for (int o = 0; o < ACROSS; ++o) {
        const float total = simd_sum(sums[r][o]);
        sum = int(lane) == r * ACROSS + o ? total : sum;
      }
    }
    row = int(lane) / ACROSS;
    result_column = column + int(lane) % ACROSS;
  } else {
    UNROLL
    for (int r = 0; r < ROWS; ++r) {
      parts[(int(sg) * ROWS + r) * 32 + int(lane)] = sums[r][0];
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (row < ROWS) {
      for (int s = 0; s < SIMD_GROUPS; ++s) {
        sum += parts[(s * ROWS + row) * 32 + int(lane)];
      }
    }
  }
  if (result_column < p->columns) {
    store_sum<T>(
        sum,
        result_of(row, rows, set, p),
        column_of(result_column, group, p),
        split,
        bias,
        result,
        partial,
        p);
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
    const CONSTANT WeightStrides* strides BUFFER(7) KERNEL_IDS) {
  KERNEL_IDS_INIT
  TG_ARRAY(float, parts, [CT_THREADS * CT_ROWS]);
  few_rows<CT_T, CT_ROWS, CT_ALONG_REDUCTION != 0>(
      source,
      weights,
      bias,
      result,
      partial,
      p,
      classes,
      strides,
      parts,
      tgid,
      sg,
      lane);
}
