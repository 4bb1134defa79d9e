"""mlx_convt.nn's layers beside those of mlx.nn, and what they add."""

import io
import math

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from helpers import (
    assert_within,
    draw_integers,
    flat,
    to_numpy,
    unit_roundoff,
)

import mlx_convt
from mlx_convt import reference

RANKS = (1, 2, 3)
# Positional arguments behind the channels, as both classes take them.
POSITIONAL = [
    (3,),
    (4, 2),
    (4, 2, 1),
    (3, 2, 1, 2),
    (3, 2, 1, 1, 1),
    (5, 3, 2, 2, 1, False),
    (2, 1, 0, 1, 0, True),
]
SPATIAL = (5, 4, 3)


def ours(rank):
    return getattr(mlx_convt.nn, f"ConvTranspose{rank}d")


def builtin(rank):
    return getattr(nn, f"ConvTranspose{rank}d")


def pair(rank, *arguments):
    """Our layer and MLX's, of one seed."""
    layers = []
    for kind in (ours(rank), builtin(rank)):
        mx.random.seed(7)
        layers.append(kind(*arguments))
    return layers


def draw_input(rank, channels, batch=2):
    return draw_integers((batch, *SPATIAL[:rank], channels))


def integer_layer(rank, *arguments, **keywords):
    """Our layer with small integers for parameters: results are exact."""
    layer = ours(rank)(*arguments, **keywords)
    parameters = layer.parameters()
    layer.update(
        {
            name: draw_integers(value.shape, seed=len(name))
            for name, value in parameters.items()
        }
    )
    return layer


def expected(layer, x, **window):
    y = reference.conv_transpose(
        to_numpy(x), to_numpy(layer.weight), groups=layer.groups, **window
    )
    return y + to_numpy(layer.bias) if "bias" in layer else y


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("arguments", POSITIONAL)
def test_drop_in(rank, arguments):
    mine, theirs = pair(rank, 6, 4, *arguments)
    assert isinstance(mine, builtin(rank))
    assert repr(mine) == repr(theirs)
    assert mine.state.keys() == theirs.state.keys()
    for name, value in flat(theirs.parameters()).items():
        assert mx.array_equal(mine[name], value), name
    # What models read from a layer: stride, padding and the rest.
    assert vars(mine) == {**vars(theirs), "groups": 1}
    x = mx.random.normal((2, *SPATIAL[:rank], 6))
    exact = expected(mine, x, **window_of(mine, rank))
    terms = 6 * math.prod(mine.weight.shape[1:-1]) + 1
    bound = 4 * terms * unit_roundoff("float32") * np.abs(exact).max()
    assert_within(mine(x), exact, bound, "ours")
    assert_within(theirs(x), exact, bound, "MLX's")


