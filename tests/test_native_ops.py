"""The path of MLX's own operations, which mx.export_function can write."""

import threading
from contextlib import nullcontext

import mlx.core as mx
import numpy as np
import pytest
from helpers import (
    CONTRACTIONS,
    DTYPES,
    contract,
    draw_integers,
    draw_operands,
    make_geometry,
)

import mlx_convt

GEOMETRIES = {
    "1d": make_geometry((5,), 3, 2, 3, batch=2, stride=2, padding=1),
    "1d groups": make_geometry((4,), 2, 4, 6, stride=3, groups=2),
    "2d": make_geometry(
        (3, 4), (3, 2), 2, 3, stride=(1, 2), padding=((1, 0), (0, 1))
    ),
    "2d groups": make_geometry((3, 2), 3, 6, 3, stride=2, padding=1, groups=3),
    "2d depthwise": make_geometry((3, 4), 4, 3, 6, stride=2, groups=3),
    "2d dilated": make_geometry(
        (3, 4), (2, 3), 2, 2, stride=2, dilation=(3, 2), output_padding=(2, 1)
    ),
    "3d": make_geometry((2, 3, 2), (2, 1, 3), 2, 2, stride=(2, 1, 2)),
    "3d groups": make_geometry((2, 2, 3), 2, 4, 2, stride=2, groups=2),
}


def assert_same(actual, expected):
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    assert mx.array_equal(actual, expected).item()


def round_trip(tmp_path, function, *operands):
    path = str(tmp_path / "function.mlxfn")
    with mlx_convt.native_ops():
        mx.export_function(path, function, *operands)
    return mx.import_function(path)(*operands)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("contraction", CONTRACTIONS)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_export_and_import(tmp_path, name, contraction, dtype):
    geometry = GEOMETRIES[name]
    operands = draw_operands(contraction, geometry, dtype, largest=1)

    def function(first, second):
        return contract(contraction, geometry, first, second)

    (actual,) = round_trip(tmp_path, function, *operands)
    assert_same(actual, function(*operands))


@pytest.mark.parametrize("dtype", DTYPES)
def test_export_with_bias(tmp_path, dtype):
    geometry = GEOMETRIES["2d groups"]
    bias = draw_integers((geometry.c_out,), dtype)
    operands = [*draw_operands("output", geometry, dtype, largest=1), bias]

    def function(input, weight, bias):
        return geometry.forward(input, weight, bias=bias)

    (actual,) = round_trip(tmp_path, function, *operands)
    assert_same(actual, function(*operands))


def test_export_of_a_training_step(tmp_path):
    geometry = GEOMETRIES["2d"]
    operands = draw_operands("output", geometry)

    def step(input, weight):
        gradient = mx.grad(lambda w: geometry.forward(input, w).square().sum())
        return weight - gradient(weight)

    (actual,) = round_trip(tmp_path, step, *operands)
    assert_same(actual, step(*operands))


def test_export_without_it_is_refused(tmp_path):
    geometry = GEOMETRIES["2d"]
    with pytest.raises(ValueError, match="serialize"):
        mx.export_function(
            str(tmp_path / "function.mlxfn"),
            geometry.forward,
            *draw_operands("output", geometry),
        )


def test_an_exported_function_keeps_its_shapes(tmp_path):
    geometry = GEOMETRIES["1d groups"]
    input, weight = draw_operands("output", geometry)
    path = str(tmp_path / "function.mlxfn")
    with mlx_convt.native_ops():
        mx.export_function(path, lambda x: geometry.forward(x, weight), input)
    imported = mx.import_function(path)
    assert_same(imported(input)[0], geometry.forward(input, weight))
    with pytest.raises(ValueError):
        imported(mx.concatenate([input, input]))


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_padding_by_name(padding):
    geometry = GEOMETRIES["2d groups"]
    operands = draw_operands("output", geometry)
    with mlx_convt.native_ops():
        native = geometry.forward(*operands, padding=padding)
    assert_same(native, geometry.forward(*operands, padding=padding))


def test_output_size():
    input, weight = draw_integers((1, 5, 2)), draw_integers((3, 2, 2))
    arguments = {"stride": 4, "output_size": 20}
    with mlx_convt.native_ops():
        native = mlx_convt.conv_transpose1d(input, weight, **arguments)
    assert native.shape == (1, 20, 3)
    assert_same(native, mlx_convt.conv_transpose1d(input, weight, **arguments))


def test_empty_arrays():
    for shape in ((0, 4, 2), (2, 0, 2)):
        input, weight = mx.zeros(shape), draw_integers((3, 6, 2))
        with mlx_convt.native_ops():
            native = mlx_convt.conv_transpose1d(input, weight, stride=2)
        assert_same(native, mlx_convt.conv_transpose1d(input, weight, stride=2))
    input, weight = mx.zeros((1, 4, 0)), mx.zeros((3, 2, 0))
    bias = draw_integers((3,))
    with mlx_convt.native_ops():
        native = mlx_convt.conv_transpose1d(input, weight, bias=bias)
    assert_same(native, mx.broadcast_to(bias, (1, 5, 3)))


@pytest.mark.parametrize(
    "arguments",
    [
        {"stride": 0},
        {"padding": 9},
        {"output_padding": 2},
        {"groups": 2},
        {"bias": mx.zeros((5,))},
    ],
    ids=str,
)
def test_same_errors(arguments):
    input, weight = mx.zeros((1, 4, 4, 3)), mx.zeros((2, 3, 3, 3))
    texts = []
    for context in (mlx_convt.native_ops, nullcontext):
        with (
            context(),
            pytest.raises(ValueError, match="conv_transpose2d") as error,
        ):
            mlx_convt.conv_transpose2d(input, weight, **arguments)
        texts.append(str(error.value))
    assert texts[0] == texts[1]


def names_of(tmp_path, array):
    path = tmp_path / "graph.dot"
    mx.export_to_dot(str(path), array)
    return path.read_text()


def test_context_ends(tmp_path):
    geometry = GEOMETRIES["2d"]
    operands = draw_operands("output", geometry)

    def is_native():
        graph = names_of(tmp_path, geometry.forward(*operands))
        return "ConvTranspose" not in graph

    assert not is_native()
    with mlx_convt.native_ops():
        assert is_native()
        with mlx_convt.native_ops():
            assert is_native()
        assert is_native()
    assert not is_native()
    with pytest.raises(KeyError), mlx_convt.native_ops():
        raise KeyError
    assert not is_native()


def test_context_belongs_to_its_thread(tmp_path):
    geometry = GEOMETRIES["2d"]
    seen = []

    def work():
        operands = draw_operands("output", geometry)
        seen.append(names_of(tmp_path, geometry.forward(*operands)))

    with mlx_convt.native_ops():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert "ConvTranspose" in seen[0]


def test_half_precision_is_rounded_once():
    rng = np.random.default_rng(0)
    input = mx.array(rng.standard_normal((1, 9, 64)), mx.bfloat16)
    weight = mx.array(rng.standard_normal((8, 5, 64)), mx.bfloat16)
    with mlx_convt.native_ops():
        native = mlx_convt.conv_transpose1d(input, weight, stride=2)
    wide = mlx_convt.conv_transpose1d(
        input.astype(mx.float64), weight.astype(mx.float64), stride=2
    )
    error = mx.abs(native.astype(mx.float64) - wide)
    # Half an ulp of the result, and the float32 sum's share.
    bound = 2.0**-8 * mx.abs(wide) + 1e-4
    assert (error <= bound).all().item()
