"""vmap of the three contractions against a Python loop, on exact integers."""

import itertools

import mlx.core as mx
import numpy as np
import pytest
from helpers import (
    CONTRACTIONS,
    contract,
    draw_integers,
    make_geometry,
)

import mlx_convt

GEOMETRIES = {
    "1d": make_geometry((5,), 3, 4, 6, batch=2, stride=2, padding=1),
    "1d groups": make_geometry((4,), 2, 4, 6, batch=2, stride=2, groups=2),
    "2d": make_geometry((3, 4), (3, 2), 2, 3, batch=2, stride=(2, 1)),
    "2d groups": make_geometry(
        (3, 2), 3, 6, 9, batch=2, stride=2, padding=1, groups=3
    ),
    "2d depthwise": make_geometry((3, 4), 4, 5, 5, stride=2, groups=5),
    "2d depthwise multiplier": make_geometry((2, 3), 3, 3, 6, groups=3),
    "3d groups": make_geometry(
        (2, 3, 2), (2, 1, 3), 4, 6, stride=(2, 1, 1), groups=2
    ),
}
MAPPED = {"first": (0, None), "second": (None, 0), "both": (0, 0)}
COUNT = 3


def stacked(function, axes, operands, out_axis=0):
    """What mx.vmap(function, axes, out_axis) must return."""
    results = []
    for index in range(COUNT):
        slices = [
            operand if axis is None else mx.take(operand, index, axis)
            for operand, axis in zip(operands, axes, strict=True)
        ]
        results.append(np.array(function(*slices)))
    return np.stack(results, out_axis)


def mapped_operand(shape, axis, seed):
    if axis is None:
        return draw_integers(shape, seed=seed)
    values = draw_integers((COUNT, *shape), seed=seed)
    return mx.moveaxis(values, 0, axis)


def check(function, axes, shapes, out_axis=0):
    operands = [
        mapped_operand(shape, axis, seed)
        for seed, (shape, axis) in enumerate(zip(shapes, axes, strict=True))
    ]
    expected = stacked(function, axes, operands, out_axis)
    actual = mx.vmap(function, axes, out_axis)(*operands)
    assert actual.shape == expected.shape
    np.testing.assert_array_equal(np.array(actual), expected)


@pytest.mark.parametrize("mapped", MAPPED)
@pytest.mark.parametrize("contraction", CONTRACTIONS)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_vmap(name, contraction, mapped):
    geometry = GEOMETRIES[name]
    check(
        lambda first, second: contract(contraction, geometry, first, second),
        MAPPED[mapped],
        geometry.operand_shapes(contraction),
    )


@pytest.mark.parametrize("contraction", CONTRACTIONS)
@pytest.mark.parametrize("name", ["1d groups", "2d groups", "2d depthwise"])
def test_every_axis(name, contraction):
    geometry = GEOMETRIES[name]
    ndim = geometry.rank + 2
    axes = [*range(ndim + 1), -1]
    pairs = [(axis, None) for axis in axes] + [(None, axis) for axis in axes]
    pairs += list(zip(axes, reversed(axes), strict=True))
    for index, pair in enumerate(pairs):
        check(
            lambda first, second: contract(
                contraction, geometry, first, second
            ),
            pair,
            geometry.operand_shapes(contraction),
            out_axis=axes[index % len(axes)],
        )


@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize(
    "axes",
    [
        axes
        for axes in itertools.product((0, None), repeat=3)
        if any(axis == 0 for axis in axes)
    ],
)
def test_bias(name, axes):
    geometry = GEOMETRIES[name]
    check(
        lambda x, w, b: geometry.forward(x, w, bias=b),
        axes,
        [*geometry.operand_shapes("output"), (geometry.c_out,)],
    )


