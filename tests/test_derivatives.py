"""Derivatives of order one and two against central differences, in float64.

T(x, w, y) = sum y * convT(x, w) is linear in each array, so central differences
are exact for steps of any size: what remains is the rounding of the sums.
"""

import itertools
import math

import mlx.core as mx
import numpy as np
import pytest
from helpers import make_geometry, oracle, to_mlx, to_numpy, unit_roundoff

GEOMETRIES = {
    "1d": make_geometry((5,), 3, 2, 3, batch=2, stride=2, padding=1),
    "1d groups": make_geometry((4,), 2, 4, 6, stride=3, groups=2),
    "2d": make_geometry((3, 4), (3, 2), 2, 3, batch=2, stride=(1, 2)),
    "2d groups": make_geometry((3, 2), 3, 6, 3, stride=2, padding=1, groups=3),
    "2d depthwise": make_geometry((3, 4), 4, 3, 6, stride=2, groups=3),
    "2d dilated": make_geometry(
        (3, 4), (2, 3), 2, 2, stride=2, dilation=(3, 2), padding=(2, 1)
    ),
    # The edge of the output is then reached by no input at all.
    "2d output_padding above padding": make_geometry(
        (3, 2), 2, 2, 3, stride=(3, 4), padding=(1, 0), output_padding=(2, 3)
    ),
    "2d asymmetric padding": make_geometry(
        (4, 3), 3, 2, 3, stride=(2, 1), padding=((2, 0), (0, 1))
    ),
    "3d": make_geometry((2, 3, 2), (2, 1, 3), 2, 2, stride=(2, 1, 2)),
    "3d groups": make_geometry(
        (2, 2, 3), 2, 4, 2, stride=2, output_padding=(1, 0, 1), groups=2
    ),
}
ARRAYS = ("input", "weight", "output_grad")
STEP = 1.0


@pytest.fixture(params=GEOMETRIES)
def form(request):
    return Form(GEOMETRIES[request.param])


class Form:
    """T at one point, with one direction per array."""

    def __init__(self, geometry):
        self.geometry = geometry
        rng = np.random.default_rng(3)
        self.point, self.direction = (
            {name: self.draw(rng, name) for name in ARRAYS} for _ in range(2)
        )

    def draw(self, rng, name):
        return to_mlx(rng.standard_normal(self.geometry.shape(name)), "float64")

    def conv(self, input, weight):
        return self.geometry.forward(input, weight)

    def value(self, input, weight, output_grad):
        return (output_grad * self.conv(input, weight)).sum()

    def at(self, **steps):
        """T with arrays moved by multiples of their directions."""
        moved = {
            name: self.point[name] + steps.get(name, 0) * self.direction[name]
            for name in ARRAYS
        }
        return self.value(**moved).item()

    def bound(self):
        """Rounding of T at the far corner of the differences."""
        magnitude = {
            name: np.abs(to_numpy(self.point[name]))
            + 2 * np.abs(to_numpy(self.direction[name]))
            for name in ARRAYS
        }
        condition = magnitude["output_grad"] * oracle(
            "output", self.geometry, magnitude["input"], magnitude["weight"]
        )
        terms = condition.size * self.geometry.terms("output")
        roundings = 4 * (math.sqrt(terms) + 4)
        return unit_roundoff("float64") * roundings * condition.sum()

    def assert_close(self, actual, expected):
        assert abs(actual.item() - expected) <= self.bound()

    def first(self, name):
        low, high = (self.at(**{name: step}) for step in (-STEP, STEP))
        return (high - low) / (2 * STEP)

    def second(self, name, other):
        if name == other:
            steps = [self.at(**{name: k * STEP}) for k in (-1, 0, 1)]
            return (steps[0] - 2 * steps[1] + steps[2]) / STEP**2
        corners = itertools.product((-STEP, STEP), repeat=2)
        total = sum(
            math.copysign(1, i * j) * self.at(**{name: i, other: j})
            for i, j in corners
        )
        return total / (4 * STEP**2)

    def gradient(self, name):
        """The gradient with respect to one array, a function of all three."""
        return mx.grad(self.value, argnums=ARRAYS.index(name))

    def points(self):
        return [self.point[name] for name in ARRAYS]


PAIRS = list(itertools.product(ARRAYS, ARRAYS))


@pytest.mark.parametrize("name", ARRAYS)
def test_vjp(form, name):
    gradient = form.gradient(name)(*form.points())
    assert gradient.shape == form.geometry.shape(name)
    form.assert_close((gradient * form.direction[name]).sum(), form.first(name))


