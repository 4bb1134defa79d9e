"""Work of the kernels of WeightGrad; see work.py for the model."""

import math

import numpy as np
from work_correlation import Cost, distinct, up


def split_sizes(p):
    first = p.split_pixels * np.arange(p.splits)
    return np.minimum(p.split_pixels, p.pixels - first)


def result_bytes(launch):
    """Of dw, or of the float32 sums of each split."""
    p = launch.p
    size = launch.itemsize if p.splits == 1 else 4 * p.splits
    return p.elements * size


def weight_grad(launch):
    p, tile = launch.p, launch.defines
    groups = p.c_out // p.group_out
    rows = math.prod(p.window) * p.group_out
    slices = int(up(split_sizes(p), 8).sum())
    products = up(rows, 8) * up(p.group_in, 8) * slices * groups
    a = rows * up(p.group_in, tile["CT_BN"])
    b = p.group_in * up(rows, tile["CT_BM"])
    read = (a + b) * p.pixels * groups * launch.itemsize
    return Cost(512 * products, read, result_bytes(launch))


def meetings(p, axis):
    """Pairs of a tap and an input pixel of an axis that meet one of y."""
    pixel = np.arange(getattr(p, "in")[axis]) * p.stride[axis] - p.padding[axis]
    tap = np.arange(p.window[axis]) * p.dilation[axis]
    y = pixel[:, None] + tap
    return int(((y >= 0) & (y < p.out[axis])).sum())


def weight_grad_direct(launch):
    p = launch.p
    pairs = math.prod(meetings(p, axis) for axis in range(3))
    products = p.batch * pairs * p.c_out * p.group_in
    index = np.arange(p.elements)
    taps = math.prod(p.window)
    if p.output_first:
        rest, output = index // p.c_out, index % p.c_out
        tap, inner = rest // p.group_in, rest % p.group_in
    else:
        rest, inner = index // p.group_in, index % p.group_in
        output, tap = rest // taps, rest % taps
    values = 32 if launch.defines["CT_ALONG_PIXELS"] else 1
    block = index // (launch.threads // values)
    x = output // p.group_out * p.group_in + inner
    series = len(distinct((block * taps + tap) * p.c_out + output))
    series += len(distinct(block * p.c_in + x))
    read = series * p.pixels * launch.itemsize
    return Cost(products, read, result_bytes(launch))


def sum_splits(launch):
    p = launch.p
    read = 4 * p.splits * p.elements
    return Cost(0, read, p.elements * launch.itemsize)
