"""Defects of correlate and of what it is made of."""

from mutants import in_file

BARRIER = "threadgroup_barrier(mem_flags::mem_threadgroup);"
SIMD_BARRIER = "simdgroup_barrier(mem_flags::mem_threadgroup);"

CORRELATE = in_file(
    "correlate.metal",
    ("no barrier before a slice is stored", BARRIER, "", (1, 3)),
    ("no barrier before a slice is multiplied", BARRIER, "", (2, 3)),
    ("no barrier before results take the tiles' place", BARRIER, "", (3, 3)),
    ("no barrier before rows are staged again", SIMD_BARRIER, ""),
    ("last rows left out", "- sg_row + 7) / 8", "- sg_row) / 8"),
    ("last columns left out", "- sg_column + 7) / 8", "- sg_column) / 8"),
    (
        "columns begin as rows do",
        "column_0 = int(tgid.x) * BN",
        "column_0 = int(tgid.x) * BM",
    ),
    (
        "a group's weights without its depth of slots",
        "long(group) * p->slots[0] * p->slots[1]",
        "long(group) * p->slots[1]",
    ),
    (
        "group's source channels left out",
        "source + group * p->group_source",
        "source",
    ),
    (
        "weights read past the last column",
        "row < p->padded_reduction && b_column < p->padded_columns",
        "row < p->padded_reduction",
    ),
    ("source outside not zero", "a_next[i] = uint4(0);", ""),
    (
        "source read past its channels",
        "const bool has_value = channel < reduction &&\n",
        "const bool has_value =\n",
    ),
    (
        "vector loads wherever they lie",
        "if (p->vector_source != 0) {",
        "if (p->gathered == 0) {",
        (2, 2),
    ),
    (
        "depth of the next slice",
        "reduction - held.channel",
        "reduction - slice.channel",
    ),
    (
        "SIMD-groups' rows are their columns",
        "int(sg) / WN * (TM * 8)",
        "int(sg) % WN * (TM * 8)",
    ),
    (
        "SIMD-groups share a stage",
        "tiles + int(sg) * 8 * ACROSS",
        "tiles",
    ),
    (
        "pitch of packed weights without padding",
        "long(row) * p->padded_columns",
        "long(row) * p->columns",
    ),
    (
        "tile of weights without its padding",
        "CT_BK * (CT_BN + VEC)) / VEC",
        "CT_BK * CT_BN) / VEC",
    ),
    (
        "last split past the end",
        "min(split_slices, slices - split * split_slices)",
        "split_slices",
    ),
    (
        "splits begin at the first slice",
        "slice_at<BK>(split * split_slices, live, reduction)",
        "slice_at<BK>(0, live, reduction)",
    ),
    (
        "source's offsets of 32 bits",
        "(a_at[i].index + offset.pixels) *",
        "int(a_at[i].index + offset.pixels) *",
    ),
    (
        "columns past the last are stored",
        "if (column_index < p->columns) {",
        "if (true) {",
    ),
    (
        "rows of the tile not counted from its first",
        "result_of(row_0 + i, rows, set, p)",
        "result_of(i, rows, set, p)",
    ),
)

SLICES = in_file(
    "slices.metal",
    ("channels go on with the next tap", "slice.channel = 0;", ""),
    (
        "taps begin where none is live",
        "slice.tap[i] = live[i].first;",
        "slice.tap[i] = 0;",
    ),
    (
        "a tap too many",
        "++slice.tap[i] < live[i].last",
        "++slice.tap[i] <= live[i].last",
    ),
    (
        "splits begin at the first tap",
        "live[i].first + rest % count",
        "live[i].first",
    ),
    ("splits begin at the first channel", "(steps - rest * chunks) * BK", "0"),
    ("taps not carried", "rest = rest / count;", ""),
    (
        "offset step of another axis",
        "slice.tap[1] * p->offset_step[1]",
        "slice.tap[1] * p->offset_step[2]",
    ),
    (
        "height of slots wrong",
        "(z * p->slots[1] + y)",
        "(z * p->slots[0] + y)",
    ),
    (
        "class's first slot left out",
        "set.axis[2]->first_slot + slice.tap[2]",
        "slice.tap[2]",
    ),
    ("terms past the last", "channel < reduction;", "true;"),
    (
        "term's offset in memory left out",
        "      offset.pixels =\n",
        "      offset.pixels +=\n",
    ),
    (
        "gathered source's offsets of 32 bits",
        "source[(at.index + offset.pixels) *",
        "source[int(at.index + offset.pixels) *",
    ),
    ("slices of one tap", "(live[2].last - live[2].first);", "1;"),
)

