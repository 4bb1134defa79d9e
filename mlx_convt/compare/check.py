"""Errors against the float64 reference, and how large they may be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np
import numpy.typing as npt

from mlx_convt import reference
from mlx_convt.layers import Layer

Indices = npt.NDArray[np.int64]

# About a second of NumPy; a layer with more is checked on some channels.
WORK_BUDGET = 5e10

# A double moved by the reference costs as much as so many operations.
_WORK_PER_ELEMENT = 200


@dataclass(frozen=True)
class Operands:
    """The arrays of one layer; `cotangent` has the output's shape."""

    x: mx.array
    w: mx.array
    cotangent: mx.array


@dataclass(frozen=True)
class Expected:
    """Reference values of one result, for the elements at `index`."""

    name: str
    values: npt.NDArray[np.float64]
    index: tuple[Any, ...]
    tolerance: float

    def error(self, result: mx.array | npt.NDArray[Any]) -> float:
        """Largest error over largest value; NaN counts as infinite."""
        values = to_numpy(result)[self.index]
        scale = float(np.max(np.abs(self.values))) or 1.0
        error = float(np.max(np.abs(values - self.values))) / scale
        return error if math.isfinite(error) else math.inf


@dataclass(frozen=True)
class Channels:
    """The channels to check: `outputs` and `inputs` of each of `groups`."""

    groups: Indices
    outputs: Indices
    inputs: Indices


def choose_channels(layer: Layer, seed: int = 0) -> Channels:
    """All channels, or a random choice where all would take too long."""
    rng = np.random.default_rng(seed)
    keep = min(1.0, WORK_BUDGET / _work(layer))

    def choose(count: int) -> Indices:
        some = max(1, math.ceil(count * keep))
        return np.sort(rng.permutation(count)[:some])

    groups = choose(layer.groups)
    keep = min(1.0, keep * layer.groups / len(groups))
    return Channels(
        groups=groups,
        outputs=choose(layer.out_channels // layer.groups),
        inputs=choose(layer.in_channels // layer.groups),
    )


def checked_fraction(layer: Layer, channels: Channels) -> float:
    """The part of the output's channels that is checked."""
    count = len(channels.groups) * len(channels.outputs)
    return count / layer.out_channels


def expected_output(
    layer: Layer, operands: Operands, channels: Channels
) -> Expected:
    inputs, outputs = _every_channel(layer, channels)
    some_outputs = outputs[:, channels.outputs].ravel()
    values = reference.conv_transpose(
        to_numpy(operands.x)[..., inputs.ravel()],
        to_numpy(operands.w)[some_outputs],
        **_arguments(layer, channels),
    )
    terms = layer.weight_shape[-1] * _taps_per_output(layer)
    return Expected(
        "output",
        values,
        (..., some_outputs),
        tolerance(operands.x.dtype, terms),
    )


def expected_gradients(
    layer: Layer, operands: Operands, channels: Channels
) -> list[Expected]:
    inputs, outputs = _every_channel(layer, channels)
    some_inputs = inputs[:, channels.inputs].ravel()
    some_outputs = outputs[:, channels.outputs].ravel()
    x, w = to_numpy(operands.x), to_numpy(operands.w)
    cotangent = to_numpy(operands.cotangent)
    dtype = operands.x.dtype
    x_grad = reference.input_grad(
        cotangent[..., outputs.ravel()],
        w[outputs.ravel()][..., channels.inputs],
        input_spatial=layer.spatial,
        **_arguments(layer, channels),
    )
    w_grad = reference.weight_grad(
        x[..., some_inputs],
        cotangent[..., some_outputs],
        kernel=layer.kernel,
        **_arguments(layer, channels),
    )
    x_terms = outputs.shape[1] * math.prod(layer.kernel)
    w_terms = layer.batch * math.prod(layer.spatial)
    w_index = (some_outputs[:, None], ..., channels.inputs[None, :])
    return [
        Expected(
            "input gradient",
            x_grad,
            (..., some_inputs),
            tolerance(dtype, x_terms),
        ),
        Expected(
            "weight gradient",
            np.moveaxis(w_grad, -1, 1),
            w_index,
            tolerance(dtype, w_terms),
        ),
    ]


def tolerance(dtype: mx.Dtype, terms: int) -> float:
    """Relative error that rounding explains for sums of `terms` products.

    Random rounding errors of a running sum grow as the square root of its
    length; a half-precision result is rounded once more when stored.
    """
    accumulator = mx.float64 if dtype == mx.float64 else mx.float32
    stored = float(mx.finfo(dtype).eps)
    summed = float(mx.finfo(accumulator).eps)
    return 2 * stored + 2 * summed * math.sqrt(terms)


def to_numpy(array: mx.array | npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    # NumPy has no such type.
    if isinstance(array, mx.array) and array.dtype == mx.bfloat16:
        array = array.astype(mx.float32, stream=mx.cpu)
    return np.array(array).astype(np.float64)


def _work(layer: Layer) -> float:
    positions = math.prod(layer.input_shape[:-1]) * math.prod(layer.kernel)
    moved = positions * (layer.in_channels + layer.out_channels)
    return layer.flops + _WORK_PER_ELEMENT * moved


def _taps_per_output(layer: Layer) -> int:
    return math.prod(
        math.ceil(k / (s // math.gcd(s, d)))
        for k, s, d in zip(
            layer.kernel, layer.stride, layer.dilation, strict=True
        )
    )


def _every_channel(layer: Layer, channels: Channels) -> tuple[Indices, Indices]:
    """Input and output channels of the chosen groups, one row per group."""
    inputs = np.arange(layer.in_channels).reshape(layer.groups, -1)
    outputs = np.arange(layer.out_channels).reshape(layer.groups, -1)
    return inputs[channels.groups], outputs[channels.groups]


def _arguments(layer: Layer, channels: Channels) -> Mapping[str, Any]:
    return {**layer.arguments, "groups": len(channels.groups)}
