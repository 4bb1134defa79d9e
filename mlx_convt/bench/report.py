"""The rows as JSON and as a plot."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlx_convt.bench.contestants import Contestant
from mlx_convt.bench.row import Entry, Row
from mlx_convt.bench.statistics import geometric_mean
from mlx_convt.bench.table import mean_ratio, threads, worst_row
from mlx_convt.compare.machine import Machine
from mlx_convt.compare.plot import draw_bars

PASSES = {False: "forward", True: "gradients"}
TITLES = {False: "Forward", True: "Forward and both gradients"}


def groups(rows: Iterable[Row]) -> dict[tuple[bool, int], list[Row]]:
    """By pass and number of threads, in the order of the rows."""
    found: dict[tuple[bool, int], list[Row]] = {}
    for row in rows:
        found.setdefault((row.gradients, row.threads), []).append(row)
    return found


def as_json(
    machine: Machine,
    dtype: str,
    contestants: Sequence[Contestant],
    peaks: Mapping[int, float],
    rows: Sequence[Row],
) -> dict[str, Any]:
    return {
        "machine": dataclasses.asdict(machine),
        "dtype": dtype,
        "versions": {c.name: c.version() for c in contestants},
        "peak_gflops": {str(k): v / 1e9 for k, v in peaks.items()},
        "summary": [
            _summary(gradients, count, some)
            for (gradients, count), some in groups(rows).items()
        ],
        "rows": [_row(row) for row in rows],
    }


def draw(path: Path, rows: Sequence[Row], machine: Machine, dtype: str) -> None:
    """How many times as fast as the best peer, a series per pass."""
    series = {}
    for (gradients, count), some in groups(rows).items():
        label = f"{TITLES[gradients].lower()}, {threads(count)}"
        mean = mean_ratio(some)
        if mean is not None:
            label += f" ({mean:.2f}x)"
        series[label] = {
            row.layer.name: row.ratio(row.best_peer) for row in some
        }
    draw_bars(
        path,
        series,
        title=f"mlx_convt {machine.mlx_convt} against the best of the others",
        subtitle=f"{machine.processor}, {machine.instruction_set}, {dtype};"
        " in brackets the geometric means",
        axis="times as fast as the fastest peer (log scale)",
    )


def _summary(gradients: bool, count: int, rows: list[Row]) -> dict[str, Any]:
    worst = worst_row(rows)
    return {
        "pass": PASSES[gradients],
        "threads": count,
        "ratio": mean_ratio(rows),
        "share": geometric_mean(row.share for row in rows),
        "worst_layer": None if worst is None else worst.layer.name,
        "worst_ratio": None if worst is None else worst.ratio(worst.best_peer),
    }


def _row(row: Row) -> dict[str, Any]:
    best = row.best_peer
    floor = row.floor
    return {
        "layer": row.layer.name,
        "pass": PASSES[row.gradients],
        "threads": row.threads,
        "flops": row.flops,
        "gflops": row.gflops,
        "share": row.share,
        "floor": floor
        and {
            "compute_ms": 1e3 * floor.compute,
            "memory_ms": 1e3 * floor.memory,
            "bound": floor.bound,
        },
        "extra_bytes": row.memory,
        "allowed_bytes": row.memory_allowed,
        "best_peer": best,
        "ratio": row.ratio(best),
        "tolerances": row.tolerances,
        "entries": {
            name: _entry(row, entry) for name, entry in row.entries.items()
        },
    }


def _entry(row: Row, entry: Entry) -> dict[str, Any]:
    return {
        "milliseconds": None if entry.median is None else 1e3 * entry.median,
        "spread": entry.spread,
        "rounds": len(entry.seconds),
        "fixed_cost_ms": 1e3 * entry.fixed_cost,
        "at_floor": entry.at_floor,
        "variant": entry.variant,
        "dropped": entry.dropped,
        # JSON has no infinity: an error that is not a number is null.
        "errors": {
            name: error if math.isfinite(error) else None
            for name, error in entry.errors.items()
        },
        "problem": entry.problem,
        "ok": not row.faults(entry),
    }
