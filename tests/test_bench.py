"""The benchmark's parts: counts, statistics, layouts, and what is right."""

import dataclasses
import itertools
import sys

import numpy as np
import pytest

from mlx_convt import _ext, layers
from mlx_convt.bench import contest as contests
from mlx_convt.bench import memory, roofline, scaling, statistics
from mlx_convt.bench.contest import Effort
from mlx_convt.bench.contestants import task
from mlx_convt.bench.row import Entry, Row

LINUX = pytest.mark.skipif(
    sys.platform != "linux", reason="reads /proc, or uses prctl"
)


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
    # The kernel counts pages per processor and adds them up now and then.
    assert size - (1 << 20) < rise < size + (8 << 20)


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
