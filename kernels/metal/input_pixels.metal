// The reduction of WeightGrad: a walk over the input pixels of all images.

// An input pixel by its image and the pixel of y that tap zero meets there.
METAL_FUNC int4 meet(int4 at, const CONSTANT Reduction* p) {
  return int4(
      at.x,
      at.y * p->stride[0] - p->padding[0],
      at.z * p->stride[1] - p->padding[1],
      at.w * p->stride[2] - p->padding[2]);
}

METAL_FUNC int4 input_pixel(int index, const CONSTANT Reduction* p) {
  const int zy = index / p->in[2];
  const int image_z = zy / p->in[1];
  const int image = image_z / p->in[0];
  return int4(
      image,
      image_z - image * p->in[0],
      zy - image_z * p->in[1],
      index - zy * p->in[2]);
}

// `steps` pixels on; divides only where a line ends.
METAL_FUNC int4 step_on(int4 at, int steps, const CONSTANT Reduction* p) {
  at.w += steps;
  if (at.w >= p->in[2]) {
    const int lines = at.w / p->in[2];
    at.w -= lines * p->in[2];
    at.z += lines;
    if (at.z >= p->in[1]) {
      const int planes = at.z / p->in[1];
      at.z -= planes * p->in[1];
      at.y += planes;
      if (at.y >= p->in[0]) {
        const int images = at.y / p->in[0];
        at.y -= images * p->in[0];
        at.x += images;
      }
    }
  }
  return at;
}

// Where in y the tap meets the pixel, in elements; negative where it does not.
METAL_FUNC long
met_at(int4 at, int tap_z, int tap_y, int tap_x, const CONSTANT Reduction* p) {
  const int z = at.y + tap_z;
  const int y = at.z + tap_y;
  const int x = at.w + tap_x;
  if (z < 0 || z >= p->out[0] || y < 0 || y >= p->out[1] || x < 0 ||
      x >= p->out[2]) {
    return -1;
  }
  return (((long(at.x) * p->out[0] + z) * p->out[1] + y) * p->out[2] + x) *
      p->c_out;
}

// The distance of a tap's pixels from those of tap zero.
struct TapShift {
  int z;
  int y;
  int x;
};

METAL_FUNC TapShift shift_of(int tap, const CONSTANT Reduction* p) {
  const int zy = tap / p->window[2];
  TapShift shift;
  shift.z = zy / p->window[1] * p->dilation[0];
  shift.y = zy % p->window[1] * p->dilation[1];
  shift.x = (tap - zy * p->window[2]) * p->dilation[2];
  return shift;
}
