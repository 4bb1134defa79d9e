"""A contestant's own process: reads commands, runs them, writes replies.

    python -m mlx_convt.bench.worker MODULE PARENT [CPU...]

Commands and replies are lines of JSON on stdin and stdout; arrays travel in
files. It runs on these CPUs alone, and ends with its input or its parent.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from mlx_convt.bench.contestants.task import (
    NotExpressible,
    Task,
    Variant,
)
from mlx_convt.layers import Layer

# A variant that takes longer is not run again to choose among variants. Its
# first call says nothing, unless it is very long: it may contain compilation.
SLOW_SECONDS = 0.5
VERY_SLOW_SECONDS = 5.0

_PR_SET_PDEATHSIG = 1


class Worker:
    """The commands; each returns its reply."""

    def __init__(self, contestant: ModuleType) -> None:
        self._contestant = contestant
        self._variants: dict[int, Variant] = {}
        self._variant: Variant | None = None

    def hello(self) -> dict[str, Any]:
        return {}

    def prepare(self, **task: Any) -> dict[str, Any]:
        """Runs all variants and saves the results of each.

        One that fails is no loss as long as another one works.
        """
        self.drop()
        forms: list[dict[str, Any]] = []
        failure: Exception | None = None
        variants = iter(self._contestant.variants(load_task(**task)))
        while True:
            index = len(forms)
            name = f"form {index + 1}"
            try:
                variant = next(variants)
                name = variant.name
                raw, seconds = first_runs(variant)
                results = variant.results(raw)
            except StopIteration:
                break
            except Exception as error:  # noqa: BLE001 (others may work)
                failure = failure or error
                forms.append({"name": name, "problem": describe(error)})
                continue
            self._variants[index] = variant
            files = []
            for number, result in enumerate(results):
                files.append(f"result{index}_{number}.npy")
                np.save(Path(task["folder"]) / files[-1], result)
            forms.append({"name": name, "seconds": seconds, "files": files})
        if not self._variants:
            raise failure or RuntimeError("no way to run this layer")
        return {"forms": forms}

    def choose(self, form: int) -> dict[str, Any]:
        """Keeps one of the variants for the rounds."""
        self._variant = self._variants[form]
        self._variants.clear()
        return {}

    def run(self, calls: int, warm: bool) -> dict[str, Any]:
        """Times so many calls, after one more if `warm`."""
        assert self._variant is not None
        call = self._variant.call
        if warm:
            call()
        seconds = []
        for _ in range(calls):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
        return {"seconds": seconds, "fixed_cost": self._fixed_cost()}

    def drop(self) -> dict[str, Any]:
        self._variants.clear()
        self._variant = None
        return {}

    def memory(self, **task: Any) -> dict[str, Any]:
        """The peak of one call, the first of its kind in this process."""
        # Imported here: the other libraries' processes have no use for it.
        from mlx_convt.bench import memory

        (variant,) = self._contestant.variants(load_task(**task))
        start_up(self._contestant, task["threads"])
        rise, _ = memory.rise(variant.call)
        return {"rise": rise}

    def peak(self, float64: bool) -> dict[str, Any]:
        from mlx_convt import _ext

        return {
            "flops": _ext.peak_flops(float64),
            "instruction_set": _ext.instruction_set(),
        }

    def stream(self, read_bytes: int, write_bytes: int) -> dict[str, Any]:
        from mlx_convt import _ext

        return {"seconds": _ext.stream_seconds(read_bytes, write_bytes)}

    def _fixed_cost(self) -> float | None:
        cost = getattr(self._contestant, "fixed_cost", None)
        return float(cost()) if cost else None


def load_task(
    layer: Mapping[str, Any],
    folder: str,
    dtype: str,
    gradients: bool,
    threads: int,
) -> Task:
    x, w, cotangent = (
        np.load(Path(folder) / f"{name}.npy") for name in ("x", "w", "y")
    )
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in layer.items()
    }
    return Task(Layer(**fields), x, w, cotangent, dtype, gradients, threads)


def first_runs(variant: Variant) -> tuple[Any, float]:
    """The first call's results, and the least time of up to four calls."""
    best = None
    for number in range(4):
        start = time.perf_counter()
        results = variant.call()
        seconds = time.perf_counter() - start
        best = seconds if best is None else min(best, seconds)
        if seconds > (SLOW_SECONDS if number else VERY_SLOW_SECONDS):
            break
    assert best is not None
    return results, best


def start_up(contestant: ModuleType, threads: int) -> None:
    """Runs something tiny, so that what a process does once is done."""
    layer = Layer(
        name="tiny",
        source="",
        batch=1,
        spatial=(64, 64),
        in_channels=1,
        out_channels=1,
        kernel=(2, 2),
        stride=(2, 2),
    )
    shapes = (layer.input_shape, layer.weight_shape, layer.output_shape)
    x, w, cotangent = (np.ones(shape, np.float32) for shape in shapes)
    task = Task(layer, x, w, cotangent, "float32", False, threads)
    for variant in contestant.variants(task):
        variant.call()


def answer(worker: Worker, line: str) -> dict[str, Any]:
    command = json.loads(line)
    try:
        reply: dict[str, Any] = getattr(worker, command.pop("do"))(**command)
    except NotExpressible as error:
        return {"not_expressible": str(error)}
    except Exception as error:  # noqa: BLE001, for it is the answer
        return {"error": describe(error)}
    return reply


def describe(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:500]


def die_with(parent: int) -> None:
    """A stopped process would not notice the end of its input."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(1)


def main(arguments: Sequence[str]) -> None:
    module, parent, *cpus = arguments
    die_with(int(parent))
    if cpus and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, map(int, cpus))
    # What libraries print must not mix with the replies.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker(importlib.import_module(module))
    for line in sys.stdin:
        reply = answer(worker, line)
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
