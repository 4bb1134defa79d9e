"""Geometries, arrays and oracles that the tests share."""

import contextlib
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten

import mlx_convt
from mlx_convt import _ext, reference

DTYPES = ("float32", "float16", "bfloat16", "float64")
# Binary digits of the significand, the implicit one included.
DIGITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}
CONTRACTIONS = ("output", "input_grad", "weight_grad")
# The two operands of each contraction, in the order the oracle takes them.
OPERANDS = {
    "output": ("input", "weight"),
    "input_grad": ("output_grad", "weight"),
    "weight_grad": ("input", "output_grad"),
}


@dataclass(frozen=True)
class Geometry:
    """Sizes and attributes of one transposed convolution, one per axis."""

    spatial: tuple
    kernel: tuple
    c_in: int
    c_out: int
    batch: int
    stride: tuple
    padding: tuple  # (low, high) pairs
    dilation: tuple
    output_padding: tuple
    groups: int

    @property
    def rank(self):
        return len(self.spatial)

    @property
    def output_spatial(self):
        axes = zip(
            self.spatial,
            self.kernel,
            self.stride,
            self.padding,
            self.dilation,
            self.output_padding,
            strict=True,
        )
        return tuple(
            (i - 1) * s - sum(p) + d * (k - 1) + extra + 1
            for i, k, s, p, d, extra in axes
        )

    @property
    def attributes(self):
        names = ("stride", "padding", "dilation", "output_padding", "groups")
        return {name: getattr(self, name) for name in names}

    def shape(self, array):
        return {
            "input": (self.batch, *self.spatial, self.c_in),
            "weight": (self.c_out, *self.kernel, self.c_in // self.groups),
            "output_grad": (self.batch, *self.output_spatial, self.c_out),
        }[array]

    def operand_shapes(self, contraction):
        return tuple(map(self.shape, OPERANDS[contraction]))

    def terms(self, contraction):
        """At least as many products as any one result element sums."""
        taps = math.prod(self.kernel)
        pixels = self.batch * math.prod(self.spatial)
        return {
            "output": taps * self.c_in // self.groups,
            "input_grad": taps * self.c_out // self.groups,
            "weight_grad": pixels,
        }[contraction]

    def forward(self, input, weight, **overrides):
        function = getattr(mlx_convt, f"conv_transpose{self.rank}d")
        return function(input, weight, **{**self.attributes, **overrides})


def make_geometry(
    spatial,
    kernel,
    c_in,
    c_out,
    *,
    batch=1,
    stride=1,
    padding=0,
    dilation=1,
    output_padding=0,
    groups=1,
):
    """A Geometry in which an int stands for the same value on every axis."""
    rank = len(spatial)

    def per_axis(value):
        return (value,) * rank if isinstance(value, int) else tuple(value)

    pairs = tuple(
        (p, p) if isinstance(p, int) else tuple(p) for p in per_axis(padding)
    )
    return Geometry(
        tuple(spatial),
        per_axis(kernel),
        c_in,
        c_out,
        batch,
        per_axis(stride),
        pairs,
        per_axis(dilation),
        per_axis(output_padding),
        groups,
    )


@contextlib.contextmanager
def forced(algorithm):
    """Forces an algorithm for the operations built inside; None unforces."""
    key = "MLX_CONVT_ALGORITHM"
    before = os.environ.pop(key, None)
    if algorithm is not None:
        os.environ[key] = algorithm
    try:
        yield
    finally:
        os.environ.pop(key, None)
        if before is not None:
            os.environ[key] = before


def contract(contraction, geometry, first, second, algorithm=None):
    """The contraction of two operands, by the algorithm if one is named."""
    with forced(algorithm):
        if contraction == "output":
            return geometry.forward(first, second)
        # A gradient does not depend on the operand that it belongs to.
        if contraction == "input_grad":
            unused = mx.zeros(geometry.shape("input"), first.dtype)
            cotangent = first

            def forward(input):
                return geometry.forward(input, second)
        else:
            unused = mx.zeros(geometry.shape("weight"), second.dtype)
            cotangent = second

            def forward(weight):
                return geometry.forward(first, weight)

        return mx.vjp(forward, [unused], [cotangent])[1][0]


def eligible(algorithm, contraction, geometry, dtype):
    """Whether contract() can be forced to use the algorithm.

    A gradient inherits it from the forward call, which must be able as well.
    """
    if algorithm == "auto":
        return True
    arrays = (
        mx.zeros(shape, getattr(mx, dtype))
        for shape in geometry.operand_shapes("output")
    )
    low, high = zip(*geometry.padding, strict=True)
    call = (
        *arrays,
        geometry.stride,
        low,
        high,
        geometry.dilation,
        geometry.output_padding,
        geometry.groups,
    )
    return all(
        _ext.eligible(name, algorithm, *call)
        for name in {"output", contraction}
    )


def oracle(contraction, geometry, first, second):
    """The same contraction by mlx_convt.reference, in float64."""
    attributes = geometry.attributes
    if contraction == "output":
        return reference.conv_transpose(first, second, **attributes)
    if contraction == "input_grad":
        return reference.input_grad(
            first, second, input_spatial=geometry.spatial, **attributes
        )
    return reference.weight_grad(
        first, second, kernel=geometry.kernel, **attributes
    )


def flat(tree):
    """Parameters by their paths."""
    return tree_flatten(tree, destination={})


def to_mlx(values, dtype):
    return mx.array(np.asarray(values), dtype=getattr(mx, dtype))


def draw_integers(shape, dtype="float32", seed=0, largest=3):
    """Small integers: every sum of a small geometry's products is exact."""
    rng = np.random.default_rng((seed, *shape))
    return to_mlx(rng.integers(-largest, largest, shape, endpoint=True), dtype)


def draw_operands(contraction, geometry, dtype="float32", largest=3):
    return [
        draw_integers(shape, dtype, seed, largest)
        for seed, shape in enumerate(geometry.operand_shapes(contraction))
    ]


def to_numpy(array):
    """The values in float64, which holds every supported dtype exactly."""
    if array.dtype == mx.bfloat16:
        array = array.astype(mx.float32)
    return np.array(array).astype(np.float64)


def dtype_name(array):
    return str(array.dtype).removeprefix("mlx.core.")


def unit_roundoff(dtype):
    return 2.0 ** -DIGITS[dtype]


def assert_equal(actual, expected, dtype, what):
    """Same dtype, shape and values; says which cells are wrong."""
    assert dtype_name(actual) == dtype, what
    values = to_numpy(actual)
    assert values.shape == expected.shape, what
    wrong = np.argwhere(~(values == expected))
    if len(wrong):
        cell = tuple(int(i) for i in wrong[0])
        raise AssertionError(
            f"{len(wrong)} of {values.size} cells differ, the first at {cell}: "
            f"expected {expected[cell]}, got {values[cell]}; {what}"
        )


def assert_exact(actual, contraction, geometry, operands):
    """The contraction of these operands, integers, in their dtype."""
    expected = oracle(contraction, geometry, *map(to_numpy, operands))
    assert_equal(actual, expected, dtype_name(operands[0]), geometry)


def assert_within(actual, expected, bound, what):
    """Every cell within its bound; prints the worst one. NaN never passes."""
    values = to_numpy(actual)
    assert values.shape == expected.shape, what
    if not values.size:
        return
    error = np.abs(values - expected)
    share = np.where(error == 0, 0, error / np.maximum(bound, 1e-300))
    share = np.where(np.isnan(values), np.inf, share)
    cell = np.unravel_index(np.argmax(share), share.shape)
    if not share[cell] <= 1:
        cell = tuple(int(i) for i in cell)
        raise AssertionError(
            f"worst cell {cell}: expected {expected[cell]!r}, got "
            f"{values[cell]!r}, {share[cell]:.3g} times its bound; {what}"
        )


def run_python(code, timeout=120, **environment):
    """Runs code in a fresh interpreter; None removes a variable."""
    env = {k: v for k, v in os.environ.items() if k != "MLX_CONVT_ALGORITHM"}
    for name, value in environment.items():
        if value is None:
            env.pop(name, None)
        else:
            env[name] = str(value)
    here = os.path.dirname(os.path.abspath(__file__))
    return subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        cwd=here,  # in the checkout its package would come first
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def run_example(name, folder, *arguments):
    """What an example prints, run in the folder, warnings being errors."""
    script = Path(__file__).parents[1] / "examples" / name
    run = subprocess.run(
        [sys.executable, "-W", "error", script, *arguments],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout
