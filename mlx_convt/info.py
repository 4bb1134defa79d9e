"""``python -m mlx_convt info``: what a report of a bug should say."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from mlx_convt import _ext
from mlx_convt.compare import options as shared
from mlx_convt.compare.machine import describe

_VARIABLES = (
    "MLX_CONVT_NUM_THREADS",
    "MLX_CONVT_ALGORITHM",
    "MLX_CONVT_INSTRUCTION_SET",
    "MLX_CONVT_BLAS",
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        shared.check_files(options)
    except ValueError as error:
        parser.error(str(error))
    facts = gather()
    if options.json is not None:
        shared.write_json(options.json, json.dumps(facts, indent=2))
    if options.json != "-":
        for line in lines(facts):
            print(line)
    return 0


def gather() -> dict[str, Any]:
    environment = {
        name: os.environ[name] for name in _VARIABLES if name in os.environ
    }
    mistake = None
    try:
        shared.check_environment()
    except ValueError as error:
        mistake = str(error)
        # A wrong setting is a fact like others; the rest is as without it.
        for name in environment:
            del os.environ[name]
    machine = describe()
    return {
        "versions": {
            "mlx_convt": machine.mlx_convt,
            "built_for_mlx": _ext.built_for_mlx,
            "mlx": machine.mlx,
            "python": machine.python,
            "numpy": machine.numpy,
            "nanobind-backend": importlib.metadata.version("nanobind-backend"),
        },
        "platform": platform.platform(),
        "processor": machine.processor,
        "processors": machine.cpus,
        "cpu": "own kernels",
        "gpu": "no kernels in this build; call with stream=mx.cpu"
        if _ext.gpu_kernels == "none"
        else f"{_ext.gpu_kernels} kernels",
        "default_device": str(mx.default_device()),
        "instruction_set": machine.instruction_set,
        "instruction_sets": _ext.instruction_sets(),
        "threads": machine.threads,
        "algorithm": machine.algorithm,
        "algorithms": _ext.algorithms(),
        "blas": _ext.blas_why_not() or "available",
        "environment": environment,
        "mistake": mistake,
    }


def lines(facts: dict[str, Any]) -> list[str]:
    versions = dict(facts["versions"])
    ours, built_for = versions.pop("mlx_convt"), versions.pop("built_for_mlx")
    environment = facts["environment"].items()
    rows = {
        "mlx_convt": f"{ours}, built for MLX {built_for}",
        "beside it": ", ".join(f"{k} {v}" for k, v in versions.items()),
        "platform": facts["platform"],
        "processor": f"{facts['processor']}, {facts['processors']} to run on",
        "CPU": facts["cpu"],
        "GPU": f"{facts['gpu']} (MLX's default: {facts['default_device']})",
        "instruction set": f"{facts['instruction_set']}, of"
        f" {', '.join(facts['instruction_sets'])}",
        "threads": facts["threads"],
        "algorithm": f"{facts['algorithm']}, of"
        f" {', '.join(['auto', *facts['algorithms']])}",
        "BLAS": facts["blas"],
        "environment": ", ".join(f"{k}={v}" for k, v in environment)
        or "no MLX_CONVT_ variables",
    }
    if facts["mistake"]:
        rows["mistake"] = f"{facts['mistake']} The above is without settings."
    width = max(map(len, rows)) + 1
    return [f"{name + ':':{width}} {value}" for name, value in rows.items()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mlx_convt info",
        description="Versions, machine and settings, for a report of a bug.",
    )
    parser.add_argument(
        "--json",
        nargs="?",
        const="-",
        metavar="FILE",
        help="write them as JSON; without FILE, to stdout",
    )
    parser.set_defaults(plot=None)
    return parser
