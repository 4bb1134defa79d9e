"""The command line of the comparison."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import mlx.core as mx

from mlx_convt import layers as named
from mlx_convt.compare import plot
from mlx_convt.compare.machine import describe
from mlx_convt.compare.measure import Row, measure
from mlx_convt.compare.progress import Progress
from mlx_convt.compare.table import Table, as_json
from mlx_convt.layers import Layer

_DTYPES = {
    "float32": mx.float32,
    "float16": mx.float16,
    "bfloat16": mx.bfloat16,
    "float64": mx.float64,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the comparison; 0 if our results are right, 1 if not."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        layers = _select(options)
        _check_outputs(options)
    except ValueError as error:
        parser.error(str(error))
    if options.list:
        _list(layers)
        return 0
    if options.threads is not None:
        # Read once, when the first operation asks for threads.
        os.environ["MLX_CONVT_NUM_THREADS"] = str(options.threads)
    try:
        with mx.stream(mx.cpu):
            return _compare(layers, options)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130


def _compare(layers: Sequence[Layer], options: argparse.Namespace) -> int:
    out = sys.stderr if options.json == "-" else sys.stdout
    machine = describe()
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
                _DTYPES[options.dtype],
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
        text = json.dumps(report, indent=2, allow_nan=False) + "\n"
        if options.json == "-":
            sys.stdout.write(text)
        else:
            Path(options.json).write_text(text, encoding="utf-8")
    if options.plot is not None:
        plot.draw(options.plot, rows, machine, options.dtype)
    return 1 if any(row.faults(row.ours) for row in rows) else 0


def _select(options: argparse.Namespace) -> list[Layer]:
    layers = named.load()
    if options.quick:
        return [layer for layer in layers if layer.name in named.QUICK]
    if options.layers is None:
        return [layer for layer in layers if layer.name not in named.LONG]
    if options.layers == "all":
        return layers
    if options.layers.endswith(".json"):
        return named.load(Path(options.layers))
    by_name = {layer.name: layer for layer in layers}
    chosen = options.layers.split(",")
    unknown = [name for name in chosen if name not in by_name]
    if unknown:
        raise ValueError(
            f"no layer named {', '.join(map(repr, unknown))}; there are"
            f" {', '.join(by_name)}."
        )
    return [by_name[name] for name in dict.fromkeys(chosen)]


def _check_outputs(options: argparse.Namespace) -> None:
    """Finds out before the measurements what would fail after them."""
    if options.threads is not None and not 1 <= options.threads <= 4096:
        raise ValueError(f"--threads must be 1 to 4096. Got {options.threads}.")
    if options.plot is not None:
        if options.dtype == "float64":
            raise ValueError(
                "--plot draws ratios, and the built-in has no float64."
            )
        plot.check(options.plot)
    for path in (options.json, options.plot):
        if path is None or path == "-":
            continue
        if Path(path).is_dir() or not Path(path).parent.is_dir():
            raise ValueError(f"cannot write to {path}.")


def _list(layers: Sequence[Layer]) -> None:
    for layer in layers:
        arguments = ", ".join(f"{k}={v}" for k, v in layer.arguments.items())
        print(f"{layer.name}: {layer.label}, {layer.flops / 1e9:.3f} GFLOP")
        print(f"    {arguments}")
        print(f"    {layer.source}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mlx_convt",
        description="Times mlx_convt and MLX's built-in transposed convolution"
        " side by side on layers of published networks, and checks both"
        " against a float64 reference. By default the layers on which the"
        " built-in is not too slow, in about a minute.",
        epilog="Exit status: 0 if all results of mlx_convt are right, 1 if"
        " not, 2 for wrong options.",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--layers",
        metavar="NAMES",
        help="names with commas between, 'all', or a .json file of layers",
    )
    which.add_argument(
        "--quick", action="store_true", help="a few small layers, in seconds"
    )
    parser.add_argument(
        "--list", action="store_true", help="describe the layers and stop"
    )
    parser.add_argument("--dtype", choices=list(_DTYPES), default="float32")
    parser.add_argument(
        "--threads", type=int, metavar="N", help="threads of mlx_convt"
    )
    parser.add_argument(
        "--gradients",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also forward and gradients together (default)",
    )
    parser.add_argument(
        "--json", metavar="FILE", help="write all figures; - for stdout"
    )
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help="draw the ratios (needs matplotlib)",
    )
    return parser
