"""Every error text of the layers and of weights' porting, in full."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

import mlx_convt


def layer(rank=2, c_in=4, c_out=6, kernel=3, **arguments):
    kind = getattr(mlx_convt.nn, f"ConvTranspose{rank}d")
    return kind(c_in, c_out, kernel, **arguments)


SMALLER = "output_padding must be smaller than stride or dilation"
PADDING = (
    "padding must be an int, a sequence of 2 ints or (low, high) pairs, "
    '"same" or "valid"'
)

# Arguments of layer(), the rule they break, the values the text repeats.
RULES = [
    ({"c_in": 0}, "in_channels must be at least 1", "in_channels 0"),
    ({"c_out": -1}, "out_channels must be at least 1", "out_channels -1"),
    ({"groups": 0}, "groups must be at least 1", "groups 0"),
    (
        {"groups": 3},
        "in_channels must be divisible by groups",
        "in_channels 4, groups 3",
    ),
    (
        {"groups": 4},
        "out_channels must be divisible by groups",
        "out_channels 6, groups 4",
    ),
    ({"kernel": 0}, "kernel_size must be at least 1", "kernel_size (0, 0)"),
    (
        {"kernel": (1, 2, 3)},
        "kernel_size must be an int or a sequence of 2 ints",
        "kernel_size (1, 2, 3)",
    ),
    ({"stride": (1, 0)}, "stride must be at least 1", "stride (1, 0)"),
    ({"dilation": 0}, "dilation must be at least 1", "dilation (0, 0)"),
    ({"padding": -1}, "padding must be at least 0", "padding (-1, -1)"),
    ({"padding": "full"}, PADDING, "padding 'full'"),
    ({"padding": ((1, 2, 3), 0)}, PADDING, "padding ((1, 2, 3), 0)"),
    (
        {"output_padding": -1},
        "output_padding must be at least 0",
        "output_padding (-1, -1)",
    ),
    (
        {"output_padding": 1},
        SMALLER,
        "output_padding (1, 1), stride (1, 1), dilation (1, 1)",
    ),
    (
        {"output_padding": (1, 2), "stride": 2},
        SMALLER,
        "output_padding (1, 2), stride (2, 2), dilation (1, 1)",
    ),
    (
        {"output_padding": 1, "stride": 2, "padding": "same"},
        'output_padding must be left out with padding "same"',
        "output_padding (1, 1)",
    ),
]


@pytest.mark.parametrize(("arguments", "rule", "got"), RULES)
def test_layer_rules(arguments, rule, got):
    with pytest.raises(ValueError) as error:
        layer(**arguments)
    assert str(error.value) == f"[ConvTranspose2d] {rule}. Got {got}."


TYPES = [
    ({"c_in": 4.0}, "in_channels must be an int", "in_channels 4.0"),
    ({"c_out": None}, "out_channels must be an int", "out_channels None"),
    ({"groups": "2"}, "groups must be an int", "groups '2'"),
    (
        {"kernel": 1.5},
        "kernel_size must be an int or a sequence of 2 ints",
        "kernel_size 1.5",
    ),
    ({"padding": 1.5}, PADDING, "padding 1.5"),
]


@pytest.mark.parametrize(("arguments", "rule", "got"), TYPES)
def test_layer_types(arguments, rule, got):
    with pytest.raises(TypeError) as error:
        layer(**arguments)
    assert str(error.value) == f"[ConvTranspose2d] {rule}. Got {got}."


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_class_is_named(rank):
    with pytest.raises(ValueError) as error:
        layer(rank, groups=3)
    assert str(error.value) == (
        f"[ConvTranspose{rank}d] in_channels must be divisible by groups. "
        "Got in_channels 4, groups 3."
    )


def test_a_call_names_the_operation():
    with pytest.raises(ValueError) as error:
        layer(c_in=4)(mx.zeros((1, 5, 5, 3)))
    assert str(error.value).startswith("[conv_transpose2d] ")
    with pytest.raises(TypeError) as error:
        layer()(np.zeros((1, 5, 5, 4)))
    assert str(error.value) == (
        "[conv_transpose2d] input must be an mlx.core.array. Got numpy.ndarray."
    )


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("convert", mlx_convt.nn.convert),
        ("load_torch", lambda model: mlx_convt.nn.load_torch(model, {})),
    ],
)
def test_no_module(name, call):
    with pytest.raises(TypeError) as error:
        call([nn.Linear(2, 2)])
    assert str(error.value) == (
        f"[{name}] model must be an mlx.nn.Module. Got builtins.list."
    )


@pytest.mark.parametrize(
    ("name", "first"), [("from_torch", "C_in"), ("to_torch", "C_out")]
)
def test_porting(name, first):
    call = getattr(mlx_convt, name)
    axes = "weight must have one, two or three spatial axes"
    divide = f"groups must be at least 1 and divide {first}"
    for shape, groups, rule, got in [
        ((4, 2), 1, axes, "shape (4, 2)"),
        ((4, 2, 1, 1, 1, 1), 1, axes, "shape (4, 2, 1, 1, 1, 1)"),
        ((4, 2, 3), 3, divide, f"groups 3, {first} 4"),
        ((4, 2, 3), 0, divide, f"groups 0, {first} 4"),
    ]:
        with pytest.raises(ValueError) as error:
            call(mx.zeros(shape), groups)
        assert str(error.value) == f"[{name}] {rule}. Got {got}."
    with pytest.raises(TypeError) as error:
        call(mx.zeros((4, 2, 3)), 2.0)
    assert str(error.value) == (
        f"[{name}] groups must be an int. Got groups 2.0."
    )
    with pytest.raises(TypeError) as error:
        call([[[1.0]]])
    assert str(error.value) == (
        f"[{name}] weight must be a torch.Tensor, a numpy.ndarray or an MLX "
        "array. Got builtins.list."
    )


def test_porting_dtypes():
    with pytest.raises(TypeError) as error:
        mlx_convt.from_torch(np.zeros((4, 2, 3), object))
    assert str(error.value) == (
        "[from_torch] weight must be dense, of a dtype that MLX has. "
        "Got object."
    )


def state(**changes):
    """PyTorch's dictionary for ConvTranspose2d(4, 6, 3, groups=2)."""
    values = {"weight": np.zeros((4, 3, 3, 3)), "bias": np.zeros(6)}
    values |= changes
    return {name: v for name, v in values.items() if v is not None}


