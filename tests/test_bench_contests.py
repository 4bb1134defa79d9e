"""Contests: peers, contestants made to fail, and the ends of processes."""

import dataclasses
import io
import os
import signal
import statistics
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from test_bench import LINUX, make_layer

from mlx_convt.bench.contest import Contest, Effort
from mlx_convt.bench.contestants import BUILTIN, OURS, PEERS, Contestant
from mlx_convt.bench.table import Table

EFFORT = Effort(rounds=3, seconds=0.2, limit=20.0)

BODIES = {
    "right": "return result",
    "wrong": "return [1.001 * result[0], *result[1:]]",
    "turned": "return [result[0].swapaxes(1, 2)]",
    "lacking": "return []",
    "dies": "os.kill(os.getpid(), signal.SIGSEGV)",
    "hangs": "time.sleep(1000)",
    "raises": "raise RuntimeError('no such luck')",
    "refuses": "raise NotExpressible('not in this library')",
    "leaves": "print('so long', file=sys.stderr); os._exit(3)",
    "talks": "print('{}', flush=True); os.write(1, b'[]\\n'); return result",
}


@pytest.fixture
def contestant(tmp_path, monkeypatch):
    """Makes a contestant whose calls end with one of BODIES."""

    def make(name, body=None, fast="call", fixed_cost="None"):
        code = f"""
            import os, signal, sys, time
            import numpy as np
            from mlx_convt import reference
            from mlx_convt.bench.contestants.task import *

            fixed_cost = {fixed_cost}
            def variants(task):
                def call():
                    result = [reference.conv_transpose(
                        task.x, task.w, **task.layer.arguments)]
                    {body or BODIES[name]}
                def slow():
                    time.sleep(0.01)
                    return call()
                yield Variant("slow", slow, lambda result: result)
                def broken():
                    raise RuntimeError("this one does not work")
                yield Variant("broken", broken, lambda result: result)
                yield Variant("fast", {fast}, lambda result: result)
            """
        module = f"contestant_{name.replace('-', '_')}"
        Path(tmp_path, f"{module}.py").write_text(textwrap.dedent(code))
        return Contestant(
            name=name,
            code=module,
            distribution="numpy",
            modules=(),
            install="",
        )

    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    return make


def run_contest(
    *others, layer=None, gradients=False, effort=EFFORT, known=None
):
    known = {} if known is None else known
    with Contest(
        [OURS, *others], 1, cpus(), "float32", effort, known
    ) as contest:
        contest.measure_peak()
        return contest.row(
            layer or make_layer(), gradients=gradients, say=lambda _: None
        )


def cpus():
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))[:1]
    return []


def test_contestants_who_fail_do_not_stop_the_others(contestant):
    names = [name for name in BODIES if name != "hangs"]
    row = run_contest(*map(contestant, names))
    assert not row.faults(row.entries["ours"])
    assert row.ours > 0
    assert len(row.entries["ours"].seconds) == EFFORT.rounds
    for name in ("right", "talks"):
        assert row.valid(name) is not None
        assert row.entries[name].variant == "fast"
        assert row.entries[name].dropped == {
            "broken": "RuntimeError: this one does not work"
        }
    assert row.best_peer in ("right", "talks")
    problems = {name: row.faults(row.entries[name]) for name in names}
    assert "error of the output is" in problems["wrong"][0]
    assert problems["turned"] == [
        "results have the shapes [(2, 12, 6, 8)], not [(2, 6, 12, 8)]"
    ]
    assert problems["lacking"][0].startswith("results have the shapes [],")
    assert problems["dies"] == ["killed by SIGSEGV"]
    assert problems["raises"] == ["RuntimeError: no such luck"]
    assert problems["refuses"] == ["not in this library"]
    assert problems["leaves"] == ["exited with 3: so long"]
    assert row.entries["refuses"].impossible
    assert not row.entries["raises"].impossible


def test_a_form_that_is_wrong_does_not_take_part(contestant):
    row = run_contest(
        contestant("half", "return result", "lambda: [0 * call()[0]]")
    )
    entry = row.entries["half"]
    assert entry.variant == "slow"
    assert entry.median > 0.01
    assert not row.faults(entry)
    assert entry.dropped.keys() == {"broken", "fast"}
    assert entry.dropped["fast"].startswith("error of the output is 1.0e+00,")
    text = io.StringIO()
    Table([row.layer], ["half"], text).notes([row])
    assert "! small, 1 thread, half: without fast: error of" in text.getvalue()


def test_the_fixed_cost_is_measured_in_every_round(contestant):
    costs = "iter([5e-6, 1e-6, 2e-6]).__next__"
    row = run_contest(contestant("costly", "return result", fixed_cost=costs))
    entry = row.entries["costly"]
    assert entry.fixed_costs == [5e-6, 1e-6, 2e-6]
    assert entry.median == pytest.approx(
        statistics.median(entry.seconds) - 2e-6
    )
    assert not entry.at_floor


def test_who_costs_nothing_beside_the_fixed_cost(contestant):
    row = run_contest(
        contestant("cheap", "return result", fixed_cost="lambda: 7.0")
    )
    entry = row.entries["cheap"]
    assert entry.at_floor
    assert entry.median == pytest.approx(0.7)
    text = io.StringIO()
    table = Table([row.layer], ["cheap"], text)
    table.row(row)
    table.notes([row])
    assert "  <700" in text.getvalue()
    assert (
        "! small, 1 thread, cheap: takes hardly longer than the fixed"
        " cost of a call; counted as 700000.0 us\n"
    ) in text.getvalue()


