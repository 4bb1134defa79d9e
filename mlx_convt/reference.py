"""Transposed convolution and its gradients in NumPy, float64, to check against.

Per spatial axis, with stride s, low padding p and dilation d::

    y[n, i*s - p + k*d, o] += x[n, i, c] * w[o, k, c]
    out = (in - 1)*s - (p_low + p_high) + d*(K - 1) + output_padding + 1

Output channel o of group g reads the ``C_in/groups`` input channels of group g.
The form is linear in each of x, w and y, so the three functions are one loop
over the kernel's taps; what is left of each tap is a matrix product per group.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Ints = int | Sequence[int]
Padding = int | Sequence[int | Sequence[int]]


def conv_transpose(
    input: npt.ArrayLike,
    weight: npt.ArrayLike,
    *,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    output_padding: Ints = 0,
    groups: int = 1,
    bias: npt.ArrayLike | None = None,
) -> Array:
    """Transposed convolution over any number of spatial axes.

    Args:
        input: Array of shape ``(N, *spatial, C_in)``.
        weight: Array of shape ``(C_out, *kernel, C_in/groups)``.
        stride: An int, or one per axis. Default: ``1``.
        padding: An int, or per axis an int or a ``(low, high)`` pair.
            Default: ``0``.
        dilation: An int, or one per axis. Default: ``1``.
        output_padding: An int, or one per axis. Default: ``0``.
        groups: Number of groups. Default: ``1``.
        bias: Array of shape ``(C_out,)``. Default: none.

    Returns:
        Array of shape ``(N, *out, C_out)``.
    """
    x, w = _float64(input), _float64(weight)
    axes = _axes(
        x.shape[1:-1],
        w.shape[1:-1],
        stride,
        padding,
        dilation,
        output_padding,
    )
    x, w = _split_channels(x, groups), _split_weight(w, groups)
    out = [axis.out for axis in axes]
    y = np.zeros((groups, x.shape[1], *out, w.shape[-1]))
    for tap, source, target in _taps(axes):
        y[target] += _per_pixel(x[source], w[tap])
    y = _join_channels(y)
    return y if bias is None else y + _float64(bias)


def input_grad(
    output_grad: npt.ArrayLike,
    weight: npt.ArrayLike,
    *,
    input_spatial: Ints,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    output_padding: Ints = 0,
    groups: int = 1,
) -> Array:
    """Gradient of ``sum(output_grad * conv_transpose(input, weight))``.

    Args:
        output_grad: Array of shape ``(N, *out, C_out)``.
        weight: Array of shape ``(C_out, *kernel, C_in/groups)``.
        input_spatial: The input's spatial sizes.

    The other arguments are those of :func:`conv_transpose`.

    Returns:
        Array of the input's shape, ``(N, *spatial, C_in)``.
    """
    y, w = _float64(output_grad), _float64(weight)
    kernel = w.shape[1:-1]
    spatial = _per_axis(input_spatial, len(kernel))
    axes = _axes(spatial, kernel, stride, padding, dilation, output_padding)
    _check_output(y, axes)
    y, w = _split_channels(y, groups), _split_weight(w, groups)
    x = np.zeros((groups, y.shape[1], *spatial, w.shape[-2]))
    for tap, source, target in _taps(axes):
        x[source] += _per_pixel(y[target], w[tap].swapaxes(-1, -2))
    return _join_channels(x)


def weight_grad(
    input: npt.ArrayLike,
    output_grad: npt.ArrayLike,
    *,
    kernel: Ints,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    output_padding: Ints = 0,
    groups: int = 1,
) -> Array:
    """Gradient of ``sum(output_grad * conv_transpose(input, weight))``.

    Args:
        input: Array of shape ``(N, *spatial, C_in)``.
        output_grad: Array of shape ``(N, *out, C_out)``.
        kernel: The weight's spatial sizes.

    The other arguments are those of :func:`conv_transpose`.

    Returns:
        Array of the weight's shape, ``(C_out, *kernel, C_in/groups)``.
    """
    x, y = _float64(input), _float64(output_grad)
    spatial = x.shape[1:-1]
    kernel = _per_axis(kernel, len(spatial))
    axes = _axes(spatial, kernel, stride, padding, dilation, output_padding)
    _check_output(y, axes)
    x, y = _split_channels(x, groups), _split_channels(y, groups)
    w = np.zeros((*kernel, groups, x.shape[-1], y.shape[-1]))
    for tap, source, target in _taps(axes):
        w[tap] = _pixels(x[source]).swapaxes(-1, -2) @ _pixels(y[target])
    return _join_weight(w)


def output_size(
    input_spatial: Sequence[int],
    kernel: Sequence[int],
    *,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    output_padding: Ints = 0,
) -> tuple[int, ...]:
    """Spatial sizes of the output, by the formula at the top."""
    axes = _axes(
        input_spatial, kernel, stride, padding, dilation, output_padding
    )
    return tuple(axis.out for axis in axes)


class _Axis(NamedTuple):
    size: int
    kernel: int
    stride: int
    low: int
    high: int
    dilation: int
    output_padding: int

    @property
    def out(self) -> int:
        return (
            (self.size - 1) * self.stride
            - (self.low + self.high)
            + self.dilation * (self.kernel - 1)
            + self.output_padding
            + 1
        )

    def reach(self, tap: int) -> tuple[slice, slice] | None:
        """The inputs whose product with `tap` is kept, and where it goes."""
        first = tap * self.dilation - self.low
        begin = max(0, -(first // self.stride))
        end = min(self.size, -((first - self.out) // self.stride))
        if begin >= end:
            return None
        start = first + begin * self.stride
        stop = first + (end - 1) * self.stride + 1
        return slice(begin, end), slice(start, stop, self.stride)


_Slices = tuple[slice, ...]


def _taps(
    axes: Sequence[_Axis],
) -> Iterator[tuple[tuple[int, ...], _Slices, _Slices]]:
    """Each tap with the slices it joins, for arrays (G, N, *spatial, C)."""
    every = (slice(None), slice(None))
    for tap in np.ndindex(*(axis.kernel for axis in axes)):
        reaches = [a.reach(k) for a, k in zip(axes, tap, strict=True)]
        kept = [reach for reach in reaches if reach is not None]
        if len(kept) == len(axes):
            source = tuple(reach[0] for reach in kept)
            target = tuple(reach[1] for reach in kept)
            yield tap, (*every, *source), (*every, *target)


def _per_pixel(array: Array, matrix: Array) -> Array:
    """(G, N, *spatial, A) times (G, A, B) is (G, N, *spatial, B)."""
    product = _pixels(array) @ matrix
    return product.reshape(*array.shape[:-1], matrix.shape[-1])


def _pixels(array: Array) -> Array:
    """(G, N, *spatial, C) as (G, pixels, C)."""
    groups, *pixels, channels = array.shape
    return array.reshape(groups, math.prod(pixels), channels)


def _split_channels(array: Array, groups: int) -> Array:
    """(N, *spatial, C) as (G, N, *spatial, C/G)."""
    *pixels, channels = array.shape
    split = array.reshape(*pixels, groups, channels // groups)
    return np.ascontiguousarray(np.moveaxis(split, -2, 0))


def _join_channels(array: Array) -> Array:
    groups, *pixels, channels = array.shape
    return np.moveaxis(array, 0, -2).reshape(*pixels, groups * channels)


def _split_weight(weight: Array, groups: int) -> Array:
    """(C_out, *kernel, C) as (*kernel, G, C, C_out/G)."""
    outputs, *kernel, channels = weight.shape
    split = weight.reshape(groups, outputs // groups, *kernel, channels)
    rank = len(kernel)
    return np.ascontiguousarray(np.moveaxis(split, (0, 1), (rank, -1)))


def _join_weight(split: Array) -> Array:
    *kernel, groups, channels, outputs = split.shape
    rank = len(kernel)
    joined = np.moveaxis(split, (rank, -1), (0, 1))
    return joined.reshape(groups * outputs, *kernel, channels)


def _axes(
    spatial: Sequence[int],
    kernel: Sequence[int],
    stride: Ints,
    padding: Padding,
    dilation: Ints,
    output_padding: Ints,
) -> list[_Axis]:
    rank = len(kernel)
    sides = (padding,) * rank if isinstance(padding, int) else padding
    pairs = [(p, p) if isinstance(p, int) else p for p in sides]
    return [
        _Axis(size, taps, s, low, high, d, extra)
        for size, taps, s, (low, high), d, extra in zip(
            spatial,
            kernel,
            _per_axis(stride, rank),
            pairs,
            _per_axis(dilation, rank),
            _per_axis(output_padding, rank),
            strict=True,
        )
    ]


def _per_axis(value: Ints, rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)


def _check_output(output_grad: Array, axes: Sequence[_Axis]) -> None:
    expected = tuple(axis.out for axis in axes)
    if output_grad.shape[1:-1] != expected:
        raise ValueError(
            "[reference] output_grad must have the spatial sizes of the output,"
            f" {expected}. Got {output_grad.shape[1:-1]}."
        )


def _float64(array: npt.ArrayLike) -> Array:
    return np.asarray(array, dtype=np.float64)
