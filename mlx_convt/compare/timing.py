"""Interleaved timing of calls whose speeds differ a hundredfold."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import mlx.core as mx

Call = Callable[[], list[mx.array]]

# A first run this long has no use for a warm-up: it counts.
_SLOW_SECONDS = 0.5


@dataclass(frozen=True)
class Patience:
    """Run at least so often, then until `seconds` are spent."""

    at_least: int
    seconds: float
    at_most: int = 100


@dataclass
class Timer:
    """The times of one call, whose first results are kept for checking."""

    call: Call
    patience: Patience
    results: list[mx.array] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def first(self) -> None:
        self.results, seconds = self._run()
        if seconds > _SLOW_SECONDS:
            self.seconds.append(seconds)

    def again(self) -> None:
        _, seconds = self._run()
        self.seconds.append(seconds)

    def done(self) -> bool:
        runs, spent = len(self.seconds), sum(self.seconds)
        if runs < self.patience.at_least:
            # Do not insist on repetitions of something very slow.
            return spent > 10 * self.patience.seconds
        return spent >= self.patience.seconds or runs >= self.patience.at_most

    @property
    def median_ms(self) -> float:
        return 1e3 * statistics.median(self.seconds)

    def _run(self) -> tuple[list[mx.array], float]:
        start = time.perf_counter()
        results = self.call()
        return results, time.perf_counter() - start


def interleave(timers: list[Timer]) -> None:
    """Runs each in turn until all are done: drift then hits all alike."""
    while waiting := [timer for timer in timers if not timer.done()]:
        for timer in waiting:
            timer.again()


def evaluation_ms() -> float:
    """What an `mx.eval` of a one-element operation costs."""
    one = mx.ones(1)
    mx.eval(one)

    def call() -> list[mx.array]:
        result = mx.negative(one)
        mx.eval(result)
        return [result]

    timer = Timer(call, Patience(at_least=200, seconds=0.02, at_most=200))
    interleave([timer])
    return timer.median_ms
