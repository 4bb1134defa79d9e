"""Defects of the phases and of the tables that kernels are given of them."""

from mutants import in_file

PHASES = in_file(
    "phases.cpp",
    (
        "no slot where no tap is",
        "std::max(1, classes.back().first_slot + classes.back().taps)",
        "classes.back().first_slot + classes.back().taps",
    ),
    ("dilation is folded", "(g.dilation[a] > 1 || ", "("),
    (
        "unlike phases fold",
        "if (g_.kernel[a] % axes_[a].fold != 0) {",
        "if (g_.kernel[a] < axes_[a].fold) {",
    ),
    ("columns of one phase", "columns_ *= axes_[a].fold;", ""),
    (
        "taps of the last class",
        "taps = std::max(taps, one.taps);",
        "taps = one.taps;",
    ),
    (
        "tap step without the divisor",
        "axis.tap_step = stride / common;",
        "axis.tap_step = stride;",
    ),
    ("offset step forwards", "axis.offset_step = -1;", "axis.offset_step = 1;"),
    (
        "phases past the result",
        "std::min(stride, g_.out[a]); ++r",
        "stride; ++r",
    ),
    (
        "slots of classes overlap",
        "slot += one.taps;",
        "slot += one.taps - (one.taps > 1);",
    ),
    ("padding left out", "k * dilation - g_.padding[a]", "k * dilation"),
    ("a tap too few", "one.taps++ == 0", "++one.taps == 0"),
    (
        "phase off by one",
        "(distance % stride + stride) % stride",
        "(distance % stride + stride + 1) % stride",
    ),
    ("no overhang", "g_.padding[a] % stride", "0"),
    (
        "folded positions too few",
        "divide_up(g_.out[a] + overhang, stride)",
        "divide_up(g_.out[a], stride)",
    ),
    (
        "folded origin ahead",
        "one.origin = -overhang;",
        "one.origin = overhang;",
    ),
    (
        "folded offset up",
        "one.first_offset = g_.padding[a] / stride;",
        "one.first_offset = divide_up(g_.padding[a], stride);",
    ),
    (
        "padding of the wrong sign",
        "one.first_offset = -g_.padding[a];",
        "one.first_offset = g_.padding[a];",
    ),
    (
        "offset of the tap itself",
        "(r - distance) / stride",
        "-distance / stride",
    ),
    (
        "phases before the first not turned",
        "(distance % stride + stride) % stride",
        "std::abs(distance % stride)",
    ),
    ("gathers what it has no room for", "room <= 2 * g_.taps() && ", ""),
)

TABLES = in_file(
    "phase_tables.cpp",
    ("classes of all axes together", "start += p.classes[a];", ""),
    ("fold left out", "p.fold[a] = axis.fold;", "p.fold[a] = 1;"),
    (
        "all channels in a group",
        "p.group_result = group_result_;",
        "p.group_result = p.result_channels;",
    ),
    (
        "gathered terms of one tap",
        "p.reduction = p.terms = most_taps_ * group_source_;",
        "p.reduction = most_taps_ * group_source_;\n    p.terms = group_source_;",
    ),
    (
        "weights of one phase",
        "std::copy(std::begin(p.fold), std::end(p.fold), packing.fold);",
        "std::fill_n(packing.fold, 3, 1);",
    ),
    (
        "weights' output channels too near",
        "int output = g_.taps() * group_in;",
        "int output = group_in;",
    ),
    (
        "weights' strides swapped",
        "return {group_in, output, 1, group};",
        "return {group_in, 1, output, group};",
    ),
    (
        "height and width of a tap swapped",
        "(tap[0] * g_.kernel[1] + tap[1]) * g_.kernel[2] + tap[2]",
        "(tap[0] * g_.kernel[1] + tap[2]) * g_.kernel[2] + tap[1]",
    ),
    ("gathered taps without padding", "at = first + p.taps;", "(void)first;"),
    (
        "slots in another order",
        "first[1] + n / count[2] % count[1]",
        "first[1] + n / count[2]",
    ),
    (
        "missing terms left out",
        "terms.insert(terms.end(), missing, none);",
        "(void)missing;",
    ),
    (
        "masks of another axis",
        "fold / axes_[2].fold % axes_[1].fold",
        "fold / axes_[1].fold % axes_[2].fold",
    ),
    (
        "masks of whole phases",
        "tap[a] + folds[a] < g_.kernel[a]",
        "tap[a] < g_.kernel[a]",
    ),
)

MUTANTS = PHASES + TABLES
