"""MLX's own operation, on its CPU stream of one thread."""

from __future__ import annotations

from collections.abc import Iterator

import mlx.core as mx

from mlx_convt.bench.contestants._mlx import fixed_cost, mlx_variants
from mlx_convt.bench.contestants.task import Task, Variant

__all__ = ["fixed_cost", "variants"]


def variants(task: Task) -> Iterator[Variant]:
    return mlx_variants(mx, task)
