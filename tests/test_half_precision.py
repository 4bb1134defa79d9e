"""float16 and bfloat16: every bit pattern, and one rounding per result."""

import mlx.core as mx
import numpy as np
import pytest
from helpers import (
    CONTRACTIONS,
    DIGITS,
    assert_equal,
    contract,
    draw_operands,
    eligible,
    forced,
    make_geometry,
    oracle,
    to_mlx,
    to_numpy,
)

from mlx_convt import _ext

HALF = ("float16", "bfloat16")
ALGORITHMS = ("auto", *_ext.algorithms())
GEOMETRIES = (
    make_geometry((9, 7), 3, 40, 9, stride=2, padding=1, batch=2),
    make_geometry((9, 7), 4, 16, 16, stride=2, padding=1, batch=2, groups=16),
    make_geometry((300,), 2, 8, 100),
    # Few columns and a sum of several parts.
    make_geometry((5, 30), 3, 300, 2, stride=(1, 2), padding=1),
)
# As one channel and as many: they are converted by different loops.
CHANNELS = (1, 16, 100)
FACTORS = (1, 0.7, -3.3, 2**-10, 1.3 * 2**-14, 1000)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("dtype", HALF)
def test_every_value_times_a_factor(dtype, algorithm):
    """Subnormal numbers, infinities and NaN included."""
    kind = getattr(mx, dtype)
    for channels in CHANNELS:
        length = -(-(2**16) // channels)
        patterns = np.arange(length * channels, dtype=np.uint32)
        values = mx.array(patterns.astype(np.uint16)).view(kind)
        geometry = make_geometry(
            (length,), 1, channels, channels, groups=channels
        )
        if not eligible(algorithm, "output", geometry, dtype):
            continue
        for factor in FACTORS:
            weight = mx.full((channels, 1, 1), factor, kind)
            with forced(algorithm):
                actual = geometry.forward(
                    values.reshape(1, length, channels), weight
                )
            # The product of two such numbers is exact in float32.
            product = values.astype(mx.float32) * weight[0, 0].astype(
                mx.float32
            )
            expected = to_numpy(product.astype(kind))
            actual = to_numpy(actual).flatten()
            both_nan = np.isnan(actual) & np.isnan(expected)
            wrong = patterns[~((actual == expected) | both_nan)]
            assert not len(wrong), (channels, factor, hex(wrong[0]))


@pytest.mark.parametrize("contraction", CONTRACTIONS)
@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_results_are_rounded_once(contraction, dtype, algorithm):
    """Sums exact in float32 but not in 16 bits round once, ties to even."""
    for geometry in GEOMETRIES:
        if not eligible(algorithm, contraction, geometry, dtype):
            continue
        first, second = (
            mx.abs(operand)
            for operand in draw_operands(contraction, geometry, dtype, 31)
        )
        exact = oracle(contraction, geometry, to_numpy(first), to_numpy(second))
        assert exact.max() < 2 ** DIGITS["float32"]
        rounded = to_numpy(to_mlx(exact, "float32").astype(getattr(mx, dtype)))
        assert (rounded != exact).any(), "nothing rounds: the test is wrong"
        actual = contract(contraction, geometry, first, second, algorithm)
        assert_equal(actual, rounded, dtype, geometry)


@pytest.mark.parametrize("contraction", CONTRACTIONS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_sums_of_small_bfloat16(contraction, algorithm):
    """Subnormal operands and sums count, whatever multiplies them."""
    for geometry in GEOMETRIES:
        if not eligible(algorithm, contraction, geometry, "bfloat16"):
            continue
        operands = draw_operands(contraction, geometry, "bfloat16", 32)
        exact = oracle(contraction, geometry, *map(to_numpy, operands))
        # Of the operands: integers times these are exact, and so are sums.
        for powers in ((-130, 20), (20, -131), (-66, -70), (-62, -62), (-9, 9)):
            scaled = (
                to_mlx(to_numpy(operand) * 2.0**power, "bfloat16")
                for operand, power in zip(operands, powers, strict=True)
            )
            expected = to_mlx(exact * 2.0 ** sum(powers), "float32")
            assert_equal(
                contract(contraction, geometry, *scaled, algorithm),
                to_numpy(expected.astype(mx.bfloat16)),
                "bfloat16",
                (geometry, powers),
            )


@pytest.mark.parametrize("dtype", HALF)
def test_bias_gradient_sums_in_float32(dtype):
    # One by one, in 16 bits, such a sum stops growing at 2048 or 256.
    geometry = make_geometry((4096,), 1, 1, 2)
    kind = getattr(mx, dtype)
    input = mx.zeros(geometry.shape("input"), kind)
    weight = mx.zeros(geometry.shape("weight"), kind)
    _, (gradient,) = mx.vjp(
        lambda bias: geometry.forward(input, weight, bias=bias),
        [mx.zeros((2,), kind)],
        [mx.ones(geometry.shape("output_grad"), kind)],
    )
    assert_equal(gradient, np.full(2, 4096.0), dtype, "bias")