@pytest.mark.parametrize("contraction", CONTRACTIONS)
@pytest.mark.parametrize("name", ["1d", "2d groups", "2d depthwise"])
@pytest.mark.parametrize("outer", MAPPED)
@pytest.mark.parametrize("inner", MAPPED)
def test_nested(name, contraction, outer, inner):
    geometry = GEOMETRIES[name]

    def function(first, second):
        return contract(contraction, geometry, first, second)

    shapes = [
        (COUNT, *shape) if axis == 0 else shape
        for shape, axis in zip(
            geometry.operand_shapes(contraction), MAPPED[inner], strict=True
        )
    ]
    operands = [
        mapped_operand(shape, axis, seed)
        for seed, (shape, axis) in enumerate(
            zip(shapes, MAPPED[outer], strict=True)
        )
    ]
    expected = stacked(
        lambda *outer_slice: mx.array(
            stacked(function, MAPPED[inner], outer_slice)
        ),
        MAPPED[outer],
        operands,
    )
    actual = mx.vmap(mx.vmap(function, MAPPED[inner]), MAPPED[outer])(*operands)
    np.testing.assert_array_equal(np.array(actual), expected)


@pytest.mark.parametrize("mapped", MAPPED)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_gradients_of_a_mapped_function(name, mapped):
    """The folded call has gradients of its own."""
    geometry = GEOMETRIES[name]
    axes = MAPPED[mapped]
    operands = [
        mapped_operand(shape, axis, seed)
        for seed, (shape, axis) in enumerate(
            zip(geometry.operand_shapes("output"), axes, strict=True)
        )
    ]
    cotangent = mapped_operand(geometry.shape("output_grad"), 0, 9)
    _, actual = mx.vjp(mx.vmap(geometry.forward, axes), operands, [cotangent])
    for index, axis in enumerate(axes):
        per_item = [
            mx.vjp(
                geometry.forward,
                [
                    operand if a is None else operand[i]
                    for operand, a in zip(operands, axes, strict=True)
                ],
                [cotangent[i]],
            )[1][index]
            for i in range(COUNT)
        ]
        stack = np.stack([np.array(gradient) for gradient in per_item])
        expected = stack if axis == 0 else stack.sum(0)
        np.testing.assert_array_equal(np.array(actual[index]), expected)


@pytest.mark.parametrize("mapped", MAPPED)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_tangents_of_a_mapped_function(name, mapped):
    geometry = GEOMETRIES[name]
    axes = MAPPED[mapped]
    points, steps = (
        [
            mapped_operand(shape, axis, seed + offset)
            for seed, (shape, axis) in enumerate(
                zip(geometry.operand_shapes("output"), axes, strict=True)
            )
        ]
        for offset in (0, 5)
    )
    _, (actual,) = mx.jvp(mx.vmap(geometry.forward, axes), points, steps)
    expected = stacked(
        lambda x, w, dx, dw: mx.jvp(geometry.forward, [x, w], [dx, dw])[1][0],
        (*axes, *axes),
        (*points, *steps),
    )
    np.testing.assert_array_equal(np.array(actual), expected)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_dtypes(dtype):
    geometry = GEOMETRIES["2d groups"]
    input = draw_integers((COUNT, *geometry.shape("input")), dtype, largest=1)
    weight = draw_integers((COUNT, *geometry.shape("weight")), dtype, largest=1)
    actual = mx.vmap(geometry.forward)(input, weight)
    assert actual.dtype == getattr(mx, dtype)
    for i in range(COUNT):
        one = geometry.forward(input[i], weight[i])
        assert mx.array_equal(actual[i], one).item()


def test_an_axis_of_size_zero():
    geometry = GEOMETRIES["2d groups"]
    input = mx.zeros((0, *geometry.shape("input")))
    weight = draw_integers(geometry.shape("weight"))
    actual = mx.vmap(geometry.forward, (0, None))(input, weight)
    assert actual.shape == (0, *geometry.shape("output_grad"))


def test_errors_name_the_function():
    with pytest.raises(ValueError, match=r"^\[conv_transpose2d\] "):
        mx.vmap(mlx_convt.conv_transpose2d, (0, None))(
            mx.zeros((3, 1, 4, 4, 2)), mx.zeros((2, 3, 3, 5))
        )
