"""Convolutions made of slices and matrix products.

MLX's own have no float64 on the CPU. Here every tap is one product, of any
dtype, and gradients come from MLX's slices and products.
"""

import contextlib
import itertools

import mlx.core as mx

RANKS = (1, 2, 3)


def per_axis(value, rank):
    if hasattr(value, "__index__"):
        return (int(value),) * rank
    return tuple(map(int, value))


def dilate(x, steps):
    """Puts steps - 1 zeros between neighbours on each spatial axis."""
    for axis, step in enumerate(steps, 1):
        x = mx.expand_dims(x, axis + 1)
        widths = [(0, 0)] * x.ndim
        widths[axis + 1] = (0, step - 1)
        x = mx.pad(x, widths).flatten(axis, axis + 1)
        kept = x.shape[axis] - (step - 1)
        x = mx.split(x, [kept], axis)[0] if step > 1 else x
    return x


def taps(x, weight, strides, dilations, groups):
    """The sum over the taps that lie inside x, one product each."""
    n, *spatial, c_in = x.shape
    c_out, *kernel, _ = weight.shape
    window = list(zip(spatial, kernel, strides, dilations, strict=True))
    sizes = [(i - (k - 1) * d - 1) // s + 1 for i, k, s, d in window]
    weight = weight.reshape(groups, c_out // groups, *kernel, -1)
    total = 0
    for tap in itertools.product(*map(range, kernel)):
        where = [
            slice(t * d, t * d + (size - 1) * s + 1, s)
            for t, size, (_, _, s, d) in zip(tap, sizes, window, strict=True)
        ]
        rows = x[(slice(None), *where)].reshape(-1, groups, c_in // groups)
        rows = rows.swapaxes(0, 1)
        columns = weight[(slice(None), slice(None), *tap)].swapaxes(1, 2)
        total = total + rows @ columns
    return total.swapaxes(0, 1).reshape(n, *sizes, c_out)


def conv_general(
    input,
    weight,
    /,
    stride=1,
    padding=0,
    kernel_dilation=1,
    input_dilation=1,
    groups=1,
    flip=False,
):
    rank = input.ndim - 2
    stride, padding, kernel_dilation, input_dilation = (
        per_axis(value, rank)
        for value in (stride, padding, kernel_dilation, input_dilation)
    )
    if flip:
        axes = (slice(None, None, -1),) * rank
        weight = weight[(slice(None), *axes)]
    input = dilate(input, input_dilation)
    input = mx.pad(input, [(0, 0), *((p, p) for p in padding), (0, 0)])
    return taps(input, weight, stride, kernel_dilation, groups)


def conv(input, weight, /, stride=1, padding=0, dilation=1, groups=1):
    return conv_general(input, weight, stride, padding, dilation, 1, groups)


def conv_transpose(
    input,
    weight,
    /,
    stride=1,
    padding=0,
    dilation=1,
    output_padding=0,
    groups=1,
):
    """Every position spreads a copy of the kernel; then both ends are cut."""
    rank = input.ndim - 2
    kernel = weight.shape[1:-1]
    stride, padding, dilation, output_padding = (
        per_axis(value, rank)
        for value in (stride, padding, dilation, output_padding)
    )
    full = conv_general(
        input,
        weight,
        1,
        [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)],
        dilation,
        stride,
        groups,
        flip=True,
    )
    full = mx.pad(full, [(0, 0), *((0, e) for e in output_padding), (0, 0)])
    ends = zip(padding, full.shape[1:], strict=False)
    return full[(slice(None), *(slice(p, n - p) for p, n in ends))]


@contextlib.contextmanager
def plain_convolutions(transposed):
    """In the place of MLX's; of the transposed ones too, or not."""
    ours = {"conv_general": conv_general}
    for rank in RANKS:
        ours[f"conv{rank}d"] = conv
        if transposed:
            ours[f"conv_transpose{rank}d"] = conv_transpose
    own = {name: getattr(mx, name) for name in ours}
    for name, function in ours.items():
        setattr(mx, name, function)
    try:
        yield
    finally:
        for name, function in own.items():
            setattr(mx, name, function)
