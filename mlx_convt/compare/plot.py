"""The ratios as a bar chart; needs matplotlib, which is imported late."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlx_convt.compare.machine import Machine
from mlx_convt.compare.measure import Row
from mlx_convt.compare.table import mean_ratio

_COLORS = ("#1f6f8b", "#e07b39", "#7a9e3f", "#8b5fa5")
_NAMES = {False: "forward", True: "forward + gradients"}


def check(path: Path) -> None:
    """Raises what would stop `draw`, before anything is measured."""
    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError as error:
        raise ValueError(
            "--plot needs matplotlib: pip install matplotlib"
        ) from error
    types = FigureCanvasBase.get_supported_filetypes()
    if path.suffix.lstrip(".").lower() not in types:
        raise ValueError(
            f"--plot cannot write {path.name!r}: the name must end in one of"
            f" {', '.join(sorted(types))}."
        )


def draw(path: Path, rows: Sequence[Row], machine: Machine, dtype: str) -> None:
    """The ratios of every layer; slowest built-in against ours on top."""
    series = {}
    for gradients in sorted({row.gradients for row in rows}):
        mine = [row for row in rows if row.gradients == gradients]
        label = _NAMES[gradients]
        mean = mean_ratio(mine)
        if mean is not None:
            label += f" (geometric mean {mean:.0f}x)"
        series[label] = {row.layer.name: row.ratio for row in mine}
    draw_bars(
        path,
        series,
        title=f"Transposed convolution: mlx_convt {machine.mlx_convt} against"
        f" MLX {machine.mlx}",
        subtitle=f"{machine.processor}, {machine.instruction_set},"
        f" threads: {machine.threads} (built-in: 1), {dtype}",
        axis="times faster than the built-in (log scale)",
    )


def draw_bars(
    path: Path,
    series: Mapping[str, Mapping[str, float | None]],
    *,
    title: str,
    subtitle: str,
    axis: str,
) -> None:
    """A group of bars per layer, one of each series; the first orders them."""
    from matplotlib.figure import Figure

    first = next(iter(series.values()))
    names = sorted(first, key=lambda name: first[name] or 0.0)
    height = 0.8 / len(series)
    figure = Figure(
        figsize=(8.5, 1.9 + (0.26 + 0.08 * len(series)) * len(names)),
        layout="constrained",
        dpi=150,
    )
    axes: Any = figure.subplots()
    for position, (label, ratios) in enumerate(series.items()):
        offset = ((len(series) - 1) / 2 - position) * height
        shown = label
        for index, name in enumerate(names):
            ratio = ratios.get(name)
            if ratio is None:
                continue
            axes.barh(
                index + offset,
                ratio - 1,
                height * 0.92,
                left=1,
                color=_COLORS[position % len(_COLORS)],
                label=shown,
            )
            shown = "_"  # Once is enough for the legend.
            axes.annotate(
                _ratio(ratio),
                (max(ratio, 1), index + offset),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
                color="#444444",
            )
    legend = 14 * math.ceil(len(series) / 2)
    axes.set_title(
        title, loc="left", fontsize=12, fontweight="bold", pad=30 + legend
    )
    axes.annotate(
        subtitle,
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 14 + legend),
        textcoords="offset points",
        fontsize=8.5,
        color="#555555",
    )
    axes.set_xlabel(axis, fontsize=9)
    _decorate(axes, names)
    figure.savefig(path)


def _decorate(axes: Any, names: Sequence[str]) -> None:
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.margins(x=0.12)
    axes.axvline(1, color="#444444", linewidth=1)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    low, high = axes.get_xlim()
    # Within a decade or so, only the minor ticks say anything.
    few = high / low < 20
    axes.xaxis.set_minor_formatter(
        lambda value, _: f"{value:g}x" if few else ""
    )
    axes.tick_params(axis="x", which="both", labelsize=8)
    axes.grid(axis="x", which="major", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderaxespad=0.3,
        ncols=2,
        fontsize=9,
        frameon=False,
        borderpad=0.2,
    )


def _ratio(value: float) -> str:
    decimals = 2 if value < 2 else 1 if value < 10 else 0
    return f"{value:.{decimals}f}x"
