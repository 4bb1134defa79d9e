"""One model run by MLX's own operations and by ours, with all gradients."""

import contextlib
from dataclasses import dataclass

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten, tree_map

import mlx_convt
from third_party_models.plain import plain_convolutions

NAMES = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")


@dataclass
class Run:
    """Arrays by name in float64, and what was called and converted."""

    arrays: dict
    calls: int  # of a transposed convolution by its name in mlx.core
    report: object  # of convert


@contextlib.contextmanager
def counted_calls(strictly=False):
    """A list that grows with every call of a transposed convolution.

    A patch hands to MLX what ours refuses; strictly, a refusal is an error.
    """
    calls = []

    def counting(name, function):
        def call(*arguments, **keywords):
            calls.append(name)
            if strictly:
                getattr(mlx_convt, name)(*arguments, **keywords)
            return function(*arguments, **keywords)

        return call

    before = {name: getattr(mx, name) for name in NAMES}
    for name, function in before.items():
        setattr(mx, name, counting(name, function))
    try:
        yield calls
    finally:
        for name, function in before.items():
            setattr(mx, name, function)


def randomize(model):
    """Draws what a checkpoint would bring: models begin with zeros or ones."""

    def draw(value):
        if not mx.issubdtype(value.dtype, mx.floating):
            return value
        noise = mx.random.normal(value.shape)
        if sum(n > 1 for n in value.shape) < 2:
            return value + 0.1 * noise
        if mx.all(value == value.reshape(-1)[0]).item():
            return noise * (value.shape[0] / value.size) ** 0.5
        return value

    model.update(tree_map(draw, model.parameters()))


def run(build, mode, dtype=mx.float32, *, gradients=True, compiled=False):
    """The case's outputs and gradients.

    By "patch" all transposed convolutions are ours, by "convert" those that are
    layers, by "builtin" and "plain" none. The other convolutions are MLX's own,
    or those of `plain_convolutions` with "plain" and in float64.
    """
    mx.random.seed(0)
    model, forward, shape = build()
    randomize(model)
    model.set_dtype(dtype)
    input = mx.random.normal(shape).astype(dtype)
    parameters = model.parameters()
    mx.eval(parameters, input)

    def loss(parameters, input):
        model.update(parameters)
        results = forward(model, input)
        if isinstance(results, mx.array):
            results = [results]
        total = 0
        for i, result in enumerate(results):
            weight = mx.random.normal(result.shape, key=mx.random.key(i))
            total = total + (result * weight.astype(dtype)).sum()
        return total, results

    function = mx.value_and_grad(loss, argnums=(0, 1)) if gradients else loss
    if compiled:
        function = mx.compile(function)
    report = mlx_convt.nn.convert(model) if mode == "convert" else None
    with contextlib.ExitStack() as stack:
        if dtype == mx.float64 or mode == "plain":
            stack.enter_context(plain_convolutions(mode != "patch"))
        if mode == "patch":
            stack.enter_context(mlx_convt.patch())
        calls = stack.enter_context(counted_calls(mode == "patch"))
        values = function(parameters, input)
        mx.eval(values)
    (_, results), grads = values if gradients else (values, ({}, None))
    arrays = {f"output {i}": result for i, result in enumerate(results)}
    if gradients:
        arrays["gradient of the input"] = grads[1]
    for name, grad in tree_flatten(grads[0]):
        arrays[f"gradient of {name}"] = grad
    arrays = {
        name: np.array(array.astype(mx.float64))
        for name, array in arrays.items()
    }
    return Run(arrays, len(calls), report)


def errors(run, exact):
    """The largest error of each array, relative to its largest element.

    Some gradients vanish, as that of a bias before a normalization, and only
    rounding is left: an array counts as at least a thousandth of the largest.
    """
    largest = {name: abs(a).max(initial=0) for name, a in exact.arrays.items()}
    least = max(largest.values()) / 1000
    result = {}
    for name, actual in run.arrays.items():
        expected = exact.arrays[name]
        assert actual.shape == expected.shape, name
        assert np.isfinite(actual).all(), name
        error = np.abs(actual - expected).max(initial=0)
        result[name] = error / max(largest[name], least)
    return result


def spread(builtin, exact):
    """How far this model carries the built-in's roundings in float32.

    The largest over all arrays: a short sum may come out exact by luck.
    """
    return max(errors(builtin, exact).values()) + 4 * 2.0**-24


def assert_within(run, exact, bound):
    for name, error in errors(run, exact).items():
        assert error <= bound, f"{name}: error {error:.2g}, bound {bound:.2g}"
