"""What the examples share: a compiled training step, progress and times."""

import statistics
import sys
import time
from functools import partial

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim


def compiled_step(model, optimizer, loss):
    """A training step through ``mx.compile``; returns the loss as a float.

    ``loss(*batch)`` calls the model. The random state is part of the compiled
    function's state, so that a loss may draw random numbers.
    """
    gradient = nn.value_and_grad(model, loss)
    state = [model.state, optimizer.state, mx.random.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def update(*batch):
        value, grads = gradient(*batch)
        optimizer.update(model, grads)
        return value

    def step(*batch):
        value = update(*batch)
        mx.eval(value, state)
        return value.item()

    return step


def warm_cosine(rate, steps, warmup):
    """A rate that rises for the warmup's steps, and falls along a cosine."""
    rise = optim.linear_schedule(0, rate, warmup)
    fall = optim.cosine_decay(rate, max(steps - warmup, 1))
    return optim.join_schedules([rise, fall], [warmup])


def train(step, batches, steps, after=None):
    """Run the steps, showing a running mean of the loss.

    ``after(i)``, if given, is called after step i = 1, 2, ...
    """
    begin, mean = time.perf_counter(), 0.0
    for i in range(1, steps + 1):
        mean += max(1 / i, 0.02) * (step(*next(batches)) - mean)
        line = f"[{'=' * (24 * i // steps):24}] {i:4}/{steps}"
        line += f"  loss {mean:.3e}  {time.perf_counter() - begin:5.1f} s"
        if i % max(steps // 8, 1) == 0 or i == steps:
            print(line, flush=True)
        elif sys.stdout.isatty():
            print(line, end="\r", flush=True)
        if after is not None:
            after(i)


def median_times(calls, repeats):
    """Median milliseconds of each of several calls, run in turn.

    ``calls`` maps names to functions without arguments. The first call of
    each, which may compile, is left out.
    """
    times = {name: [] for name in calls}
    for _ in range(repeats + 1):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            times[name].append(1e3 * (time.perf_counter() - begin))
    return {name: statistics.median(ms[1:]) for name, ms in times.items()}


def print_times(what, times):
    shown = (f"{name} {ms:.1f} ms" for name, ms in times.items())
    print(f"{what}: {', '.join(shown)}")
