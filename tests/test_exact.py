"""Small integers, whose sums are exact in the dtype, through every algorithm.

Nothing is approximate here: one wrong tap, phase, edge, group or tile shows as
a cell that differs. The sizes lie around those of the code: tiles of 14 or 6
rows and 8, 16 or 32 columns, blocks of 112 rows, 512 columns, lanes of 2 to 16
channels, 256 along a reduction, maps of up to 64 positions as one.
"""

import functools
import itertools
import math
import zlib

import mlx.core as mx
import numpy as np
import pytest
from helpers import (
    CONTRACTIONS,
    DIGITS,
    DTYPES,
    assert_equal,
    contract,
    draw_integers,
    eligible,
    forced,
    oracle,
    to_mlx,
    to_numpy,
)
from helpers import make_geometry as geo

from mlx_convt import _ext

ALGORITHMS = ("auto", *_ext.algorithms())
ROWS = (1, 13, 14, 15, 111, 112, 113)
COLUMNS = (1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 65)


def rows_and_columns():
    for rows, columns in itertools.product(ROWS, COLUMNS):
        yield geo((rows,), 3, 3, columns, stride=2, padding=1)
    for rows, columns in zip(ROWS, COLUMNS, strict=False):
        yield geo((2, rows), (3, 2), 2, columns, stride=(1, 2))
        yield geo((rows, 3), 1, 4, columns)
    for columns in COLUMNS:
        yield geo((5, 6), 4, columns, 3, stride=2, padding=1)
        yield geo((4, 3), (2, 3), columns, columns, batch=2)


def deep_reductions():
    for channels in (255, 256, 257):
        yield geo((3, 4), 1, channels, 9)
        yield geo((3, 4), 1, 9, channels)
        yield geo((4, 3), 3, channels, 17, stride=2, padding=1)
        yield geo((3, 2), 4, 8, channels, stride=2, padding=1)
        yield geo((channels,), 2, 3, 5, stride=2)
        yield geo((2, channels), 2, 9, 2, padding=1)
    yield geo((1, 1), 4, 515, 33)
    yield geo((70, 71), 3, 3, 5, stride=2, padding=1)
    yield geo((1025,), 5, 4, 3, batch=3, stride=3)


def wide_results():
    for columns in (63, 64, 127, 128, 511, 512, 513, 1030):
        yield geo((2, 3), 2, 3, columns, stride=2)
        yield geo((2, 3), 2, columns, 3, stride=2)
    yield geo((3, 2), 2, 257, 258, stride=2)
    yield geo((40, 40), 2, 3, 66, stride=2)


def maps_walked_batch_first():
    for spatial in ((7, 9), (8, 8), (5, 13), (1, 64), (65,), (4, 4, 4)):
        for batch in (2, 3, 17):
            yield geo(spatial, 3, 4, 5, batch=batch, padding=1)
            yield geo(spatial, 2, 2, 3, batch=batch, stride=2)


def grouped():
    for groups, width in itertools.product((2, 3), (1, 3, 8, 16, 17)):
        yield geo(
            (4, 5),
            3,
            groups * width,
            groups * (width + 1),
            stride=2,
            padding=1,
            groups=groups,
        )
        yield geo((7,), 2, groups * width, groups, batch=2, groups=groups)
    yield geo((3, 2, 4), 2, 6, 9, stride=(1, 2, 1), groups=3, batch=2)


def depthwise():
    for channels in (1, 2, 7, 8, 9, 16, 31, 33, 63, 64, 65, 129):
        for multiplier in (1, 2, 3):
            yield geo(
                (5, 6),
                (3, 4),
                channels,
                channels * multiplier,
                stride=2,
                padding=(1, 2),
                groups=channels,
            )
    for s, k, d in itertools.product((1, 2, 3), (1, 2, 3, 5), (1, 2, 3)):
        yield geo((6, 5), (k, 3), 5, 5, stride=(s, 2), dilation=d, groups=5)
    yield geo((113,), 4, 17, 17, stride=2, padding=1, groups=17, batch=3)
    yield geo((3, 4, 5), 3, 8, 8, stride=(2, 1, 3), groups=8)
    yield geo((6, 7), 3, 9, 9, dilation=(2, 3), padding=2, groups=9)


