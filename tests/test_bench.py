"""The benchmark's parts, and contests with contestants made for the test."""

import dataclasses
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from mlx_convt import _ext, layers
from mlx_convt.bench import contest as contests
from mlx_convt.bench import memory, roofline, scaling, statistics
from mlx_convt.bench.contest import Contest, Effort
from mlx_convt.bench.contestants import BUILTIN, OURS, PEERS, Contestant, task
from mlx_convt.bench.row import Entry, Row

LINUX = pytest.mark.skipif(
    sys.platform != "linux", reason="reads /proc, or uses prctl"
)
EFFORT = Effort(rounds=3, seconds=0.2, limit=20.0)


def make_layer(**changes):
    base = layers.Layer(
        name="small",
        source="made up",
        batch=2,
        spatial=(3, 4),
        in_channels=6,
        out_channels=8,
        kernel=(3, 2),
        stride=(2, 3),
        padding=(1, 0),
        output_padding=(1, 0),
        dilation=(1, 2),
        groups=2,
    )
    return dataclasses.replace(base, **changes)


def test_statistics():
    assert statistics.median([3.0, 1.0, 2.0]) == 2.0
    assert statistics.spread([1.0, 2.0, 3.0]) is None
    assert statistics.spread([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(2 / 3)
    assert statistics.geometric_mean([2.0, None, 8.0]) == pytest.approx(4)
    assert statistics.geometric_mean([None]) is None
    assert statistics.slope([1, 10, 100], [5, 50, 500]) == pytest.approx(1)
    assert statistics.slope([1, 10, 100], [1, 100, 1e4]) == pytest.approx(2)


def counted_reach(layer):
    """By looking at every pair of position and tap."""
    pairs, taps, positions = 0, set(), set()
    out = layer.output_shape[1:-1]
    for at in itertools.product(*map(range, layer.spatial)):
        for tap in itertools.product(*map(range, layer.kernel)):
            target = [
                i * s - p + k * d
                for i, s, p, k, d in zip(
                    at, layer.stride, layer.padding, tap, layer.dilation
                )
            ]
            if all(0 <= o < size for o, size in zip(target, out)):
                pairs += 1
                taps.add(tap)
                positions.add(at)
    return roofline.Reach(pairs, len(taps), len(positions))


@pytest.mark.parametrize("kernel", [(1, 1), (3, 2), (5, 4)])
@pytest.mark.parametrize("padding", [(0, 0), (1, 0), (2, 3)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
def test_reach_is_what_counting_finds(kernel, padding, stride):
    for dilation in ((1, 1), (2, 3)):
        layer = make_layer(
            kernel=kernel,
            padding=padding,
            stride=stride,
            dilation=dilation,
            output_padding=(0, 0),
        )
        if min(layer.output_shape) > 0:
            assert roofline.reach(layer) == counted_reach(layer)


def test_demand_moves_each_array_once():
    packaged = {layer.name: layer for layer in layers.load()}
    plain = packaged["unet_up1"]
    weights, x, y = 512 * 2 * 2 * 1024, 32 * 32 * 1024, 64 * 64 * 512
    needs = roofline.demand(plain, gradients=False, itemsize=4)
    assert needs.flops == plain.flops
    assert (needs.read_bytes, needs.write_bytes) == (4 * (weights + x), 4 * y)
    both = roofline.demand(plain, gradients=True, itemsize=2)
    assert both.flops == 3 * plain.flops
    assert both.read_bytes == both.write_bytes == 2 * (weights + x + y)

    # One pixel makes four of its sixteen taps, the others fall off.
    cropped = packaged["pix2pix_up1"]
    needs = roofline.demand(cropped, gradients=False, itemsize=4)
    assert needs.flops == cropped.flops / 4
    assert needs.read_bytes == 4 * (512 * 512 * 4 + 512)


def test_the_larger_floor_binds():
    assert roofline.Floor(compute=2.0, memory=1.0).bound == "c"
    assert roofline.Floor(compute=1.0, memory=2.0).bound == "m"
    assert roofline.Floor(compute=1.0, memory=2.0).seconds == 2.0


def test_the_plan_follows_the_time_of_a_call():
    effort = Effort(rounds=9, seconds=2.0)
    assert contests.plan(1e-6, effort) == (9, 50)
    assert contests.plan(5e-3, effort) == (9, 4)
    assert contests.plan(0.1, effort) == (9, 1)
    assert contests.plan(0.5, effort) == (4, 1)
    assert contests.plan(3.0, effort) == (0, 1)


def test_every_round_has_another_first():
    assert contests.rotated("abc", 0) == ["a", "b", "c"]
    assert contests.rotated("abc", 1) == ["b", "c", "a"]
    assert contests.rotated("abc", 5) == ["c", "a", "b"]
    assert contests.rotated("", 1) == []
    for rounds, most in ((1, 9), (4, 9), (9, 9)):
        taken = [contests.due(number, rounds, most) for number in range(most)]
        assert sum(taken) == rounds


def test_layouts():
    rng = np.random.default_rng(0)
    w = rng.standard_normal((6, 3, 2, 4))  # two groups: 8 -> 6
    major = task.input_major(w, 2)
    assert major.shape == (8, 3, 3, 2)
    # Input channel 5 is the second of group 1; output 2 of it is channel 5.
    assert major[5, 2, 1, 0] == w[5, 1, 0, 1]
    np.testing.assert_array_equal(task.from_input_major(major, 2), w)
    x = rng.standard_normal((2, 3, 4, 5))
    assert task.channels_first(x)[1, 4, 2, 3] == x[1, 2, 3, 4]
    np.testing.assert_array_equal(task.channels_last(task.channels_first(x)), x)


def row_of(entries):
    return Row(make_layer(), False, 1, entries, {"output": 1e-6})


def test_a_row_ignores_what_is_wrong():
    right = {"output": 1e-7}
    row = row_of(
        {
            "ours": Entry(seconds=[2.0, 4.0, 3.0], errors=right),
            "built-in": Entry(seconds=[1.0], errors=right),
            "slow": Entry(seconds=[9.0], errors=right),
            "wrong": Entry(seconds=[1.0], errors={"output": 2e-6}),
            "nan": Entry(seconds=[1.0], errors={"output": float("inf")}),
            "dead": Entry(seconds=[1.0], errors=right, problem="died"),
        }
    )
    assert row.ours == 3.0
    assert row.best_peer == "slow"
    assert row.ratio("slow") == 3.0
    assert row.ratio("wrong") is row.ratio("nan") is row.ratio("dead") is None
    (fault,) = row.faults(row.entries["wrong"])
    assert fault == (
        "error of the output is 2.0e-06, more than the 1.0e-06 that rounding"
        " explains"
    )
    row.floor = roofline.Floor(compute=1.5, memory=1.0)
    assert row.share == 0.5
    row.entries["ours"].errors["output"] = 1.0
    assert row.ours is row.share is row.ratio("slow") is None


@LINUX
def test_memory_sees_what_a_call_takes():
    size = 48 << 20

    def call():
        np.ones(size, np.uint8)
        return np.ones(size // 4, np.uint8)

    rise, result = memory.rise(call)
    assert result.nbytes == size // 4
    assert size <= rise < size + (8 << 20)


def test_peaks_are_numbers():
    for float64 in (False, True):
        assert 1e6 < _ext.peak_flops(float64) < 1e18
    for moved in ((1 << 20, 1 << 18), (1 << 16, 0), (0, 1 << 16)):
        assert 0 < _ext.stream_seconds(*moved) < 10


def test_scaling_covers_two_orders_of_magnitude():
    for series in scaling.series():
        work = [layer.flops for layer in series.layers]
        assert work == sorted(work)
        assert work[-1] >= 99 * work[0]


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

    def make(name, body=None):
        code = f"""
            import os, signal, sys, time
            import numpy as np
            from mlx_convt import reference
            from mlx_convt.bench.contestants.task import *

            def variants(task):
                def call():
                    result = [reference.conv_transpose(
                        task.x, task.w, **task.layer.arguments)]
                    {body or BODIES[name]}
                yield Variant("only", call, lambda result: result)
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
