"""Defects of the kernels for few rows, columns or channels, and of packing."""

from mutants import in_file
from mutants.correlate import BARRIER

PACK_WEIGHTS = in_file(
    "pack_weights.metal",
    ("no barrier", BARRIER, ""),
    ("tile not turned", "tile[r * LD + c]", "tile[c * LD + r]"),
    ("folded taps past the kernel", " && x < p->window[2])", ")"),
    (
        "columns count through the phases",
        "column - fold * p->group_columns",
        "column",
    ),
    (
        "width of folds for their height",
        "fold / p->fold[2] % p->fold[1]",
        "fold / p->fold[1] % p->fold[2]",
    ),
    ("group left out", "w[long(group) * strides->group +", "w["),
    (
        "rows of the next block overwritten",
        "row < p->padded_rows && column",
        "column",
    ),
    (
        "groups on top of each other",
        "packed + long(tgid.z)",
        "packed + long(slot)",
    ),
    (
        "channels count through the taps",
        "row - tap_in_slot * p->channels",
        "row",
    ),
    ("one tap a slot", "long(slot) * p->taps", "long(slot)"),
)

FEW_COLUMNS = in_file(
    "few_columns.metal",
    ("source outside is read", "if (is_live[r])", "if (true)"),
    ("taps multiply zeros", "(mask >> o & 1) != 0", "true"),
    ("every tap reaches all", "mask == (1 << COLUMNS) - 1", "true"),
    (
        "SIMD-groups on the same rows",
        "(CT_THREADS / 32) + int(sg))",
        "(CT_THREADS / 32))",
    ),
    ("padding columns are stored", "if (o < p->columns) {", "if (true) {"),
    (
        "source's offsets of 32 bits",
        "first[r] = (at[r].index + offset.pixels) *",
        "first[r] = int(at[r].index + offset.pixels) *",
    ),
    (
        "splits begin at the first slice",
        "slice_at<CHUNK>(split * split_slices, taps, p->reduction)",
        "slice_at<CHUNK>(0, taps, p->reduction)",
    ),
    (
        "last split past the end",
        "min(split_slices, slices - split * split_slices)",
        "split_slices",
    ),
    (
        "chunks of all channels",
        "min(slice.channel + CHUNK, p->reduction)",
        "p->reduction",
    ),
    (
        "taps of the first rows alone",
        "min((int(tgid.x) + 1) * CT_THREADS * ROWS, rows) - 1",
        "min(int(tgid.x) * CT_THREADS * ROWS, rows - 1)",
    ),
    (
        "weights of another tap",
        "long(slot) * p->reduction * COLUMNS",
        "long(slot) * p->reduction * p->columns",
    ),
)

FEW_ROWS = in_file(
    "few_rows.metal",
    ("no barrier", BARRIER, ""),
    (
        "partial sums on top of each other",
        "parts[(int(sg) * ROWS + r) * 32",
        "parts[(int(sg) + r) * 32",
    ),
    (
        "channels summed twice",
        "ALONG_REDUCTION ? 32 : SIMD_GROUPS)",
        "ALONG_REDUCTION ? 16 : SIMD_GROUPS)",
    ),
    (
        "columns past the last are stored",
        "if (result_column < p->columns) {",
        "if (true) {",
    ),
    (
        "tap step of another axis",
        "slice.tap[1] * p->tap_step[1]",
        "slice.tap[1] * p->tap_step[2]",
    ),
    (
        "group's source channels left out",
        "source + group * p->group_source",
        "source",
    ),
    (
        "sum of another column",
        "int(lane) == r * ACROSS + o",
        "int(lane) == o * ROWS + r",
    ),
    (
        "source outside is read",
        "is_live[r] ? float(source[first[r] + c]) : 0.0f",
        "float(source[first[r] + c])",
    ),
    (
        "bias of the column",
        "column_of(result_column, group, p)",
        "column_of(result_column, 0, p)",
    ),
    (
        "source's offsets of 32 bits",
        "first[r] = (at[r].index + offset.pixels) *",
        "first[r] = int(at[r].index + offset.pixels) *",
    ),
    (
        "splits begin at the first slice",
        "slice_at<CHUNK>(split * split_slices, taps, p->reduction)",
        "slice_at<CHUNK>(0, taps, p->reduction)",
    ),
    (
        "last split past the end",
        "min(split_slices, slices - split * split_slices)",
        "split_slices",
    ),
    (
        "chunks of all channels",
        "min(slice.channel + CHUNK, p->reduction)",
        "p->reduction",
    ),
    (
        "first tap left out",
        "set.axis[2]->first_tap + slice.tap[2]",
        "slice.tap[2]",
    ),
)

LANES = in_file(
    "lanes.metal",
    ("elements past the line", "x >= p->result[2]", "x > p->result[2]"),
    ("phase of another axis", "y % p->classes[1]", "y % p->classes[2]"),
    (
        "first offset left out",
        "p->source_step[1] + set_y->first_offset",
        "p->source_step[1]",
    ),
    (
        "source outside is read",
        "if (!is_inside(source_z, source_y, source_x, p->source)) {",
        "if (source_z < 0) {",
    ),
    (
        "group's source channels left out",
        "source + group * p->group_source",
        "source",
    ),
    (
        "bias added twice",
        "T(sum);",
        "T(sum + (p->has_bias != 0 ? float(bias[channel]) : 0.0f));",
    ),
    ("bias of the group", "float(bias[channel])", "float(bias[group])"),
    (
        "channel's stride left out",
        "long(c) * strides->channel",
        "long(c)",
    ),
    ("result's offsets of 32 bits", "const long to =", "const int to ="),
    (
        "source's offsets of 32 bits",
        "const long from_pixel =",
        "const int from_pixel =",
    ),
    (
        "lines of a plane swapped",
        "pixel - y * p->result[2]",
        "pixel - y * p->result[1]",
    ),
    ("lines past the plane", "|| y >= p->result[1]", ""),
)

MUTANTS = PACK_WEIGHTS + FEW_COLUMNS + FEW_ROWS + LANES
