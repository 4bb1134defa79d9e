"""Options that the comparison and the benchmark share."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Collection, Sequence
from pathlib import Path

import mlx.core as mx
import numpy as np

import mlx_convt
from mlx_convt import _ext
from mlx_convt import layers as named
from mlx_convt.compare import plot
from mlx_convt.compare.measure import DTYPES
from mlx_convt.layers import Layer


def add_options(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--layers",
        metavar="NAMES",
        help="names with commas between, 'all', or a .json file of layers",
    )
    which.add_argument(
        "--quick", action="store_true", help="a few small layers, in seconds"
    )
    parser.add_argument("--version", action="version", version=_versions())
    parser.add_argument(
        "--list", action="store_true", help="describe the layers and stop"
    )
    parser.add_argument("--dtype", choices=list(DTYPES), default="float32")
    parser.add_argument(
        "--json", metavar="FILE", help="write all figures; - for stdout"
    )
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help="draw the ratios (needs matplotlib)",
    )


def select_layers(
    options: argparse.Namespace, default: Collection[str]
) -> list[Layer]:
    """Those that the options ask for, or those named in `default`."""
    layers = named.load()
    if options.quick:
        return [layer for layer in layers if layer.name in named.QUICK]
    if options.layers is None:
        return [layer for layer in layers if layer.name in default]
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


def check_files(options: argparse.Namespace) -> None:
    """Finds out before the measurements what would fail after them."""
    if options.plot is not None:
        plot.check(options.plot)
    for path in (options.json, options.plot):
        if path is None or path == "-":
            continue
        if Path(path).is_dir() or not Path(path).parent.is_dir():
            raise ValueError(f"cannot write to {path}.")


def check_environment() -> None:
    """Raises what the package's environment variables would raise later."""
    missing = _ext.blas_why_not()
    if missing and os.environ.get("MLX_CONVT_BLAS"):
        raise ValueError(f"[mlx_convt] {missing}.")
    try:
        _ext.num_threads()
        _ext.instruction_set()
        # The algorithm's name is read when an operation is built.
        one = mx.ones((1, 1, 1))
        mlx_convt.conv_transpose1d(one, one, stream=mx.cpu)
    except (RuntimeError, ValueError) as error:
        raise ValueError(str(error)) from error


def _versions() -> str:
    return (
        f"mlx_convt {mlx_convt.__version__}, MLX {_ext.built_for_mlx}, Python"
        f" {platform.python_version()}, NumPy {np.__version__}"
    )


def list_layers(layers: Sequence[Layer]) -> None:
    for layer in layers:
        arguments = ", ".join(f"{k}={v}" for k, v in layer.arguments.items())
        print(f"{layer.name}: {layer.label}, {layer.flops / 1e9:.3f} GFLOP")
        print(f"    {arguments}")
        if layer.source:
            print(f"    {layer.source}")


def write_json(target: str, text: str) -> None:
    if target == "-":
        print(text)
    else:
        Path(target).write_text(text + "\n", encoding="utf-8")