@pytest.mark.parametrize("name", ARRAYS)
def test_jvp(form, name):
    others = {key: form.point[key] for key in ARRAYS if key != name}
    _, (tangent,) = mx.jvp(
        lambda moving: form.value(**{name: moving}, **others),
        [form.point[name]],
        [form.direction[name]],
    )
    form.assert_close(tangent, form.first(name))


def test_jvp_of_both_operands(form):
    operands = ("input", "weight")
    _, (tangent,) = mx.jvp(
        form.conv,
        [form.point[name] for name in operands],
        [form.direction[name] for name in operands],
    )
    form.assert_close(
        (tangent * form.point["output_grad"]).sum(),
        sum(form.first(name) for name in operands),
    )


@pytest.mark.parametrize(("name", "other"), PAIRS)
def test_vjp_of_vjp(form, name, other):
    def along(*arrays):
        return (form.gradient(name)(*arrays) * form.direction[name]).sum()

    gradient = mx.grad(along, argnums=ARRAYS.index(other))(*form.points())
    form.assert_close(
        (gradient * form.direction[other]).sum(), form.second(name, other)
    )


def zero_except(form, name):
    return [
        form.direction[key] * (1.0 if key == name else 0.0) for key in ARRAYS
    ]


@pytest.mark.parametrize(("name", "other"), PAIRS)
def test_jvp_of_vjp(form, name, other):
    _, (tangent,) = mx.jvp(
        form.gradient(name), form.points(), zero_except(form, other)
    )
    form.assert_close(
        (tangent * form.direction[name]).sum(), form.second(name, other)
    )


@pytest.mark.parametrize(("name", "other"), PAIRS)
def test_vjp_of_jvp(form, name, other):
    def along(*arrays):
        return mx.jvp(form.value, list(arrays), zero_except(form, name))[1][0]

    gradient = mx.grad(along, argnums=ARRAYS.index(other))(*form.points())
    form.assert_close(
        (gradient * form.direction[other]).sum(), form.second(name, other)
    )


@pytest.mark.parametrize(("name", "other"), PAIRS)
def test_jvp_of_jvp(form, name, other):
    def along(*arrays):
        return mx.jvp(form.value, list(arrays), zero_except(form, name))[1][0]

    _, (tangent,) = mx.jvp(along, form.points(), zero_except(form, other))
    form.assert_close(tangent, form.second(name, other))


def test_third_derivative_is_the_form_of_the_directions(form):
    def along(name, function):
        index = ARRAYS.index(name)

        def derivative(*arrays):
            gradient = mx.grad(function, argnums=index)(*arrays)
            return (gradient * form.direction[name]).sum()

        return derivative

    function = form.value
    for name in ARRAYS:
        function = along(name, function)
    form.assert_close(
        function(*form.points()), form.value(**form.direction).item()
    )


@pytest.mark.parametrize("name", ["input", "weight"])
def test_hessian_vector_product(form, name):
    """Of half the squared norm, whose gradient is linear in each array."""
    index = ARRAYS.index(name)
    point = form.points()[:2]

    def energy(*arrays):
        return 0.5 * form.conv(*arrays).square().sum()

    def along(*arrays):
        gradient = mx.grad(energy, argnums=index)(*arrays)
        return (gradient * form.direction[name]).sum()

    hessian = mx.grad(along, argnums=index)(*point)
    actual = (hessian * form.direction[name]).sum()
    low, high = (
        along(
            *(
                array + step * form.direction[name] if i == index else array
                for i, array in enumerate(point)
            )
        )
        for step in (-STEP, STEP)
    )
    expected = ((high - low) / (2 * STEP)).item()
    terms = form.geometry.terms("output") * actual.size
    scale = energy(*(2 * mx.abs(array) for array in point)).item()
    scale += energy(*(4 * mx.abs(d) for d in zero_free(form))).item()
    bound = unit_roundoff("float64") * 16 * (math.sqrt(terms) + 4) * scale
    assert abs(actual.item() - expected) <= bound


def zero_free(form):
    return [
        mx.maximum(mx.abs(form.direction[name]), mx.abs(form.point[name]))
        for name in ("input", "weight")
    ]


def test_bias(form):
    rng = np.random.default_rng(5)
    bias, step = (
        to_mlx(rng.standard_normal(form.geometry.c_out), "float64")
        for _ in range(2)
    )

    def value(bias):
        output = form.geometry.forward(
            form.point["input"], form.point["weight"], bias=bias
        )
        return (form.point["output_grad"] * output).sum()

    gradient = mx.grad(value)(bias)
    expected = (value(bias + step) - value(bias - step)).item() / 2
    form.assert_close((gradient * step).sum(), expected)
    form.assert_close(mx.jvp(value, [bias], [step])[1][0], expected)
    second = mx.grad(lambda b: (mx.grad(value)(b) * step).sum())(bias)
    assert not second.any().item()
