"""One layer, all contestants: the check, then times in rotating rounds."""

from __future__ import annotations

import dataclasses
import math
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlx_convt.bench import memory, roofline, statistics
from mlx_convt.bench.contestants import OURS, Contestant
from mlx_convt.bench.process import Failure, NotPossible, Process
from mlx_convt.bench.roofline import Floor
from mlx_convt.bench.row import LEAST_SECONDS, Entry, Row, check, faults
from mlx_convt.compare.check import (
    Expected,
    choose_channels,
    expected_gradients,
    expected_output,
    to_numpy,
)
from mlx_convt.compare.measure import DTYPES, make_operands
from mlx_convt.layers import Layer

if TYPE_CHECKING:
    from typing_extensions import Self

ITEMSIZES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}

# A round lasts about as long, or one call.
_ROUND_SECONDS = 0.02
_MOST_CALLS = 50


@dataclass(frozen=True)
class Effort:
    """So many rounds, or fewer where a contestant would exceed `seconds`.

    `limit` is how long a contestant may take to answer.
    """

    rounds: int = 9
    seconds: float = 2.0
    limit: float = 90.0


class Contest:
    """The processes of all contestants with a number of threads."""

    def __init__(
        self,
        contestants: Sequence[Contestant],
        threads: int,
        cpus: Sequence[int],
        dtype: str,
        effort: Effort,
        known: dict[tuple[str, str, bool], Entry],
    ) -> None:
        """`known` holds what other numbers of threads cannot change."""
        self.threads = threads
        self.peak = math.nan
        self._contestants = {c.name: c for c in contestants}
        self._cpus = cpus
        self._dtype = dtype
        self._effort = effort
        self._known = known
        self._running: dict[str, Process] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running.values():
            process.kill()
        self._running.clear()

    def measure_peak(self) -> None:
        """Operations per second; must come before rows with floors."""
        process = self._process(OURS.name)
        reply = process.ask("peak", float64=self._dtype == "float64")
        self.peak = reply["flops"]

    def row(
        self, layer: Layer, *, gradients: bool, say: Callable[[str], None]
    ) -> Row:
        """Runs all contestants who can on a layer and checks them."""
        say("generating inputs")
        operands = make_operands(layer, DTYPES[self._dtype])
        # NumPy's threads are asleep again when the rounds begin.
        say("float64 reference")
        channels = choose_channels(layer)
        expected = (
            expected_gradients(layer, operands, channels)
            if gradients
            else [expected_output(layer, operands, channels)]
        )
        entries = {
            name: Entry()
            for name, contestant in self._contestants.items()
            if self._dtype in contestant.dtypes
            and (contestant.gradients or not gradients)
        }
        with tempfile.TemporaryDirectory(prefix="mlx_convt_bench_") as folder:
            files = {"x": operands.x, "w": operands.w, "y": operands.cotangent}
            storage = "float64" if self._dtype == "float64" else "float32"
            for name, array in files.items():
                plain = to_numpy(array).astype(storage)
                np.save(Path(folder) / f"{name}.npy", plain)
            task = {
                "layer": dataclasses.asdict(layer),
                "folder": folder,
                "dtype": self._dtype,
                "gradients": gradients,
                "threads": self.threads,
            }
            known = {
                name: self._known[name, layer.name, gradients]
                for name in entries
                if (name, layer.name, gradients) in self._known
            }
            entries |= known
            fresh = {k: v for k, v in entries.items() if k not in known}
            ready = {}
            for name, entry in fresh.items():
                say(name)
                seconds = self._choose(name, entry, layer, task, expected)
                if seconds is not None:
                    ready[name] = seconds
            self._times(fresh, ready, say)
            peak = self._memory(task, say) if OURS.name in entries else None
        for name, contestant in self._contestants.items():
            if contestant.single_threaded and name in entries:
                self._known[name, layer.name, gradients] = entries[name]
        row = Row(
            layer,
            gradients,
            self.threads,
            entries,
            {item.name: item.tolerance for item in expected},
            memory_allowed=memory.allowed(layer, self.threads, self._dtype),
        )
        if peak is not None:
            elements = memory.result_elements(layer, gradients=gradients)
            written = elements * ITEMSIZES[self._dtype]
            row.memory = max(0, peak - written)
        say("machine's bandwidth")
        row.floor = self._floor(layer, gradients)
        return row

    def _choose(
        self,
        name: str,
        entry: Entry,
        layer: Layer,
        task: dict[str, Any],
        expected: list[Expected],
    ) -> float | None:
        """Keeps the quickest form that is right; returns the time of a call."""
        reply = self._ask(name, entry, "prepare", **task)
        if reply is None:
            return None
        tolerances = {item.name: item.tolerance for item in expected}
        forms = []
        for index, form in enumerate(reply["forms"]):
            errors: dict[str, float] = {}
            problem = form.get("problem")
            if problem is None:
                files = [Path(task["folder"]) / file for file in form["files"]]
                arrays = [np.load(file) for file in files]
                errors, problem = check(layer, arrays, expected)
            wrong = [problem] if problem else faults(errors, tolerances)
            if wrong:
                entry.dropped[form["name"]] = "; ".join(wrong)
            seconds = form.get("seconds", math.inf)
            forms.append((bool(wrong), seconds, index, errors, problem))
        is_wrong, seconds, index, entry.errors, entry.problem = min(
            forms, key=lambda form: form[:3]
        )
        entry.variant = reply["forms"][index]["name"]
        if is_wrong:
            # None is right; this one's faults are the entry's.
            del entry.dropped[entry.variant]
            self._ask(name, entry, "drop")
            return None
        chosen = self._ask(name, entry, "choose", form=index)
        return None if chosen is None else seconds

    def _times(
        self,
        entries: dict[str, Entry],
        ready: dict[str, float],
        say: Callable[[str], None],
    ) -> None:
        """Fills in the times of those whose calls take so long."""
        plans = {n: plan(s, self._effort) for n, s in ready.items()}
        for name, (rounds, _) in plans.items():
            if rounds == 0:
                entries[name].seconds.append(ready[name])
        most = max((rounds for rounds, _ in plans.values()), default=0)
        for number in range(most):
            say(f"round {number + 1} of {most}")
            for name in rotated(plans, number):
                rounds, calls = plans[name]
                entry = entries[name]
                if entry.problem is not None or not due(number, rounds, most):
                    continue
                warm = calls > 1
                reply = self._ask(name, entry, "run", calls=calls, warm=warm)
                if reply is not None:
                    entry.seconds.append(statistics.median(reply["seconds"]))
                    if reply["fixed_cost"] is not None:
                        entry.fixed_costs.append(reply["fixed_cost"])
        for name in plans:
            if entries[name].problem is None:
                self._ask(name, entries[name], "drop")

    def _memory(
        self, task: dict[str, Any], say: Callable[[str], None]
    ) -> int | None:
        say("memory")
        ours = self._contestants[OURS.name]
        process = None
        try:
            process = self._start(ours)
            rise: int | None = process.ask("memory", **task)["rise"]
        except Failure:
            return None
        finally:
            if process is not None:
                process.kill()
        return rise

    def _floor(self, layer: Layer, gradients: bool) -> Floor | None:
        needs = roofline.demand(
            layer, gradients=gradients, itemsize=ITEMSIZES[self._dtype]
        )
        moved = {
            "read_bytes": needs.read_bytes,
            "write_bytes": needs.write_bytes,
        }
        try:
            reply = self._process(OURS.name).ask("stream", **moved)
        except Failure:
            return None
        return Floor(needs.flops / self.peak, reply["seconds"])

    def _ask(
        self, name: str, entry: Entry, command: str, **arguments: Any
    ) -> dict[str, Any] | None:
        try:
            return self._process(name).ask(command, **arguments)
        except Failure as failure:
            entry.problem = str(failure)
            entry.impossible = isinstance(failure, NotPossible)
            return None

    def _process(self, name: str) -> Process:
        """The contestant's process, a new one if it has died."""
        process = self._running.get(name)
        if process is not None and not process.alive:
            process.kill()
            process = None
        if process is None:
            process = self._start(self._contestants[name])
            self._running[name] = process
        return process

    def _start(self, contestant: Contestant) -> Process:
        return Process(contestant, self.threads, self._cpus, self._effort.limit)


def plan(seconds: float, effort: Effort) -> tuple[int, int]:
    """Rounds, and calls in each; no rounds if one call is too long."""
    if seconds > effort.seconds:
        return 0, 1
    calls = round(_ROUND_SECONDS / max(seconds, LEAST_SECONDS))
    calls = min(max(calls, 1), _MOST_CALLS)
    rounds = min(effort.rounds, max(1, int(effort.seconds / seconds / calls)))
    return rounds, calls


def rotated(names: Iterable[str], number: int) -> list[str]:
    """Another one begins in every round."""
    order = list(names)
    start = number % max(1, len(order))
    return order[start:] + order[:start]


def due(number: int, rounds: int, most: int) -> bool:
    """Spreads a contestant's rounds evenly over those of all."""
    return (number + 1) * rounds // most > number * rounds // most
