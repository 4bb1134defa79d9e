"""The rows as text."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Sequence
from typing import TextIO

from mlx_convt.bench.contestants import BUILTIN, OURS
from mlx_convt.bench.row import Entry, Row
from mlx_convt.bench.statistics import geometric_mean
from mlx_convt.layers import Layer

_MIB = 1 << 20


class Table:
    """Prints rows as they come; all widths are known from the layers.

    On a terminal, the columns of the single peers are left out if need be.
    """

    def __init__(
        self, layers: Sequence[Layer], peers: Sequence[str], out: TextIO
    ) -> None:
        self._out = out
        self._peers = list(peers)
        self._widths = {
            "layer": max(14, *(len(layer.name) for layer in layers)),
            "ours ms": 8,
            "+-": 4,
            "GFLOP/s": 7,
            "roof": 5,
            "by": 2,
            "extra MiB": 11,
            "built-in": 8,
        }
        if peers:
            longest = max(len(name) for name in peers)
            self._widths |= {"best peer": max(9, longest), "ratio": 6}
        wide = self._widths | {
            f"{name} ms": max(8, len(name) + 3) for name in peers
        }
        needed = sum(wide.values()) + 2 * len(wide)
        if not out.isatty() or needed <= shutil.get_terminal_size().columns:
            self._widths = wide

    def head(self, title: str) -> None:
        self._print("")
        self._print(title)
        self._print(self._line({name: name for name in self._widths}))
        self._print("  ".join("-" * width for width in self._widths.values()))

    def row(self, row: Row) -> None:
        best = row.best_peer
        cells = {
            "layer": row.layer.name,
            "ours ms": _entry(row, OURS.name),
            "+-": _percent(row.entries[OURS.name].spread),
            "GFLOP/s": "" if row.gflops is None else _digits(row.gflops),
            "roof": _percent(row.share),
            "by": "" if row.floor is None else row.floor.bound,
            "extra MiB": _memory(row),
            "built-in": _ratio(row.ratio(BUILTIN.name)),
            "best peer": best or "",
            "ratio": _ratio(row.ratio(best)),
            **{f"{name} ms": _entry(row, name) for name in self._peers},
        }
        self._print(self._line(cells))

    def summary(self, rows: Sequence[Row]) -> None:
        """Geometric means, and the layer with the worst ratio."""
        cells = {"layer": "geometric mean"}
        cells["GFLOP/s"] = _mean(row.gflops for row in rows)
        cells["built-in"] = _ratio(
            geometric_mean(row.ratio(BUILTIN.name) for row in rows)
        )
        cells["ratio"] = _ratio(mean_ratio(rows))
        share = geometric_mean(row.share for row in rows)
        cells["roof"] = _percent(share)
        self._print(self._line(cells))
        worst = worst_row(rows)
        if worst is not None:
            self._print(
                f"worst layer: {worst.layer.name},"
                f" {_ratio(worst.ratio(worst.best_peer))} of"
                f" {worst.best_peer}"
            )

    def notes(self, rows: Sequence[Row]) -> None:
        costs = [
            entry.fixed_cost
            for row in rows
            for entry in row.entries.values()
            if entry.fixed_cost
        ]
        lines = [*_NOTES]
        if costs:
            lines.append(
                "Times with MLX are net of an mx.eval of one element, which"
                f" cost {1e6 * min(costs):.0f} to {1e6 * max(costs):.0f} us."
            )
        self._print("")
        for line in lines:
            self._print(line)
        faults = [
            f"! {row.layer.name}, {threads(row.threads)}, {name}: {fault}"
            for row in rows
            for name, entry in row.entries.items()
            if not entry.impossible
            for fault in [*row.faults(entry), *_remarks(entry)]
        ]
        faults += [
            f"! {row.layer.name}, {threads(row.threads)}: more memory than"
            " packed weights and 4 MiB per thread"
            for row in rows
            if row.memory is not None and row.memory > row.memory_allowed
        ]
        for fault in dict.fromkeys(faults):
            self._print(fault)

    def _line(self, cells: dict[str, str]) -> str:
        padded = []
        for name, width in self._widths.items():
            text = cells.get(name, "")
            left = name in ("layer", "best peer")
            padded.append(text.ljust(width) if left else text.rjust(width))
        return "  ".join(padded).rstrip()

    def _print(self, line: str) -> None:
        print(line, file=self._out, flush=True)


_NOTES = (
    "Times are medians of interleaved rounds, +- their interquartile range.",
    "GFLOP/s count every tap; roof is the share of what the machine could do,",
    "bound (by) its arithmetic (c) or moving each array once (m). Ratios say",
    "how many times as fast ours is. Extra MiB: peak memory beyond operands",
    "and results, of what packed weights and 4 MiB per thread would allow.",
    "A result that is wrong (wrong) does not count; a time marked < is at most",
    "that, and lost in what was subtracted.",
)


def mean_ratio(rows: Iterable[Row]) -> float | None:
    """Geometric mean over the layers of ours against the best peer."""
    return geometric_mean(row.ratio(row.best_peer) for row in rows)


def worst_row(rows: Iterable[Row]) -> Row | None:
    """Where ours is slowest compared with the best peer."""
    rated = {
        ratio: row
        for row in rows
        if (ratio := row.ratio(row.best_peer)) is not None
    }
    return rated[min(rated)] if rated else None


def threads(count: int) -> str:
    return f"{count} thread" + "s" * (count > 1)


def _remarks(entry: Entry) -> list[str]:
    remarks = [f"without {form}: {why}" for form, why in entry.dropped.items()]
    if entry.at_floor and entry.median is not None:
        remarks.append(
            "takes hardly longer than the fixed cost of a call; counted as"
            f" {1e6 * entry.median:.1f} us"
        )
    return remarks


def _entry(row: Row, name: str) -> str:
    entry = row.entries.get(name)
    if entry is None or entry.impossible:
        return "-"
    if entry.problem is None and row.faults(entry):
        return "wrong"
    if entry.problem is not None or entry.median is None:
        return "fails"
    return "<" * entry.at_floor + _digits(1e3 * entry.median)


def _memory(row: Row) -> str:
    if row.memory is None:
        return ""
    return f"{row.memory / _MIB:.1f}/{row.memory_allowed / _MIB:.1f}"


def _mean(values: Iterable[float | None]) -> str:
    mean = geometric_mean(values)
    return "" if mean is None else _digits(mean)


def _digits(value: float) -> str:
    """Three significant digits, without an exponent."""
    decimals = 2 - math.floor(math.log10(value))
    return f"{value:.{min(max(0, decimals), 4)}f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f}%"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{_digits(value)}x"
