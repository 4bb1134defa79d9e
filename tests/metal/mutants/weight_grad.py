"""Defects of WeightGrad's kernels and of the sum over splits."""

from mutants import in_file
from mutants.correlate import BARRIER, SIMD_BARRIER

WEIGHT_GRAD = in_file(
    "weight_grad.metal",
    ("no barrier before a slice is stored", BARRIER, "", (1, 3)),
    ("no barrier before a slice is multiplied", BARRIER, "", (2, 3)),
    ("no barrier before results take the tiles' place", BARRIER, "", (3, 3)),
    (
        "SIMD-groups share a stage",
        "tiles + int(sg) * 8 * ACROSS",
        "tiles",
    ),
    ("no barrier before rows are staged again", SIMD_BARRIER, ""),
    (
        "last split past the end",
        "min(first + p->split_pixels, p->pixels)",
        "first + p->split_pixels",
    ),
    (
        "splits overlap",
        "min(first + p->split_pixels, p->pixels)",
        "min(first + p->split_pixels + 1, p->pixels)",
    ),
    ("x read past the split", "has_column && next + k < last", "has_column"),
    (
        "y read past the split, one by one",
        "has_row && held + k < last",
        "has_row",
    ),
    ("y not met is not zero", "a_next[i] = uint4(0);", ""),
    ("pixels not in turns", "next_pixels = held_pixels;", ""),
    ("no step to the next slice", "own = step_on(own, BK, p);", ""),
    (
        "group's channels of y left out",
        "a_channel = group * p->group_out + a_row",
        "a_channel = a_row",
    ),
    (
        "SIMD-groups' rows are their columns",
        "a_tile + sg_row;",
        "a_tile + sg_column;",
    ),
    (
        "taps and channels of the result swapped",
        "(output * taps + tap) * p->group_in",
        "(tap * p->c_out + output) * p->group_in",
    ),
    (
        "columns past the last stored",
        "row < rows && column < p->group_in",
        "row < rows",
    ),
    (
        "partial sums overlap",
        "long(split) * p->elements",
        "long(split) * (p->elements - 1)",
    ),
    ("splits overwrite each other", "if (p->splits > 1) {", "if (false) {"),
    (
        "offsets in x of 32 bits",
        "long(next + k) * p->c_in",
        "(next + k) * p->c_in",
    ),
    (
        "offsets in x of 32 bits, one by one",
        "long(held + k) * p->c_in",
        "(held + k) * p->c_in",
    ),
)

DIRECT = in_file(
    "weight_grad_direct.metal",
    ("values past the last", "index >= p->elements", "index > p->elements"),
    (
        "order of channels mixed",
        "output = index - rest * p->c_out",
        "output = rest",
    ),
    ("sum of the first lane", "sum = simd_sum(sum);", ""),
    (
        "each lane its own pixels twice",
        "ALONG_PIXELS ? 32 : 1",
        "ALONG_PIXELS ? 16 : 1",
    ),
    (
        "last split past the end",
        "min((split + 1) * p->split_pixels, p->pixels)",
        "(split + 1) * p->split_pixels",
    ),
    (
        "a gap between splits",
        "int pixel = split * p->split_pixels",
        "int pixel = (split > 0) + split * p->split_pixels",
    ),
    (
        "group's channels of x left out",
        "output / p->group_out * p->group_in + input",
        "input",
    ),
    (
        "partial sums on top of each other",
        "partial[long(split) * p->elements + to]",
        "partial[to]",
    ),
    ("offsets in x of 32 bits", "long(pixel) * p->c_in", "pixel * p->c_in"),
)

INPUT_PIXELS = in_file(
    "input_pixels.metal",
    ("stride of another axis", "at.z * p->stride[1]", "at.z * p->stride[2]"),
    ("padding left out", "p->stride[2] - p->padding[2]", "p->stride[2]"),
    ("rows without end", "at.z >= p->in[1]", "at.z >= p->in[2]"),
    ("next image left out", "at.x += images;", ""),
    ("a pixel past the edge", "x >= p->out[2]", "x > p->out[2]"),
    (
        "dilation of another axis",
        "p->window[1] * p->dilation[0]",
        "p->window[1] * p->dilation[1]",
    ),
    ("taps of another axis", "zy % p->window[1]", "zy % p->window[2]"),
    ("offsets in y of 32 bits", "(((long(at.x)", "(((int(at.x)"),
    ("lines not carried", "at.z += lines;", ""),
    ("planes not carried", "at.y += planes;", ""),
    ("a line too few", "at.w >= p->in[2]", "at.w > p->in[2]"),
)

SUM_SPLITS = in_file(
    "sum_splits.metal",
    (
        "elements past the last",
        "element >= p->elements",
        "element > p->elements",
    ),
    ("first split left out", "int s = 0;", "int s = 1;"),
    (
        "pitch of splits wrong",
        "long(s) * p->elements",
        "long(s) * (p->elements - 1)",
    ),
    ("bias of the first channel", "int(element % p->channels)", "0"),
    ("no sum is not zero", ": 0.0f;", ": 1.0f;"),
    ("rounded after every split", "sum += partial", "sum = T(sum) + partial"),
)

MUTANTS = WEIGHT_GRAD + DIRECT + INPUT_PIXELS + SUM_SPLITS
