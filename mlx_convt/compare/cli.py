"""The command line of the comparison."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

import mlx.core as mx

from mlx_convt import _ext
from mlx_convt import layers as named
from mlx_convt.compare import options as shared
from mlx_convt.compare import plot
from mlx_convt.compare.machine import describe
from mlx_convt.compare.measure import DTYPES, Row, measure
from mlx_convt.compare.progress import Progress
from mlx_convt.compare.table import Table, as_json
from mlx_convt.layers import Layer


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the comparison; 0 if our results are right, 1 if not."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        layers = shared.select_layers(options, named.COMPARED)
        _check(options)
        if options.threads is not None:
            # Read once, when the first operation asks for threads.
            os.environ["MLX_CONVT_NUM_THREADS"] = str(options.threads)
        shared.check_environment()
    except ValueError as error:
        parser.error(str(error))
    if options.list:
        shared.list_layers(layers)
        return 0
    try:
        with mx.stream(getattr(mx, options.device)):
            return _compare(layers, options)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130


def _compare(layers: Sequence[Layer], options: argparse.Namespace) -> int:
    out = sys.stderr if options.json == "-" else sys.stdout
    machine = describe(getattr(mx, options.device))
    for line in machine.lines(options.dtype):
        print(line, file=out)

    passes = [False, True] if options.gradients else [False]
    table = Table(layers, out)
    progress = Progress(len(layers) * len(passes))
    rows: list[Row] = []
    for gradients in passes:
        title = "Forward and gradients" if gradients else "Forward"
        progress.clear()
        table.head(title)
        for layer in layers:
            progress.step(f"{title.lower()}, {layer.name}")
            row = measure(
                layer,
                DTYPES[options.dtype],
                gradients=gradients,
                say=progress.detail,
            )
            progress.clear()
            table.row(row)
            rows.append(row)
        table.mean(row for row in rows if row.gradients == gradients)
    table.notes(rows)

    if options.json is not None:
        report = as_json(machine, options.dtype, rows)
        shared.write_json(
            options.json, json.dumps(report, indent=2, allow_nan=False)
        )
    if options.plot is not None:
        plot.draw(options.plot, rows, machine, options.dtype)
    return 1 if any(row.faults(row.ours) for row in rows) else 0


def _check(options: argparse.Namespace) -> None:
    if options.threads is not None and not 1 <= options.threads <= 4096:
        raise ValueError(f"--threads must be 1 to 4096. Got {options.threads}.")
    if options.device == "gpu" and options.dtype == "float64":
        raise ValueError("--device gpu has no float64.")
    if options.device == "gpu" and _ext.gpu_kernels == "none":
        raise ValueError("--device gpu needs MLX's Metal backend, of a Mac.")
    if options.plot is not None and options.dtype == "float64":
        raise ValueError(
            "--plot draws ratios, and the built-in has no float64."
        )
    shared.check_files(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mlx_convt",
        description="Times mlx_convt and MLX's built-in transposed convolution"
        " side by side on layers of published networks, and checks both"
        " against a float64 reference. By default the layers on which the"
        " built-in is not too slow, in about a minute.",
        epilog="Exit status: 0 if all results of mlx_convt are right, 1 if"
        " not, 2 for wrong options. `python -m mlx_convt bench` is the"
        " benchmark against other libraries, `python -m mlx_convt info` says"
        " what a report of a bug should.",
    )
    shared.add_options(parser)
    parser.add_argument(
        "--threads", type=int, metavar="N", help="threads of mlx_convt"
    )
    parser.add_argument(
        "--device",
        choices=["cpu", "gpu"],
        default="cpu",
        help="where both run (default: cpu)",
    )
    parser.add_argument(
        "--gradients",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also forward and gradients together (default)",
    )
    return parser
