// Output and InputGrad with at most CT_ROWS rows a class: the weights are most
// of the memory there is to read, so each is read once, where it lies. Eight
// SIMD-groups compute 32 columns.
// CT_ALONG_REDUCTION: lanes run along the reduction, as w does in Output.
// Otherwise along the columns, as in InputGrad; SIMD-groups share the
// reduction.

// Source pixels of the rows at offset zero; the same for all threads.
template <int ROWS>
struct RowsAtZero {
  long pixel[ROWS];
  int at[ROWS][3];
};

template <int ROWS>
METAL_FUNC void find_rows(
    THREAD RowsAtZero<ROWS>& found,
    int rows,
    ClassOfAxes set,
    const CONSTANT Correlation* p) {
  UNROLL
  for (int r = 0; r < ROWS; ++r) {
    const Position q = position_of(min(r, rows - 1), set, p);
    UNROLL
    for (int i = 0; i < 3; ++i) {
      found.at[r][i] = q.at[i] * p->source_step[i];
    }
    found.pixel[r] =
        ((long(q.image) * p->source[0] + found.at[r][0]) * p->source[1] +
         found.at[r][1]) *
            p->source[2] +
        found.at[r][2];
    if (r >= rows) {
      found.at[r][0] = -(1 << 30); // never inside of the source
    }
  }
}

// Adds one tap's products; SIMD-group `sg` of the threadgroup.
template <typename T, int ROWS, int ACROSS, bool ALONG_REDUCTION>
METAL_FUNC void add_tap(
    THREAD float (&sums)[ROWS][ACROSS],
    const THREAD bool (&is_live)[ROWS],
    const THREAD long (&first)[ROWS],
    const DEVICE T* source,
    const DEVICE T* weights,
    int column,
    const CONSTANT Correlation* p,
    const CONSTANT WeightStrides* strides,
    int start,
    int step) {
  for (int c = start; c < p->reduction; c += step) {
    float value[ROWS];
    UNROLL
    for (int r = 0; r < ROWS; ++r) {
      value[r] = is_live[r] ? float(source[first[r] + c]) : 0.0f;
    }
    UNROLL
    for (int o = 0; o < ACROSS; ++o) {
      if (column + o < p->columns) {
        const float weight = float(weights
                                       [long(c) * strides->channel +
                                        long(column + o) * strides->column]);
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
    const CONSTANT Correlation* p,
    const CONSTANT AxisClass* classes,
    const CONSTANT WeightStrides* strides,
    THREADGROUP float* partial,
    uint3 tgid,
    uint sg,
    uint lane) {
  constexpr int SIMD_GROUPS = 8;
  constexpr int ACROSS = ALONG_REDUCTION ? 4 : 1; // columns of a lane
  static_assert(ROWS <= SIMD_GROUPS && ROWS * 4 <= 32, "");
  const int class_count = p->classes[0] * p->classes[1] * p->classes[2];
  const int group = int(tgid.z) / class_count;
  const ClassOfAxes set =
      class_of(int(tgid.z) - group * class_count, p, classes);
  const int rows = rows_of(set, p);
  const int column =
      int(tgid.x) * 32 + (ALONG_REDUCTION ? int(sg) * ACROSS : int(lane));

  RowsAtZero<ROWS> zero;
  find_rows<ROWS>(zero, rows, set, p);
  float sums[ROWS][ACROSS];
  UNROLL
  for (int r = 0; r < ROWS; ++r) {
    UNROLL
    for (int o = 0; o < ACROSS; ++o) {
      sums[r][o] = 0.0f;
    }
  }

  const DEVICE T* group_weights = weights + long(group) * strides->group;
  for (int jz = 0; jz < set.axis[0]->taps; ++jz) {
    const int z = set.axis[0]->first_offset + jz * p->offset_step[0];
    const int kz = set.axis[0]->first_tap + jz * p->tap_step[0];
    for (int jy = 0; jy < set.axis[1]->taps; ++jy) {
      const int y = set.axis[1]->first_offset + jy * p->offset_step[1];
      const int ky = set.axis[1]->first_tap + jy * p->tap_step[1];
      for (int jx = 0; jx < set.axis[2]->taps; ++jx) {
        const int x = set.axis[2]->first_offset + jx * p->offset_step[2];
        const int kx = set.axis[2]->first_tap + jx * p->tap_step[2];
        bool is_live[ROWS];
        long first[ROWS];
        bool any = false;
        UNROLL
        for (int r = 0; r < ROWS; ++r) {
          is_live[r] = is_inside(
              zero.at[r][0] + z,
              zero.at[r][1] + y,
              zero.at[r][2] + x,
              p->source);
          first[r] = (zero.pixel[r] +
                      (long(z) * p->source[1] + y) * p->source[2] + x) *
                  p->source_channels +
              group * p->group_source;
          any = any || is_live[r];
        }
        if (any) {
          const DEVICE T* tap = group_weights +
              (long(kz * p->window[1] + ky) * p->window[2] + kx) * strides->tap;
          add_tap<T, ROWS, ACROSS, ALONG_REDUCTION>(
              sums,
              is_live,
              first,
              source,
              tap,
              column,
              p,
              strides,
              ALONG_REDUCTION ? int(lane) : int(sg),
              ALONG_REDUCTION ? 32 : SIMD_GROUPS);
        }
      }
    }
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
      partial[(int(sg) * ROWS + r) * 32 + int(lane)] = sums[r][0];
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (row < ROWS) {
      for (int s = 0; s < SIMD_GROUPS; ++s) {
        sum += partial[(s * ROWS + row) * 32 + int(lane)];
      }
    }
  }
  if (row < rows && result_column < p->columns) {
    const Position q = position_of(row, set, p);
    const int z = q.at[0] * p->result_step[0] + set.axis[0]->origin;
    const int y = q.at[1] * p->result_step[1] + set.axis[1]->origin;
    const int x = q.at[2] * p->result_step[2] + set.axis[2]->origin;
    const long pixel =
        ((long(q.image) * p->result[0] + z) * p->result[1] + y) * p->result[2] +
        x;
    const int channel = group * p->group_result + result_column;
    const float init = p->has_bias != 0 ? float(bias[channel]) : 0.0f;
    result[pixel * p->result_channels + channel] = T(sum + init);
  }
}

KERNEL(256)
CT_NAME(
    const DEVICE CT_T* source BUFFER(0),
    const DEVICE CT_T* weights BUFFER(1),
    const DEVICE CT_T* bias BUFFER(2),
    DEVICE CT_T* result BUFFER(3),
    const CONSTANT Correlation* p BUFFER(4),
    const CONSTANT AxisClass* classes BUFFER(5),
    const CONSTANT WeightStrides* strides BUFFER(6) KERNEL_IDS) {
  KERNEL_IDS_INIT
  TG_ARRAY(float, partial, [8 * CT_ROWS * 32]);
  few_rows<CT_T, CT_ROWS, CT_ALONG_REDUCTION != 0>(
      source,
      weights,
      bias,
      result,
      p,
      classes,
      strides,
      partial,
      tgid,
      sg,
      lane);
}
