"""Which kernels MLX's Metal backend runs for a transposed convolution.

A model of conv_transpose of MLX 0.32.4, of Convolution::vjp and of the choices
in its Metal backend, to count work without a Mac. Where MLX's result is wrong
the work that it does is counted all the same:
- the input is cut by negative paddings in pixels before dilation, so a padding
  above dilation * (kernel - 1) is wrong at a stride above one;
- the input gradient has too few pixels where output_padding is above padding
  and the stride above one: what is negative is cut from the gradient instead
  of the cotangent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from mlx_conv import Conv, Work
from mlx_paths import run

__all__ = ["Work", "dispatch", "least_bytes", "useful"]


def useful(
    batch: int,
    spatial: Sequence[int],
    kernel: Sequence[int],
    c_in: int,
    c_out: int,
    groups: int,
) -> int:
    """Multiply-adds of any of the contractions, cropped taps included."""
    return (
        batch * math.prod(spatial) * math.prod(kernel) * c_in * c_out // groups
    )


def least_bytes(
    *,
    batch: int,
    spatial: Sequence[int],
    kernel: Sequence[int],
    c_in: int,
    c_out: int,
    stride: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    output_padding: Sequence[int],
    groups: int,
    itemsize: int = 4,
) -> int:
    """Both operands read and the result written once, in any contraction."""
    out = [
        (i - 1) * s - sum(p) + d * (k - 1) + extra + 1
        for i, k, s, p, d, extra in zip(
            spatial, kernel, stride, padding, dilation, output_padding
        )
    ]
    elems = batch * (math.prod(spatial) * c_in + math.prod(out) * c_out)
    elems += c_out * math.prod(kernel) * (c_in // groups)
    return elems * itemsize


def dispatch(
    rank: int,
    contraction: str,
    *,
    batch: int,
    spatial: Sequence[int],
    kernel: Sequence[int],
    c_in: int,
    c_out: int,
    stride: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    output_padding: Sequence[int],
    groups: int,
    itemsize: int = 4,
) -> Work:
    """What MLX does for the "output", the "input_grad" or the "weight_grad".

    Unequal paddings stand for a call of ``conv_general`` with ``flip=True``.
    """
    if rank == 3 and groups > 1:
        raise ValueError("[dispatch] MLX has no groups in three dimensions.")
    reach = [d * (k - 1) for d, k in zip(dilation, kernel)]
    whole = Conv(
        batch=batch,
        spatial=tuple(spatial),
        kernel=tuple(kernel),
        c_in=c_in,
        c_out=c_out,
        stride=(1,) * rank,
        padding=tuple(
            (r - low, r - high + extra)
            for r, (low, high), extra in zip(reach, padding, output_padding)
        ),
        kernel_dilation=tuple(dilation),
        input_dilation=tuple(stride),
        groups=groups,
        flip=True,
        itemsize=itemsize,
    )
    forward = _without_negative_padding(whole)
    if contraction == "output":
        return run(forward)
    if contraction == "weight_grad":
        return run(_weight_grad(forward, whole.spatial))
    work = run(_input_grad(forward))
    if forward.spatial == whole.spatial:
        return work
    # The gradient of the cut pastes what is left into zeros.
    return work.after(
        read=forward.input_bytes, written=whole.input_bytes, launches=2
    )


def _without_negative_padding(conv: Conv) -> Conv:
    cut = tuple(
        size + min(low, 0) + min(high, 0)
        for size, (low, high) in zip(conv.spatial, conv.padding)
    )
    if min(cut) < 1:
        raise ValueError("[dispatch] MLX has no input left after its padding.")
    shape = (conv.batch, *cut, conv.c_in)
    strides = _strides((conv.batch, *conv.spatial, conv.c_in))
    conv = replace(
        conv,
        spatial=cut,
        padding=tuple((max(p[0], 0), max(p[1], 0)) for p in conv.padding),
        input_strided=not _row_contiguous(shape, strides),
    )
    if min(conv.out) < 1:
        raise ValueError("[dispatch] MLX rejects an output without pixels.")
    return conv


def _input_grad(forward: Conv) -> Conv:
    groups, c, o = forward.groups, forward.c_per_group, forward.o_per_group
    padding = tuple(
        (max(d * (k - 1) - low, 0), max(d * (k - 1) - high, 0))
        for d, k, (low, high) in zip(
            forward.kernel_dilation, forward.kernel, forward.padding
        )
    )
    steps = _strides((groups, o, *forward.kernel, c))
    return Conv(
        batch=forward.batch,
        spatial=forward.out,
        kernel=forward.kernel,
        c_in=forward.c_out,
        c_out=forward.c_in,
        stride=forward.input_dilation,
        padding=padding,
        kernel_dilation=forward.kernel_dilation,
        input_dilation=forward.stride,
        groups=groups,
        flip=False,
        itemsize=forward.itemsize,
        weight_strided=not _row_contiguous(
            (groups, c, *forward.kernel, o),
            (steps[0], steps[-1], *steps[2:-1], steps[1]),
        ),
    )


def _weight_grad(forward: Conv, whole: tuple[int, ...]) -> Conv:
    """Input channels as the batch, the batch as channels, outputs as taps."""
    batch, groups, c = forward.batch, forward.groups, forward.c_per_group
    steps = _strides((batch, *whole, groups, c))
    out_steps = _strides((batch, *forward.out, forward.c_out))
    return Conv(
        batch=c,
        spatial=forward.spatial,
        kernel=forward.out,
        c_in=groups * batch,
        c_out=forward.c_out,
        stride=forward.kernel_dilation,
        padding=forward.padding,
        kernel_dilation=forward.stride,
        input_dilation=forward.input_dilation,
        groups=groups,
        flip=False,
        itemsize=forward.itemsize,
        input_strided=not _row_contiguous(
            (c, *forward.spatial, groups, batch),
            (steps[-1], *steps[1:-1], steps[0]),
        ),
        weight_strided=not _row_contiguous(
            (forward.c_out, *forward.out, batch),
            (out_steps[-1], *out_steps[1:-1], out_steps[0]),
        ),
    )


def _strides(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def _row_contiguous(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """As MLX's flag: the strides of axes of size one do not matter."""
    expected = _strides(shape)
    return all(
        size == 1 or step == want
        for size, step, want in zip(shape, strides, expected)
    )
