"""The forms an argument may take, and what is said about any other."""

import mlx.core as mx
import numpy as np
import pytest
from helpers import draw_integers

import mlx_convt

# Two ways to write each call.
SAME = {
    "defaults": ({}, {"stride": 1, "padding": 0, "groups": 1}),
    "lists": ({"stride": [2, 2]}, {"stride": 2}),
    "tuples": (
        {"dilation": (2, 2), "padding": (1, 1)},
        {"dilation": 2, "padding": 1},
    ),
    "numpy ints": (
        {"stride": np.int64(2), "padding": np.array([1, 0])},
        {"stride": 2, "padding": (1, 0)},
    ),
    "pairs": ({"padding": [(1, 1), (0, 0)]}, {"padding": (1, 0)}),
    "ints and pairs": ({"padding": (1, [0, 2])}, {"padding": ((1, 1), (0, 2))}),
    "valid": ({"padding": "valid"}, {"padding": 0}),
    "output_size": (
        {"stride": 3, "output_size": (14, 12)},
        {"stride": 3, "output_padding": (2, 0)},
    ),
    "output_size int": (
        {"stride": 3, "output_size": 13},
        {"stride": 3, "output_padding": (1, 1)},
    ),
    "output_padding zero with output_size": (
        {"stride": 2, "output_padding": 0, "output_size": (10, 9)},
        {"stride": 2, "output_padding": (1, 0)},
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_same_call(name):
    input, weight = draw_integers((2, 4, 4, 3)), draw_integers((5, 3, 3, 3))
    one, other = (
        mlx_convt.conv_transpose2d(input, weight, **arguments)
        for arguments in SAME[name]
    )
    assert mx.array_equal(one, other).item()


ANY_PADDING = (
    "padding must be an int, a sequence of 2 ints or (low, high) pairs, "
    '"same" or "valid"'
)


def a_sequence(name):
    return f"{name} must be an int or a sequence of 2 ints"


FORMS = [
    *(
        (TypeError, name, value, a_sequence(name))
        for name in ("stride", "dilation", "output_padding", "output_size")
        for value in (1.0, "2", (1, 2.5))
    ),
    *(
        (ValueError, name, value, a_sequence(name))
        for name in ("stride", "dilation", "output_padding", "output_size")
        for value in ((), (1,), [1, 2, 3])
    ),
    (TypeError, "stride", None, a_sequence("stride")),
    *(
        (TypeError, "padding", value, ANY_PADDING)
        for value in (None, 1.5, (1, "a"), ((1, 1.5), 0))
    ),
    *(
        (ValueError, "padding", value, ANY_PADDING)
        for value in ("full", (1,), [1, 2, 3], ((1, 2, 3), 0))
    ),
    *(
        (TypeError, "groups", value, "groups must be an int")
        for value in (1.0, (1,), None)
    ),
]


@pytest.mark.parametrize(("kind", "name", "value", "rule"), FORMS, ids=str)
def test_forms(kind, name, value, rule):
    with pytest.raises(kind) as error:
        mlx_convt.conv_transpose2d(
            mx.zeros((1, 4, 4, 2)), mx.zeros((3, 3, 3, 2)), **{name: value}
        )
    assert str(error.value) == (
        f"[conv_transpose2d] {rule}. Got {name} {value!r}."
    )


def test_forms_of_one_axis():
    with pytest.raises(ValueError) as error:
        mlx_convt.conv_transpose1d(
            mx.zeros((1, 4, 2)), mx.zeros((3, 3, 2)), stride=(1, 2)
        )
    assert str(error.value) == (
        "[conv_transpose1d] stride must be an int or a sequence of 1 int. "
        "Got stride (1, 2)."
    )


@pytest.mark.parametrize("what", ["input", "weight", "bias"])
@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (np.zeros((1, 4, 2)), "numpy.ndarray"),
        ([[[1.0]]], "builtins.list"),
        (1.0, "builtins.float"),
    ],
    ids=["numpy", "list", "float"],
)
def test_what_is_not_an_array(what, value, kind):
    arrays = {
        "input": mx.zeros((1, 4, 2)),
        "weight": mx.zeros((3, 3, 2)),
        "bias": None,
    }
    arrays[what] = value
    with pytest.raises(TypeError) as error:
        mlx_convt.conv_transpose1d(
            arrays["input"], arrays["weight"], bias=arrays["bias"]
        )
    assert str(error.value) == (
        f"[conv_transpose1d] {what} must be an mlx.core.array. Got {kind}."
    )


@pytest.mark.filterwarnings("ignore:nanobind")
def test_an_array_that_was_never_made():
    with pytest.raises(TypeError):
        mlx_convt.conv_transpose1d(
            mx.array.__new__(mx.array), mx.zeros((3, 3, 2))
        )


X, W = mx.zeros((1, 4, 4, 2)), mx.zeros((2, 3, 3, 2))
PLAIN = {
    "rank": 2,
    "input": X,
    "weight": W,
    "stride": (2, 2),
    "padding": 1,
    "dilation": [1, 1],
    "output_padding": 0,
    "groups": 1,
    "bias": None,
    "stream": None,
}
RARE = [
    ("input", np.zeros((1, 4, 4, 2))),
    ("bias", [0.0, 0.0]),
    ("stream", "cpu"),
    ("padding", "same"),
    ("padding", ((1, 1), (0, 1))),
    ("stride", np.int64(2)),
    ("stride", True),
    ("stride", 0),
    ("stride", (2,)),
    ("stride", [1, 2, 3]),
    ("stride", (2, 2**31)),
    ("stride", 2**64),
    ("padding", -1),
    ("output_padding", -1),
    ("dilation", (1, 0)),
    ("groups", 0),
    ("groups", 1.0),
]


def test_plain_forms_are_read_at_once():
    result = mlx_convt._ext.plain_call(**PLAIN)
    expected = mlx_convt.conv_transpose2d(
        X, W, np.int64(2), ((1, 1), (1, 1)), stream=mx.cpu
    )
    assert result.shape == expected.shape


@pytest.mark.parametrize(("name", "value"), RARE, ids=str)
def test_rare_forms_are_left_to_python(name, value):
    assert mlx_convt._ext.plain_call(**PLAIN | {name: value}) is None
