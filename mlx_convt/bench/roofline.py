"""The least that a layer costs on a machine, whatever the algorithm."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mlx_convt.layers import Layer


@dataclass(frozen=True)
class Demand:
    """Arithmetic that cannot be left out, and each array moved once.

    Taps that padding crops everywhere need not be read.
    """

    flops: int
    read_bytes: int
    write_bytes: int


@dataclass(frozen=True)
class Floor:
    """Least seconds for the arithmetic, and for moving the arrays."""

    compute: float
    memory: float

    @property
    def seconds(self) -> float:
        return max(self.compute, self.memory)

    @property
    def bound(self) -> str:
        """What binds: ``c`` for arithmetic, ``m`` for memory."""
        return "c" if self.compute >= self.memory else "m"


@dataclass(frozen=True)
class Reach:
    """Per axis or altogether, what meets an output that is not cropped."""

    pairs: int  # of input position and tap
    taps: int
    positions: int


def demand(layer: Layer, *, gradients: bool, itemsize: int) -> Demand:
    """Of the forward pass, or of forward and both gradients together.

    The gradients are two contractions more over the same pairs; with them,
    the cotangent is read too, and both gradients are written in full.
    """
    reached = reach(layer)
    matrix = layer.out_channels * layer.weight_shape[-1]
    flops = 2 * layer.batch * matrix * reached.pairs
    x = layer.batch * layer.in_channels * reached.positions
    read = x + matrix * reached.taps
    output = math.prod(layer.output_shape)
    if not gradients:
        return Demand(flops, itemsize * read, itemsize * output)
    written = math.prod(layer.input_shape) + math.prod(layer.weight_shape)
    return Demand(
        3 * flops, itemsize * (read + output), itemsize * (written + output)
    )


def reach(layer: Layer) -> Reach:
    """The products of what the axes have."""
    axes = [
        _axis(*numbers)
        for numbers in zip(
            layer.spatial,
            layer.output_shape[1:-1],
            layer.kernel,
            layer.stride,
            layer.padding,
            layer.dilation,
            strict=True,
        )
    ]
    return Reach(
        pairs=math.prod(axis.pairs for axis in axes),
        taps=math.prod(axis.taps for axis in axes),
        positions=math.prod(axis.positions for axis in axes),
    )


def _axis(
    size: int, out: int, kernel: int, stride: int, low: int, dilation: int
) -> Reach:
    pairs = taps = 0
    positions: set[int] = set()
    for k in range(kernel):
        # Tap k of position i lands at i*stride + offset.
        offset = k * dilation - low
        first = max(0, -(offset // stride))
        last = min(size - 1, (out - 1 - offset) // stride)
        pairs += max(0, last - first + 1)
        taps += first <= last
        positions.update(range(first, last + 1))
    return Reach(pairs, taps, len(positions))
