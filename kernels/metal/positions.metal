// What the kernels of Output and InputGrad share: from a row of the problem to
// pixels of the result and of the source.

// The class that a threadgroup computes; z holds its index within the group.
struct ClassOfAxes {
  const CONSTANT AxisClass* axis[3];
};

METAL_FUNC ClassOfAxes class_of(
    int index,
    const CONSTANT Correlation* p,
    const CONSTANT AxisClass* classes) {
  const int x = index % p->classes[2];
  const int zy = index / p->classes[2];
  ClassOfAxes found;
  found.axis[0] = classes + p->class_start[0] + zy / p->classes[1];
  found.axis[1] = classes + p->class_start[1] + zy % p->classes[1];
  found.axis[2] = classes + p->class_start[2] + x;
  return found;
}

struct Position {
  int image;
  int at[3];
};

METAL_FUNC Position
position_of(int row, ClassOfAxes set, const CONSTANT Correlation* p) {
  Position found;
  int rest = row;
  if (p->batch_first != 0) {
    found.image = rest % p->batch;
    rest = rest / p->batch;
  }
  found.at[2] = rest % set.axis[2]->positions;
  rest = rest / set.axis[2]->positions;
  found.at[1] = rest % set.axis[1]->positions;
  rest = rest / set.axis[1]->positions;
  if (p->batch_first != 0) {
    found.at[0] = rest;
  } else {
    found.at[0] = rest % set.axis[0]->positions;
    found.image = rest / set.axis[0]->positions;
  }
  return found;
}

METAL_FUNC int rows_of(ClassOfAxes set, const CONSTANT Correlation* p) {
  return p->batch * set.axis[0]->positions * set.axis[1]->positions *
      set.axis[2]->positions;
}

METAL_FUNC bool is_inside(int z, int y, int x, const CONSTANT int* extent) {
  return z >= 0 && z < extent[0] && y >= 0 && y < extent[1] && x >= 0 &&
      x < extent[2];
}

// Taps [first, last) of an axis that some position in [least, most] meets; the
// others are left out.
struct LiveTaps {
  int first;
  int last;
};

METAL_FUNC LiveTaps live_taps(
    const CONSTANT AxisClass* axis,
    int least,
    int most,
    int source_step,
    int offset_step,
    int extent) {
  LiveTaps live;
  live.first = axis->taps;
  live.last = 0;
  for (int j = 0; j < axis->taps; ++j) {
    const int offset = axis->first_offset + j * offset_step;
    if (least * source_step + offset < extent &&
        most * source_step + offset >= 0) {
      live.first = min(live.first, j);
      live.last = j + 1;
    }
  }
  if (live.last == 0) {
    live.first = 0;
  }
  return live;
}

// The smallest box of positions around rows [first, last].
struct Box {
  int least[3];
  int most[3];
};

METAL_FUNC Box
box_of(int first, int last, ClassOfAxes set, const CONSTANT Correlation* p) {
  const Position a = position_of(first, set, p);
  const Position b = position_of(last, set, p);
  Box box;
  // An axis spans its whole length where an outer one differs.
  bool same = p->batch_first != 0 || a.image == b.image;
  UNROLL
  for (int i = 0; i < 3; ++i) {
    box.least[i] = same ? a.at[i] : 0;
    box.most[i] = same ? b.at[i] : set.axis[i]->positions - 1;
    same = same && a.at[i] == b.at[i];
  }
  return box;
}
