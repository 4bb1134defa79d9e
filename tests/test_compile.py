"""mx.compile and mx.checkpoint, on exact integers."""

import mlx.core as mx
import pytest
from helpers import (
    CONTRACTIONS,
    OPERANDS,
    assert_exact,
    contract,
    draw_integers,
    draw_operands,
    forced,
    make_geometry,
)

import mlx_convt

GEOMETRIES = {
    "1d groups": make_geometry((5,), 3, 4, 6, batch=2, stride=2, groups=2),
    "2d": make_geometry(
        (3, 4), (3, 2), 2, 3, stride=(2, 1), padding=((1, 0), (0, 1))
    ),
    "2d depthwise": make_geometry((5, 4), 4, 5, 5, stride=2, groups=5),
    "3d": make_geometry((2, 3, 2), 2, 3, 2, stride=2, output_padding=1),
}


def contraction_function(contraction, geometry):
    return lambda first, second: contract(contraction, geometry, first, second)


@pytest.mark.parametrize("contraction", CONTRACTIONS)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_compile(name, contraction):
    geometry = GEOMETRIES[name]
    function = mx.compile(contraction_function(contraction, geometry))
    operands = draw_operands(contraction, geometry)
    for _ in range(2):
        assert_exact(function(*operands), contraction, geometry, operands)


@pytest.mark.parametrize("contraction", CONTRACTIONS)
def test_compile_of_views(contraction):
    """Operands that are transposed inside and outside of the function."""
    geometry = GEOMETRIES["2d"]
    operands = draw_operands(contraction, geometry)
    flipped = [mx.contiguous(mx.transpose(array)) for array in operands]

    @mx.compile
    def function(first, second):
        return contract(contraction, geometry, first, mx.transpose(second))

    actual = function(mx.transpose(flipped[0]), flipped[1])
    assert_exact(actual, contraction, geometry, operands)


def not_as_outputs(arrays):
    """MLX never merges what a compiled function returns, only what it uses."""
    return [-array for array in arrays]


# Pairs of calls on the same arrays whose results have the same shape.
LOOKALIKES = {
    "padding": ({"padding": [(0, 2)]}, {"padding": [(2, 0)]}),
    "stride and dilation": (
        {"stride": 2, "dilation": 1},
        {"stride": 1, "dilation": 2},
    ),
    "output_padding": (
        {"stride": 3, "output_padding": 2, "padding": [(2, 0)]},
        {"stride": 3, "output_padding": 1, "padding": [(1, 0)]},
    ),
}


@pytest.mark.parametrize("name", LOOKALIKES)
def test_compile_keeps_different_calls_apart(name):
    input, weight = draw_integers((1, 3, 2)), draw_integers((4, 3, 2))
    calls = [
        lambda x, w, attributes=attributes: mlx_convt.conv_transpose1d(
            x, w, **attributes
        )
        for attributes in LOOKALIKES[name]
    ]
    cotangent = draw_integers(calls[0](input, weight).shape)

    def everything(input, weight):
        results = []
        for call in calls:
            outputs, gradients = mx.vjp(call, [input, weight], [cotangent])
            results += [*outputs, *gradients]
        return not_as_outputs(results)

    eager = everything(input, weight)
    assert not mx.array_equal(eager[0], eager[3]).item()
    for one, other in zip(
        eager, mx.compile(everything)(input, weight), strict=True
    ):
        assert mx.array_equal(one, other).item()


def test_compile_keeps_contractions_apart():
    # The same arrays, attributes and shapes, but three different sums.
    geometry = make_geometry((4,), 4, 4, 4, batch=4, padding=((1, 2),))
    operands = draw_integers((4, 4, 4)), draw_integers((4, 4, 4), seed=1)

    first, second = operands

    # A gradient takes the operand that it shares with its call as the call
    # made it: contiguous, which is an operation of its own.
    def everything(first, second):
        results = [
            contract("output", geometry, mx.contiguous(first), second),
            contract("input_grad", geometry, second, first),
            contract("weight_grad", geometry, first, second),
        ]
        return not_as_outputs(results)

    results = mx.compile(everything)(first, second)
    pairs = ((first, second), (second, first), (first, second))
    for contraction, pair, actual in zip(
        CONTRACTIONS, pairs, results, strict=True
    ):
        assert_exact(-actual, contraction, geometry, pair)


def test_compile_keeps_groups_apart():
    # Input gradients of the same arrays, in one group and in two.
    weight, cotangent = draw_integers((4, 2, 3)), draw_integers((1, 5, 4))
    geometries = [
        make_geometry((4,), 2, 3 * groups, 4, groups=groups)
        for groups in (1, 2)
    ]

    def everything(cotangent, weight):
        return not_as_outputs(
            [
                contract("input_grad", geometry, cotangent, weight)
                for geometry in geometries
            ]
        )

    results = mx.compile(everything)(cotangent, weight)
    for geometry, actual in zip(geometries, results, strict=True):
        assert_exact(-actual, "input_grad", geometry, (cotangent, weight))


