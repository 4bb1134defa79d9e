"""The GPU's kernels, from the text and by the plans that ship, on the CPU.

Every run has all of the emulator's checks on: bounds, races, reads of what was
never written, outputs that were left out, barriers and SIMD-groups that part,
misaligned vectors, limits of threads and threadgroup memory.
"""

import itertools

import emulated
import library
import numpy as np
import pytest
from emulated import ELEMENTS, M1, M3, contract
from geometries import CHOSEN, random_geometry, scaled_layers
from helpers import CONTRACTIONS, make_geometry, oracle

LAYERS = scaled_layers()
GENERATIONS = (M1, M3)


@pytest.fixture(scope="module", autouse=True)
def compiled_kernels():
    library.shared()


def draw(contraction, geometry, seed=0):
    """Integers so small that every sum of their products is exact."""
    rng = np.random.default_rng(seed)
    return [
        rng.integers(-2, 3, shape).astype(np.float64)
        for shape in geometry.operand_shapes(contraction)
    ]


def assert_exact(
    contraction, geometry, element="float32", *, bias=None, **options
):
    operands = draw(contraction, geometry)
    expected = oracle(contraction, geometry, *operands)
    if bias is not None:
        expected = expected + bias
    # A 16-bit result is the exact sum, rounded once.
    expected = emulated.loaded(emulated.stored(expected, element), element)
    outcome = contract(
        contraction, geometry, operands, element, bias=bias, **options
    )
    assert outcome.errors == "", (geometry, options)
    wrong = np.argwhere(outcome.result != expected)
    assert not len(wrong), (len(wrong), wrong[:3], geometry, options)


@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize("contraction", CONTRACTIONS)
@pytest.mark.parametrize("name", CHOSEN)
def test_edges(name, contraction, element):
    for generation, order in itertools.product(GENERATIONS, emulated.ORDERS):
        assert_exact(
            contraction,
            CHOSEN[name],
            element,
            generation=generation,
            order=order,
        )


@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize("contraction", CONTRACTIONS)
@pytest.mark.parametrize("name", LAYERS)
def test_layers(name, contraction, element):
    for order in emulated.ORDERS:
        assert_exact(contraction, LAYERS[name], element, order=order)
    assert_exact(contraction, LAYERS[name], element, generation=M3)


@pytest.mark.parametrize("contraction", CONTRACTIONS)
@pytest.mark.parametrize("block", range(10))
def test_random_geometries(block, contraction):
    for seed in range(block * 12, block * 12 + 12):
        assert_exact(
            contraction,
            random_geometry(seed),
            ELEMENTS[seed % 3],
            generation=GENERATIONS[seed % 2],
            order=list(emulated.ORDERS)[seed % 3],
        )


@pytest.mark.parametrize("contraction", CONTRACTIONS)
@pytest.mark.parametrize("name", CHOSEN)
def test_any_lane_layout(name, contraction):
    """Which lane holds which element of a matrix is Apple's to change."""
    assert_exact(contraction, CHOSEN[name], permuted=True)


@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize("contraction", CONTRACTIONS)
@pytest.mark.parametrize("misalign", [(0, 4), (4, 0), (8, 12)])
def test_operands_that_begin_anywhere(misalign, contraction, element):
    for name in ("tile 64x64", "splits 64x64", "groups of one tile"):
        assert_exact(contraction, CHOSEN[name], element, misalign=misalign)


@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize("name", CHOSEN)
def test_bias(name, element):
    geometry = CHOSEN[name]
    bias = np.random.default_rng(3).integers(-4, 5, geometry.c_out)
    for generation in GENERATIONS:
        assert_exact(
            "output", geometry, element, bias=bias, generation=generation
        )


def test_every_specialisation_has_run():
    """The cases above launch each function that ships."""
    shared = library.shared()
    launched = {
        launch["name"]
        for geometry in (*CHOSEN.values(), *LAYERS.values())
        for contraction in CONTRACTIONS
        for element in ELEMENTS
        for generation in GENERATIONS
        for launch in shared.plan(
            emulated.problem(
                contraction, geometry, element, generation=generation
            )
        )["launches"]
    }
    assert launched == {one.name for one in shared.specialisations}


EMPTY = [
    ("no image", "weight_grad", make_geometry((4,), (3,), 8, 12, batch=0)),
    ("no pixel", "output", make_geometry((0,), (5,), 8, 12, stride=2)),
    ("no pixel", "weight_grad", make_geometry((0,), (5,), 8, 12, stride=2)),
    ("no input channel", "output", make_geometry((4,), (3,), 0, 12)),
    ("no output channel", "input_grad", make_geometry((4,), (3,), 8, 0)),
]


@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize(("what", "contraction", "geometry"), EMPTY)
def test_sums_over_nothing(what, contraction, geometry, element):
    bias = None
    if contraction == "output":
        bias = np.arange(1.0, geometry.c_out + 1)
    assert_exact(contraction, geometry, element, bias=bias)


@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize("contraction", CONTRACTIONS)
@pytest.mark.parametrize("name", [*CHOSEN][::3])
def test_rounding(name, contraction, element):
    """float32 sums of products, rounded once to the result's type."""
    geometry = CHOSEN[name]
    rng = np.random.default_rng(5)
    operands = [
        emulated.loaded(
            emulated.stored(rng.standard_normal(shape), element), element
        )
        for shape in geometry.operand_shapes(contraction)
    ]
    outcome = contract(contraction, geometry, operands, element)
    assert outcome.errors == ""
    expected = oracle(contraction, geometry, *operands)
    size = oracle(contraction, geometry, *map(np.abs, operands))
    last = {"float32": 0.0, "float16": 2.0**-11, "bfloat16": 2.0**-8}[element]
    bound = (geometry.terms(contraction) + 2) * 2.0**-24 * size
    bound = bound + last * (np.abs(expected) + bound) + 1e-7
    assert (np.abs(outcome.result - expected) <= bound).all()


@pytest.mark.parametrize("contraction", CONTRACTIONS)
@pytest.mark.parametrize("name", CHOSEN)
def test_same_bits_in_any_order(name, contraction):
    geometry = CHOSEN[name]
    rng = np.random.default_rng(6)
    operands = [
        rng.standard_normal(shape)
        for shape in geometry.operand_shapes(contraction)
    ]
    results = [
        contract(contraction, geometry, operands, order=order).result
        for order in emulated.ORDERS
    ]
    assert all(np.array_equal(results[0], other) for other in results[1:])


@pytest.mark.parametrize("name", [*CHOSEN, *LAYERS])
@pytest.mark.parametrize("contraction", ["output", "input_grad"])
def test_infinity_reaches_what_the_formula_says(name, contraction):
    """One infinite pixel, positive weights: no zero may meet it."""
    geometry = {**CHOSEN, **LAYERS}[name]
    source, weight = (
        np.ones(shape) for shape in geometry.operand_shapes(contraction)
    )
    flat = source.reshape(-1)
    flat[len(flat) // 2] = np.inf
    reached = oracle(
        contraction, geometry, np.where(source > 1, 1.0, 0), weight
    )
    outcome = contract(contraction, geometry, (source, weight))
    assert outcome.errors == ""
    assert np.array_equal(np.isposinf(outcome.result), reached > 0)
    assert np.isfinite(outcome.result[reached == 0]).all()
