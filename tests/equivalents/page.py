"""What docs/differences.md holds, and the geometries that its rows are run on."""

import re
from dataclasses import dataclass
from pathlib import Path

from helpers import make_geometry

PAGE = Path(__file__).parents[2] / "docs" / "differences.md"

# Kernel below, at and above the stride, even and odd, dilated, in groups; the
# axes differ where they can.
GEOMETRIES = {
    "equal": make_geometry((5,), 3, 3, 4, stride=3),
    "even, cut": make_geometry((5,), 4, 2, 3, stride=2, padding=((1, 2),)),
    "odd, cut": make_geometry((6,), 5, 2, 3, stride=2, padding=((2, 1),)),
    "longer": make_geometry((4,), 5, 3, 2, stride=3, output_padding=2),
    "gaps": make_geometry((5,), 2, 3, 4, stride=3),
    "dilated gaps": make_geometry((4,), 2, 2, 2, stride=4, dilation=2),
    "1d dilated": make_geometry((7,), 4, 2, 2, dilation=2, padding=((1, 3),)),
    "1d groups": make_geometry(
        (4,), 4, 6, 4, stride=2, padding=1, groups=2, output_padding=1
    ),
    "beyond the kernel": make_geometry((7,), 2, 2, 3, stride=2, padding=3),
    "cut at the end": make_geometry(
        (6, 5), (2, 3), 2, 2, stride=2, padding=((0, 3), (1, 0))
    ),
    "one, longer": make_geometry((4,), 1, 2, 3, stride=3, output_padding=1),
    "1d dilated, odd": make_geometry((6,), 3, 2, 3, dilation=2),
    "1d dilated, longer": make_geometry(
        (5,), 3, 2, 2, dilation=3, output_padding=1
    ),
    "one": make_geometry((3, 4), 1, 2, 3, stride=(2, 1)),
    "stride 1": make_geometry((4, 6), (3, 4), 3, 2, batch=2, padding=(1, 2)),
    "2d": make_geometry(
        (4, 3),
        (3, 4),
        2,
        5,
        batch=2,
        stride=(2, 3),
        padding=((1, 0), (0, 2)),
        output_padding=(1, 2),
    ),
    "2d longer": make_geometry(
        (3, 4), (5, 3), 2, 3, stride=2, padding=(1, 0), output_padding=1
    ),
    "2d dilated": make_geometry(
        (5, 4), (3, 2), 3, 2, dilation=(2, 3), padding=(2, 1)
    ),
    "2d dilated, strided": make_geometry(
        (4, 3), 3, 2, 3, stride=(2, 3), dilation=(3, 2), output_padding=(2, 1)
    ),
    "2d much longer": make_geometry(
        (4, 3), 2, 2, 3, stride=2, dilation=4, output_padding=3
    ),
    "2d groups": make_geometry(
        (3, 4), (3, 2), 4, 6, stride=(2, 3), padding=(1, 0), groups=2
    ),
    "depthwise": make_geometry((4, 3), 4, 3, 3, stride=2, padding=1, groups=3),
    "3d": make_geometry((2, 3, 2), (2, 3, 4), 2, 3, stride=(1, 2, 3)),
    "3d cut": make_geometry((3, 2, 3), 3, 2, 2, stride=2, padding=(1, 0, 1)),
    "3d groups": make_geometry((2, 3, 2), 3, 4, 2, stride=2, groups=2),
    "negative": make_geometry((4, 5), 3, 2, 2, stride=2, padding=((-1, 0), 0)),
}


@dataclass(frozen=True)
class Row:
    """A line of a table of calls."""

    library: str
    theirs: str
    ours: str
    where: str
    before: "Row | None"  # the line above it

    def broken(self, geometry, names):
        """The clauses of the condition that do not hold on every axis."""
        scalars = {"g": geometry.groups, "rank": geometry.rank}
        per_axis = ("s", "p", "d", "op", "k", "n", "low", "high", "size")
        axes = []
        for axis in range(geometry.rank):
            here = {name: names[name][axis] for name in per_axis}
            here["e"] = here["d"] * (here["k"] - 1) + 1
            axes.append({**scalars, **here})
        return [
            clause
            for clause in self.clauses
            if not all(eval(clause, here) for here in axes)
        ]

    @property
    def clauses(self):
        return self.where.split(" and ") if self.where else []

    @property
    def sized(self):
        """Whether a size is asked for."""
        names = compile(self.theirs, str(PAGE), "eval").co_names
        return not {"size", "shape"}.isdisjoint(names)


def tables():
    """The tables of the page, each a list of rows of plain cells."""
    found, table = [], []
    for line in [*PAGE.read_text(encoding="utf-8").splitlines(), ""]:
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            table.append(cells)
        elif table:
            found.append([table[0], *table[2:]])
            table = []
    return found


def table_with(*heading):
    (table,) = (t for t in tables() if t[0][: len(heading)] == [*heading])
    return table[1:]


def rows_of_calls():
    rows = []
    for (library, *rest), *lines in tables():
        if not rest or rest[0] != "mlx_convt":
            continue
        before = None
        for theirs, ours, *where in lines:
            cells = [cell.strip("`") for cell in (theirs, ours, *where, "")]
            before = Row(library, *cells[:3], before)
            rows.append(before)
    return rows


def helper_functions():
    """The names that the Python of the page defines."""
    names = {}
    text = PAGE.read_text(encoding="utf-8")
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, names)  # noqa: S102
    return names


def version_of(product):
    """The one that the page names at its beginning."""
    return re.search(
        rf"\b{product}\s+(\d+\.\d+\.\d+)", PAGE.read_text(encoding="utf-8")
    )[1]


def of_rank(code, rank):
    return code.replace("2d", f"{rank}d").replace("2D", f"{rank}D")


def spread(geometry):
    """What the result has per axis before anything is cut off or added."""
    g = geometry
    axes = zip(g.spatial, g.stride, g.kernel, g.dilation, strict=True)
    return [(n - 1) * s + d * (k - 1) + 1 for n, s, k, d in axes]


def sizes(geometry):
    """Those to ask for: as for "same", "valid" and what else is cut off."""
    g = geometry
    starts = (
        spread(g),
        [m - low - high for m, (low, high) in zip(spread(g), g.padding)],
        [m - 2 * low for m, (low, _) in zip(spread(g), g.padding)],
    )
    extra = [min(op, s - 1) for op, s in zip(g.output_padding, g.stride)]
    same = [n * s - more for n, s, more in zip(g.spatial, g.stride, extra)]
    longer = [[m + more for m, more in zip(start, extra)] for start in starts]
    return list(dict.fromkeys(map(tuple, (same, *longer))))


def attributes(geometry, size):
    """The values of the names that the page explains."""
    g = geometry
    begin, end = zip(*g.padding, strict=True)
    room = [d * (k - 1) for k, d in zip(g.kernel, g.dilation)]
    low = tuple(r - p for r, p in zip(room, begin))
    high = tuple(r - p + op for r, p, op in zip(room, end, g.output_padding))
    return {
        "s": g.stride,
        "p": begin,
        "d": g.dilation,
        "op": g.output_padding,
        "k": g.kernel,
        "n": g.spatial,
        "g": g.groups,
        "begin": begin,
        "end": end,
        "pairs": list(g.padding),
        "low": low,
        "high": high,
        "pads": tuple(zip(low, high)),
        "size": size,
        "shape": (g.batch, *size, g.c_out),
        "c_in": g.c_in,
        "c_out": g.c_out,
    }
