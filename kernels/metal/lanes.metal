// Output and InputGrad of groups with few channels: one thread for each result
// value, in the order of memory, which sums just the taps that reach it. The
// weights are read where they lie.
template <typename T>
METAL_FUNC void lanes(
    const DEVICE T* source,
    const DEVICE T* weights,
    const DEVICE T* bias,
    DEVICE T* result,
    const CONSTANT Correlation* p,
    const CONSTANT AxisClass* classes,
    const CONSTANT WeightStrides* strides,
    uint3 tgid,
    uint sg,
    uint lane) {
  // One line of the result, or all lines of a plane, for each y of the grid.
  const int element = int(tgid.x) * CT_THREADS + int(sg * 32 + lane);
  const int pixel = element / p->result_channels;
  const int channel = element - pixel * p->result_channels;
  const int y = p->whole_planes != 0 ? pixel / p->result[2] : int(tgid.y);
  const int x = p->whole_planes != 0 ? pixel - y * p->result[2] : pixel;
  if (x >= p->result[2] || y >= p->result[1]) {
    return;
  }
  const int image = int(tgid.z) / p->result[0];
  const int z = int(tgid.z) - image * p->result[0];
  const CONSTANT AxisClass* set_z =
      classes + p->class_start[0] + z % p->classes[0];
  const CONSTANT AxisClass* set_y =
      classes + p->class_start[1] + y % p->classes[1];
  const CONSTANT AxisClass* set_x =
      classes + p->class_start[2] + x % p->classes[2];
  const int from_z =
      z / p->classes[0] * p->source_step[0] + set_z->first_offset;
  const int from_y =
      y / p->classes[1] * p->source_step[1] + set_y->first_offset;
  const int from_x =
      x / p->classes[2] * p->source_step[2] + set_x->first_offset;

  const int group = channel / p->group_result;
  const DEVICE T* w = weights + long(group) * strides->group +
      long(channel - group * p->group_result) * strides->column;
  const DEVICE T* from = source + group * p->group_source;
  float sum = p->has_bias != 0 ? float(bias[channel]) : 0.0f;
  for (int jz = 0; jz < set_z->taps; ++jz) {
    const int source_z = from_z + jz * p->offset_step[0];
    const int kz = set_z->first_tap + jz * p->tap_step[0];
    for (int jy = 0; jy < set_y->taps; ++jy) {
      const int source_y = from_y + jy * p->offset_step[1];
      const int ky = set_y->first_tap + jy * p->tap_step[1];
      for (int jx = 0; jx < set_x->taps; ++jx) {
        const int source_x = from_x + jx * p->offset_step[2];
        const int kx = set_x->first_tap + jx * p->tap_step[2];
        if (!is_inside(source_z, source_y, source_x, p->source)) {
          continue;
        }
        const long from_pixel =
            pixel_at(image, source_z, source_y, source_x, p->source);
        const DEVICE T* values = from + from_pixel * p->source_channels;
        const DEVICE T* tap =
            w + pixel_at(0, kz, ky, kx, p->window) * strides->tap;
        for (int c = 0; c < p->reduction; ++c) {
          sum = fma(
              float(values[c]), float(tap[long(c) * strides->channel]), sum);
        }
      }
    }
  }
  const long to = pixel_at(image, z, y, x, p->result);
  result[to * p->result_channels + channel] = T(sum);
}

KERNEL(CT_THREADS)
CT_NAME(
    const DEVICE CT_T* source BUFFER(0),
    const DEVICE CT_T* weights BUFFER(1),
    const DEVICE CT_T* bias BUFFER(2),
    DEVICE CT_T* result BUFFER(3),
    const CONSTANT Correlation* p BUFFER(4),
    const CONSTANT AxisClass* classes BUFFER(5),
    const CONSTANT WeightStrides* strides BUFFER(6) KERNEL_IDS) {
  KERNEL_IDS_INIT
  lanes<CT_T>(
      source, weights, bias, result, p, classes, strides, tgid, sg, lane);
}
