"""PyTorch's transposed convolution and all its gradients, in float64."""

import math

import mlx.core as mx
import numpy as np
import pytest
from helpers import (
    CONTRACTIONS,
    OPERANDS,
    assert_within,
    make_geometry,
    oracle,
    to_mlx,
    to_numpy,
    unit_roundoff,
)

import mlx_convt

torch = pytest.importorskip("torch")

GEOMETRIES = {
    "1d": make_geometry((17,), 5, 6, 4, batch=2, stride=3, padding=1),
    "1d groups": make_geometry((9,), 4, 6, 9, stride=2, groups=3, padding=2),
    "1d dilated": make_geometry((11,), 3, 3, 2, stride=2, dilation=3),
    "1d output_padding": make_geometry(
        (7,), 3, 3, 5, stride=4, padding=2, output_padding=3
    ),
    "2d": make_geometry((5, 7), (3, 4), 4, 5, batch=3, stride=(2, 1)),
    "2d groups": make_geometry(
        (4, 6), (2, 3), 4, 6, stride=(3, 2), padding=(1, 0), groups=2
    ),
    "2d depthwise": make_geometry((6, 5), 4, 8, 8, stride=2, groups=8),
    "2d dilated": make_geometry(
        (5, 4), 3, 2, 3, stride=(2, 3), dilation=(2, 3), padding=(3, 2)
    ),
    "2d output_padding": make_geometry(
        (3, 4), 2, 3, 4, stride=(2, 3), dilation=4, output_padding=(3, 2)
    ),
    "3d": make_geometry((3, 4, 2), (2, 3, 4), 3, 4, batch=2, stride=2),
    "3d groups": make_geometry(
        (2, 3, 4), 3, 6, 4, stride=(1, 2, 3), padding=1, groups=2
    ),
    "3d dilated": make_geometry(
        (3, 2, 3),
        (2, 3, 2),
        2,
        3,
        stride=(2, 1, 2),
        dilation=(1, 2, 3),
        output_padding=(1, 0, 2),
        padding=(0, 1, 2),
    ),
}


def channels_first(values):
    return np.moveaxis(values, -1, 1)


