"""What was measured of one layer, and what it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mlx_convt.bench import statistics
from mlx_convt.bench.contestants import BUILTIN, OURS
from mlx_convt.bench.roofline import Floor
from mlx_convt.compare.check import Expected
from mlx_convt.layers import Layer


@dataclass
class Entry:
    """What one contestant did; times are net of its fixed cost."""

    variant: str | None = None
    seconds: list[float] = field(default_factory=list)
    fixed_cost: float = 0.0
    errors: dict[str, float] = field(default_factory=dict)
    problem: str | None = None
    impossible: bool = False

    @property
    def median(self) -> float | None:
        return statistics.median(self.seconds) if self.seconds else None

    @property
    def spread(self) -> float | None:
        return statistics.spread(self.seconds)


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
        return [
            f"error of the {name} is {error:.1e}, more than the"
            f" {self.tolerances[name]:.1e} that rounding explains"
            for name, error in entry.errors.items()
            if not error <= self.tolerances[name]
        ]


def check(
    entry: Entry,
    layer: Layer,
    arrays: list[Any],
    expected: list[Expected],
) -> None:
    """Notes the errors; results of other shapes are a problem."""
    shapes = (
        [layer.output_shape]
        if len(expected) == 1
        else [layer.input_shape, layer.weight_shape]
    )
    found = [array.shape for array in arrays]
    if found != shapes:
        entry.problem = f"results have the shapes {found}, not {shapes}"
        return
    for item, array in zip(expected, arrays, strict=True):
        entry.errors[item.name] = item.error(array)
