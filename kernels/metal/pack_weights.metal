// Weights as correlate reads them, zeros where there are none: 32 x 32 of one
// slot pass through threadgroup memory, so that both sides are read and
// written along their neighbours.
template <typename T>
METAL_FUNC void pack_weights(
    const DEVICE T* w,
    DEVICE T* packed,
    const CONSTANT Packing* p,
    const CONSTANT WeightStrides* strides,
    const CONSTANT int* taps,
    THREADGROUP T* tile,
    uint3 tgid,
    uint sg,
    uint lane) {
  constexpr int SIDE = 32;
  constexpr int LD = SIDE + 1;
  const int group = int(tgid.z) / p->slots;
  const int slot = int(tgid.z) - group * p->slots;
  const int column_0 = int(tgid.x) * SIDE;
  const int row_0 = int(tgid.y) * SIDE;
  const int folds = p->fold[0] * p->fold[1] * p->fold[2];
  // Lanes run along what is contiguous in w: summed channels, or columns.
  const bool along_rows = strides->channel == 1;

  for (int i = int(sg); i < SIDE; i += CT_THREADS / 32) {
    const int r = along_rows ? int(lane) : i;
    const int c = along_rows ? i : int(lane);
    const int row = row_0 + r;
    const int column = column_0 + c;
    const int tap_in_slot = row / p->channels;
    const int channel = row - tap_in_slot * p->channels;
    const int fold = column / p->group_columns;
    const int group_column = column - fold * p->group_columns;
    T value = T(0.0f);
    if (tap_in_slot < p->taps && fold < folds) {
      const int tap = taps[long(slot) * p->taps + tap_in_slot];
      if (tap >= 0) {
        const int tap_zy = tap / p->window[2];
        const int x = tap % p->window[2] + fold % p->fold[2];
        const int y = tap_zy % p->window[1] + fold / p->fold[2] % p->fold[1];
        const int z = tap_zy / p->window[1] + fold / p->fold[2] / p->fold[1];
        if (z < p->window[0] && y < p->window[1] && x < p->window[2]) {
          const int folded_tap = (z * p->window[1] + y) * p->window[2] + x;
          value =
              w[long(group) * strides->group + long(folded_tap) * strides->tap +
                long(channel) * strides->channel +
                long(group_column) * strides->column];
        }
      }
    }
    tile[r * LD + c] = value;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  DEVICE T* to = packed + long(tgid.z) * p->padded_rows * p->padded_columns;
  for (int i = int(sg); i < SIDE; i += CT_THREADS / 32) {
    const int row = row_0 + i;
    const int column = column_0 + int(lane);
    if (row < p->padded_rows && column < p->padded_columns) {
      to[long(row) * p->padded_columns + column] = tile[i * LD + int(lane)];
    }
  }
}

KERNEL(CT_THREADS)
CT_NAME(
    const DEVICE CT_T* w BUFFER(0),
    DEVICE CT_T* packed BUFFER(1),
    const CONSTANT Packing* p BUFFER(2),
    const CONSTANT WeightStrides* strides BUFFER(3),
    const CONSTANT int* taps BUFFER(4) KERNEL_IDS) {
  KERNEL_IDS_INIT
  TG_ARRAY(CT_T, tile, [32 * 33]);
  pack_weights<CT_T>(w, packed, p, strides, taps, tile, tgid, sg, lane);
}
