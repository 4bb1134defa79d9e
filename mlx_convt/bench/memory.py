"""The most memory that a call takes beyond its operands and results."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_convt.layers import Layer

# Scratch that each thread may keep, beside the packed weights.
PER_THREAD = 4 << 20


def allowed(layer: Layer, threads: int, dtype: str) -> int:
    """Weights packed in the type of the sums, and a share per thread."""
    itemsize = 8 if dtype == "float64" else 4
    return itemsize * math.prod(layer.weight_shape) + threads * PER_THREAD


def result_elements(layer: Layer, *, gradients: bool) -> int:
    count = math.prod(layer.output_shape)
    if gradients:
        count += math.prod(layer.input_shape) + math.prod(layer.weight_shape)
    return count


def rise(call: Callable[[], Any]) -> tuple[int | None, Any]:
    """Bytes by which `call` raises the resident memory at its peak.

    The kernel's high-water mark, reset before. None where it has no such
    mark; the process should not have run the same call before.
    """
    _give_back()
    try:
        # Resets VmHWM to what is resident now.
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = _status("VmRSS")
    except OSError:
        return None, call()
    result = call()
    return _status("VmHWM") - before, result


def _give_back() -> None:
    """Memory that was freed but kept would hide what `call` takes."""
    mx.clear_cache()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _status(key: str) -> int:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    for line in text.splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) << 10
    raise OSError(f"/proc/self/status has no {key}.")
