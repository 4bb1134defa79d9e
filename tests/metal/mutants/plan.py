"""Defects of the limits, the launches and the list of specialisations."""

from mutants import in_file

PLAN = in_file(
    "plan.cpp",
    (
        "input pixels without a limit",
        "{g.batch, g.in[0], g.in[1], g.in[2]}",
        "{0}",
    ),
    (
        "output pixels without a limit",
        "{g.batch, g.out[0], g.out[1], g.out[2]}",
        "{0}",
    ),
    (
        "weights without a limit",
        "{g.c_out, g.kernel[0], g.kernel[1], g.kernel[2], g.group_in()}",
        "{0}",
    ),
    (
        "empty sums without a limit",
        "{shape[0], shape[1], shape[2], shape[3], shape[4]}",
        "{0}",
    ),
    (
        "products overflow",
        "size < divide_up(limit, product)",
        "product * size < limit",
    ),
    (
        "no bias in an empty sum",
        "problem.has_bias ? static_cast<int>(g.c_out) : 0",
        "0",
    ),
    ("empty sums left out", "if (!has_terms) {", "if (false) {"),
    (
        "grids without a limit",
        'check("an axis of threadgroups", {size}, kLimit * 2, "2^31");',
        "",
    ),
    ("stride without a limit", "{g.in[a], g.stride[a]}", "{g.in[a]}"),
    (
        "dilation without a limit",
        "{g.kernel[a], g.dilation[a]}",
        "{g.kernel[a]}",
    ),
    (
        "padding without a limit",
        "{g.out[a] + g.padding[a] + g.stride[a]}",
        "{g.out[a]}",
    ),
)

HEADERS = [
    *in_file(
        "launches.h",
        ("rounded down", "a >= 0 ? (a + b - 1) / b", "a >= 0 ? a / b"),
        (
            "tables cut short",
            "add_constants(plan, values.data(), values.size())",
            "add_constants(plan, values.data(), (values.size() + 1) / 2)",
        ),
        (
            "constants of the one before",
            "static_cast<int>(plan.constants.size()) - 1",
            "std::max(0, static_cast<int>(plan.constants.size()) - 2)",
        ),
        ("written is not said", "slot.is_written = true;", ""),
    ),
    *in_file(
        "specialisation.h",
        (
            "threads not those of a tile",
            "return 32 * sg_rows * sg_columns;",
            "return 32 * sg_rows;",
        ),
        ("a tile's SIMD-groups turned", "{64, 32, 2, 1}", "{64, 32, 1, 1}"),
    ),
]

SPECIALISATION = in_file(
    "specialisation.cpp",
    (
        "slices of half a thread",
        "return 4 * 16 / size_of(element);",
        "return 16 / size_of(element);",
    ),
    (
        "sum's last elements left out",
        "{divide_up(sum.elements, kThreads), 1, 1}",
        "{(sum.elements + 128) / kThreads, 1, 1}",
    ),
    (
        "slices of no whole matrix",
        '"weight_grad", element, tile, 16',
        '"weight_grad", element, tile, 12',
    ),
    (
        "rows and columns swapped",
        '{"CT_BM", tile.rows},\n       {"CT_BN", tile.columns}',
        '{"CT_BM", tile.columns},\n       {"CT_BN", tile.rows}',
    ),
    (
        "a part left out",
        'return {"positions", "slices", "tiles", kernel};',
        'return {"positions", "slices", kernel};',
    ),
    (
        "bfloat16 of four bytes",
        "element == Element::Float32 ? 4 : 2",
        "element == Element::Float16 ? 2 : 4",
    ),
    ("a kernel not in the list", "all.push_back(lanes_kernel(element));", ""),
)

MUTANTS = PLAN + HEADERS + SPECIALISATION