TILES = in_file(
    "tiles.metal",
    ("no barrier before staged rows are read", SIMD_BARRIER, ""),
    ("transposed load left out", "ulong2(0), true", "ulong2(0), false"),
    (
        "leading dimension of the other tile",
        "a_tile + i * 8 * LDA + k, LDA",
        "a_tile + i * 8 * LDA + k, LDB",
    ),
    (
        "rows of the other tile",
        "b_tile + k * LDB + j * 8",
        "b_tile + k * LDA + j * 8",
    ),
    (
        "last matrices left out",
        "i < tall && j < wide",
        "i < tall && j < wide - 1",
    ),
    ("reduction ends early", "WHOLE || k < depth", "WHOLE || k + 8 < depth"),
)

POSITIONS = in_file(
    "positions.metal",
    (
        "height and width of classes swapped",
        "zy % p->classes[1]",
        "zy % p->classes[2]",
    ),
    (
        "positions in another order",
        "rest = rest / set.axis[2]->positions;",
        "rest = rest / set.axis[1]->positions;",
    ),
    (
        "rows of a class without its depth",
        "p->batch * set.axis[0]->positions *",
        "p->batch *",
    ),
    ("a column past the edge", "x < extent[2]", "x <= extent[2]"),
    (
        "live taps of the last position",
        "least * source_step + offset < extent",
        "most * source_step + offset < extent",
    ),
    ("last live tap left out", "live.last = j + 1;", "live.last = j;"),
    (
        "box ends where the last row is",
        "same ? b.at[i] : set.axis[i]->positions - 1",
        "b.at[i]",
    ),
    (
        "box of a tile in one row",
        "same = same && a.at[i] == b.at[i];",
        "",
    ),
    (
        "box of a tile in one image",
        "p->batch_first != 0 || a.image == b.image",
        "true",
    ),
    ("rows past the last are stored", "row < rows ? q.image : -1", "q.image"),
    (
        "result step of another axis",
        "q.at[1] * p->result_step[1]",
        "q.at[1] * p->result_step[2]",
    ),
    (
        "origin left out",
        "p->result_step[2] + set.axis[2]->origin",
        "p->result_step[2]",
    ),
    (
        "source step of another axis",
        "q.at[1] * p->source_step[1]",
        "q.at[1] * p->source_step[2]",
    ),
    (
        "an image's pitch wrong",
        "long(image) * extent[0]",
        "long(image) * extent[1]",
    ),
    (
        "depth and height of a fold swapped",
        "fold / p->fold[2] / p->fold[1]",
        "fold / p->fold[2] % p->fold[1]",
    ),
    (
        "width of folds for their height",
        "fold / p->fold[2] % p->fold[1]",
        "fold / p->fold[1] % p->fold[2]",
    ),
    (
        "group's result channels left out",
        "group * p->group_result + column - fold",
        "column - fold",
    ),
    (
        "bias of the first channels",
        "bias[column.channel]",
        "bias[column.channel % p->group_result]",
    ),
    (
        "folded phases past the edge",
        "row.x < 0 || !is_inside(z, y, x, p->result)",
        "row.x < 0",
    ),
    (
        "splits overwrite each other",
        "partial[split * elements + to]",
        "partial[to]",
    ),
    (
        "bias in every split",
        "partial[split * elements + to] = sum;",
        "partial[split * elements + to] = sum + float(bias[column.channel]);",
    ),
    ("sums of splits rounded", "if (p->splits > 1) {", "if (false) {"),
    (
        "offsets of results of 32 bits",
        "pixel_at(row.x, z, y, x, p->result) * p->result_channels",
        "int(pixel_at(row.x, z, y, x, p->result)) * p->result_channels",
    ),
)

MUTANTS = CORRELATE + SLICES + TILES + POSITIONS
