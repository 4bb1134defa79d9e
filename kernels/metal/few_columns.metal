// Output and InputGrad of one group with at most CT_COLUMNS columns, all phases
// folded into them: matrices of 8x8 would be mostly padding. Every thread sums
// all columns at CT_ROWS positions; weights are the same for all threads.
template <typename T, int ROWS, int COLUMNS, bool WHOLE>
METAL_FUNC void add_tap(
    THREAD float (&sums)[ROWS][COLUMNS],
    const THREAD bool (&is_live)[ROWS],
    const THREAD long (&first)[ROWS],
    const DEVICE T* source,
    const DEVICE T* weights,
    int begin,
    int end,
    int mask) {
  for (int c = begin; c < end; ++c) {
    float weight[COLUMNS];
    UNROLL
    for (int o = 0; o < COLUMNS; ++o) {
      weight[o] = float(weights[long(c) * COLUMNS + o]);
    }
    UNROLL
    for (int r = 0; r < ROWS; ++r) {
      if (is_live[r]) {
        const float value = float(source[first[r] + c]);
        UNROLL
        for (int o = 0; o < COLUMNS; ++o) {
          if (WHOLE || (mask >> o & 1) != 0) {
            sums[r][o] = fma(value, weight[o], sums[r][o]);
          }
        }
      }
    }
  }
}

template <typename T, int ROWS, int COLUMNS>
METAL_FUNC void few_columns(
    const DEVICE T* source,
    const DEVICE T* weights,
    const DEVICE T* bias,
    DEVICE T* result,
    DEVICE float* partial,
    const CONSTANT Correlation* p,
    const CONSTANT AxisClass* classes,
    const CONSTANT int* masks,
    uint3 tgid,
    uint sg,
    uint lane) {
  constexpr int CHUNK = CT_CHANNELS; // between two looks at the edges
  const ClassOfAxes set = class_of(0, p, classes);
  const int rows = rows_of(set, p);
  // Neighbouring lanes take neighbouring positions.
  const int row_0 =
      (int(tgid.x) * (CT_THREADS / 32) + int(sg)) * 32 * ROWS + int(lane);

  float sums[ROWS][COLUMNS];
  SourcePixel at[ROWS];
  UNROLL
  for (int r = 0; r < ROWS; ++r) {
    at[r] = source_of(row_0 + r * 32, rows, set, p);
    UNROLL
    for (int o = 0; o < COLUMNS; ++o) {
      sums[r][o] = 0.0f;
    }
  }

  const int split = int(tgid.y);
  LiveTaps taps[3];
  live_taps_of(
      taps,
      min(int(tgid.x) * CT_THREADS * ROWS, rows - 1),
      min((int(tgid.x) + 1) * CT_THREADS * ROWS, rows) - 1,
      set,
      p);
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
    UNROLL
    for (int r = 0; r < ROWS; ++r) {
      is_live[r] = is_inside(
          at[r].z + offset.z,
          at[r].y + offset.y,
          at[r].x + offset.x,
          p->source);
      first[r] = (at[r].index + offset.pixels) * p->source_channels;
    }
    const int slot = slot_of(slice, set, 0, p);
    const DEVICE T* tap = weights + long(slot) * p->reduction * COLUMNS;
    const int last = min(slice.channel + CHUNK, p->reduction);
    const int mask = masks[slot];
    if (mask == (1 << COLUMNS) - 1) {
      add_tap<T, ROWS, COLUMNS, true>(
          sums, is_live, first, source, tap, slice.channel, last, mask);
    } else {
      add_tap<T, ROWS, COLUMNS, false>(
          sums, is_live, first, source, tap, slice.channel, last, mask);
    }
    advance<CHUNK>(slice, taps, p->reduction);
  }

  UNROLL
  for (int o = 0; o < COLUMNS; ++o) {
    if (o < p->columns) {
      const Column column = column_of(o, 0, p);
      UNROLL
      for (int r = 0; r < ROWS; ++r) {
        store_sum<T>(
            sums[r][o],
            result_of(row_0 + r * 32, rows, set, p),
            column,
            split,
            bias,
            result,
            partial,
            p);
      }
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
    const CONSTANT int* masks BUFFER(7) KERNEL_IDS) {
  KERNEL_IDS_INIT
  few_columns<CT_T, CT_ROWS, CT_COLUMNS>(
      source,
      weights,
      bias,
      result,
      partial,
      p,
      classes,
      masks,
      tgid,
      sg,
      lane);
}
