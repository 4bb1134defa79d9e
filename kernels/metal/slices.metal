// Slices of the reduction of correlate: which tap and channels each one holds,
// and where its source values and packed weights lie.

// Where in the reduction a slice lies: a tap of each axis, and channels.
struct Slice {
  int tap[3];
  int channel;
};

template <int BK>
METAL_FUNC void
advance(THREAD Slice& slice, const THREAD LiveTaps* live, int reduction) {
  slice.channel += BK;
  if (slice.channel < reduction) {
    return;
  }
  slice.channel = 0;
  UNROLL
  for (int i = 2; i >= 0; --i) {
    if (++slice.tap[i] < live[i].last) {
      return;
    }
    slice.tap[i] = live[i].first;
  }
}

// The slice that is reached by `steps` of advance.
template <int BK>
METAL_FUNC Slice
slice_at(int steps, const THREAD LiveTaps* live, int reduction) {
  const int chunks = (reduction + BK - 1) / BK;
  Slice slice;
  int rest = steps / chunks;
  slice.channel = (steps - rest * chunks) * BK;
  UNROLL
  for (int i = 2; i >= 0; --i) {
    const int count = live[i].last - live[i].first;
    slice.tap[i] = live[i].first + rest % count;
    rest = rest / count;
  }
  return slice;
}

// Of a slice's source pixels from those of its rows, and their distance in
// memory.
struct Offset {
  int z;
  int y;
  int x;
  long pixels;
};

METAL_FUNC Offset offset_of(
    THREAD const Slice& slice,
    ClassOfAxes set,
    const CONSTANT Correlation* p) {
  Offset offset;
  offset.z = set.axis[0]->first_offset + slice.tap[0] * p->offset_step[0];
  offset.y = set.axis[1]->first_offset + slice.tap[1] * p->offset_step[1];
  offset.x = set.axis[2]->first_offset + slice.tap[2] * p->offset_step[2];
  offset.pixels =
      (long(offset.z) * p->source[1] + offset.y) * p->source[2] + offset.x;
  return offset;
}

METAL_FUNC int slot_of(
    THREAD const Slice& slice,
    ClassOfAxes set,
    int class_index,
    const CONSTANT Correlation* p) {
  if (p->gathered != 0) {
    return class_index;
  }
  const int z = set.axis[0]->first_slot + slice.tap[0];
  const int y = set.axis[1]->first_slot + slice.tap[1];
  const int x = set.axis[2]->first_slot + slice.tap[2];
  return (z * p->slots[1] + y) * p->slots[2] + x;
}

// The taps that rows [first, last] meet; of gathered weights their one slot.
METAL_FUNC void live_taps_of(
    THREAD LiveTaps* live,
    int first,
    int last,
    ClassOfAxes set,
    const CONSTANT Correlation* p) {
  const Box box = box_of(first, last, set, p);
  UNROLL
  for (int i = 0; i < 3; ++i) {
    live[i].first = 0;
    live[i].last = 1;
    if (p->gathered == 0) {
      live[i] = live_taps(
          set.axis[i],
          box.least[i],
          box.most[i],
          p->source_step[i],
          p->offset_step[i],
          p->source[i]);
    }
  }
}

template <int BK>
METAL_FUNC int slices_of(const THREAD LiveTaps* live, int reduction) {
  return (reduction + BK - 1) / BK * (live[0].last - live[0].first) *
      (live[1].last - live[1].first) * (live[2].last - live[2].first);
}

// VEC values of a row one by one, from `first` of the reduction on: where they
// are not aligned, or of several taps.
template <typename T, int VEC>
METAL_FUNC void gather(
    THREADGROUP T* to,
    const DEVICE T* source,
    SourcePixel at,
    int first,
    int reduction,
    Offset offset,
    const CONSTANT SourceTerm* terms,
    const CONSTANT Correlation* p) {
  UNROLL
  for (int v = 0; v < VEC; ++v) {
    int channel = first + v;
    bool has_value = channel < reduction;
    if (has_value && p->gathered != 0) {
      const CONSTANT SourceTerm* term = terms + channel;
      channel = term->channel;
      offset.z = term->offset[0];
      offset.y = term->offset[1];
      offset.x = term->offset[2];
      offset.pixels =
          (long(offset.z) * p->source[1] + offset.y) * p->source[2] + offset.x;
    }
    has_value = has_value &&
        is_inside(at.z + offset.z, at.y + offset.y, at.x + offset.x, p->source);
    to[v] = has_value
        ? source[(at.index + offset.pixels) * p->source_channels + channel]
        : T(0.0f);
  }
}
