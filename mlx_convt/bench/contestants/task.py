"""What a contestant is given, what it gives back, and changes of layout.

Tasks and results are in MLX's layouts: (N, H, W, C) and (C_out, KH, KW,
C_in / groups). None of the conversions here is ever timed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlx_convt.layers import Layer

Array = npt.NDArray[Any]


class NotExpressible(Exception):
    """The library has no operation for this layer; not a failure."""


@dataclass(frozen=True)
class Task:
    """One layer's operands; `cotangent` has the output's shape."""

    layer: Layer
    x: Array
    w: Array
    cotangent: Array
    dtype: str
    gradients: bool
    threads: int


@dataclass(frozen=True)
class Variant:
    """A way to run the task: `call` is timed, `results` is not.

    `results` takes what `call` returned, and returns the output, or else the
    gradients with respect to the input and the weight.
    """

    name: str
    call: Callable[[], Any]
    results: Callable[[Any], list[Array]]


def channels_first(x: Array) -> Array:
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def channels_last(x: Array) -> Array:
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def input_major(w: Array, groups: int) -> Array:
    """(C_out, KH, KW, C_in / groups) as (C_in, C_out / groups, KH, KW)."""
    c_out, *kernel, per_group = w.shape
    split = w.reshape(groups, c_out // groups, *kernel, per_group)
    moved = split.transpose(0, 4, 1, 2, 3)
    return np.ascontiguousarray(
        moved.reshape(groups * per_group, c_out // groups, *kernel)
    )


def from_input_major(w: Array, groups: int) -> Array:
    """The inverse of `input_major`."""
    c_in, per_group, *kernel = w.shape
    split = w.reshape(groups, c_in // groups, per_group, *kernel)
    moved = split.transpose(0, 2, 3, 4, 1)
    return np.ascontiguousarray(
        moved.reshape(groups * per_group, *kernel, c_in // groups)
    )