def torch_weight(values, groups):
    """(C_out, *kernel, C_in/groups) as (C_in, C_out/groups, *kernel)."""
    outputs, *kernel, inputs = values.shape
    split = values.reshape(groups, outputs // groups, *kernel, inputs)
    split = np.moveaxis(split, -1, 1)
    return split.reshape(groups * inputs, outputs // groups, *kernel)


def our_weight(values, groups):
    """The inverse of torch_weight."""
    inputs, outputs, *kernel = values.shape
    split = values.reshape(groups, inputs // groups, outputs, *kernel)
    split = np.moveaxis(split, 1, -1)
    return split.reshape(groups * outputs, *kernel, inputs // groups)


def draw(geometry):
    rng = np.random.default_rng(7)
    names = ("input", "weight", "output_grad")
    arrays = {name: rng.standard_normal(geometry.shape(name)) for name in names}
    return arrays, rng.standard_normal(geometry.c_out)


def by_torch(geometry, arrays, bias):
    function = getattr(torch.nn.functional, f"conv_transpose{geometry.rank}d")
    leaves = [
        torch.tensor(np.ascontiguousarray(values), requires_grad=True)
        for values in (
            channels_first(arrays["input"]),
            torch_weight(arrays["weight"], geometry.groups),
            bias,
        )
    ]
    attributes = {
        **geometry.attributes,
        "padding": tuple(low for low, _ in geometry.padding),
    }
    result = function(*leaves, **attributes)
    cotangent = channels_first(arrays["output_grad"])
    result.backward(torch.tensor(np.ascontiguousarray(cotangent)))
    input_grad, weight_grad, bias_grad = (leaf.grad.numpy() for leaf in leaves)
    return {
        "output": np.moveaxis(result.detach().numpy(), 1, -1),
        "input_grad": np.moveaxis(input_grad, 1, -1),
        "weight_grad": our_weight(weight_grad, geometry.groups),
        "bias_grad": bias_grad,
    }


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_values_and_gradients(name, dtype):
    geometry = GEOMETRIES[name]
    arrays, bias = draw(geometry)
    ours = {key: to_mlx(values, dtype) for key, values in arrays.items()}
    our_bias = to_mlx(bias, dtype)
    # Both sides start from the same numbers, rounded to the dtype.
    arrays = {key: to_numpy(values) for key, values in ours.items()}
    bias = to_numpy(our_bias)
    outputs, gradients = mx.vjp(
        lambda x, w, b: geometry.forward(x, w, bias=b),
        [ours["input"], ours["weight"], our_bias],
        [ours["output_grad"]],
    )
    actual = dict(
        zip((*CONTRACTIONS, "bias_grad"), (*outputs, *gradients), strict=True)
    )
    expected = by_torch(geometry, arrays, bias)
    for contraction in CONTRACTIONS:
        operands = [arrays[key] for key in OPERANDS[contraction]]
        condition = oracle(contraction, geometry, *map(np.abs, operands))
        if contraction == "output":
            condition = condition + np.abs(bias)
        # Torch rounds as well; both sides together within twice one side.
        roundings = 2 * (math.sqrt(geometry.terms(contraction)) + 4)
        bound = unit_roundoff(dtype) * roundings * condition
        assert_within(
            actual[contraction], expected[contraction], bound, contraction
        )
    pixels = np.abs(arrays["output_grad"]).reshape(-1, geometry.c_out)
    bound = 2 * unit_roundoff(dtype) * len(pixels) * pixels.sum(0)
    assert_within(actual["bias_grad"], expected["bias_grad"], bound, "bias")


def layer(rank, **attributes):
    torch.manual_seed(0)
    kind = getattr(torch.nn, f"ConvTranspose{rank}d")
    return kind(2, 3, 3, bias=False, **attributes)


OUTPUT_SIZES = {
    "1d": (1, (5,), {"stride": 4, "padding": 1}),
    "2d": (2, (4, 3), {"stride": (2, 3), "padding": (0, 1)}),
    "2d dilated": (2, (4, 3), {"stride": (3, 2), "dilation": (2, 3)}),
    "3d": (3, (2, 3, 2), {"stride": (2, 1, 3), "padding": (1, 0, 1)}),
}


@pytest.mark.parametrize("name", OUTPUT_SIZES)
def test_output_size_range(name):
    rank, spatial, attributes = OUTPUT_SIZES[name]
    module = layer(rank, **attributes)
    function = getattr(mlx_convt, f"conv_transpose{rank}d")
    values = np.random.default_rng(1).standard_normal((2, *spatial, 2))
    values = values.astype(np.float32)
    theirs = torch.tensor(np.ascontiguousarray(channels_first(values)))
    input = mx.array(values)
    weight = mx.array(our_weight(module.weight.detach().numpy(), 1))
    smallest = function(input, weight, **attributes).shape[1:-1]
    strides = module.stride
    # The largest size on every axis, then one axis at a time.
    sizes = {tuple(n + s - 1 for n, s in zip(smallest, strides, strict=True))}
    for axis in range(rank):
        for extra in range(strides[axis]):
            size = list(smallest)
            size[axis] += extra
            sizes.add(tuple(size))
    for size in sorted(sizes):
        expected = module(theirs, output_size=size).detach().numpy()
        actual = function(input, weight, output_size=size, **attributes)
        assert actual.shape == (2, *size, 3)
        np.testing.assert_allclose(
            np.array(actual), np.moveaxis(expected, 1, -1), rtol=0, atol=1e-5
        )
    for axis in range(rank):
        for wrong in (-1, strides[axis]):
            size = list(smallest)
            size[axis] += wrong
            with pytest.raises(
                ValueError, match="output_size must lie between"
            ):
                function(input, weight, output_size=size, **attributes)
            with pytest.raises(ValueError, match="output size"):
                module(theirs, output_size=size)