def window_of(layer, rank):
    """A layer's attributes in the form that the reference takes."""

    def per_axis(value):
        return (value,) * rank if isinstance(value, int) else tuple(value)

    padding = per_axis(layer.padding)
    return {
        "stride": per_axis(layer.stride),
        "padding": [(p, p) if isinstance(p, int) else p for p in padding],
        "dilation": per_axis(layer.dilation),
        "output_padding": per_axis(layer.output_padding),
    }


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("bias", [True, False])
def test_groups(rank, groups, bias):
    layer = integer_layer(rank, 6, 12, 4, 2, 1, bias=bias, groups=groups)
    assert layer.weight.shape == (12, *[4] * rank, 6 // groups)
    x = draw_input(rank, 6)
    y = layer(x)
    want = expected(layer, x, **window_of(layer, rank))
    assert np.array_equal(to_numpy(y), want)
    shown = f", groups={groups})" if groups > 1 else f"bias={bias})"
    assert repr(layer).startswith(f"ConvTranspose{rank}d(6, 12, kernel_size=")
    assert repr(layer).endswith(shown)


@pytest.mark.parametrize("groups", [1, 3])
def test_initial_values_follow_the_fan_in(groups):
    mx.random.seed(0)
    layer = mlx_convt.nn.ConvTranspose2d(96, 96, 4, groups=groups)
    bound = 1 / math.sqrt(4 * 4 * 96 / groups)
    assert mx.abs(layer.weight).max().item() <= bound
    assert mx.abs(layer.weight).max().item() > 0.999 * bound
    assert mx.array_equal(layer.bias, mx.zeros(96))


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same(rank, kernel, stride):
    layer = integer_layer(rank, 2, 3, kernel, stride, "same")
    x = draw_input(rank, 2)
    y = layer(x)
    assert y.shape[1:-1] == tuple(n * stride for n in SPATIAL[:rank])
    # The odd element is cut at the high end.
    cut = max(kernel - stride, 0)
    want = expected(
        layer,
        x,
        stride=[stride] * rank,
        padding=[(cut // 2, cut - cut // 2)] * rank,
        dilation=[1] * rank,
        output_padding=[max(stride - kernel, 0)] * rank,
    )
    assert np.array_equal(to_numpy(y), want)


@pytest.mark.parametrize("rank", RANKS)
def test_asymmetric_padding(rank):
    pairs = ((0, 2), (1, 0), (2, 1))[:rank]
    layer = integer_layer(rank, 2, 3, 4, 2, pairs)
    x = draw_input(rank, 2)
    want = expected(layer, x, **window_of(layer, rank))
    assert np.array_equal(to_numpy(layer(x)), want)
    assert layer.padding == pairs
    layer.padding = 0
    cuts = [slice(low, -high or None) for low, high in pairs]
    uncut = layer(x)[(slice(None), *cuts)]
    assert mx.array_equal(uncut, expected_array(want))


def expected_array(values):
    return mx.array(values.astype(np.float32))


@pytest.mark.parametrize("rank", RANKS)
def test_output_size(rank):
    layer = integer_layer(rank, 2, 3, 3, 3, 1, 1, 2)
    x = draw_input(rank, 2)
    sizes = [3 * (n - 1) + 1 for n in SPATIAL[:rank]]
    for extra in (0, 1, 2):
        wanted = tuple(n + extra for n in sizes)
        y = layer(x, output_size=wanted)
        assert y.shape[1:-1] == wanted
        window = window_of(layer, rank) | {"output_padding": [extra] * rank}
        assert np.array_equal(to_numpy(y), expected(layer, x, **window))
    # By itself the layer has its own output padding.
    assert layer(x).shape[1:-1] == tuple(n + 2 for n in sizes)
    with pytest.raises(ValueError, match="output_size must lie between"):
        layer(x, tuple(n + 3 for n in sizes))


def test_the_forms_of_arguments():
    layer = mlx_convt.nn.ConvTranspose2d(
        2, 3, [3, 2], stride=[2, 1], padding=[1, 0], dilation=[1, 2]
    )
    # A list would count as a parameter.
    assert flat(layer.parameters()).keys() == {"weight", "bias"}
    assert layer.weight.shape == (3, 3, 2, 2)
    assert (layer.stride, layer.padding) == ((2, 1), (1, 0))
    assert layer.dilation == (1, 2)
    assert layer(mx.zeros((1, 4, 5, 2))).shape == (1, 7, 7, 3)
    arrays = mlx_convt.nn.ConvTranspose2d(2, 3, 3, padding=np.array([1, 0]))
    assert arrays.padding == (1, 0)
    numbers = mlx_convt.nn.ConvTranspose1d(
        np.int64(2), np.int32(4), np.int64(3), np.int8(2), groups=np.int64(2)
    )
    assert numbers.weight.shape == (4, 3, 1)
    assert numbers(mx.zeros((1, 4, 2))).shape == (1, 9, 4)
    single = mlx_convt.nn.ConvTranspose1d(2, 3, (3,), (2,), ((1, 0),))
    assert (single.stride, single.padding) == (2, ((1, 0),))
    assert single(mx.zeros((1, 4, 2))).shape == (1, 8, 3)


def test_without_bias():
    layer = integer_layer(1, 2, 3, 3)
    x = draw_input(1, 2)
    biased = layer(x)
    bias = layer.bias
    layer.bias = None  # as some models take it away
    assert mx.array_equal(layer(x) + bias, biased)
    bare = mlx_convt.nn.ConvTranspose1d(2, 3, 3, bias=False)
    bare.weight = layer.weight
    assert mx.array_equal(bare(x), layer(x))


def test_the_bias_is_in_the_operation():
    """One primitive, and no addition behind it."""
    layer = mlx_convt.nn.ConvTranspose1d(2, 3, 4)
    mx.eval(layer.parameters())  # their drawing is no part of it
    text = io.StringIO()
    mx.export_to_dot(text, layer(mx.zeros((1, 5, 2))))
    assert "ConvTranspose" in text.getvalue()
    assert "Add" not in text.getvalue()
