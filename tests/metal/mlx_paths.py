"""Which kernel MLX's Metal backend takes for a convolution.

Follows conv_1D_gpu, dispatch_conv_2D_gpu and dispatch_conv_3D_gpu.
"""

from __future__ import annotations

import math
from dataclasses import replace

from mlx_conv import Conv, Work, round_up
from mlx_kernels import (
    depthwise_1d,
    depthwise_2d,
    explicit_gemm,
    implicit_gemm,
    implicit_gemm_general,
    winograd,
)


def run(conv: Conv) -> Work:
    undilated = set(conv.input_dilation) == {1}
    aligned = conv.c_per_group % 16 == 0 and _fits_columns(conv.o_per_group)
    if len(conv.kernel) == 3 and undilated and not aligned:
        return _padded_3d(conv)
    path = (_run_1d, _run_2d, _run_3d)[len(conv.kernel) - 1]
    return _with_copies(path(conv), conv)


def _with_copies(work: Work, conv: Conv) -> Work:
    if conv.input_strided:
        work = work.after(read=conv.input_bytes, written=conv.input_bytes)
    if conv.weight_strided:
        work = work.after(read=conv.weight_bytes, written=conv.weight_bytes)
    return work


def _fits_rows(channels: int) -> bool:
    return channels <= 4 or channels % 16 == 0


def _fits_columns(channels: int) -> bool:
    return channels <= 16 or channels % 16 == 0


def _run_1d(conv: Conv) -> Work:
    undilated = conv.input_dilation == (1,)
    plain = conv.stride == conv.kernel_dilation == (1,) and not conv.flip
    depthwise = conv.groups == conv.c_in == conv.c_out
    if undilated and depthwise and plain and conv.padding[0][0] == 0:
        return depthwise_1d(conv)
    c, o = conv.c_per_group, conv.o_per_group
    if undilated and (_fits_rows(c) or c == 8) and _fits_columns(o):
        ones = {
            name: (*getattr(conv, name), 1)
            for name in (
                "spatial",
                "kernel",
                "stride",
                "kernel_dilation",
                "input_dilation",
            )
        }
        return _run_2d(replace(conv, padding=(*conv.padding, (0, 0)), **ones))
    return explicit_gemm(conv)


def _run_2d(conv: Conv) -> Work:
    c, o = conv.c_per_group, conv.o_per_group
    undilated = conv.input_dilation == (1, 1)
    specialised = _fits_rows(c) and _fits_columns(o)
    dense = conv.kernel_dilation == (1, 1)
    if conv.groups > 1:
        if not undilated:
            return explicit_gemm(conv)
        if (
            c == o == 1
            and dense
            and max(conv.kernel) <= 7
            and max(conv.stride) <= 2
            and conv.c_in % 8 == 0
        ):
            return depthwise_2d(conv)
        # Eight channels have a kernel of their own, but only in groups.
        if specialised or (c == 8 and _fits_columns(o)):
            return implicit_gemm(conv)
        return explicit_gemm(conv)
    single = conv.stride == (1, 1)
    if (
        not conv.flip
        and single
        and dense
        and undilated
        and conv.kernel == (3, 3)
        and c % 32 == o % 32 == 0
        and conv.batch * math.prod(conv.spatial) >= 4096
        and c + o >= 256
    ):
        return winograd(conv)
    large = conv.rows >= 256
    if (
        undilated
        and single
        and large
        and not specialised
        and _fits_columns(o)
        and conv.taps >= 9
    ):
        return _padded_2d(conv)
    if undilated and specialised:
        return implicit_gemm(conv)
    if (c % 16 == 0 and o % 16 == 0) or large:
        return implicit_gemm_general(conv)
    return explicit_gemm(conv)


def _padded_2d(conv: Conv) -> Work:
    """pad_in_channels_conv_2D_gpu: a fill and a copy for each operand."""
    wide = replace(conv, c_in=round_up(conv.c_in, 16))
    work = implicit_gemm(wide).after(
        read=conv.input_bytes + conv.weight_bytes,
        written=wide.input_bytes + wide.weight_bytes,
        launches=4,
    )
    return replace(work, path=f"pad + {work.path}")


def _run_3d(conv: Conv) -> Work:
    if set(conv.input_dilation) != {1}:
        return explicit_gemm(conv)
    if (
        conv.batch == 1
        and conv.kernel[0] <= 7
        and conv.stride[0] == conv.kernel_dilation[0] == 1
        and conv.padding[0][0] == 0
    ):
        return _frames_3d(conv)
    return implicit_gemm(conv)


def _frames_3d(conv: Conv) -> Work:
    """small_kd_conv_3D_gpu: a plane of taps at a time, results added."""
    depth, frames = conv.kernel[0], conv.out[0]
    plane = replace(
        conv,
        batch=frames,
        spatial=conv.spatial[1:],
        kernel=conv.kernel[1:],
        stride=conv.stride[1:],
        padding=conv.padding[1:],
        kernel_dilation=conv.kernel_dilation[1:],
        input_dilation=conv.input_dilation[1:],
        input_strided=False,
        weight_strided=True,  # so flagged even where it is not
    )
    work = run(plane)
    sums = depth - 1
    return replace(
        work,
        path=f"{depth} x {work.path}",
        multiply_adds=depth * work.multiply_adds,
        bytes_read=depth * work.bytes_read + 2 * sums * conv.output_bytes,
        bytes_written=depth * work.bytes_written + sums * conv.output_bytes,
        launches=depth * work.launches + sums,
    )


def _padded_3d(conv: Conv) -> Work:
    """pad_and_slice_conv_3D_gpu; the pad makes strided operands contiguous."""
    wide = replace(
        conv, c_in=round_up(conv.c_in, 16), c_out=round_up(conv.c_out, 16)
    )
    work = implicit_gemm(wide)
    work = replace(work, path=f"pad + {work.path}")
    if wide.c_in == conv.c_in:
        work = _with_copies(work, replace(conv, weight_strided=False))
    else:
        work = work.after(
            read=conv.input_bytes, written=wide.input_bytes, launches=2
        )
    return work.after(
        read=conv.weight_bytes, written=wide.weight_bytes, launches=2
    )
