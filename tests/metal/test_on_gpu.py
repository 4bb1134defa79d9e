"""The public functions on Apple's GPU: what a maintainer with a Mac runs first.

Everything else in this folder needs no Mac.
"""

import mlx.core as mx
import numpy as np
import pytest
from emulated import ELEMENTS
from geometries import CHOSEN, random_geometry, scaled_layers
from helpers import (
    CONTRACTIONS,
    assert_exact,
    contract,
    draw_integers,
    draw_operands,
    make_geometry,
    to_numpy,
)

import mlx_convt
from mlx_convt import _ext, layers

pytestmark = pytest.mark.skipif(
    not mx.metal.is_available(), reason="needs Apple's GPU"
)
CASES = {**CHOSEN, **scaled_layers()}


@pytest.fixture(autouse=True)
def on_gpu(cpu_without_forced_algorithm):
    mx.set_default_device(mx.gpu)


def test_every_function_compiles():
    names = _ext.compile_gpu_kernels()
    assert len(names) == len(set(names)) > 50


@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize("contraction", CONTRACTIONS)
@pytest.mark.parametrize("name", CASES)
def test_exact(name, contraction, element):
    # Small integers: also what a 16-bit result holds exactly.
    largest = 1 if element == "bfloat16" else 2
    operands = draw_operands(contraction, CASES[name], element, largest)
    result = contract(contraction, CASES[name], *operands)
    if element == "float32":
        assert_exact(result, contraction, CASES[name], operands)
        return
    on_cpu = mx.stream(mx.cpu)
    with on_cpu:
        expected = contract(contraction, CASES[name], *operands)
        assert mx.array_equal(result, expected)


@pytest.mark.parametrize("contraction", CONTRACTIONS)
@pytest.mark.parametrize("seed", range(60))
def test_random_geometries(seed, contraction):
    geometry = random_geometry(seed)
    operands = draw_operands(contraction, geometry)
    result = contract(contraction, geometry, *operands)
    assert_exact(result, contraction, geometry, operands)


@pytest.mark.parametrize("layer", layers.load(), ids=lambda layer: layer.name)
def test_layers_in_full_size(layer):
    """As the CPU engine computes them, forward and with both gradients."""
    x = draw_integers(layer.input_shape, largest=1)
    w = draw_integers(layer.weight_shape, seed=1, largest=1)
    cotangent = draw_integers(layer.output_shape, seed=2, largest=1)

    def apply(device):
        def forward(x, w):
            return mlx_convt.conv_transpose2d(
                x, w, **layer.arguments, stream=device
            )

        (y,), gradients = mx.vjp(forward, [x, w], [cotangent])
        mx.eval(y, gradients)
        return [y, *gradients]

    for ours, expected in zip(apply(mx.gpu), apply(mx.cpu), strict=True):
        assert mx.array_equal(ours, expected)


def test_views_and_transforms():
    geometry = make_geometry((5, 4), (3, 3), 8, 12, stride=2, padding=1)
    x = draw_integers((2, 3, 5, 4, 9))[..., 1:]
    w = draw_integers((12, 3, 3, 16), seed=1)[..., ::2]
    bias = draw_integers((12,), seed=2)

    def run():
        def forward(x):
            return geometry.forward(x, w, bias=bias)

        def loss(x, w):
            return geometry.forward(x, w).square().sum()

        return [
            mx.vmap(forward)(x),
            mx.compile(forward)(x[0]),
            *mx.grad(loss, argnums=(0, 1))(x[1], w),
            mx.jvp(forward, [x[0]], [x[1]])[1][0],
            mx.grad(lambda x: mx.grad(loss)(x, w).square().sum())(x[0]),
        ]

    on_gpu = run()
    with mx.stream(mx.cpu):
        on_cpu = run()
        for ours, expected in zip(on_gpu, on_cpu, strict=True):
            assert mx.array_equal(ours, expected)


def test_float64_is_refused():
    one = mx.ones((1, 1, 1), mx.float64, stream=mx.cpu)
    with pytest.raises(ValueError) as error:
        mx.eval(mlx_convt.conv_transpose1d(one, one, stream=mx.gpu))
    assert str(error.value) == (
        "[conv_transpose1d] the GPU computes float32, float16 and bfloat16. "
        "Got float64. Call it with stream=mx.cpu."
    )


def test_empty_sums():
    nothing = mx.zeros((2, 4, 0))
    y = mlx_convt.conv_transpose1d(
        nothing, mx.zeros((3, 2, 0)), bias=mx.arange(3.0)
    )
    assert np.array_equal(to_numpy(y), np.tile([0.0, 1, 2], (2, 5, 1)))
