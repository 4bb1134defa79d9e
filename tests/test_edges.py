"""Empty arrays, the forms of the arguments, and the built-in as a drop-in."""

import ast
import contextlib
import itertools

import mlx.core as mx
import numpy as np
import pytest
from helpers import (
    CONTRACTIONS,
    DTYPES,
    assert_equal,
    assert_exact,
    contract,
    draw_integers,
    draw_operands,
    eligible,
    make_geometry,
    oracle,
    to_numpy,
)

import mlx_convt
from mlx_convt import _ext

FUNCTIONS = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
EMPTY = {
    "1d batch": make_geometry((4,), 3, 2, 3, batch=0, stride=2),
    "1d length": make_geometry((0,), 6, 2, 3, batch=2, stride=2),
    "1d length stride 1": make_geometry((0,), 3, 2, 3),
    "1d input channels": make_geometry((4,), 3, 0, 3),
    "1d output channels": make_geometry((4,), 3, 2, 0),
    "2d batch": make_geometry((3, 4), 3, 4, 6, batch=0, padding=1, groups=2),
    "2d height": make_geometry((0, 4), (5, 2), 2, 3, stride=(3, 2)),
    "2d width": make_geometry((3, 0), (2, 4), 2, 3, dilation=(1, 2)),
    "2d input channels": make_geometry((3, 4), 2, 0, 6, stride=2, groups=2),
    "2d output channels": make_geometry((3, 4), 2, 4, 0, stride=2, groups=2),
    "2d no channels": make_geometry((3, 4), 2, 0, 0),
    "3d batch": make_geometry((2, 3, 2), 2, 2, 3, batch=0),
    "3d depth": make_geometry((0, 2, 3), 4, 2, 2, stride=(3, 1, 2)),
    "3d input channels": make_geometry((2, 3, 2), 2, 0, 3),
}


@pytest.mark.parametrize("algorithm", ["auto", *_ext.algorithms()])
@pytest.mark.parametrize("contraction", CONTRACTIONS)
@pytest.mark.parametrize("name", EMPTY)
def test_empty(name, contraction, algorithm):
    geometry = EMPTY[name]
    for dtype in DTYPES:
        if not eligible(algorithm, contraction, geometry, dtype):
            continue
        operands = draw_operands(contraction, geometry, dtype)
        actual = contract(contraction, geometry, *operands, algorithm)
        assert_exact(actual, contraction, geometry, operands)


@pytest.mark.parametrize("name", EMPTY)
def test_empty_with_bias(name):
    geometry = EMPTY[name]
    operands = draw_operands("output", geometry)
    bias = draw_integers((geometry.c_out,))
    cotangent = draw_integers(geometry.shape("output_grad"))
    (output,), (*_, gradient) = mx.vjp(
        lambda x, w, b: geometry.forward(x, w, bias=b),
        [*operands, bias],
        [cotangent],
    )
    expected = oracle("output", geometry, *map(to_numpy, operands))
    assert_equal(output, expected + to_numpy(bias), "float32", geometry)
    sums = to_numpy(cotangent).reshape(-1, geometry.c_out or 1).sum(0)
    assert_equal(gradient, sums[: geometry.c_out], "float32", geometry)


def leave_junk():
    """Fill small pieces of memory, and free them for what comes next."""
    junk = [np.full(size, 7.0, np.float32) for size in range(1, 300)]
    more = [mx.full((size,), 7.0) for size in range(1, 300)]
    mx.eval(more)
    del junk, more


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("mapped", [None, 0, 1, 2])
def test_bias_gradient_of_an_empty_batch(rank, native, mapped):
    """MLX's own sum of nothing is whatever the memory held."""
    arrays = [
        mx.ones((0, *[5] * rank, 4)),
        mx.ones((3, *[4] * rank, 4)),
        mx.ones((3,)),
    ]

    def call(x, w, b):
        return getattr(mlx_convt, f"conv_transpose{rank}d")(x, w, 2, 1, bias=b)

    if mapped is not None:
        arrays[mapped] = mx.stack([arrays[mapped]] * 2)
        axes = tuple(0 if i == mapped else None for i in range(3))
        call = mx.vmap(call, in_axes=axes)
    with mlx_convt.native_ops() if native else contextlib.nullcontext():
        shape = call(*arrays).shape
        # Not a broadcast one, of which the sum is 0 by itself.
        for order in itertools.permutations(range(len(shape) - 1)):
            turned = np.zeros([shape[i] for i in order] + [3], np.float32)
            inverse = [order.index(i) for i in range(len(order))]
            leave_junk()
            cotangent = mx.array(turned).transpose(*inverse, -1)
            gradients = mx.vjp(call, arrays, [cotangent])[1]
            for gradient, array in zip(gradients, arrays):
                assert mx.array_equal(gradient, mx.zeros(array.shape))


def test_bias_gradient_traced_empty():
    """A shapeless graph of an empty batch serves others too."""
    w, b = mx.ones((3, 4, 4)), mx.ones((3,))

    def loss(b, x):
        return mlx_convt.conv_transpose1d(x, w, 2, 1, bias=b).sum()

    grad = mx.compile(mx.grad(loss), shapeless=True)
    assert mx.array_equal(grad(b, mx.ones((0, 5, 4))), mx.zeros(3))
    assert mx.array_equal(grad(b, mx.ones((2, 5, 4))), mx.full(3, 20.0))