def stride_kernel_dilation():
    for s, k, d in itertools.product(range(1, 5), range(1, 6), range(1, 6)):
        reach = d * (k - 1)
        pad = ((k + s) % (reach + 1) // 2, (k * d) % (reach + 1) // 2)
        extra = (k + d) % max(s, d)
        yield geo(
            (6,),
            k,
            3,
            5,
            stride=s,
            dilation=d,
            padding=(pad,),
            output_padding=extra,
        )
        yield geo((4, 5), (k, 2), 2, 3, stride=(s, 2), dilation=(d, 1))
        yield geo((3, 4), (2, k), 3, 2, stride=(3, s), dilation=(1, d))
    for strides in itertools.permutations((1, 2, 3)):
        yield geo((3, 4, 2), (2, 3, 4), 3, 4, stride=strides)
        yield geo((2, 3, 4), (3, 2, 1), 2, 3, stride=2, dilation=strides)


def few_channels():
    widths = (1023, 1024, 1025, 2049)
    for width, c_in, c_out in zip(widths, (1, 2, 3, 4), (4, 3, 1, 1)):
        yield geo((width,), 5, c_in, c_out, padding=2)
        yield geo((2, width), 2, c_out, c_in, dilation=(1, 3))
    for width, stride in ((511, 2), (512, 2), (513, 2), (341, 3), (342, 3)):
        yield geo((width,), 4, 2, 3, stride=stride, padding=1)
        yield geo((3, width), 3, 1, 1, stride=stride, batch=2)
    for c_in, c_out in itertools.product(range(1, 6), range(1, 6)):
        yield geo((9, 17), 3, c_in, c_out, stride=2, padding=1, batch=2)
        yield geo((2, 3, 5), (2, 3, 4), c_in, c_out, stride=(2, 1, 3))


def far_padding():
    yield geo((9, 8), 3, 3, 4, padding=4)
    yield geo((6, 5), 2, 4, 9, stride=2, padding=((3, 0), (0, 4)))
    yield geo((9,), 3, 5, 3, stride=3, padding=((7, 12),))
    yield geo((9,), 1, 5, 3, stride=4, padding=3)
    yield geo((5, 4, 5), 2, 2, 3, stride=2, padding=((2, 3), (0, 1), (4, 0)))
    yield geo((8,), 3, 2, 2, stride=2, dilation=5, padding=((12, 11),))


def output_paddings():
    for extra in range(4):
        yield geo((4, 5), 3, 3, 4, stride=4, output_padding=(extra, 3 - extra))
        yield geo((6,), 2, 4, 3, stride=4, output_padding=extra)
        yield geo((6,), 2, 4, 3, dilation=4, output_padding=extra)
    yield geo((3, 3), 1, 3, 17, stride=3, padding=1, output_padding=2)
    yield geo((2, 3, 4), 2, 2, 3, stride=(2, 3, 4), output_padding=(1, 2, 3))


def single_pixels():
    for kernel, stride in ((1, 1), (2, 2), (4, 1), (4, 2), (5, 3)):
        yield geo((1, 1), kernel, 33, 17, stride=stride)
        yield geo((1, 1, 1), kernel, 3, 9, stride=stride, batch=2)
    yield geo((1,), 7, 5, 8, stride=4, padding=((2, 3),))


def batches():
    for batch in (0, 1, 2, 13, 14, 15, 32, 33):
        yield geo((2, 3), 2, 4, 9, batch=batch, stride=2)
        yield geo((1,), 3, 8, 17, batch=batch)


FAMILIES = {
    family.__name__: tuple(family())
    for family in (
        rows_and_columns,
        deep_reductions,
        wide_results,
        maps_walked_batch_first,
        grouped,
        depthwise,
        stride_kernel_dilation,
        few_channels,
        far_padding,
        output_paddings,
        single_pixels,
        batches,
    )
}


def integers(rng, shape, dtype, terms):
    """Integers of which the sum of `terms` products is exact in dtype."""
    limit = 2 ** DIGITS[dtype]
    largest = min(31, math.isqrt(limit // max(terms, 1)))
    signs = rng.choice((-1, 1), shape)
    if largest:
        return signs * rng.integers(1, largest, shape, endpoint=True)
    # Too many products: few are non-zero, the caller checks the sums.
    return signs * (rng.random(shape) < math.sqrt(limit / (4 * terms)))


# Large enough for one family: the algorithms take turns on the same cases.
@functools.lru_cache(512)
def exact_case(contraction, geometry, dtype):
    """Two operands and what their contraction must be, to the last bit."""
    terms = geometry.terms(contraction)
    seed = zlib.crc32(f"{contraction} {geometry} {dtype}".encode())
    rng = np.random.default_rng(seed)
    operands = [
        integers(rng, shape, dtype, terms).astype(np.float64)
        for shape in geometry.operand_shapes(contraction)
    ]
    largest = oracle(contraction, geometry, *map(np.abs, operands)).max(
        initial=0
    )
    assert largest <= 2 ** DIGITS[dtype], "not exact: the test is wrong"
    expected = oracle(contraction, geometry, *operands)
    first, second = (to_mlx(values, dtype) for values in operands)
    mx.eval(first, second)
    return first, second, expected


def leave_nans_behind(shape, dtype):
    # A result cell that is never written shows what lay in its memory.
    mx.eval(mx.full(shape, float("nan"), getattr(mx, dtype)))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("contraction", CONTRACTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_exact(family, contraction, dtype, algorithm):
    for geometry in FAMILIES[family]:
        if not eligible(algorithm, contraction, geometry, dtype):
            continue
        first, second, expected = exact_case(contraction, geometry, dtype)
        leave_nans_behind(expected.shape, dtype)
        actual = contract(contraction, geometry, first, second, algorithm)
        assert_equal(actual, expected, dtype, geometry)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_exact_with_bias(family, dtype, algorithm):
    for geometry in FAMILIES[family]:
        if not eligible(algorithm, "output", geometry, dtype):
            continue
        first, second, expected = exact_case("output", geometry, dtype)
        bias = draw_integers((geometry.c_out,), dtype, largest=9)
        with forced(algorithm):
            actual = geometry.forward(first, second, bias=bias)
        # Half precision may round here, but only once.
        total = to_mlx(expected + to_numpy(bias), dtype)
        assert_equal(actual, to_numpy(total), dtype, geometry)


# How many geometries each can run at least, as output, input_grad and
# weight_grad: were eligible() wrong, the skips above could hide all of them.
AT_LEAST = {
    "auto": (700, 700, 700),
    "lanewise": (300, 300, 300),
    "strip": (600, 0, 0),
    "dot": (700, 700, 0),
    "winograd": (700, 700, 700),
    "polyphase": (700, 700, 700),
    "reference": (700, 700, 700),
}


@pytest.mark.parametrize("contraction", CONTRACTIONS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_skips_are_honest(algorithm, contraction):
    """What is skipped is refused when forced, and enough is not skipped."""
    if algorithm == "blas":
        pytest.skip("test_blas.py runs it where there is a library")
    ran = 0
    for geometry in itertools.chain(*FAMILIES.values()):
        if eligible(algorithm, contraction, geometry, "float32"):
            ran += 1
            continue
        operands = (
            mx.zeros(shape) for shape in geometry.operand_shapes(contraction)
        )
        with pytest.raises(ValueError, match=f"={algorithm} cannot run"):
            contract(contraction, geometry, *operands, algorithm)
    assert ran >= AT_LEAST[algorithm][CONTRACTIONS.index(contraction)]
