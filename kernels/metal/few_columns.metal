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
    int reduction,
    int mask) {
  for (int c = 0; c < reduction; ++c) {
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
    const CONSTANT Correlation* p,
    const CONSTANT AxisClass* classes,
    const CONSTANT int* masks,
    uint3 tgid,
    uint sg,
    uint lane) {
  constexpr int SIMD_GROUPS = 2;
  const ClassOfAxes set = class_of(0, p, classes);
  const int rows = rows_of(set, p);
  // Neighbouring lanes take neighbouring positions.
  const int row_0 =
      (int(tgid.x) * SIMD_GROUPS + int(sg)) * 32 * ROWS + int(lane);

  float sums[ROWS][COLUMNS];
  long pixel[ROWS];
  int at[ROWS][3];
  UNROLL
  for (int r = 0; r < ROWS; ++r) {
    UNROLL
    for (int o = 0; o < COLUMNS; ++o) {
      sums[r][o] = 0.0f;
    }
    const int row = row_0 + r * 32;
    const Position q = position_of(min(row, rows - 1), set, p);
    UNROLL
    for (int i = 0; i < 3; ++i) {
      at[r][i] = q.at[i] * p->source_step[i];
    }
    pixel[r] =
        ((long(q.image) * p->source[0] + at[r][0]) * p->source[1] + at[r][1]) *
            p->source[2] +
        at[r][2];
    if (row >= rows) {
      at[r][0] = -(1 << 30); // never inside of the source
    }
  }

  int slot = 0;
  for (int jz = 0; jz < set.axis[0]->taps; ++jz) {
    const int z = set.axis[0]->first_offset + jz * p->offset_step[0];
    for (int jy = 0; jy < set.axis[1]->taps; ++jy) {
      const int y = set.axis[1]->first_offset + jy * p->offset_step[1];
      for (int jx = 0; jx < set.axis[2]->taps; ++jx) {
        const int x = set.axis[2]->first_offset + jx * p->offset_step[2];
        bool is_live[ROWS];
        long first[ROWS];
        UNROLL
        for (int r = 0; r < ROWS; ++r) {
          is_live[r] =
              is_inside(at[r][0] + z, at[r][1] + y, at[r][2] + x, p->source);
          first[r] =
              (pixel[r] + (long(z) * p->source[1] + y) * p->source[2] + x) *
              p->source_channels;
        }
        const DEVICE T* tap =
            weights + long(slot) * p->padded_reduction * p->padded_columns;
        const int mask = masks[slot];
        if (mask == (1 << COLUMNS) - 1) {
          add_tap<T, ROWS, COLUMNS, true>(
              sums, is_live, first, source, tap, p->reduction, mask);
        } else {
          add_tap<T, ROWS, COLUMNS, false>(
              sums, is_live, first, source, tap, p->reduction, mask);
        }
        ++slot;
      }
    }
  }

  UNROLL
  for (int r = 0; r < ROWS; ++r) {
    const int row = row_0 + r * 32;
    const Position q = position_of(min(row, rows - 1), set, p);
    UNROLL
    for (int o = 0; o < COLUMNS; ++o) {
      const int fold = o / p->group_result;
      const int channel = o - fold * p->group_result;
      const int z = q.at[0] * p->result_step[0] + set.axis[0]->origin +
          fold / p->fold[2] / p->fold[1];
      const int y = q.at[1] * p->result_step[1] + set.axis[1]->origin +
          fold / p->fold[2] % p->fold[1];
      const int x =
          q.at[2] * p->result_step[2] + set.axis[2]->origin + fold % p->fold[2];
      if (row < rows && o < p->columns && is_inside(z, y, x, p->result)) {
        const long to =
            ((long(q.image) * p->result[0] + z) * p->result[1] + y) *
                p->result[2] +
            x;
        const float init = p->has_bias != 0 ? float(bias[channel]) : 0.0f;
        result[to * p->result_channels + channel] = T(sums[r][o] + init);
      }
    }
  }
}

KERNEL(64)
CT_NAME(
    const DEVICE CT_T* source BUFFER(0),
    const DEVICE CT_T* weights BUFFER(1),
    const DEVICE CT_T* bias BUFFER(2),
    DEVICE CT_T* result BUFFER(3),
    const CONSTANT Correlation* p BUFFER(4),
    const CONSTANT AxisClass* classes BUFFER(5),
    const CONSTANT int* masks BUFFER(6) KERNEL_IDS) {
  KERNEL_IDS_INIT
  few_columns<CT_T, CT_ROWS, CT_COLUMNS>(
      source, weights, bias, result, p, classes, masks, tgid, sg, lane);
}
