"""Functions with the call of `mx.conv_transpose2d`."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import mlx.core as mx
import numpy as np

from mlx_convt.bench.contestants.task import Array, Task, Variant
from mlx_convt.compare.check import Operands
from mlx_convt.compare.measure import DTYPES, make_call
from mlx_convt.compare.timing import evaluation_ms

# Results are reused, as process.environment() has all others do; MLX's own limit
# of 32 MiB is less than one result of a large map.
_CACHE_LIMIT = 1 << 30


def mlx_variants(module: ModuleType, task: Task) -> Iterator[Variant]:
    mx.set_default_device(mx.cpu)  # of this contestant's own process
    mx.set_cache_limit(_CACHE_LIMIT)
    dtype = DTYPES[task.dtype]
    x, w, cotangent = (
        mx.array(array, dtype=dtype)
        for array in (task.x, task.w, task.cotangent)
    )
    mx.eval(x, w, cotangent)
    call = make_call(
        module, task.layer, Operands(x, w, cotangent), task.gradients
    )
    yield Variant("NHWC", call, _results)


def fixed_cost() -> float:
    """Seconds of an `mx.eval` of one element, which no call can save."""
    return evaluation_ms() / 1e3


def _results(arrays: list[mx.array]) -> list[Array]:
    wide = [
        array.astype(mx.float32, stream=mx.cpu)
        if array.dtype in (mx.float16, mx.bfloat16)
        else array
        for array in arrays
    ]
    return [np.array(array) for array in wide]
