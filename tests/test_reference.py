"""The float64 reference against loops written from the formula."""

import itertools

import numpy as np
import pytest

from mlx_convt import reference

# stride, padding, dilation, output_padding, groups by rank, kernel and size.
GEOMETRIES = [
    ((5,), (1,), {}),
    ((5,), (4,), {"stride": 3}),
    ((4,), (3,), {"stride": 2, "padding": 1, "output_padding": 1}),
    ((3,), (5,), {"stride": 2, "padding": [(0, 3)], "dilation": 3}),
    ((3,), (2,), {"stride": 4, "output_padding": 3}),
    ((2,), (7,), {"padding": [(3, 4)]}),
    ((1,), (4,), {"stride": 2, "padding": 1}),
    ((3, 4), (2, 3), {"stride": (2, 1)}),
    ((2, 5), (3, 3), {"stride": 2, "padding": [1, (0, 2)]}),
    ((4, 3), (3, 2), {"dilation": (5, 2), "padding": (4, 1)}),
    ((3, 2), (3, 3), {"stride": (1, 3), "output_padding": (0, 2)}),
    ((2, 3, 2), (2, 1, 3), {"stride": (1, 2, 3)}),
    (
        (2, 2, 3),
        (3, 2, 2),
        {
            "stride": 2,
            "padding": [(1, 0), 1, (0, 1)],
            "dilation": (1, 2, 3),
            "output_padding": (1, 0, 1),
        },
    ),
]
CHANNELS = [(1, 3, 2), (2, 2, 4), (3, 6, 3)]  # groups, C_in, C_out


