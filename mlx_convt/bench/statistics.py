"""Medians, spreads and means of what was measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def spread(values: Sequence[float]) -> float | None:
    """Interquartile range over the median; None for fewer than four."""
    if len(values) < 4:
        return None
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / middle


def geometric_mean(values: Iterable[float | None]) -> float | None:
    """Of the values there are."""
    logs = [math.log(value) for value in values if value is not None]
    return math.exp(sum(logs) / len(logs)) if logs else None


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """The power of x with which y grows: a line through the logarithms."""
    return statistics.linear_regression(
        [math.log(value) for value in x], [math.log(value) for value in y]
    ).slope
