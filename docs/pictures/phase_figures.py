"""Draw the pictures of docs/operation.md, once for light and once for dark.

    python docs/pictures/phase_figures.py FOLDER

The build of the documentation does so by itself.
"""

import sys
from pathlib import Path

import matplotlib
from phase_geometry import PHASES, SIZES

PHASE_FILLS = ("#f2b134", "#7cc3ee", "#63c7a2")
INK = "#1a1a1a"  # on the fills, in both themes
THEMES = {
    "light": {"line": "#3c4257", "faint": "#9aa0b0"},
    "dark": {"line": "#d6dae6", "faint": "#98a1b6"},
}
SETTINGS = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "svg.hashsalt": "mlx_convt",  # the same names of clips in every build
}
CELL = 0.44  # inches
GAP = 0.16  # between two cells, in cells


class Canvas:
    """Cells on a grid: x grows to the right and y downwards, both in cells."""

    def __init__(self, plt, left, right, bottom, theme):
        width, height = right - left, bottom
        self.figure = plt.figure(figsize=(CELL * width, CELL * height))
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(left, right), ylim=(bottom, 0))
        self.axes.axis("off")
        self.plt, self.theme = plt, THEMES[theme]

    def cell(self, x, y, text="", fill=None, cut=False):
        """The unit square at (x, y); hollow and dashed where it is cut off."""
        side = 1 - GAP
        style = {"facecolor": fill or "none", "edgecolor": self.theme["line"]}
        if cut:
            style["edgecolor"] = self.theme["faint"]
            style["linestyle"] = (0, (2, 2))
        corner = (x + GAP / 2, y + GAP / 2)
        box = self.plt.Rectangle(corner, side, side, linewidth=0.9, **style)
        self.axes.add_patch(box)
        colour = self.theme["faint" if cut else "line"]
        self.text(x + 0.5, y + 0.5, text, INK if fill else colour, "center")

    def text(self, x, y, text, colour=None, align="left", **style):
        colour = colour or self.theme["line"]
        style = {"ha": align, "va": "center_baseline", **style}
        self.axes.text(x, y, text, color=colour, **style)

    def arrow(self, begin, end):
        style = {"arrowstyle": "-|>", "color": self.theme["faint"]}
        style |= {"shrinkA": 0, "shrinkB": 1, "linewidth": 0.9}
        self.axes.annotate("", end, begin, arrowprops=style)

    def save(self, path):
        # No date, so that a build of the same text is the same.
        metadata = {"Date": None, "Creator": None}
        self.figure.savefig(path, transparent=True, metadata=metadata)
        self.plt.close(self.figure)


def formula(axis, phase):
    """What one phase sums, as in y[2q] = w[1] x[q] + w[3] x[q-1]."""

    def index(offset):
        return f"q{offset:+d}" if offset else "q"

    place = f"{axis.stride}q" + (f"+{phase}" if phase else "")
    terms = [f"w[{k}] x[{index(by)}]" for k, by in axis.terms(phase)]
    return f"y[{place}] = " + (" + ".join(terms) or "0   (no tap)")


def draw_phases(plt, axis, theme):
    rows, first = axis.length, -2.6
    result, legend = rows + 0.95, rows + 2.9
    right = max(axis.spread, axis.size + axis.low) + 0.3
    canvas = Canvas(plt, first - 0.6, right, legend + axis.stride + 0.1, theme)
    for i in range(axis.length):
        canvas.cell(first, i + 0.6, f"x{i}")
        begin = (first + 1.05, i + 1.1)
        canvas.arrow(begin, (i * axis.stride + GAP / 2, i + 1.1))
    for i, k, o in axis.contributions():
        inside = 0 <= o < axis.size
        fill = PHASE_FILLS[axis.phase(o)] if inside else None
        canvas.cell(o + axis.low, i + 0.6, f"w{k}", fill, cut=not inside)
    canvas.text(first + 0.5, 0.3, "input", align="center")
    canvas.text(0.1, 0.3, "copies of the kernel, one per input")
    canvas.text(first + 0.5, result + 0.5, "result", align="center")
    for u in range(axis.spread):
        o = u - axis.low
        inside = 0 <= o < axis.size
        fill = PHASE_FILLS[axis.phase(o)] if inside else None
        label = f"y{o}" if inside else "cut"
        canvas.cell(u, result, label, fill, cut=not inside)
    for phase in range(axis.stride):
        y = legend + phase - 0.1
        canvas.cell(first, y, f"{phase}", PHASE_FILLS[phase])
        text = formula(axis, phase)
        canvas.text(first + 1.3, y + 0.5, text, family="DejaVu Sans Mono")
    canvas.text(first + 0.1, legend - 0.35, "phases")
    return canvas


def call(arguments):
    parts = [f"{name}={value!r}" for name, value in arguments.items()]
    return ", ".join(parts) or "padding=0"


def draw_sizes(plt, theme):
    step = 1.75
    canvas = Canvas(plt, -0.1, 12.1, step * len(SIZES) + 0.1, theme)
    for row, (arguments, axis) in enumerate(SIZES):
        y = 0.1 + step * row
        text = call(arguments)
        canvas.text(GAP / 2, y + 0.3, text, family="DejaVu Sans Mono")
        canvas.text(12 - GAP / 2, y + 0.3, f"out {axis.size}", align="right")
        y += 0.6
        for u in range(max(axis.spread, axis.low + axis.size)):
            o = u - axis.low
            if 0 <= o < axis.size:
                beyond = u >= axis.spread
                canvas.cell(u, y, f"{o}", PHASE_FILLS[0 if beyond else 1])
            else:
                canvas.cell(u, y, cut=True)
    return canvas


def draw_all(folder):
    """Write every picture into the folder, as name-light.svg and -dark.svg."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with plt.rc_context(SETTINGS):
        for theme in THEMES:
            for name, axis in PHASES.items():
                canvas = draw_phases(plt, axis, theme)
                canvas.save(folder / f"{name}-{theme}.svg")
            draw_sizes(plt, theme).save(folder / f"sizes-{theme}.svg")


if __name__ == "__main__":
    draw_all(sys.argv[1])
