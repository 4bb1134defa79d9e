// WeightGrad value by value, where matrices of 8x8 would be mostly padding:
// groups of few channels, few input channels, few pixels.
// CT_ALONG_PIXELS: a SIMD-group sums one value, its lanes take every 32nd
// pixel. Otherwise a thread sums one value.
template <typename T, bool ALONG_PIXELS>
METAL_FUNC void weight_grad_direct(
    const DEVICE T* x,
    const DEVICE T* y,
    DEVICE T* result,
    DEVICE float* partial,
    const CONSTANT Reduction* p,
    uint3 tgid,
    uint sg,
    uint lane) {
  const int index = ALONG_PIXELS
      ? int(tgid.x) * (CT_THREADS / 32) + int(sg)
      : int(tgid.x) * CT_THREADS + int(sg * 32 + lane);
  if (index >= p->elements) {
    return; // of a whole SIMD-group, where simd_sum follows
  }
  const int taps = p->window[0] * p->window[1] * p->window[2];
  int output;
  int tap;
  int input;
  if (p->output_first != 0) {
    const int rest = index / p->c_out;
    output = index - rest * p->c_out;
    tap = rest / p->group_in;
    input = rest - tap * p->group_in;
  } else {
    const int rest = index / p->group_in;
    input = index - rest * p->group_in;
    output = rest / taps;
    tap = rest - output * taps;
  }
  const TapShift shift = shift_of(tap, p);
  const int x_channel = output / p->group_out * p->group_in + input;

  const int split = int(tgid.y);
  const int step = ALONG_PIXELS ? 32 : 1;
  const int last = min((split + 1) * p->split_pixels, p->pixels);
  int pixel = split * p->split_pixels + (ALONG_PIXELS ? int(lane) : 0);
  int4 at = input_pixel(min(pixel, p->pixels - 1), p);
  float sum = 0.0f;
  for (; pixel < last; pixel += step) {
    const long from = met_at(meet(at, p), shift.z, shift.y, shift.x, p);
    if (from >= 0) {
      sum =
          fma(float(y[from + output]),
              float(x[long(pixel) * p->c_in + x_channel]),
              sum);
    }
    at = step_on(at, step, p);
  }
  if (ALONG_PIXELS) {
    sum = simd_sum(sum);
  }
  if (!ALONG_PIXELS || lane == 0) {
    const int to = (output * taps + tap) * p->group_in + input;
    if (p->splits > 1) {
      partial[long(split) * p->elements + to] = sum;
    } else {
      result[to] = T(sum);
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
  weight_grad_direct<CT_T, CT_ALONG_PIXELS != 0>(
      x, y, result, partial, p, tgid, sg, lane);
}
