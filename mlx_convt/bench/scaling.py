"""Time against batch, size and channels: the cost should grow linearly."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TextIO

from mlx_convt.bench import statistics
from mlx_convt.bench.contest import Contest
from mlx_convt.bench.report import TITLES
from mlx_convt.bench.row import Row
from mlx_convt.bench.table import threads
from mlx_convt.layers import Layer

# Two orders of magnitude of work in each.
BATCHES = (1, 2, 5, 10, 20, 50, 100)
SIDES = (16, 24, 36, 54, 81, 120, 160)
CHANNELS = (32, 48, 72, 108, 160, 240, 320)

_BASE = Layer(
    name="base",
    source="made up for the scaling",
    batch=1,
    spatial=(16, 16),
    in_channels=64,
    out_channels=64,
    kernel=(4, 4),
    stride=(2, 2),
    padding=(1, 1),
)


@dataclass(frozen=True)
class Series:
    """One quantity of the base layer varied."""

    name: str
    layers: tuple[Layer, ...]


def series() -> Iterator[Series]:
    def vary(name: str, values: Iterable[int], *fields: str) -> Series:
        layers = []
        for value in values:
            change: dict[str, Any] = dict.fromkeys(fields, value)
            if name == "side":
                change = {"spatial": (value, value)}
            layers.append(
                dataclasses.replace(_BASE, name=f"{name} {value}", **change)
            )
        return Series(name, tuple(layers))

    yield vary("batch", BATCHES, "batch")
    yield vary("side", SIDES)
    yield vary("channels", CHANNELS, "in_channels", "out_channels")


def run(
    contest: Contest,
    *,
    gradients: bool,
    out: TextIO,
    step: Callable[[str], None],
    say: Callable[[str], None],
) -> list[Row]:
    """Prints a table per series and the power with which time grows."""
    rows = []
    for one in series():
        print(
            f"\n{TITLES[gradients]}, {threads(contest.threads)}: {one.name}"
            f" of {_BASE.label}",
            file=out,
        )
        print(f"{'':14}  {'ours ms':>9}  {'GFLOP':>8}  ms/GFLOP", file=out)
        timed = []
        for layer in one.layers:
            step(layer.name)
            row = contest.row(layer, gradients=gradients, say=say)
            rows.append(row)
            if row.ours is None:
                fault = "; ".join(row.faults(row.entries["ours"]))
                print(f"{layer.name:14}  {fault}", file=out, flush=True)
                continue
            work = row.flops / 1e9
            timed.append((work, 1e3 * row.ours))
            print(
                f"{layer.name:14}  {1e3 * row.ours:9.3f}  {work:8.3f}"
                f"  {1e3 * row.ours / work:8.3f}",
                file=out,
                flush=True,
            )
        if len(timed) > 1:
            work_done, taken = zip(*timed)
            power = statistics.slope(work_done, taken)
            print(f"time grows as work to the power {power:.2f}", file=out)
    return rows
