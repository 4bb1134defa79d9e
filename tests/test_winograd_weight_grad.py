"""Weight gradients by Winograd's minimal filtering.

Small integers are exact in every order of summation. What the cells of two
positions could get wrong: taps without a partner, a last cell of one position,
pixels outside of the output, and infinities, which sums of products lose.
"""

import numpy as np
import pytest
from helpers import (
    DTYPES,
    assert_equal,
    contract,
    draw_operands,
    oracle,
    to_mlx,
    to_numpy,
)
from helpers import make_geometry as geo

# Rectangles have up to 128 columns of y and 256 of x, panels 128 rows.
GEOMETRIES = {
    "pairs": geo((6, 8), 4, 18, 20, batch=2, stride=2, padding=1),
    "lone taps": geo((8, 6), 3, 17, 16, stride=2, padding=1),
    "odd maps": geo((7, 5), (4, 3), 16, 33, batch=3, stride=2),
    "every tap alone": geo((5, 4), 2, 16, 16, stride=2),
    "one line": geo((129,), 9, 5, 19, stride=3, padding=4),
    "one axis joined": geo((6, 9), (2, 5), 16, 16, stride=(3, 1)),
    "the middle axis joined": geo((3, 6, 4), (1, 4, 2), 4, 5, stride=2),
    "three axes": geo((4, 5, 6), (4, 3, 4), 6, 7, stride=2, padding=1),
    "dilated": geo((8, 9), 4, 16, 17, stride=2, dilation=2, padding=2),
    "dilated apart": geo((12, 9), 3, 9, 16, stride=(1, 3), dilation=(3, 1)),
    "groups": geo((6, 8), 4, 48, 60, stride=2, padding=1, groups=3),
    "cropped": geo((6, 7), 5, 16, 16, stride=2, padding=4),
    "output padding": geo((5, 6), 3, 9, 8, stride=3, output_padding=2),
    "wide rectangles": geo((4, 6), 4, 300, 200, stride=2, padding=1),
    "wide lines": geo((10,), 8, 530, 390, stride=4, padding=2),
    "wide boxes": geo((2, 4, 2), 4, 150, 70, stride=2, padding=1),
    "many positions": geo((90, 61), 4, 16, 18, stride=2, padding=1),
    "few sums of many positions": geo((700,), 2, 16, 16, batch=2),
    "empty batch": geo((6, 8), 4, 18, 20, batch=0, stride=2, padding=1),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_integers_are_exact(name, dtype):
    geometry = GEOMETRIES[name]
    operands = draw_operands("weight_grad", geometry, dtype)
    actual = contract("weight_grad", geometry, *operands, "winograd")
    sums = oracle("weight_grad", geometry, *map(to_numpy, operands))
    # Half precision may round a sum, but only once.
    assert_equal(actual, to_numpy(to_mlx(sums, dtype)), dtype, geometry)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_results_beyond_the_caches_are_exact(dtype):
    geometry = geo((5,), 9, 1030, 510, stride=4, padding=2)
    operands = draw_operands("weight_grad", geometry, dtype)
    actual = contract("weight_grad", geometry, *operands, "winograd")
    assert actual.nbytes > 8 * 2**20
    sums = oracle("weight_grad", geometry, *map(to_numpy, operands))
    assert_equal(actual, sums, dtype, geometry)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("operand", [0, 1])
@pytest.mark.parametrize("name", ["pairs", "lone taps", "odd maps", "groups"])
def test_non_finite_values_act_as_in_a_direct_sum(name, operand, value):
    geometry = GEOMETRIES[name]
    operands = draw_operands("weight_grad", geometry)
    shape = operands[operand].shape
    for place in ((0, 1, 2, 3), tuple(n - 1 for n in shape)):
        spoilt = list(operands)
        changed = to_numpy(operands[operand])
        changed[place] = value
        spoilt[operand] = to_mlx(changed, "float32")
        actual, direct = (
            to_numpy(contract("weight_grad", geometry, *spoilt, algorithm))
            for algorithm in ("winograd", "polyphase")
        )
        assert not np.isfinite(direct).all()
        np.testing.assert_array_equal(actual, direct)


def random_result(geometry, algorithm, dtype="float32"):
    rng = np.random.default_rng(2)
    operands = (
        to_mlx(rng.standard_normal(shape), dtype)
        for shape in geometry.operand_shapes("weight_grad")
    )
    return to_numpy(contract("weight_grad", geometry, *operands, algorithm))


# Another order of summation shows which algorithm it was.
@pytest.mark.parametrize(
    ("geometry", "pays"),
    [
        (geo((16, 16), 4, 64, 64, batch=2, stride=2, padding=1), True),
        (geo((64,), 16, 64, 64, stride=8, padding=4), True),
        (geo((32, 32), 3, 16, 20, stride=2, padding=1), False),
        (geo((16, 16), 4, 15, 128, stride=2, padding=1), False),
    ],
)
def test_it_is_chosen_where_it_pays(geometry, pays):
    auto, winograd, direct = (
        random_result(geometry, algorithm)
        for algorithm in ("auto", "winograd", "polyphase")
    )
    assert not np.array_equal(winograd, direct)
    np.testing.assert_array_equal(auto, winograd if pays else direct)


def test_double_precision_stays_direct():
    geometry = geo((16, 16), 4, 64, 64, batch=2, stride=2, padding=1)
    auto, direct = (
        random_result(geometry, algorithm, "float64")
        for algorithm in ("auto", "polyphase")
    )
    np.testing.assert_array_equal(auto, direct)
