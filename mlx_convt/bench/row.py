"""What was measured of one layer, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlx_convt.bench import statistics
from mlx_convt.bench.contestants import BUILTIN, OURS
from mlx_convt.bench.roofline import Floor
from mlx_convt.compare.check import Expected
from mlx_convt.layers import Layer

# A difference below the clock's resolution, or a tenth of what was subtracted,
# is noise.
LEAST_SECONDS = 1e-7
_LEAST_SHARE = 0.1


@dataclass
class Entry:
    """What one contestant did, with a fixed cost to subtract if it has one.

    `dropped` are the forms that fail or compute something wrong, and why.
    """

    variant: str | None = None
    seconds: list[float] = field(default_factory=list)
    fixed_costs: list[float] = field(default_factory=list)
    errors: dict[str, float] = field(default_factory=dict)
    problem: str | None = None
    impossible: bool = False
    dropped: dict[str, str] = field(default_factory=dict)

    @property
    def fixed_cost(self) -> float:
        return statistics.median(self.fixed_costs) if self.fixed_costs else 0.0

    @property
    def median(self) -> float | None:
        """Of the rounds, net of the fixed cost."""
        if not self.seconds:
            return None
        return max(self._net, self._floor)

    @property
    def at_floor(self) -> bool:
        """Whether subtracting the fixed cost leaves nothing to speak of."""
        return bool(self.seconds) and self._net < self._floor

    @property
    def spread(self) -> float | None:
        gross = statistics.spread(self.seconds)
        if gross is None or self.median is None:
            return None
        return gross * statistics.median(self.seconds) / self.median

    @property
    def _net(self) -> float:
        return statistics.median(self.seconds) - self.fixed_cost

    @property
    def _floor(self) -> float:
        return max(LEAST_SECONDS, _LEAST_SHARE * self.fixed_cost)


@dataclass
class Row:
    """A layer's pass with a number of threads."""

    layer: Layer
    gradients: bool
    threads: int
    entries: dict[str, Entry]
    tolerances: dict[str, float]
    floor: Floor | None = None
    memory: int | None = None
    memory_allowed: int = 0

    @property
    def flops(self) -> int:
        return self.layer.flops * (3 if self.gradients else 1)

    @property
    def ours(self) -> float | None:
        return self.valid(OURS.name)

    @property
    def gflops(self) -> float | None:
        return None if self.ours is None else self.flops / self.ours / 1e9

    @property
    def share(self) -> float | None:
        """Of what the machine could do: the floor over our time."""
        if self.ours is None or self.floor is None:
            return None
        return self.floor.seconds / self.ours

    @property
    def best_peer(self) -> str | None:
        """The fastest of those that are right, MLX's own apart."""
        times = {
            name: time
            for name in self.entries
            if name not in (OURS.name, BUILTIN.name)
            and (time := self.valid(name)) is not None
        }
        return min(times, key=lambda name: times[name], default=None)

    def valid(self, name: str) -> float | None:
        """Median seconds of a contestant whose results are right."""
        entry = self.entries.get(name)
        if entry is None or self.faults(entry):
            return None
        return entry.median

    def ratio(self, name: str | None) -> float | None:
        """How many times as fast ours is."""
        other = None if name is None else self.valid(name)
        return None if other is None or not self.ours else other / self.ours

    def faults(self, entry: Entry) -> list[str]:
        """Why an entry does not count, in words."""
        if entry.problem is not None:
            return [entry.problem]
        return faults(entry.errors, self.tolerances)


def check(
    layer: Layer, arrays: list[Any], expected: list[Expected]
) -> tuple[dict[str, float], str | None]:
    """The errors of the results, or what else is wrong with them."""
    shapes = (
        [layer.output_shape]
        if len(expected) == 1
        else [layer.input_shape, layer.weight_shape]
    )
    found = [array.shape for array in arrays]
    if found != shapes:
        return {}, f"results have the shapes {found}, not {shapes}"
    pairs = zip(expected, arrays, strict=True)
    return {item.name: item.error(array) for item, array in pairs}, None


def faults(
    errors: Mapping[str, float], tolerances: Mapping[str, float]
) -> list[str]:
    """The errors that are too large, in words."""
    return [
        f"error of the {name} is {error:.1e}, more than the"
        f" {tolerances[name]:.1e} that rounding explains"
        for name, error in errors.items()
        if not error <= tolerances[name]
    ]
