"""The command line of the benchmark."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import TextIO

from mlx_convt import layers as named
from mlx_convt.bench import report, scaling
from mlx_convt.bench.contest import Contest, Effort
from mlx_convt.bench.contestants import BUILTIN, OURS, PEERS, Contestant
from mlx_convt.bench.process import Failure
from mlx_convt.bench.row import Entry, Row
from mlx_convt.bench.table import Table, threads
from mlx_convt.compare import options as shared
from mlx_convt.compare.machine import describe
from mlx_convt.compare.progress import Progress
from mlx_convt.layers import Layer


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark; 0 if our results are right, 1 if not."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        every = [layer.name for layer in named.load()]
        layers = shared.select_layers(options, every)
        peers = _peers(options)
        counts = _threads(options.threads)
        passes = _passes(options.passes)
        effort = _effort(options)
        shared.check_files(options)
        shared.check_environment()
        if options.plot is not None and (options.scaling or not peers):
            raise ValueError(
                "--plot draws ratios to peers, of which there are none."
            )
    except ValueError as error:
        parser.error(str(error))
    if options.list:
        shared.list_layers(layers)
        return 0
    out = sys.stderr if options.json == "-" else sys.stdout
    contestants = [OURS] if options.scaling else [OURS, BUILTIN, *peers]
    bench = Bench(layers, contestants, counts, passes, effort, options, out)
    try:
        return bench.run()
    except Failure as failure:
        print(
            f"mlx_convt itself cannot be measured: {failure}", file=sys.stderr
        )
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130


class Bench:
    """All passes with all numbers of threads."""

    def __init__(
        self,
        layers: Sequence[Layer],
        contestants: Sequence[Contestant],
        counts: Sequence[int],
        passes: Sequence[bool],
        effort: Effort,
        options: argparse.Namespace,
        out: TextIO,
    ) -> None:
        self._layers = layers
        self._contestants = contestants
        self._counts = counts
        self._passes = passes
        self._effort = effort
        self._options = options
        self._out = out
        self._rows: list[Row] = []
        self._peaks: dict[int, float] = {}
        self._known: dict[tuple[str, str, bool], Entry] = {}

    def run(self) -> int:
        options = self._options
        machine = describe()
        for line in machine.heading(options.dtype):
            print(line, file=self._out)
        self._introduce()

        measured = (
            sum(len(one.layers) for one in scaling.series())
            if options.scaling
            else len(self._layers)
        )
        steps = measured * len(self._passes) * len(self._counts)
        progress = Progress(steps)
        table = Table(
            self._layers, [c.name for c in self._contestants[2:]], self._out
        )
        for count in self._counts:
            with Contest(
                self._contestants,
                count,
                _processors()[:count],
                options.dtype,
                self._effort,
                self._known,
            ) as contest:
                progress.detail("machine's peak")
                contest.measure_peak()
                self._peaks[count] = contest.peak
                for gradients in self._passes:
                    progress.clear()
                    self._pass(contest, gradients, table, progress)
        if not options.scaling:
            table.notes(self._rows)

        if options.json is not None:
            figures = report.as_json(
                machine,
                options.dtype,
                self._contestants,
                self._peaks,
                self._rows,
            )
            text = json.dumps(figures, indent=2, allow_nan=False)
            shared.write_json(options.json, text)
        if options.plot is not None:
            report.draw(options.plot, self._rows, machine, options.dtype)
        wrong = any(row.faults(row.entries[OURS.name]) for row in self._rows)
        return 1 if wrong else 0

    def _introduce(self) -> None:
        taking_part = [f"{c.name} {c.version()}" for c in self._contestants]
        print(", ".join(taking_part), file=self._out)
        if self._options.peers is not None or self._options.scaling:
            return
        for peer in PEERS:
            if peer.missing():
                line = f"not installed: {peer.name} ({peer.install})"
                print(line, file=self._out)

    def _pass(
        self,
        contest: Contest,
        gradients: bool,
        table: Table,
        progress: Progress,
    ) -> None:
        title = f"{report.TITLES[gradients]}, {threads(contest.threads)}"

        def step(what: str) -> None:
            progress.step(f"{title.lower()}, {what}")

        if self._options.scaling:
            self._rows += scaling.run(
                contest,
                gradients=gradients,
                out=self._out,
                step=step,
                say=progress.detail,
            )
            return
        table.head(f"{title}, peak {contest.peak / 1e9:.0f} GFLOP/s")
        rows = []
        for layer in self._layers:
            step(layer.name)
            row = contest.row(layer, gradients=gradients, say=progress.detail)
            progress.clear()
            table.row(row)
            rows.append(row)
        table.summary(rows)
        self._rows += rows


def _processors() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _peers(options: argparse.Namespace) -> list[Contestant]:
    """Those installed, or those named, which then must be."""
    if options.peers is None:
        return [peer for peer in PEERS if not peer.missing()]
    if options.peers == "none":
        return []
    by_name = {peer.name: peer for peer in PEERS}
    chosen = list(dict.fromkeys(options.peers.split(",")))
    for name in chosen:
        if name not in by_name:
            raise ValueError(
                f"no peer named {name!r}; there are {', '.join(by_name)}."
            )
        if by_name[name].missing():
            raise ValueError(
                f"{name} is not installed: {by_name[name].install}"
            )
    return [by_name[name] for name in chosen]


def _threads(text: str) -> list[int]:
    most = len(_processors())
    counts = []
    for part in text.split(","):
        count = most if part == "all" else int(part) if part.isdigit() else 0
        if not 1 <= count <= most:
            raise ValueError(
                "--threads must be 'all' or numbers from 1 to the"
                f" {most} processors at hand, with commas between. Got {text}."
            )
        counts.append(count)
    return list(dict.fromkeys(counts))


def _passes(text: str) -> list[bool]:
    by_name = {name: gradients for gradients, name in report.PASSES.items()}
    chosen = text.split(",")
    if not by_name.keys() >= set(chosen):
        raise ValueError(
            f"--passes must be of {', '.join(by_name)}. Got {text}."
        )
    return list(dict.fromkeys(by_name[name] for name in chosen))


def _effort(options: argparse.Namespace) -> Effort:
    quick = Effort(rounds=5, seconds=0.5)
    usual = quick if options.quick else Effort()
    rounds = usual.rounds if options.rounds is None else options.rounds
    seconds = usual.seconds if options.seconds is None else options.seconds
    if not 1 <= rounds <= 1000:
        raise ValueError(f"--rounds must be 1 to 1000. Got {rounds}.")
    if not 0 < seconds <= 3600:
        raise ValueError(f"--seconds must be more than 0. Got {seconds:g}.")
    return Effort(rounds, seconds, usual.limit)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mlx_convt bench",
        description="Measures mlx_convt against MLX's built-in transposed"
        " convolution and every installed library of "
        + ", ".join(peer.name for peer in PEERS)
        + ", each in a process of its own, on layers of published networks.",
        epilog="Exit status: 0 if all results of mlx_convt are right, 1 if"
        " not, 2 for wrong options.",
    )
    shared.add_options(parser)
    parser.add_argument(
        "--threads",
        default="1,all",
        metavar="N,...",
        help="numbers of threads, one pass each (default: 1,all)",
    )
    parser.add_argument(
        "--passes",
        default=",".join(report.PASSES.values()),
        metavar="NAMES",
        help="forward, gradients (forward and both gradients), or both"
        " (default)",
    )
    parser.add_argument(
        "--peers",
        metavar="NAMES",
        help="names with commas between, or 'none' (default: all installed)",
    )
    parser.add_argument(
        "--rounds", type=int, metavar="N", help="rounds per layer (default: 9)"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        metavar="S",
        help="time for each contestant per layer (default: 2)",
    )
    parser.add_argument(
        "--scaling",
        action="store_true",
        help="instead, the time of ours against batch, size and channels",
    )
    return parser
