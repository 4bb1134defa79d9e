"""The rows as text and as JSON."""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from mlx_convt.compare.machine import Machine
from mlx_convt.compare.measure import Row, Side
from mlx_convt.layers import Layer

_NUMBERS = (
    "ours ms",
    "built-in ms",
    "ratio",
    "GFLOP/s",
    "our error",
    "built-in's",
)


# What to leave out of a narrow table, until it fits.
_OPTIONAL = [(), ("GFLOP/s",), ("shape",), ("shape", "GFLOP/s")]


class Table:
    """Prints rows as they come; all widths are known from the layers."""

    def __init__(self, layers: Sequence[Layer], out: TextIO) -> None:
        self._out = out
        widths = {
            "layer": max(len(layer.name) for layer in layers),
            "shape": max(len(layer.label) for layer in layers),
            **{name: max(len(name), 8) for name in _NUMBERS},
        }
        omitted = _OPTIONAL if out.isatty() else [()]
        for names in omitted:
            self._shown = {k: v for k, v in widths.items() if k not in names}
            needed = sum(self._shown.values()) + 2 * len(self._shown)
            if needed <= shutil.get_terminal_size().columns:
                break

    def head(self, title: str) -> None:
        self._print("")
        self._print(title)
        self._print(self._line({name: name for name in self._shown}))
        self._print("  ".join("-" * width for width in self._shown.values()))

    def row(self, row: Row) -> None:
        ours = row.ours.milliseconds
        cells = {
            "layer": row.layer.name,
            "shape": row.layer.label,
            "ours ms": _milliseconds(row.ours),
            "built-in ms": _milliseconds(row.builtin),
            "ratio": _ratio(row.ratio),
            "GFLOP/s": "" if ours is None else f"{row.flops / ours / 1e6:.1f}",
            "our error": _error(row, row.ours),
            "built-in's": _error(row, row.builtin),
        }
        self._print(self._line(cells))

    def mean(self, rows: Iterable[Row]) -> None:
        ratio = mean_ratio(rows)
        if ratio is not None:
            cells = {"layer": "geometric mean", "ratio": _ratio(ratio)}
            self._print(self._line(cells))

    def notes(self, rows: Sequence[Row]) -> None:
        lines = [
            "Times are medians, both sides interleaved; GFLOP/s are ours.",
            "An error is the largest deviation from a float64 reference over",
            "its largest value; with gradients, that of the worse gradient.",
        ]
        parts = [
            f"{row.layer.name} ({row.checked:.2%})"
            for row in rows
            if row.checked < 1
        ]
        if parts:
            lines.append(
                "Everything is checked, except on these layers, where it is"
                " a random part of the channels:"
            )
            lines.append(", ".join(dict.fromkeys(parts)) + ".")
        else:
            lines.append("Every element is checked.")
        for row in rows:
            for side, name in ((row.ours, "ours"), (row.builtin, "built-in")):
                for fault in row.faults(side):
                    lines.append(f"! {row.layer.name}, {name}: {fault}")
        self._print("")
        for line in dict.fromkeys(lines):
            self._print(line)

    def _line(self, cells: dict[str, str]) -> str:
        padded = []
        for name, width in self._shown.items():
            text = cells.get(name, "")
            left = name in ("layer", "shape")
            padded.append(text.ljust(width) if left else text.rjust(width))
        return "  ".join(padded).rstrip()

    def _print(self, line: str) -> None:
        print(line, file=self._out, flush=True)


def mean_ratio(rows: Iterable[Row]) -> float | None:
    """Geometric mean of the ratios there are."""
    logs = [math.log(row.ratio) for row in rows if row.ratio is not None]
    return math.exp(sum(logs) / len(logs)) if logs else None


def as_json(machine: Machine, dtype: str, rows: Sequence[Row]) -> Any:
    means = {}
    for gradients in sorted({row.gradients for row in rows}):
        mine = [row for row in rows if row.gradients == gradients]
        means[_pass(gradients)] = mean_ratio(mine)
    return {
        "machine": dataclasses.asdict(machine),
        "dtype": dtype,
        "geometric_mean": means,
        "rows": [_row_as_json(row) for row in rows],
    }


def _row_as_json(row: Row) -> dict[str, Any]:
    return {
        "layer": dataclasses.asdict(row.layer),
        "pass": _pass(row.gradients),
        "flops": row.flops,
        "ours": _side_as_json(row.ours),
        "builtin": _side_as_json(row.builtin),
        "ratio": row.ratio,
        "tolerances": row.tolerances,
        "checked": row.checked,
        "ok": not row.faults(row.ours),
    }


def _side_as_json(side: Side) -> dict[str, Any]:
    # JSON has no infinity: an error that is not a number is null.
    errors = {
        name: error if math.isfinite(error) else None
        for name, error in side.errors.items()
    }
    return {**dataclasses.asdict(side), "errors": errors}


def _pass(gradients: bool) -> str:
    return "forward_and_gradients" if gradients else "forward"


def _milliseconds(side: Side) -> str:
    if side.milliseconds is None:
        return "none" if side.problem is None else "fails"
    return _digits(side.milliseconds)


def _digits(value: float) -> str:
    """At least three significant digits, without an exponent."""
    decimals = max(0, 2 - math.floor(math.log10(value)))
    return f"{value:.{min(decimals, 3)}f}"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{_digits(value)}x"


def _error(row: Row, side: Side) -> str:
    if side.worst is None:
        return ""
    return f"{side.worst:.1e}" + "!" * bool(row.faults(side))
