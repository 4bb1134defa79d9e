"""Work of the kernels that MLX's Metal backend has for convolutions.

Tiles of matrix products are those of chips whose architecture name ends in "s"
(Pro and Max), without neural accelerators. Every scratch buffer is taken to
fit in one allocation.
"""

from __future__ import annotations

import math
from dataclasses import replace

from mlx_conv import Conv, Work, round_up


def _tiled(
    path: str,
    tile: tuple[int, int, int, int, int],
    *,
    rows: int,
    cols: int,
    depth: int,
    executed_depth: int,
    itemsize: int,
    repeats: int = 1,
    b_transposed: bool = True,
) -> Work:
    """C[rows, cols] = A[rows, depth] B, in tiles of (bm, bn, bk, wm, wn)."""
    bm, bn, bk, wm, wn = tile
    tiles_m, tiles_n = -(-rows // bm), -(-cols // bn)
    pad = 16 // itemsize
    b_elems = bn * (bk + pad) if b_transposed else bk * (bn + pad)
    per_pass = rows * depth * tiles_n + cols * depth * tiles_m
    return Work(
        path=f"{path} bm{bm} bn{bn} bk{bk}",
        multiply_adds=repeats
        * (tiles_m * bm)
        * (tiles_n * bn)
        * executed_depth,
        bytes_read=repeats * per_pass * itemsize,
        bytes_written=repeats * rows * cols * itemsize,
        threadgroup_bytes=(bm * (bk + pad) + b_elems) * itemsize,
        threads_per_group=32 * wm * wn,
        groups=repeats * tiles_m * tiles_n,
        launches=1,
    )


def implicit_gemm(conv: Conv) -> Work:
    """implicit_gemm_conv_{2D,3D}_gpu: no input dilation, groups or not."""
    rank, c, o = len(conv.kernel), conv.c_per_group, conv.o_per_group
    long = conv.rows >= 8192 and c >= 64
    bm = 64 if long or (rank == 2 and c == 8) else 32
    bn = 64 if long or o >= 64 else 32
    tile = (bm, bn, 16, 2, 2) if o > 16 else (bm, 8, 16, 4, 1)
    path, executed = f"implicit_gemm_{rank}d", conv.taps * round_up(c, 16)
    if rank == 2 and (c <= 4 or c == 8):
        # Taps lie side by side in a slice; three channels take four places.
        path += f" c{c}"
        executed = round_up(conv.taps * (4 if c == 3 else c), 16)
    return _tiled(
        path,
        tile,
        rows=conv.rows,
        cols=o,
        depth=conv.taps * c,
        executed_depth=executed,
        itemsize=conv.itemsize,
        repeats=conv.groups,
    )


def phase_taps(conv: Conv, axis: int) -> list[int]:
    """Taps of each output phase of an axis, as the general kernel counts."""
    dilation, spread = conv.input_dilation[axis], conv.kernel_dilation[axis]
    stride, kernel = conv.stride[axis], conv.kernel[axis]
    step = math.lcm(dilation, spread) // spread
    sign = -1 if conv.flip else 1
    first = (kernel - 1) * spread if conv.flip else 0
    taps = []
    for phase in range(math.lcm(dilation, stride) // stride):
        at = phase * stride - conv.padding[axis][0] + first
        base = 0
        while base < kernel and (at + base * sign * spread) % dilation:
            base += 1
        taps.append(-(-(kernel - base) // step))
    return taps


def implicit_gemm_general(conv: Conv) -> Work:
    """implicit_gemm_conv_2D_general_gpu: one launch layer for each phase."""
    taps = [phase_taps(conv, axis) for axis in (0, 1)]
    phases = len(taps[0]) * len(taps[1])
    out = (-(-size // len(t)) for size, t in zip(conv.out, taps))
    rows = conv.batch * math.prod(out)
    bm = 64 if rows >= 8192 and conv.c_in >= 64 else 32
    bn = 64 if bm == 64 and conv.c_out >= 64 else 32
    used = sum(taps[0]) * sum(taps[1])
    work = _tiled(
        "implicit_gemm_2d_general",
        (bm, bn, 16, 2, 2),
        rows=rows,
        cols=conv.c_out,
        depth=used * conv.c_in,
        executed_depth=used * round_up(conv.c_in, 16),
        itemsize=conv.itemsize,
    )
    return replace(
        work, groups=work.groups * phases, bytes_written=conv.output_bytes
    )


def _matmul(
    rows: int, cols: int, depth: int, itemsize: int, *, repeats: int = 1
) -> Work:
    """steel_matmul of row-major A and transposed B, batches strided."""
    tiles = -(-rows // 16) * -(-cols // 16)
    slices = depth // 16
    split = repeats == 1 and tiles <= 2048 and slices >= 8
    sizes = {
        "rows": rows,
        "cols": cols,
        "depth": depth,
        "executed_depth": round_up(depth, 16),
        "itemsize": itemsize,
    }
    if not (split and depth >= max(rows, cols)):
        return _tiled("gemm", (64, 64, 16, 2, 2), repeats=repeats, **sizes)
    bm, bn = (16 if size < 40 else 32 for size in (rows, cols))
    wanted = slices // (-(-rows // 32) * -(-cols // 32))
    parts = min(max(2, 1 << max(wanted - 1, 0).bit_length()), 32)
    work = _tiled(f"gemm_splitk{parts}", (bm, bn, 16, 2, 2), **sizes)
    partial = 4 * parts * rows * cols  # float32 whatever the operands are
    return replace(
        work,
        bytes_read=work.bytes_read + partial,
        bytes_written=work.bytes_written + partial,
        groups=work.groups * parts,
        launches=2,
    )


def explicit_gemm(conv: Conv) -> Work:
    """explicit_gemm_conv_ND_gpu and its form for groups, zeros unfolded."""
    depth = conv.taps * conv.c_per_group
    unfolded = conv.rows * conv.taps * conv.c_in * conv.itemsize
    read, written, launches = conv.input_bytes, unfolded, 1
    if conv.groups > 1:
        # The weights are transposed for it, even where nothing moves; the
        # product is never split along its depth.
        read += conv.weight_bytes
        written += conv.weight_bytes
        launches += 1
        work = _tiled(
            "gemm_grouped",
            (64, 64, 16, 2, 2),
            rows=conv.rows,
            cols=conv.o_per_group,
            depth=depth,
            executed_depth=round_up(depth, 16),
            itemsize=conv.itemsize,
            repeats=conv.groups,
        )
    else:
        work = _matmul(conv.rows, conv.c_out, depth, conv.itemsize)
    work = replace(work, path=f"unfold + {work.path}")
    return work.after(read=read, written=written, launches=launches)


def depthwise_1d(conv: Conv) -> Work:
    """depthwise_conv_1d: a thread for each output element."""
    block = _block(conv.c_out, conv.out[0], conv.batch)
    blocks = [
        -(-size // b)
        for size, b in zip((conv.c_out, conv.out[0], conv.batch), block)
    ]
    taps = conv.kernel[0]
    pixels = conv.out[0] + blocks[1] * (taps - 1)
    elems = conv.batch * conv.c_in * pixels
    elems += conv.c_in * taps * blocks[1] * blocks[2]
    return Work(
        path="depthwise_1d",
        multiply_adds=conv.rows * conv.c_out * taps,
        bytes_read=elems * conv.itemsize,
        bytes_written=conv.output_bytes,
        threadgroup_bytes=0,
        threads_per_group=math.prod(block),
        groups=math.prod(blocks),
        launches=1,
    )


def _block(*sizes: int) -> tuple[int, ...]:
    """get_block_dims: powers of two no larger than the sizes, 1024 in all."""
    block = [1, 1, 1]
    while True:
        before = math.prod(block)
        for axis, size in enumerate(sizes):
            if size >= 2 * block[axis] and math.prod(block) < 1024:
                block[axis] *= 2
        if math.prod(block) in (before, 1024):
            return tuple(block)


def depthwise_2d(conv: Conv) -> Work:
    """depthwise_conv_2d: 4 x 8 outputs of 8 channels for a threadgroup."""
    span = math.prod(
        size * stride + taps - 1
        for size, stride, taps in zip((4, 8), conv.stride, conv.kernel)
    )
    groups = conv.c_in // 8 * -(-conv.out[1] // 8)
    groups *= -(-conv.out[0] // 4) * conv.batch
    return Work(
        path="depthwise_2d",
        multiply_adds=groups * 256 * conv.taps,
        bytes_read=groups * 8 * (span + conv.taps) * conv.itemsize,
        bytes_written=conv.output_bytes,
        threadgroup_bytes=14 * 22 * 8 * conv.itemsize,
        threads_per_group=256,
        groups=groups,
        launches=1,
    )


def winograd(conv: Conv) -> Work:
    """winograd_conv_2D_gpu, F(6x6, 3x3), for the whole batch at once."""
    c, o = conv.c_in, conv.c_out
    tiles = conv.batch * math.prod(-(-size // 6) for size in conv.out)
    padded = conv.batch * c
    for size, (low, _) in zip(conv.spatial, conv.padding):
        padded *= round_up(size + 2 * low - 2, 6) + 2
    work = _tiled(
        "winograd gemm",
        (64, 64, 16, 2, 2),
        rows=tiles,
        cols=o,
        depth=c,
        executed_depth=round_up(c, 16),
        itemsize=conv.itemsize,
        repeats=64,
        b_transposed=False,
    )
    # Two products of 8 x 8 matrices for each tile and channel.
    transforms = 2 * 8**3 * (c * o + tiles * c + tiles * o)
    size = conv.itemsize
    read = conv.weight_bytes + conv.input_bytes + 64 * tiles * (c + o) * size
    written = (64 * c * o + padded + 64 * tiles * c) * size
    work = replace(work, multiply_adds=work.multiply_adds + transforms)
    # Filter, zeros, input into them, input transform; output transform.
    return work.after(
        read=read, written=written + conv.output_bytes, launches=5
    )
