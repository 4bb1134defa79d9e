"""The comparison's parts: layers, choice of channels, tolerance, timing."""

import json
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from mlx_convt import layers
from mlx_convt.compare import check, measure, timing


def test_packaged_layers():
    packaged = {layer.name: layer for layer in layers.load()}
    assert len(packaged) == 30
    assert packaged.keys() > layers.COMPARED > layers.QUICK

    dcgan = packaged["dcgan_g4"]
    assert dcgan.output_shape == (32, 32, 32, 64)
    assert dcgan.flops == 2 * 32 * 16 * 16 * 4 * 4 * 128 * 64
    depthwise = packaged["centernet_dla_dw_f2"]
    assert depthwise.weight_shape == (64, 4, 4, 1)
    assert depthwise.flops == 2 * 64 * 64 * 4 * 4 * 64
    assert depthwise.label == "1x64x64x64 -> 64, k4 s2 g64"


def test_the_tolerance_follows_the_rounding():
    rng = np.random.default_rng(0)
    for terms in (1, 64, 4096, 65536):
        x = rng.standard_normal((200, terms), dtype=np.float32)
        w = rng.standard_normal(terms, dtype=np.float32)
        exact = (x.astype(np.float64) * w).sum(axis=1)
        running = np.cumsum(x * w, axis=1, dtype=np.float32)[:, -1]
        error = np.max(np.abs(running - exact)) / np.max(np.abs(exact))
        allowed = check.tolerance(mx.float32, terms)
        assert allowed / 20 < error < allowed


def test_slow_calls_run_once_and_fast_ones_often(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    order = []

    def call(name, seconds):
        def run():
            order.append(name)
            now[0] += seconds
            return []

        return run

    patience = timing.Patience(at_least=3, seconds=0.5)
    slow = timing.Timer(
        call("slow", 9.0), timing.Patience(at_least=1, seconds=0.5)
    )
    fast = timing.Timer(call("fast", 0.125), patience)
    slow.first()
    fast.first()
    timing.interleave([slow, fast])
    assert slow.median_ms == pytest.approx(9000)
    assert fast.median_ms == pytest.approx(125)
    assert order == ["slow"] + 5 * ["fast"]

    order.clear()
    pair = [timing.Timer(call(name, 0.2), patience) for name in "ab"]
    timing.interleave(pair)
    assert "".join(order) == "ababab"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "must hold a list of layers"),
        ('[{"name": "x"}]', "layer 0: lacks 'H'"),
        ("[3]", "layer 0: "),
    ],
)
def test_bad_files(text, message, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(ValueError) as error:
        layers.load(path)
    assert message in str(error.value)


def test_names_must_differ(tmp_path):
    packaged = Path(layers.__file__).with_name("layers.json")
    path = tmp_path / "twice.json"
    path.write_text(json.dumps(2 * json.loads(packaged.read_text())))
    with pytest.raises(ValueError) as error:
        layers.load(path)
    assert "two layers have the same name." in str(error.value)


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_large_layers_are_checked_in_part(groups, monkeypatch):
    layer = replace(
        layers.load()[0],
        batch=2,
        spatial=(3, 4),
        kernel=(3, 2),
        stride=(2, 3),
        in_channels=16,
        out_channels=24,
        groups=groups,
    )
    operands = measure.make_operands(layer, mx.float32)
    everything = check.choose_channels(layer)
    assert check.checked_fraction(layer, everything) == 1

    monkeypatch.setattr(check, "WORK_BUDGET", check._work(layer) / 4)
    part = check.choose_channels(layer)
    assert 0 < check.checked_fraction(layer, part) < 0.5
    full_output = check.expected_output(layer, operands, everything)
    full_gradients = check.expected_gradients(layer, operands, everything)
    for full, some in zip(
        [full_output, *full_gradients],
        [
            check.expected_output(layer, operands, part),
            *check.expected_gradients(layer, operands, part),
        ],
        strict=True,
    ):
        whole = full.values
        if full.name == "weight gradient":
            whole = np.moveaxis(whole, 1, -1)
        # The index picks from an array of the result's own shape.
        picked = whole[some.index]
        assert picked.size < whole.size
        np.testing.assert_allclose(some.values, picked, rtol=1e-12, atol=1e-12)
