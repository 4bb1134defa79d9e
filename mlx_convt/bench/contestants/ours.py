"""mlx_convt itself."""

from __future__ import annotations

from collections.abc import Iterator

import mlx_convt
from mlx_convt.bench.contestants._mlx import fixed_cost, mlx_variants
from mlx_convt.bench.contestants.task import Task, Variant

__all__ = ["fixed_cost", "variants"]


def variants(task: Task) -> Iterator[Variant]:
    return mlx_variants(mlx_convt, task)
