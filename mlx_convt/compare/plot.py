"""The ratios as a bar chart; needs matplotlib, which is imported late."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlx_convt.compare.machine import Machine
from mlx_convt.compare.measure import Row
from mlx_convt.compare.table import mean_ratio

_COLORS = {False: "#1f6f8b", True: "#e07b39"}
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
    """One group of bars per layer, slowest built-in against ours on top."""
    from matplotlib.figure import Figure

    passes = sorted({row.gradients for row in rows})
    names = list(dict.fromkeys(row.layer.name for row in rows))
    ratios = {(row.layer.name, row.gradients): row.ratio for row in rows}
    names.sort(key=lambda name: ratios[name, False] or 0.0)

    height = 0.8 / len(passes)
    figure = Figure(
        figsize=(8.5, 1.9 + 0.42 * len(names)), layout="constrained", dpi=150
    )
    axes: Any = figure.subplots()
    for position, gradients in enumerate(passes):
        offset = (len(passes) - 1) / 2 - position
        mean = mean_ratio(row for row in rows if row.gradients == gradients)
        label = _NAMES[gradients]
        if mean is not None:
            label += f" (geometric mean {mean:.0f}x)"
        for index, name in enumerate(names):
            ratio = ratios[name, gradients]
            if ratio is None:
                continue
            y = index + offset * height
            axes.barh(
                y,
                ratio - 1,
                height * 0.92,
                left=1,
                color=_COLORS[gradients],
                label=label,
            )
            label = "_"
            axes.annotate(
                f"{ratio:.0f}x" if ratio >= 10 else f"{ratio:.1f}x",
                (max(ratio, 1), y),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
                color="#444444",
            )
    _decorate(axes, names, machine, dtype)
    figure.savefig(path)


def _decorate(
    axes: Any, names: Sequence[str], machine: Machine, dtype: str
) -> None:
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.margins(x=0.12)
    axes.axvline(1, color="#444444", linewidth=1)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axes.grid(axis="x", which="major", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_title(
        f"Transposed convolution: mlx_convt {machine.mlx_convt} against"
        f" MLX {machine.mlx}",
        loc="left",
        fontsize=12,
        fontweight="bold",
        pad=44,
    )
    axes.annotate(
        f"{machine.processor}, {machine.instruction_set},"
        f" threads: {machine.threads} (built-in: 1), {dtype}",
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 28),
        textcoords="offset points",
        fontsize=8.5,
        color="#555555",
    )
    axes.set_xlabel("times faster than the built-in (log scale)", fontsize=9)
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderaxespad=0.3,
        ncols=2,
        fontsize=9,
        frameon=False,
        borderpad=0.2,
    )