def arrays(spatial, kernel, options, channels):
    groups, c_in, c_out = channels
    rng = np.random.default_rng(1)
    out = by_hand_size(spatial, kernel, options)

    def small_integers(*shape):
        return rng.integers(-3, 4, shape).astype(np.float64)

    return (
        small_integers(2, *spatial, c_in),
        small_integers(c_out, *kernel, c_in // groups),
        small_integers(2, *out, c_out),
    )


def axis_values(value, axis):
    return value if isinstance(value, int) else value[axis]


def low_high(padding, axis):
    entry = axis_values(padding, axis)
    return (entry, entry) if isinstance(entry, int) else entry


def by_hand_size(spatial, kernel, options):
    sizes = []
    for axis, (size, taps) in enumerate(zip(spatial, kernel, strict=True)):
        s = axis_values(options.get("stride", 1), axis)
        d = axis_values(options.get("dilation", 1), axis)
        extra = axis_values(options.get("output_padding", 0), axis)
        low, high = low_high(options.get("padding", 0), axis)
        sizes.append((size - 1) * s - (low + high) + d * (taps - 1) + extra + 1)
    return tuple(sizes)


def terms(x, w, y, options, groups):
    """Indices of every product x * w and of the y it is added to."""
    rank = x.ndim - 2
    ranges = [range(n) for n in (*x.shape[:-1], *w.shape[1:-1], w.shape[0])]
    for n, *rest in itertools.product(*ranges):
        i, k, o = rest[:rank], rest[rank:-1], rest[-1]
        position = [
            i[a] * axis_values(options.get("stride", 1), a)
            - low_high(options.get("padding", 0), a)[0]
            + k[a] * axis_values(options.get("dilation", 1), a)
            for a in range(rank)
        ]
        inside = zip(position, y.shape[1:-1], strict=True)
        if not all(0 <= at < size for at, size in inside):
            continue
        group = o // (w.shape[0] // groups)
        for c in range(w.shape[-1]):
            channel = group * w.shape[-1] + c
            yield (n, *i, channel), (o, *k, c), (n, *position, o)


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_all_three_equal_the_formula(geometry, channels):
    spatial, kernel, options = geometry
    groups = channels[0]
    x, w, y = arrays(spatial, kernel, options, channels)
    output, x_grad, w_grad = map(np.zeros_like, (y, x, w))
    for at_x, at_w, at_y in terms(x, w, y, options, groups):
        output[at_y] += x[at_x] * w[at_w]
        x_grad[at_x] += y[at_y] * w[at_w]
        w_grad[at_w] += x[at_x] * y[at_y]

    call = {**options, "groups": groups}
    np.testing.assert_array_equal(
        reference.conv_transpose(x, w, **call), output
    )
    np.testing.assert_array_equal(
        reference.input_grad(y, w, input_spatial=spatial, **call), x_grad
    )
    np.testing.assert_array_equal(
        reference.weight_grad(x, y, kernel=kernel, **call), w_grad
    )


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_equals_torch(rank, groups):
    torch = pytest.importorskip("torch")
    options = {
        "stride": (2, 1, 3)[:rank],
        "padding": (1, 2, 0)[:rank],
        "dilation": (1, 3, 2)[:rank],
        "output_padding": (1, 2, 0)[:rank],
    }
    spatial, kernel = (4, 5, 3)[:rank], (3, 2, 4)[:rank]
    x, w, y = arrays(spatial, kernel, options, (groups, 4, 8))
    bias = np.arange(8.0)

    first_x = torch.from_numpy(np.moveaxis(x, -1, 1).copy())
    # PyTorch's weight is (C_in, C_out/groups, *kernel).
    by_group = w.reshape(groups, 8 // groups, *kernel, 4 // groups)
    theirs = np.moveaxis(by_group, -1, 1).reshape(4, 8 // groups, *kernel)
    first_w = torch.from_numpy(theirs.copy())
    first_x.requires_grad_()
    first_w.requires_grad_()
    function = getattr(torch.nn.functional, f"conv_transpose{rank}d")
    output = function(
        first_x, first_w, torch.from_numpy(bias), groups=groups, **options
    )
    output.backward(torch.from_numpy(np.moveaxis(y, -1, 1).copy()))
    split = first_w.grad.numpy().reshape(groups, -1, 8 // groups, *kernel)

    call = {**options, "groups": groups}
    np.testing.assert_array_equal(
        reference.conv_transpose(x, w, bias=bias, **call),
        np.moveaxis(output.detach().numpy(), 1, -1),
    )
    np.testing.assert_array_equal(
        reference.input_grad(y, w, input_spatial=spatial, **call),
        np.moveaxis(first_x.grad.numpy(), 1, -1),
    )
    np.testing.assert_array_equal(
        reference.weight_grad(x, y, kernel=kernel, **call),
        np.moveaxis(split, 1, -1).reshape(w.shape),
    )


@pytest.mark.parametrize(("spatial", "kernel", "options"), GEOMETRIES)
def test_output_size(spatial, kernel, options):
    expected = by_hand_size(spatial, kernel, options)
    assert reference.output_size(spatial, kernel, **options) == expected


def test_bias_reaches_every_position():
    y = reference.conv_transpose(
        np.zeros((1, 3, 1)),
        np.zeros((2, 1, 1)),
        stride=3,
        bias=[1.0, -2.0],
    )
    np.testing.assert_array_equal(y, np.tile([1.0, -2.0], (1, 7, 1)))


def test_empty_batch():
    x, w = np.zeros((0, 3, 4, 2)), np.ones((5, 3, 3, 2))
    y = reference.conv_transpose(x, w, stride=2)
    assert y.shape == (0, 7, 9, 5)
    assert not reference.weight_grad(x, y, kernel=3, stride=2).any()


def test_a_cotangent_of_another_size_is_refused():
    y, w = np.zeros((1, 6, 1)), np.zeros((1, 3, 1))
    with pytest.raises(ValueError) as error:
        reference.input_grad(y, w, input_spatial=(3,), stride=2)
    assert str(error.value) == (
        "[reference] output_grad must have the spatial sizes of the output,"
        " (7,). Got (6,)."
    )