NAMES = (
    "every parameter must have a value, and every value a parameter. "
    "Got no value for {}, no parameter for {}."
)
SHAPE = "{} must have the shape {} in PyTorch. Got shape {}."
NORM = "{} must have 1 entry, or on one axis those of {}. Got shapes {} and {}."
GROUPED = (4, 3, 3, 3)
STATES = [
    (state(bias=None), NAMES.format("bias", "none")),
    (state(gain=np.zeros(2)), NAMES.format("none", "gain")),
    (
        {"conv.weight": np.zeros(GROUPED)},
        NAMES.format("weight, bias", "conv.weight"),
    ),
    (
        state(weight=np.zeros((4, 6, 3, 3))),
        SHAPE.format("weight", GROUPED, (4, 6, 3, 3)),
    ),
    (state(weight=np.zeros(4)), SHAPE.format("weight", GROUPED, (4,))),
    (state(bias=np.zeros(4)), SHAPE.format("bias", (6,), (4,))),
    *(
        (
            state(weight=None, weight_g=np.zeros(g), weight_v=np.zeros(v)),
            NORM.format("weight_g", "weight_v", g, v),
        )
        for g, v in [
            ((2, 1, 1, 1), GROUPED),
            ((4,), GROUPED),
            ((4, 1, 1, 1, 1), GROUPED),
            ((4, 1, 1, 1), (4, 3)),
            # Another parametrization than weight norm.
            (GROUPED, GROUPED),
            ((4, 3, 1, 1), GROUPED),
        ]
    ),
]


@pytest.mark.parametrize(("values", "text"), STATES)
def test_load_torch(values, text):
    target = layer(groups=2)
    before = target.weight, target.bias
    with pytest.raises(ValueError) as error:
        mlx_convt.nn.load_torch(target, values)
    assert str(error.value) == f"[load_torch] {text}"
    assert target.weight is before[0]
    assert target.bias is before[1]


def test_load_torch_into_a_convolution():
    values = {"weight": np.zeros((6, 4)), "bias": np.zeros(6)}
    with pytest.raises(ValueError) as error:
        mlx_convt.nn.load_torch(nn.Conv2d(4, 6, 3), values)
    text = SHAPE.format("weight", (6, 4, 3, 3), (6, 4))
    assert str(error.value) == f"[load_torch] {text}"


def test_load_torch_types():
    with pytest.raises(TypeError) as error:
        mlx_convt.nn.load_torch(layer(), [("weight", np.zeros(3))])
    assert str(error.value) == (
        "[load_torch] state_dict must be a mapping of names to arrays. "
        "Got builtins.list."
    )
    with pytest.raises(TypeError) as error:
        mlx_convt.nn.load_torch(layer(), {3: np.zeros(3)})
    assert str(error.value) == (
        "[load_torch] the names in state_dict must be strings. Got 3."
    )
    with pytest.raises(TypeError) as error:
        mlx_convt.nn.load_torch(layer(groups=2), state(bias="zeros"))
    assert str(error.value) == (
        "[load_torch] bias must be a torch.Tensor, a numpy.ndarray or an MLX "
        "array. Got builtins.str."
    )