def test_a_contestant_who_hangs_is_left_behind(contestant):
    effort = dataclasses.replace(EFFORT, limit=3.0)
    row = run_contest(contestant("hangs"), effort=effort)
    assert row.faults(row.entries["hangs"]) == ["no answer in 3 s"]
    assert row.ours > 0


def test_who_died_on_one_layer_takes_part_in_the_next(contestant):
    body = "if task.layer.batch == 2: os.abort()\n" + 20 * " " + "return result"
    with Contest(
        [OURS, contestant("moody", body)], 1, cpus(), "float32", EFFORT, {}
    ) as contest:
        contest.measure_peak()
        rows = [
            contest.row(make_layer(batch=n), gradients=False, say=str)
            for n in (2, 1)
        ]
    assert rows[0].faults(rows[0].entries["moody"]) == ["killed by SIGABRT"]
    assert rows[1].valid("moody") is not None


def test_ours_and_the_builtin_with_gradients():
    known = {}
    row = run_contest(OURS, BUILTIN, gradients=True, known=known)
    for name in ("ours", "built-in"):
        entry = row.entries[name]
        assert entry.errors.keys() == {"input gradient", "weight gradient"}
        assert not row.faults(entry)
        assert entry.fixed_cost > 0
    assert row.floor.compute > 0
    # One thread or many: the built-in is not measured again.
    assert list(known) == [("built-in", "small", True)]
    again = run_contest(OURS, BUILTIN, gradients=True, known=known)
    assert again.entries["built-in"] is row.entries["built-in"]
    assert again.entries["ours"] is not row.entries["ours"]


@LINUX
def test_the_memory_of_a_layer():
    layer = make_layer(spatial=(64, 64), in_channels=64, out_channels=64)
    row = run_contest(layer=layer)
    weights = 4 * 64 * 3 * 2 * 32
    assert row.memory_allowed == weights + (4 << 20)
    assert 0 < row.memory < 64 << 20


LAYERS = [
    make_layer(),
    make_layer(groups=1, dilation=(1, 1), output_padding=(0, 0), batch=1),
    # For LiteRT: padding that it has, the last of them mirrored.
    make_layer(
        groups=1,
        dilation=(1, 1),
        kernel=(3, 4),
        padding=(0, 0),
        output_padding=(0, 0),
    ),
    make_layer(
        groups=1,
        dilation=(1, 1),
        kernel=(4, 4),
        stride=(2, 2),
        padding=(1, 1),
        output_padding=(0, 0),
    ),
    make_layer(
        groups=1,
        dilation=(1, 1),
        kernel=(3, 5),
        stride=(2, 2),
        padding=(1, 2),
        output_padding=(1, 1),
        in_channels=16,
    ),
    make_layer(in_channels=32, out_channels=32, groups=32),
]


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_peers_compute_the_same(peer):
    if peer.missing():
        pytest.skip(f"{peer.name} is not installed")
    done = 0
    for gradients in (False, True)[: 1 + peer.gradients]:
        with Contest([OURS, peer], 1, cpus(), "float32", EFFORT, {}) as contest:
            for layer in LAYERS:
                row = contest.row(layer, gradients=gradients, say=str)
                entry = row.entries[peer.name]
                if not entry.impossible:
                    assert not row.faults(entry), layer
                    assert entry.variant
                    done += 1
    assert done >= 3


def state(pid):
    """As in /proc; None for processes that are gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[0]


def children(pid):
    return [
        int(child)
        for tid in os.listdir(f"/proc/{pid}/task")
        for child in Path(f"/proc/{pid}/task/{tid}/children")
        .read_text()
        .split()
    ]


def wait_until(condition):
    for _ in range(200):
        if condition():
            return True
        time.sleep(0.05)
    return False


@LINUX
def test_what_a_contestant_forks_ends_with_it(contestant, tmp_path):
    pids = tmp_path / "pids"
    body = f"""
                    if not os.path.exists({str(pids)!r}):
                        pid = os.fork()
                        if not pid:
                            time.sleep(1000)
                        print(pid, file=open({str(pids)!r}, "w"))
                    return result"""
    row = run_contest(contestant("forks", body))
    assert row.valid("forks") is not None
    forked = int(pids.read_text())
    assert wait_until(lambda: state(forked) in (None, "Z"))


@LINUX
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_nobody_outlives_the_benchmark(ending):
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlx_convt", "bench", "--quick"),
            *("--peers", "none", "--threads", "1"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    # The first layer is being measured; the built-in may be about to start.
    assert "dcgan_g1" in process.stderr.readline()
    assert wait_until(lambda: len(children(process.pid)) >= 2)
    started = children(process.pid)
    # All but the one whose turn it is are stopped.
    assert wait_until(lambda: "T" in map(state, started))
    process.send_signal(ending)
    _, said = process.communicate(timeout=30)
    assert wait_until(
        lambda: all(state(child) in (None, "Z") for child in started)
    )
    if ending == signal.SIGINT:
        assert process.returncode == 130
        assert said.endswith("\ninterrupted\n")
        assert "Traceback" not in said
