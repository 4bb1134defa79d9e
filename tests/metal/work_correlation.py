"""Work of the kernels of Output and InputGrad; see work.py for the model."""

import itertools
import math
from collections import Counter
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Cost:
    """Of one launch; bytes are those of buffers."""

    multiply_adds: int
    read: int
    written: int


@dataclass(frozen=True)
class Kind:
    """What matters of an AxisClass: many phases of an axis are alike."""

    positions: int
    taps: int
    first_offset: int


def up(a, b):
    return -(-a // b)


def distinct(keys):
    """np.unique, which takes ten times as long for millions of keys."""
    keys = np.sort(keys)
    return keys[np.diff(keys, prepend=keys[:1] - 1) != 0]


def axis_classes(launch, axis):
    start = launch.p.class_start[axis]
    return launch.table("classes")[start : start + launch.p.classes[axis]]


def kinds_of(launch):
    """All classes: a Kind of each axis, and how many are the same."""
    counted = [
        Counter(
            Kind(one.positions, one.taps, one.first_offset)
            for one in axis_classes(launch, axis)
        )
        for axis in range(3)
    ]
    for alike in itertools.product(*(kinds.items() for kinds in counted)):
        kinds, counts = zip(*alike)
        yield kinds, math.prod(counts)


def rows_of(kinds, p):
    return p.batch * math.prod(kind.positions for kind in kinds)


def positions_of(rows, kinds, p):
    """The images of rows, and their positions on each axis."""
    if p.batch_first:
        image, rows = rows % p.batch, rows // p.batch
    at = []
    for kind in reversed(kinds):
        at.append(rows % kind.positions)
        rows = rows // kind.positions
    return (image if p.batch_first else rows), at[::-1]


def source_of(at, kind, axis, p):
    """Source pixels by position and tap, and whether they exist."""
    offsets = kind.first_offset + p.offset_step[axis] * np.arange(kind.taps)
    pixels = at[:, None] * p.source_step[axis] + offsets
    return pixels, (pixels >= 0) & (pixels < p.source[axis])


def live_taps(first, last, kinds, p):
    """Taps that tiles of rows [first, last] do not leave out."""
    image, least = positions_of(first, kinds, p)
    last_image, most = positions_of(last, kinds, p)
    same = (image == last_image) | bool(p.batch_first)
    live = np.ones_like(first)
    for axis, kind in enumerate(kinds):
        low = np.where(same, least[axis], 0)
        high = np.where(same, most[axis], kind.positions - 1)
        same &= least[axis] == most[axis]
        reaches = source_of(low, kind, axis, p)[0] < p.source[axis]
        reaches &= source_of(high, kind, axis, p)[0] >= 0
        taps = np.arange(kind.taps)
        begin = np.where(reaches, taps, kind.taps).min(1, initial=kind.taps)
        end = np.where(reaches, taps + 1, 0).max(1, initial=0)
        live *= np.maximum(end - begin, 0)
    return live


def correlate(launch):
    p, tile = launch.p, launch.defines
    groups = p.source_channels // p.group_source
    products = elems = 0
    for kinds, alike in kinds_of(launch):
        rows = rows_of(kinds, p)
        first = np.arange(0, rows, tile["CT_BM"])
        tall = np.minimum(tile["CT_BM"], rows - first)
        reduction = p.reduction
        if p.gathered:
            reduction = p.group_source * math.prod(k.taps for k in kinds)
            live = np.ones_like(first)
        else:
            live = live_taps(first, first + tall - 1, kinds, p)
        alike *= groups
        matrices = int((live * up(tall, 8)).sum()) * up(p.columns, 8)
        products += alike * matrices * up(reduction, 8)
        depth = up(reduction, tile["CT_BK"]) * tile["CT_BK"]
        depth = min(depth, p.padded_reduction)
        a = int((live * tall).sum()) * reduction * up(p.columns, tile["CT_BN"])
        b = int(live.sum()) * depth * p.padded_columns
        elems += alike * (a + b)
    return Cost(512 * products, elems * launch.itemsize, result_bytes(launch))


def result_bytes(launch):
    p = launch.p
    elements = p.batch * math.prod(p.result) * p.result_channels
    # Partial sums are float32.
    return elements * (4 * p.splits if p.splits > 1 else launch.itemsize)


def met(kinds, p):
    """Whether rows meet a pixel, by row and tap, and which."""
    image, at = positions_of(np.arange(rows_of(kinds, p)), kinds, p)
    pixel = image[:, None]
    live = np.ones_like(pixel, bool)
    for axis, kind in enumerate(kinds):
        there, inside = source_of(at[axis], kind, axis, p)
        pixel = pixel[:, :, None] * p.source[axis] + there[:, None, :]
        live = live[:, :, None] & inside[:, None, :]
        pixel, live = (a.reshape(len(image), -1) for a in (pixel, live))
    return live, pixel


def pixels_read(live, pixel, block):
    """The pixels that blocks of rows meet; a block reads each once."""
    blocks = np.broadcast_to(
        np.arange(len(pixel))[:, None] // block, live.shape
    )
    size = int(pixel.max(initial=0)) + 1
    return len(distinct(blocks[live] * size + pixel[live]))


def few_columns(launch):
    p, columns = launch.p, launch.defines["CT_COLUMNS"]
    ((kinds, _),) = kinds_of(launch)
    live, pixel = met(kinds, p)
    reached = [mask.bit_count() for mask in launch.table("masks")]
    products = int((live.sum(0) * reached).sum()) * p.reduction
    block = launch.threads * launch.defines["CT_ROWS"]
    source = pixels_read(live, pixel, block) * p.source_channels
    first = np.arange(0, len(live), block)
    taps = int(np.logical_or.reduceat(live, first, axis=0).sum())
    weights = taps * p.reduction * columns
    read = (source + weights) * launch.itemsize
    return Cost(products, read, result_bytes(launch))


def few_rows(launch):
    p = launch.p
    groups = p.source_channels // p.group_source
    products = elems = 0
    for kinds, alike in kinds_of(launch):
        live, pixel = met(kinds, p)
        alike *= groups
        products += alike * int(live.sum()) * p.reduction * p.columns
        weights = int(live.any(0).sum()) * p.reduction * p.columns
        pixels = pixels_read(live, pixel, len(live)) * launch.grid[0]
        elems += alike * (weights + pixels * p.reduction)
    return Cost(products, elems * launch.itemsize, result_bytes(launch))


def lanes(launch):
    p = launch.p
    live = []
    for axis in range(3):
        live.append(0)
        for one in axis_classes(launch, axis):
            at = np.arange(one.positions)
            live[-1] += int(source_of(at, one, axis, p)[1].sum())
    channels = p.result_channels * p.reduction
    products = p.batch * math.prod(live) * channels
    read = p.batch * live[0] * live[1] * lanes_line(launch)
    return Cost(products, read * launch.itemsize, result_bytes(launch))


def lanes_line(launch):
    """Elements read for one line of the result and one line of the source."""
    p = launch.p
    line = p.result[2] * p.result_channels
    first = np.arange(0, line, launch.threads)
    count = np.minimum(launch.threads, line - first)
    x = first[:, None] // p.result_channels
    x = x + np.arange(launch.threads // p.result_channels + 2)
    is_own = x <= ((first + count - 1) // p.result_channels)[:, None]
    pixels, taps = [], []
    for index, one in enumerate(axis_classes(launch, 2)):
        block, column = np.nonzero(is_own & (x % p.classes[2] == index))
        at = x[block, column] // p.classes[2]
        pixel, inside = source_of(at, one, 2, p)
        tap = one.first_tap + p.tap_step[2] * np.arange(one.taps)
        block = np.broadcast_to(block[:, None], inside.shape)[inside]
        pixels.append(block * p.source[2] + pixel[inside])
        tap = np.broadcast_to(tap, inside.shape)[inside]
        taps.append(block * p.window[2] + tap)
    # The channels are a run that begins anywhere and ends by wrapping around.
    results = np.minimum(count, p.result_channels)
    groups = up(first % p.group_result + results, p.group_result)
    groups = np.minimum(groups, p.result_channels // p.group_result)
    per_block = len(first)

    def blocks(keys, size):
        found = distinct(np.concatenate(keys)) // size
        return np.bincount(found, minlength=per_block)

    source = blocks(pixels, p.source[2]) * groups * p.group_source
    weights = blocks(taps, p.window[2]) * results * p.reduction
    return int(source.sum() + weights.sum())


def pack_weights(launch):
    p, blocks = launch.p, launch.grid[2]
    taps = np.array(launch.table("taps"))
    taps = taps[taps >= 0]
    reached = 1
    for size, fold, index in zip(
        p.window,
        p.fold,
        (
            taps // p.window[2] // p.window[1],
            taps // p.window[2] % p.window[1],
            taps % p.window[2],
        ),
    ):
        reached = reached * np.minimum(fold, size - index)
    elems = int(reached.sum()) * p.channels * p.group_columns
    read = elems * (blocks // p.slots)
    written = blocks * p.padded_rows * p.padded_columns
    return Cost(0, read * launch.itemsize, written * launch.itemsize)
