"""The same operation, built from MLX's own operations.

``mx.export_function`` cannot serialise a primitive from outside MLX. Neither
is ``mx.conv_general`` of use: it has no float64, its gradients are wrong where
the two paddings of an axis differ, and mapping over the weights alone mixes up
the groups. A matrix product and shifted sums have none of these limits.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar

import mlx.core as mx

from mlx_convt import _ext
from mlx_convt._arguments import StreamOrDevice

_active: ContextVar[bool] = ContextVar("mlx_convt.native_ops", default=False)


@contextmanager
def native_ops() -> Iterator[None]:
    """Build transposed convolutions from MLX's own operations.

    Inside this context the functions of ``mlx_convt`` take the same arguments,
    refuse the same ones and return the same results, but their graphs hold
    nothing that MLX does not know by itself. So ``mx.export_function`` can
    write them to a file, which then runs without ``mlx_convt``. The price is
    speed, and memory for the product of every input position with every
    kernel tap.

    The graph is one for the shapes at hand: exported or compiled with
    ``shapeless=True`` it is wrong for others.

    What counts is where an operation is built, not where it is evaluated: a
    function that ``mx.compile`` has already traced stays as it was. The
    context holds for the current thread or asynchronous task.

    Example:
        >>> with mlx_convt.native_ops():
        ...     mx.export_function("decoder.mlxfn", decoder, x)
    """
    token = _active.set(True)
    try:
        yield
    finally:
        _active.reset(token)


def active() -> bool:
    return _active.get()


def conv_transpose(
    input: mx.array,
    weight: mx.array,
    bias: mx.array | None,
    stride: list[int],
    padding_lo: list[int],
    padding_hi: list[int],
    dilation: list[int],
    output_padding: list[int],
    groups: int,
    stream: StreamOrDevice = None,
) -> mx.array:
    """What ``_ext.conv_transpose`` returns, and raises, for the same call."""
    batch, *out, c_out = _ext.output_shape(
        input,
        weight,
        bias,
        stride,
        padding_lo,
        padding_hi,
        dilation,
        output_padding,
        groups,
    )
    operands = [input, weight] if bias is None else [input, weight, bias]
    dtype = mx.result_type(*operands)
    spatial, kernel = input.shape[1:-1], weight.shape[1:-1]
    pixels, taps = math.prod(spatial), math.prod(kernel)
    group_in, group_out = weight.shape[-1], c_out // groups

    with nullcontext() if stream is None else mx.stream(stream):
        # Sums of half-precision terms are rounded once, at the end.
        wide = mx.float64 if dtype == mx.float64 else mx.float32
        x = input.astype(wide).reshape(batch * pixels, groups, group_in)
        w = weight.astype(wide).reshape(groups, group_out, taps, group_in)
        w = w.transpose(0, 3, 2, 1).reshape(groups, group_in, taps * group_out)
        y = x.swapaxes(0, 1) @ w
        y = y.reshape(groups * batch, *spatial, *kernel, group_out)
        # Each axis in its turn finds its taps right behind the spatial axes.
        for axis, (s, d, lo, size) in enumerate(
            zip(stride, dilation, padding_lo, out, strict=True)
        ):
            y = _overlap_add(y, 1 + axis, 1 + len(out), s, d, lo, size)
        y = y.reshape(groups, batch, *out, group_out)
        y = mx.moveaxis(y, 0, -2).reshape(batch, *out, c_out)
        # The gradient of an empty sum would be anything in MLX.
        if bias is not None and y.size:
            y = y + bias.astype(wide)
        return y.astype(dtype)


def _overlap_add(
    y: mx.array,
    axis: int,
    tap_axis: int,
    stride: int,
    dilation: int,
    start: int,
    size: int,
) -> mx.array:
    """Add tap k of position i to position i*stride + k*dilation - start.

    Removes `tap_axis`; `axis` then has `size` positions.
    """
    shape = y.shape
    before, between = shape[:axis], shape[axis + 1 : tap_axis]
    after, positions = shape[tap_axis + 1 :], shape[axis]
    a, b, c = math.prod(before), math.prod(between), math.prod(after)
    taps = shape[tap_axis]
    reach = dilation * (taps - 1) + 1
    blocks = -(-reach // stride)

    # Spread the taps and cut them into blocks of one stride: block j of
    # position i then lands on block i + j of the result.
    y = _window(y.reshape(a, positions, b, taps, 1, c), 4, 0, dilation)
    y = y.reshape(a, positions, b, taps * dilation, c)
    y = _window(y, 3, 0, blocks * stride)
    y = y.reshape(a, positions, b, blocks, stride, c)
    shifted = [
        _window(y[:, :, :, j], 1, -j, positions + blocks - 1)
        for j in range(blocks)
        if -j * stride % dilation < stride  # else the spread left only zeros
    ]
    y = functools.reduce(operator.add, shifted)
    y = y.swapaxes(2, 3).reshape(a, y.shape[1] * stride, b, c)
    return _window(y, 1, start, size).reshape(*before, size, *between, *after)


def _window(y: mx.array, axis: int, start: int, size: int) -> mx.array:
    """Entries start to start + size of an axis that zeros continue."""
    stop, length = start + size, y.shape[axis]
    index = [slice(None)] * y.ndim
    index[axis] = slice(min(max(start, 0), length), min(max(stop, 0), length))
    widths = [(0, 0)] * y.ndim
    low = min(max(-start, 0), size)
    y = y[tuple(index)]
    widths[axis] = (low, size - low - y.shape[axis])
    return y if widths[axis] == (0, 0) else mx.pad(y, widths)