@pytest.mark.parametrize("name", ["padding", "output_padding"])
def test_compile_keeps_input_sizes_apart(name):
    # Input gradients of the same arrays, first that of the shorter input.
    weight, cotangent = draw_integers((4, 3, 2)), draw_integers((1, 9, 4))
    calls = {
        "padding": ((5, {}), (6, {"padding": ((0, 1),)})),
        "output_padding": ((4, {"output_padding": 1}), (5, {})),
    }
    geometries = [
        make_geometry((size,), 3, 2, 4, dilation=2, **arguments)
        for size, arguments in calls[name]
    ]

    def everything(cotangent, weight):
        return not_as_outputs(
            [
                contract("input_grad", geometry, cotangent, weight)
                for geometry in geometries
            ]
        )

    results = mx.compile(everything)(cotangent, weight)
    for geometry, actual in zip(geometries, results, strict=True):
        assert_exact(-actual, "input_grad", geometry, (cotangent, weight))


def primitives(tmp_path, *outputs):
    """How many of the package's primitives the graph of some arrays holds."""
    path = tmp_path / "graph.dot"
    mx.export_to_dot(str(path), *outputs)
    lines = path.read_text().splitlines()
    return sum('label ="ConvTranspose' in line for line in lines)


def test_compile_merges_equal_calls(tmp_path):
    geometry = GEOMETRIES["2d"]

    def twice(input, weight):
        once = geometry.forward(input, weight)
        return 3 * once - 2 * geometry.forward(input, weight)

    operands = draw_operands("output", geometry)
    assert primitives(tmp_path, twice(*operands)) == 2
    actual = mx.compile(twice)(*operands)
    assert primitives(tmp_path, actual) == 1
    assert_exact(actual, "output", geometry, operands)


def test_compile_keeps_algorithms_apart(tmp_path):
    # Their results differ by rounding at most, so the graph is looked at.
    geometry = GEOMETRIES["2d"]

    def by_two(input, weight):
        with forced("polyphase"):
            once = geometry.forward(input, weight)
        with forced("reference"):
            return 3 * once - 2 * geometry.forward(input, weight)

    actual = mx.compile(by_two)(*draw_operands("output", geometry))
    assert primitives(tmp_path, actual) == 2


@pytest.mark.parametrize("contraction", CONTRACTIONS)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_shapeless_compile(name, contraction):
    traced = GEOMETRIES[name]
    attributes = traced.attributes

    def forward(input, weight):
        function = getattr(mlx_convt, f"conv_transpose{traced.rank}d")
        return function(input, weight, **attributes)

    def function(input, weight, cotangent):
        outputs, gradients = mx.vjp(forward, [input, weight], [cotangent])
        return [*outputs, *gradients][CONTRACTIONS.index(contraction)]

    names = ("input", "weight", "output_grad")
    compiled = mx.compile(function, shapeless=True)
    # Other batches, maps and kernels than those traced.
    for batch, grow, kernel in ((1, 0, 0), (3, 0, 0), (2, 3, 0), (1, 1, 1)):
        geometry = make_geometry(
            [size + grow for size in traced.spatial],
            [size + kernel for size in traced.kernel],
            traced.c_in,
            traced.c_out,
            batch=batch,
            **attributes,
        )
        arrays = {n: draw_integers(geometry.shape(n)) for n in names}
        actual = compiled(*arrays.values())
        operands = [arrays[name] for name in OPERANDS[contraction]]
        assert_exact(actual, contraction, geometry, operands)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_checkpoint(name):
    geometry = GEOMETRIES[name]
    operands = draw_operands("output", geometry)

    def loss(function):
        return lambda x, w: function(x, w).square().sum()

    plain = mx.grad(loss(geometry.forward), argnums=(0, 1))(*operands)
    kept = mx.grad(loss(mx.checkpoint(geometry.forward)), argnums=(0, 1))(
        *operands
    )
    for one, other in zip(plain, kept, strict=True):
        assert mx.array_equal(one, other).item()


def test_vmap_without_shapes():
    w = mx.random.normal((6, 3, 3, 2))
    mx.eval(w)  # Random numbers have no shapes to infer.
    mapped = mx.vmap(lambda x: mlx_convt.conv_transpose2d(x, w, 2))
    compiled = mx.compile(mapped, shapeless=True)
    compiled(mx.zeros((3, 1, 4, 4, 2)))
    x = mx.random.normal((3, 1, 2, 8, 2))
    actual = compiled(x)
    assert actual.shape == (3, 1, 5, 17, 6)
    assert mx.array_equal(actual, mapped(x))
