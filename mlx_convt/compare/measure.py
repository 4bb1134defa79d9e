"""One row of the comparison: both implementations timed, then checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import mlx.core as mx
import numpy as np

import mlx_convt
from mlx_convt.compare.check import (
    Expected,
    Operands,
    checked_fraction,
    choose_channels,
    expected_gradients,
    expected_output,
)
from mlx_convt.compare.timing import Call, Patience, Timer, interleave
from mlx_convt.layers import Layer

DTYPES = {
    "float32": mx.float32,
    "float16": mx.float16,
    "bfloat16": mx.bfloat16,
    "float64": mx.float64,
}

_OURS = Patience(at_least=7, seconds=0.4)
_BUILTIN = Patience(at_least=1, seconds=0.4)


@dataclass
class Side:
    """What one of the two implementations did; nothing if it did not run."""

    milliseconds: float | None = None
    runs: int = 0
    errors: dict[str, float] = field(default_factory=dict)
    problem: str | None = None

    @property
    def worst(self) -> float | None:
        return max(self.errors.values(), default=None)


@dataclass
class Row:
    """A layer's forward pass, or forward and gradients, on both sides."""

    layer: Layer
    gradients: bool
    ours: Side
    builtin: Side
    tolerances: dict[str, float]
    checked: float

    @property
    def flops(self) -> int:
        return self.layer.flops * (3 if self.gradients else 1)

    @property
    def ratio(self) -> float | None:
        if self.ours.milliseconds is None or self.builtin.milliseconds is None:
            return None
        return self.builtin.milliseconds / self.ours.milliseconds

    def faults(self, side: Side) -> list[str]:
        """Why `side` is not to be trusted, in words."""
        if side.problem is not None:
            return [f"fails: {side.problem}"]
        return [
            f"error of the {name} is {error:.1e}, more than the"
            f" {self.tolerances[name]:.1e} that rounding explains"
            for name, error in side.errors.items()
            if not error <= self.tolerances[name]
        ]


def measure(
    layer: Layer,
    dtype: mx.Dtype,
    *,
    gradients: bool,
    say: Callable[[str], None],
) -> Row:
    """Times both on `layer`, on the default device, and checks their results."""
    say("generating inputs")
    operands = make_operands(layer, dtype)
    ours, builtin = Side(), Side()
    contenders = [(ours, mlx_convt, _OURS)]
    if dtype != mx.float64:  # The built-in has none.
        contenders.append((builtin, mx, _BUILTIN))
    timers = []
    for side, module, patience in contenders:
        say("built-in" if side is builtin else "mlx_convt")
        call = make_call(module, layer, operands, gradients)
        timer = Timer(call, patience)
        try:
            timer.first()
        except (RuntimeError, TypeError, ValueError) as error:
            side.problem = str(error) or type(error).__name__
        else:
            timers.append((side, timer))
    say("both, interleaved")
    interleave([timer for _, timer in timers])

    # NumPy's threads stay awake for a while, so it has its turn at the end.
    say("float64 reference")
    channels = choose_channels(layer)
    expected = (
        expected_gradients(layer, operands, channels)
        if gradients
        else [expected_output(layer, operands, channels)]
    )
    for side, timer in timers:
        side.milliseconds = timer.median_ms
        side.runs = len(timer.seconds)
        side.errors = _errors(expected, timer.results)
    return Row(
        layer=layer,
        gradients=gradients,
        ours=ours,
        builtin=builtin,
        tolerances={item.name: item.tolerance for item in expected},
        checked=checked_fraction(layer, channels),
    )


def make_operands(layer: Layer, dtype: mx.Dtype, seed: int = 0) -> Operands:
    """The same normal random arrays every time."""
    rng = np.random.default_rng(seed)
    drawn: Any = np.float64 if dtype == mx.float64 else np.float32

    def normal(shape: tuple[int, ...]) -> mx.array:
        return mx.array(rng.standard_normal(shape, dtype=drawn), dtype=dtype)

    operands = Operands(
        x=normal(layer.input_shape),
        w=normal(layer.weight_shape),
        cotangent=normal(layer.output_shape),
    )
    mx.eval(operands.x, operands.w, operands.cotangent)
    return operands


def make_call(
    module: ModuleType, layer: Layer, operands: Operands, gradients: bool
) -> Call:
    """The forward pass, or both gradients with it, evaluated."""

    def apply(x: mx.array, w: mx.array) -> mx.array:
        result: mx.array = module.conv_transpose2d(x, w, **layer.arguments)
        return result

    def forward() -> list[mx.array]:
        y = apply(operands.x, operands.w)
        mx.eval(y)
        return [y]

    def forward_and_gradients() -> list[mx.array]:
        y, grads = mx.vjp(apply, [operands.x, operands.w], [operands.cotangent])
        mx.eval(y, grads)
        return grads

    return forward_and_gradients if gradients else forward


def _errors(
    expected: list[Expected], results: list[mx.array]
) -> dict[str, float]:
    return {
        item.name: item.error(result)
        for item, result in zip(expected, results, strict=True)
    }
