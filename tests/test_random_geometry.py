"""Thousands of random geometries, layouts and dtypes against float64.

A sum of n products rounds n times, each time by at most half an ulp of a
partial sum, and that is no larger than the sum of the products' magnitudes, the
condition. Broadcast operands repeat one product, so roundings need not cancel.
The result then rounds once more, to its own dtype.
"""

from dataclasses import replace

import mlx.core as mx
import numpy as np
import pytest
from helpers import (
    CONTRACTIONS,
    DTYPES,
    OPERANDS,
    assert_within,
    contract,
    dtype_name,
    eligible,
    forced,
    make_geometry,
    oracle,
    to_mlx,
    to_numpy,
    unit_roundoff,
)

from mlx_convt import _ext

CASES_PER_TEST = 100
TESTS = 50
# Half the least positive number of dtypes whose results may be subnormal.
UNDERFLOW = {"float16": 2.0**-25}


def random_geometry(rng):
    rank = int(rng.integers(1, 4))
    while True:
        spatial = rng.integers(1, (40, 11, 6)[rank - 1], rank, endpoint=True)
        kernel = rng.integers(1, (9, 5, 4)[rank - 1], rank, endpoint=True)
        stride = rng.integers(1, 4, rank, endpoint=True)
        dilation = rng.choice((1, 1, 1, 2, 3, 4, 5), rank)
        reach = dilation * (kernel - 1)
        padding = rng.integers(0, reach[:, None] + 2, (rank, 2), endpoint=True)
        output_padding = rng.integers(0, np.maximum(stride, dilation))
        width_in = int(rng.choice((1, 2, 3, 4, 5, 8, 16, 19, 33)))
        width_out = int(rng.choice((1, 2, 3, 4, 7, 8, 16, 17, 33)))
        groups = int(rng.choice((1, 1, 1, 2, 3, 4)))
        if rng.random() < 0.2:  # depthwise
            groups, width_in, width_out = width_in, 1, 1 + width_out % 3
        geometry = make_geometry(
            spatial.tolist(),
            kernel.tolist(),
            groups * width_in,
            groups * width_out,
            batch=int(rng.choice((1, 1, 2, 3, 5))),
            stride=stride.tolist(),
            padding=padding.tolist(),
            dilation=dilation.tolist(),
            output_padding=output_padding.tolist(),
            groups=groups,
        )
        if min(geometry.output_spatial) >= 1:
            return geometry


def random_view(rng, shape, dtype):
    """An array of that shape whose memory is laid out in an unusual way."""
    kind = rng.choice(
        ("plain", "transposed", "sliced", "broadcast", "reversed")
    )
    axis = int(rng.integers(len(shape)))
    stored = list(shape)
    if kind == "transposed":
        order = rng.permutation(len(shape))
        stored = [shape[i] for i in order]
    elif kind == "sliced":
        stored[axis] = 2 * shape[axis] + 3
    elif kind == "broadcast":
        stored[axis] = 1
    values = to_mlx(rng.standard_normal(stored), dtype)
    mx.eval(values)
    if kind == "transposed":
        return mx.transpose(values, np.argsort(order).tolist())
    if kind == "broadcast":
        return mx.broadcast_to(values, shape)
    window = [slice(None)] * len(shape)
    if kind == "sliced":
        window[axis] = slice(1, 2 * shape[axis] + 1, 2)
    elif kind == "reversed":
        window[axis] = slice(None, None, -1)
    return values[tuple(window)]


def random_case(seed):
    rng = np.random.default_rng(seed)
    geometry = random_geometry(rng)
    dtype = rng.choice(DTYPES, p=(0.4, 0.2, 0.2, 0.2))
    other = rng.choice(DTYPES) if rng.random() < 0.2 else dtype
    arrays = {
        name: random_view(rng, geometry.shape(name), kind)
        for name, kind in (("input", dtype), ("weight", other))
    }
    common = mx.result_type(arrays["input"], arrays["weight"])
    together = str(common).removeprefix("mlx.core.")
    arrays["output_grad"] = random_view(
        rng, geometry.shape("output_grad"), together
    )
    # Half the calls choose for themselves, as users' do.
    choices = ["auto"] + [
        name
        for name in _ext.algorithms()
        if all(eligible(name, c, geometry, together) for c in CONTRACTIONS)
    ]
    algorithm = "auto" if rng.random() < 0.5 else rng.choice(choices)
    return geometry, arrays, together, str(algorithm)


def joined_condition(contraction, geometry, first, second):
    """The condition of sums whose taps are joined.

    Per axis, of d0 g0 + d1 g1 they make (d0 - d1) g0 + d1 (g0 + g1): d1 meets
    the other tap's weight twice more, so the largest weight of all taps thrice
    bounds all of them. In a weight gradient g is the input at two positions of
    a cell; the last cell of an odd map is completed.
    """
    if contraction != "weight_grad":
        operands = dict(
            zip(OPERANDS[contraction], (first, second), strict=True)
        )
        weight = np.abs(operands["weight"])
        taps = tuple(range(1, weight.ndim - 1))
        largest = weight.max(taps, keepdims=True)
        operands["weight"] = np.broadcast_to(largest, weight.shape)
        return 3**geometry.rank * oracle(
            contraction, geometry, *map(np.abs, operands.values())
        )
    inputs, cotangent = first, second
    even = tuple(n + n % 2 for n in geometry.spatial)
    whole = replace(geometry, spatial=even)
    inputs, cotangent = np.abs(inputs), np.abs(cotangent)

    def completed(array, shape):
        return np.pad(
            array, [(0, n - m) for m, n in zip(array.shape, shape, strict=True)]
        )

    inputs = completed(inputs, whole.shape("input"))
    for axis, size in enumerate(even, 1):
        cells = np.maximum(
            inputs.take(range(0, size, 2), axis),
            inputs.take(range(1, size, 2), axis),
        )
        inputs = cells.repeat(2, axis)
    cotangent = completed(cotangent, whole.shape("output_grad"))
    return 3**geometry.rank * oracle("weight_grad", whole, inputs, cotangent)


def check(seed):
    geometry, arrays, together, algorithm = random_case(seed)
    accumulated = "float64" if together == "float64" else "float32"
    result_dtypes = {
        "output": together,
        "input_grad": dtype_name(arrays["input"]),
        "weight_grad": dtype_name(arrays["weight"]),
    }
    inputs, weights = arrays["input"], arrays["weight"]
    with forced(algorithm):
        gradients = mx.vjp(
            geometry.forward, [inputs, weights], [arrays["output_grad"]]
        )
    results = dict(
        zip(CONTRACTIONS, (*gradients[0], *gradients[1]), strict=True)
    )
    mx.eval(results)
    for contraction, actual in results.items():
        dtype = result_dtypes[contraction]
        assert dtype_name(actual) == dtype
        operands = [to_numpy(arrays[name]) for name in OPERANDS[contraction]]
        expected = oracle(contraction, geometry, *operands)
        condition = oracle(contraction, geometry, *map(np.abs, operands))
        roundings = geometry.terms(contraction) + 1
        if accumulated == "float64":
            roundings *= 2  # the reference rounds just as often
        if algorithm == "winograd":
            condition = joined_condition(contraction, geometry, *operands)
            roundings += 6 * geometry.rank  # of sums before and after
        bound = (
            unit_roundoff(accumulated) * roundings * condition
            + unit_roundoff(dtype) * np.abs(expected)
            + UNDERFLOW.get(dtype, 0)
        )
        if dtype != together:
            # A mixed call rounds to the common dtype first.
            bound += unit_roundoff(together) * np.abs(expected)
            bound += UNDERFLOW.get(together, 0)
        what = (seed, algorithm, contraction, geometry)
        assert_within(actual, expected, bound, what)


@pytest.mark.parametrize("first", range(0, TESTS * CASES_PER_TEST, 100))
def test_random_geometries(first):
    for seed in range(first, first + CASES_PER_TEST):
        check(seed)


def test_nan_never_passes():
    cell = np.ones((1,))
    with pytest.raises(AssertionError, match="worst cell"):
        assert_within(mx.array([float("nan")]), cell, cell * np.inf, "")


@pytest.mark.parametrize("contraction", CONTRACTIONS)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_non_finite_operands_reach_exactly_their_results(contraction, value):
    # Zero padding must be skipped or added, never multiplied into a NaN.
    geometry = make_geometry(
        (5, 6), 3, 4, 6, stride=2, padding=1, output_padding=1
    )
    rng = np.random.default_rng(0)
    first, second = (
        rng.standard_normal(shape)
        for shape in geometry.operand_shapes(contraction)
    )
    first[(0, 2, 3, 1)] = value
    with np.errstate(invalid="ignore"):  # of which only some BLAS warn
        expected = oracle(contraction, geometry, first, second)
    actual = to_numpy(
        contract(
            contraction,
            geometry,
            to_mlx(first, "float32"),
            to_mlx(second, "float32"),
        )
    )
    assert (np.isfinite(actual) == np.isfinite(expected)).all()
