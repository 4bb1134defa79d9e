"""Every error text in full: the function, the rule, the values.

test_argument_forms.py has those about types.
"""

import mlx.core as mx
import pytest
from helpers import forced

import mlx_convt
from mlx_convt import _ext

INPUT = {1: (1, 4, 2), 2: (1, 4, 4, 2), 3: (1, 2, 2, 2, 2)}
WEIGHT = {1: (3, 3, 2), 2: (3, 3, 3, 2), 3: (3, 2, 2, 2, 2)}


def call(rank=2, input=None, weight=None, bias=None, **arguments):
    """A small valid call, but for what is given: arrays by their shapes."""
    return getattr(mlx_convt, f"conv_transpose{rank}d")(
        mx.zeros(input or INPUT[rank]),
        mx.zeros(weight or WEIGHT[rank]),
        bias=None if bias is None else mx.zeros(bias),
        **arguments,
    )


TOO_SMALL = [
    ("stride", 0, "at least 1", "(0, 0)"),
    ("stride", (1, -2), "at least 1", "(1, -2)"),
    ("padding", -1, "at least 0", "(-1, -1)"),
    ("padding", ((0, 0), (0, -1)), "at least 0", "(0, -1)"),
    ("padding", ((-3, 0), (0, 0)), "at least 0", "(-3, 0)"),
    ("dilation", 0, "at least 1", "(0, 0)"),
    ("output_padding", (-1, 0), "at least 0", "(-1, 0)"),
    ("stride", (1, -(2**70)), "at least 1", f"(1, {-(2**70)})"),
    ("padding", (1, -(2**70)), "at least 0", f"(1, {-(2**70)})"),
]
TOO_LARGE = [
    (name, value, "less than 2^31", f"({value}, {value})")
    for name in ("stride", "padding", "dilation", "output_padding")
    for value in (2**31, 2**63 - 1, 2**63)
]


@pytest.mark.parametrize(
    ("name", "value", "rule", "got"), TOO_SMALL + TOO_LARGE
)
def test_range(name, value, rule, got):
    with pytest.raises(ValueError) as error:
        call(**{name: value})
    assert str(error.value) == (
        f"[conv_transpose2d] {name} must be {rule}. Got {name} {got}."
    )


@pytest.mark.parametrize(
    ("groups", "rule"),
    [
        (0, "at least 1"),
        (-2, "at least 1"),
        (-(2**70), "at least 1"),
        (2**31, "less than 2^31"),
        (2**63, "less than 2^31"),
    ],
)
def test_groups_range(groups, rule):
    with pytest.raises(ValueError) as error:
        call(groups=groups)
    assert str(error.value) == (
        f"[conv_transpose2d] groups must be {rule}. Got groups {groups}."
    )


SMALLER = "output_padding must be smaller than stride or dilation"
PER_CHANNEL = "bias must have one value per output channel"
INPUT_NDIM = "input must have {} dimensions, (N, *spatial, C_in)"
CHANNELS = "the {} channels must be divisible by groups"
LEFT_OUT = "{} must be left out with {}"

# Arguments of call(), the rule they break, the values the text repeats.
VALUES = [
    (
        {"output_padding": 1},
        SMALLER,
        "output_padding (1, 1), stride (1, 1), dilation (1, 1)",
    ),
    (
        {"stride": 2, "output_padding": (1, 2)},
        SMALLER,
        "output_padding (1, 2), stride (2, 2), dilation (1, 1)",
    ),
    (
        {"rank": 1, "dilation": 3, "output_padding": 3},
        SMALLER,
        "output_padding (3,), stride (1,), dilation (3,)",
    ),
    (
        {"rank": 3, "stride": (1, 2, 3), "output_padding": (0, 0, 3)},
        SMALLER,
        "output_padding (0, 0, 3), stride (1, 2, 3), dilation (1, 1, 1)",
    ),
    (
        {"groups": 3},
        CHANNELS.format("input"),
        "input shape (1, 4, 4, 2), groups 3",
    ),
    (
        {"groups": 2},
        CHANNELS.format("output"),
        "weight shape (3, 3, 3, 2), groups 2",
    ),
    (
        {"input": (1, 4, 4, 4), "weight": (4, 3, 3, 3), "groups": 2},
        "the input channels must equal the weight's last dimension times groups",
        "input shape (1, 4, 4, 4), weight shape (4, 3, 3, 3), groups 2",
    ),
    ({"input": (4, 4, 2)}, INPUT_NDIM.format(4), "shape (4, 4, 2)"),
    (
        {"rank": 3, "input": (2,), "padding": "same"},
        INPUT_NDIM.format(5),
        "shape (2,)",
    ),
    (
        {"rank": 1, "weight": (3, 3, 3, 2)},
        "weight must have 3 dimensions, (C_out, *kernel, C_in / groups)",
        "shape (3, 3, 3, 2)",
    ),
    (
        {"weight": (3, 3, 0, 2)},
        "kernel sizes must be at least 1",
        "weight shape (3, 3, 0, 2)",
    ),
    (
        {"bias": (2,)},
        PER_CHANNEL,
        "bias shape (2,), weight shape (3, 3, 3, 2)",
    ),
    (
        {"bias": (3, 1)},
        PER_CHANNEL,
        "bias shape (3, 1), weight shape (3, 3, 3, 2)",
    ),
    (
        {"padding": "same", "output_padding": 1},
        LEFT_OUT.format("output_padding", 'padding "same"'),
        "output_padding (1, 1)",
    ),
    (
        {"padding": "same", "output_size": 4},
        LEFT_OUT.format("output_size", 'padding "same"'),
        "output_size 4",
    ),
    (
        {"stride": 2, "output_size": 9, "output_padding": (1, 0)},
        LEFT_OUT.format("output_padding", "output_size"),
        "output_padding (1, 0)",
    ),
    (
        {"stride": 2, "output_size": (9, 11)},
        "output_size must lie between (9, 9) and (10, 10)",
        "output_size (9, 11)",
    ),
    (
        {"rank": 1, "dilation": 3, "output_size": 9},
        "output_size must lie between (10,) and (10,)",
        "output_size (9,)",
    ),
]


