"""Defects of the plans of correlations and reductions."""

from mutants import in_file

CORRELATION = in_file(
    "correlation_plan.cpp",
    ("aligned wherever it begins", "is_aligned && !phases", "!phases"),
    (
        "vectors over a group's edge",
        "!phases.is_gathered() && p.group_source % vector == 0",
        "!phases.is_gathered()",
    ),
    (
        "vectors of gathered terms",
        "is_aligned && !phases.is_gathered() && ",
        "is_aligned && ",
    ),
    (
        "alignment of the weights",
        "? problem_.first_is_aligned\n        : problem_.second_is_aligned",
        "? problem_.second_is_aligned\n        : problem_.first_is_aligned",
    ),
    ("no bias", "p.has_bias = problem_.has_bias;", ""),
    (
        "packed weights a row too short",
        "blocks * p.padded_reduction * p.padded_columns *",
        "(blocks * p.padded_reduction - 1) * p.padded_columns *",
    ),
    (
        "packing a tile short",
        "{divide_up(p.padded_columns, 32),",
        "{std::max<int64_t>(1, p.padded_columns / 32),",
    ),
    (
        "packed weights without columns' padding",
        "packing.padded_columns = p.padded_columns;",
        "packing.padded_columns = p.columns;",
    ),
    (
        "classes left out",
        "int64_t z = g_.groups * phases.class_count();",
        "int64_t z = g_.groups;",
        (1, 2),
    ),
    (
        "grid turned",
        (
            "{divide_up(p.columns, cut.tile.columns),\n"
            "         divide_up(p.rows, cut.tile.rows),"
        ),
        (
            "{divide_up(p.rows, cut.tile.rows),\n"
            "         divide_up(p.columns, cut.tile.columns),"
        ),
    ),
    (
        "a tile of columns short",
        "divide_up(p.columns, cut.tile.columns)",
        "divide_up(p.columns - 1, cut.tile.columns)",
    ),
    (
        "rows of another tile",
        "divide_up(p.rows, cut.tile.rows)",
        "divide_up(p.rows, 64)",
    ),
    ("threads of another tile", "cut.tile.threads(),", "128,"),
    ("splits left out of the grid", "z * cut.splits", "z"),
    ("kernel not told of splits", "p.splits = cut.splits;", ""),
    (
        "sums of a split too few",
        "4 * p.splits * elements())",
        "4 * (p.splits - 1) * elements())",
    ),
    (
        "no bias where sums are split",
        "p.splits,\n           problem_.has_bias ? p.result_channels : 0",
        "p.splits,\n           0",
    ),
    (
        "classes in the place of terms",
        "terms.empty() ? classes : add_constants(plan_, terms)",
        "classes",
    ),
    (
        "rows of few columns left out",
        "divide_up(p.rows, kFewColumnsThreads * kFewColumnsRows)",
        "divide_up(p.rows, 2 * kFewColumnsThreads * kFewColumnsRows)",
    ),
    ("one row of several", "least_of(kFewRows, p.rows)", "1"),
    (
        "lines' ends left out",
        "line * p.result[1] : line, kThreads)",
        "line * p.result[1] - 1 : line, kThreads)",
    ),
    (
        "inexact phases fold",
        "folded && folded->folds_exactly() &&",
        "folded &&",
    ),
    (
        "splits of few columns left out",
        "{groups, p.splits, 1}",
        "{groups, 1, 1}",
    ),
    ("splits of few rows left out", "{groups, p.splits, z}", "{groups, 1, z}"),
    (
        "planes in the place of lines",
        "p.whole_planes ? 1 : p.result[1]",
        "p.result[1]",
    ),
    ("sums of splits stay parts", "    if (is_split) {", "    if (false) {"),
)

REDUCTION = in_file(
    "reduction_plan.cpp",
    (
        "vectors of x over a group's edge",
        "problem.first_is_aligned && p_.group_in % vector == 0",
        "problem.first_is_aligned",
    ),
    ("x aligned wherever it begins", "problem.first_is_aligned && ", ""),
    ("y aligned wherever it begins", "problem.second_is_aligned && ", ""),
    (
        "pixels of one image",
        "p_.pixels = g_.batch * g_.in_pixels();",
        "p_.pixels = g_.in_pixels();",
    ),
    (
        "dilation and stride swapped",
        "copy(g_.dilation, p_.dilation);",
        "copy(g_.stride, p_.dilation);",
    ),
    ("splits left out", "grid[2] *= p_.splits;", ""),
    ("threads of another tile", "grid, tile.threads()", "grid, 32"),
    (
        "grid of direct values turned",
        "{groups, p_.splits, 1}",
        "{p_.splits, groups, 1}",
    ),
    (
        "a split too few",
        "p_.splits = divide_up(p_.pixels, p_.split_pixels);",
        "p_.splits = std::max<int64_t>(1, p_.pixels / p_.split_pixels);",
    ),
    (
        "partial sums of half the size",
        "add_temporary(plan_, int64_t{4} * p_",
        "add_temporary(plan_, int64_t{2} * p_",
    ),
    (
        "a split less in the sum",
        "{p_.elements, p_.splits, 0}",
        "{p_.elements, p_.splits - 1, 0}",
    ),
    ("no sum", "if (is_split) {", "if (is_split && p_.splits > 2) {"),
)

MUTANTS = CORRELATION + REDUCTION
