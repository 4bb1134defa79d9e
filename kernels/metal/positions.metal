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

METAL_FUNC long
pixel_at(int image, int z, int y, int x, const CONSTANT int* extent) {
  return ((long(image) * extent[0] + z) * extent[1] + y) * extent[2] + x;
}

// Where a row's taps of offset zero lie in the source.
struct SourcePixel {
  long index;
  int z;
  int y;
  int x;
};

METAL_FUNC SourcePixel
source_of(int row, int rows, ClassOfAxes set, const CONSTANT Correlation* p) {
  const Position q = position_of(min(row, rows - 1), set, p);
  SourcePixel at;
  at.z = q.at[0] * p->source_step[0];
  at.y = q.at[1] * p->source_step[1];
  at.x = q.at[2] * p->source_step[2];
  at.index = pixel_at(q.image, at.z, at.y, at.x, p->source);
  if (row >= rows) {
    at.z = -(1 << 30); // never inside, whatever the offset
  }
  return at;
}

// A row's first pixel in the result: image, depth, height, width. The image is
// -1 past the last row.
METAL_FUNC int4
result_of(int row, int rows, ClassOfAxes set, const CONSTANT Correlation* p) {
  const Position q = position_of(min(row, rows - 1), set, p);
  return int4(
      row < rows ? q.image : -1,
      q.at[0] * p->result_step[0] + set.axis[0]->origin,
      q.at[1] * p->result_step[1] + set.axis[1]->origin,
      q.at[2] * p->result_step[2] + set.axis[2]->origin);
}

// The result channel of a column, and how far from the row's first pixel the
// column's phase lies.
struct Column {
  int channel; // of all groups
  int z;
  int y;
  int x;
};

METAL_FUNC Column
column_of(int column, int group, const CONSTANT Correlation* p) {
  const int fold = column / p->group_result;
  Column found;
  found.channel = group * p->group_result + column - fold * p->group_result;
  found.z = fold / p->fold[2] / p->fold[1];
  found.y = fold / p->fold[2] % p->fold[1];
  found.x = fold % p->fold[2];
  return found;
}

// Stores a sum: with the bias and rounded, or as it is where it is a part.
template <typename T>
METAL_FUNC void store_sum(
    float sum,
    int4 row,
    Column column,
    int split,
    const DEVICE T* bias,
    DEVICE T* result,
    DEVICE float* partial,
    const CONSTANT Correlation* p) {
  const int z = row.y + column.z;
  const int y = row.z + column.y;
  const int x = row.w + column.x;
  // Folded phases hang over the edge at the first and last positions.
  if (row.x < 0 || !is_inside(z, y, x, p->result)) {
    return;
  }
  const long to =
      pixel_at(row.x, z, y, x, p->result) * p->result_channels + column.channel;
  if (p->splits > 1) {
    const long elements =
        pixel_at(p->batch, 0, 0, 0, p->result) * p->result_channels;
    partial[split * elements + to] = sum;
  } else {
    result[to] = T(p->has_bias != 0 ? sum + float(bias[column.channel]) : sum);
  }
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