@pytest.mark.parametrize(("arguments", "rule", "got"), VALUES, ids=str)
def test_values(arguments, rule, got):
    with pytest.raises(ValueError) as error:
        call(**arguments)
    rank = arguments.get("rank", 2)
    assert str(error.value) == f"[conv_transpose{rank}d] {rule}. Got {got}."


SIZES = [
    ((1, 4, 4, 2), (3, 3, 3, 2), {"padding": 3}, (0, 0)),
    ((1, 0, 4, 2), (3, 1, 1, 2), {"stride": 3}, (-2, 10)),
    ((1, 2**31 - 1, 1, 2), (3, 2, 1, 2), {}, (2**31, 1)),
    (
        (1, 4, 4, 2),
        (3, 3, 3, 2),
        {"stride": 2**31 - 1, "dilation": 2**31 - 1},
        (10737418236, 10737418236),
    ),
]


@pytest.mark.parametrize(("input", "weight", "arguments", "size"), SIZES)
def test_output_sizes(input, weight, arguments, size):
    with pytest.raises(ValueError) as error:
        call(input=input, weight=weight, **arguments)
    assert str(error.value) == (
        "[conv_transpose2d] every output size must be at least 1 and less than "
        f"2^31. Got output size {size} from input shape {input}, weight shape "
        f"{weight}."
    )


@pytest.mark.parametrize("what", ["input", "weight", "bias"])
@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool", "complex64"])
def test_dtypes(what, dtype):
    arrays = {
        "input": mx.zeros(INPUT[1]),
        "weight": mx.zeros(WEIGHT[1]),
        "bias": mx.zeros((3,)),
    }
    wrong = "bool_" if dtype == "bool" else dtype
    arrays[what] = arrays[what].astype(getattr(mx, wrong))
    with pytest.raises(ValueError) as error:
        mlx_convt.conv_transpose1d(
            arrays["input"], arrays["weight"], bias=arrays["bias"]
        )
    assert str(error.value) == (
        f"[conv_transpose1d] {what} must be float32, float16, bfloat16 or "
        f"float64. Got {dtype}."
    )


def test_a_result_too_large_to_count():
    # 2^62 elements: their bytes do not fit into 64 bits.
    with pytest.raises(ValueError) as error:
        call(input=(1, 2, 2, 1), weight=(1, 1, 1, 1), stride=2**31 - 2)
    assert str(error.value) == (
        "[conv_transpose2d] the output must have at most 2^59 elements. "
        "Got output shape (1, 2147483647, 2147483647, 1)."
    )


def test_unknown_algorithm():
    names = ", ".join(["auto", *_ext.algorithms()])
    with forced("fastest"), pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == (
        f"[mlx_convt] MLX_CONVT_ALGORITHM must be one of {names}. Got fastest."
    )


def test_algorithm_that_cannot_run():
    with forced("lanewise"), pytest.raises(ValueError) as error:
        call(input=(1, 4, 4, 9), weight=(3, 3, 3, 9))
    assert str(error.value) == (
        "[conv_transpose2d] MLX_CONVT_ALGORITHM=lanewise cannot run this "
        "operation: a group must have at most 8 input and 8 output channels."
    )


def test_algorithm_without_a_gradient():
    with forced("dot"), pytest.raises(ValueError) as error:
        mx.grad(
            lambda w: mlx_convt.conv_transpose1d(mx.zeros(INPUT[1]), w).sum()
        )(mx.zeros(WEIGHT[1]))
    assert str(error.value) == (
        "[conv_transpose1d] MLX_CONVT_ALGORITHM=dot cannot run this operation: "
        "it has no weight gradient."
    )


@pytest.mark.parametrize("axes", [(0, None), (None, 0)])
def test_vmap_that_outgrows_a_dimension(axes):
    large, small = mx.zeros((2**20, 2**12, 1, 1)), mx.zeros((1, 1, 1))
    with pytest.raises(ValueError) as error:
        mx.vmap(mlx_convt.conv_transpose1d, axes)(
            *(small if axis is None else large for axis in axes)
        )
    assert str(error.value) == (
        "[conv_transpose1d] vmap makes a dimension of 2^31 or more. "
        "Got 1048576 times 4096."
    )