def test_mapped_bias_traced_empty():
    """A shapeless graph may be refused, but not without the bias."""
    w, b = mx.ones((3, 4, 4)), mx.ones((2, 3))

    def total(x, b):
        return mlx_convt.conv_transpose1d(x, w, 2, 1, bias=b).sum()

    def loss(b, x):
        return mx.vmap(total, in_axes=(None, 0))(x, b).sum()

    grad = mx.compile(mx.grad(loss), shapeless=True)
    with pytest.raises(ValueError, match="cannot infer output shapes"):
        grad(b, mx.ones((0, 5, 4)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_bias(dtype):
    geometry = make_geometry((5, 4), 3, 4, 6, batch=2, stride=2, groups=2)
    operands = draw_operands("output", geometry, dtype, largest=1)
    bias = draw_integers((6,), dtype, largest=9)
    expected = oracle("output", geometry, *map(to_numpy, operands))
    actual = geometry.forward(*operands, bias=bias)
    assert_equal(actual, expected + to_numpy(bias), dtype, geometry)


@pytest.mark.parametrize(
    ("first", "second", "bias"),
    [
        *itertools.product(DTYPES, DTYPES, [None]),
        ("float16", "float16", "float32"),
        ("float32", "float16", "bfloat16"),
        ("bfloat16", "bfloat16", "float64"),
    ],
)
def test_mixed_dtypes_promote(first, second, bias):
    input = draw_integers((1, 4, 3), first)
    weight = draw_integers((2, 3, 3), second)
    arrays = [input, weight]
    if bias is not None:
        bias = draw_integers((2,), bias)
        arrays.append(bias)
    common = mx.result_type(*arrays)
    actual, gradients = mx.vjp(
        lambda x, w: mlx_convt.conv_transpose1d(x, w, stride=2, bias=bias),
        [input, weight],
        [mx.ones((1, 9, 2), common)],
    )
    expected = mlx_convt.conv_transpose1d(
        *(array.astype(common) for array in (input, weight)),
        stride=2,
        bias=None if bias is None else bias.astype(common),
    )
    assert actual[0].dtype == common
    assert mx.array_equal(actual[0], expected).item()
    assert [g.dtype for g in gradients] == [input.dtype, weight.dtype]


def test_input_gradient_of_rows_that_reach_no_output_edge():
    # Output padding beyond the padding: the last outputs depend on no input.
    geometry = make_geometry(
        (5, 4), 2, 3, 4, stride=4, padding=(0, 1), output_padding=3
    )
    operands = draw_operands("input_grad", geometry)
    actual = contract("input_grad", geometry, *operands)
    assert actual.shape == geometry.shape("input")
    assert_exact(actual, "input_grad", geometry, operands)


@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
def test_same_padding(kernel, stride, dilation):
    input, weight = draw_integers((2, 5, 3)), draw_integers((4, kernel, 3))
    arguments = {"stride": stride, "dilation": dilation}
    actual = mlx_convt.conv_transpose1d(
        input, weight, padding="same", **arguments
    )
    assert actual.shape == (2, 5 * stride, 4)
    surplus = dilation * (kernel - 1) + 1 - stride
    low = max(surplus, 0) // 2
    expected = mlx_convt.conv_transpose1d(
        input,
        weight,
        padding=[(low, max(surplus, 0) - low)],
        output_padding=max(-surplus, 0),
        **arguments,
    )
    assert mx.array_equal(actual, expected).item()


def parameters(function):
    """Name, kind and default of each, read from the docstring's signature."""
    signature = function.__doc__.strip().splitlines()[0]
    (parsed,) = ast.parse(f"def {signature}: ...").body
    positional = [a.arg for a in parsed.args.posonlyargs]
    either = [a.arg for a in parsed.args.args]
    defaults = [ast.literal_eval(default) for default in parsed.args.defaults]
    keyword = [a.arg for a in parsed.args.kwonlyargs]
    return positional, either, defaults, keyword


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_built_in_takes_the_same_call(name):
    import inspect

    ours = inspect.signature(getattr(mlx_convt, name)).parameters.values()
    positional, either, defaults, keyword = parameters(getattr(mx, name))
    assert [p.name for p in ours if p.kind is p.POSITIONAL_ONLY] == positional
    plain = [p for p in ours if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert [p.name for p in plain] == either
    assert [p.default for p in plain] == defaults
    added = [p for p in ours if p.kind is p.KEYWORD_ONLY]
    assert {p.name for p in added} - set(keyword) == {"bias", "output_size"}
    assert all(p.default is None for p in added)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_built_in_returns_the_same(name):
    """Where it is right: one group, output_padding no more than padding."""
    ours, theirs = getattr(mlx_convt, name), getattr(mx, name)
    rank = FUNCTIONS.index(name) + 1
    input = draw_integers((2, *(4, 3, 2)[:rank], 3))
    cases = itertools.product((1, 2, 3), (0, 1), (1, 2), (0, 1), (2, 3))
    compared = 0
    for stride, padding, dilation, extra, kernel in cases:
        if extra >= max(stride, dilation) or extra > padding:
            continue
        weight = draw_integers((4, *(kernel,) * rank, 3))
        arguments = (stride, padding, dilation, extra)
        compared += 1
        expected = theirs(input, weight, *arguments)
        actual = ours(input, weight, *arguments, stream=mx.cpu)
        assert mx.array_equal(actual, expected).item(), arguments
        gradients = [
            mx.grad(
                lambda x, w, f=f, a=arguments: f(x, w, *a).square().sum(),
                argnums=(0, 1),
            )(input, weight)
            for f in (ours, theirs)
        ]
        for one, other in zip(*gradients, strict=True):
            assert mx.array_equal(one, other).item(), arguments
    assert compared == 34
