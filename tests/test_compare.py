"""The comparison's parts: layers, choice of channels, tolerance, timing."""

import json
from dataclasses import replace

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


LAYER = {
    "name": "small",
    **dict.fromkeys(("N", "H", "W", "C_in", "C_out", "KH", "KW", "groups"), 2),
    **{key: [1, 2] for key in ("stride", "dilation")},
    **{key: [0, 1] for key in ("padding", "output_padding")},
}


def test_a_layer_needs_no_source(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps([LAYER, {**LAYER, "name": "b", "source": "c"}]))
    assert [layer.source for layer in layers.load(path)] == ["", "c"]


INT = "must be an int from 1 to 2147483647. Got "
PAIR = "must be a list of two ints from {} to 2147483647. Got "
REQUIRED = (
    "name, N, H, W, C_in, C_out, KH, KW, groups, stride, padding,"
    " output_padding, dilation"
)
BAD_LAYERS = [
    ({"N": None}, "N " + INT + "null."),
    ({"KH": 0}, "KH " + INT + "0."),
    ({"C_in": True}, "C_in " + INT + "true."),
    ({"H": 1.5}, "H " + INT + "1.5."),
    ({"W": "4"}, "W " + INT + '"4".'),
    ({"N": 2**31}, "N " + INT + "2147483648."),
    ({"groups": [1, 2]}, "groups " + INT + "[1, 2]."),
    ({"stride": 2}, "stride " + PAIR.format(1) + "2."),
    ({"stride": []}, "stride " + PAIR.format(1) + "[]."),
    ({"stride": None}, "stride " + PAIR.format(1) + "null."),
    ({"dilation": [0, 1]}, "dilation " + PAIR.format(1) + "[0, 1]."),
    ({"padding": [-1, 0]}, "padding " + PAIR.format(0) + "[-1, 0]."),
    ({"padding": "11"}, "padding " + PAIR.format(0) + '"11".'),
    (
        {"padding": list(range(99))},
        "padding " + PAIR.format(0) + f"{json.dumps(list(range(99)))[:57]}....",
    ),
    (
        {"strides": [2, 2]},
        f"strides is not one of {REQUIRED}, source. Got [2, 2].",
    ),
    ({"source": 3}, "source must be a text. Got 3."),
    ({"name": ""}, 'name must be a text that is not empty. Got "".'),
    ({"name": 3}, "name must be a text that is not empty. Got 3."),
    ({"groups": 4}, "groups must divide C_in and C_out. Got 4, 2, 2."),
    (
        {"output_padding": [1, 0]},
        (
            "output_padding must be smaller than stride or dilation. Got [1, 0],"
            " [1, 2], [1, 2]."
        ),
    ),
    (
        {"padding": [9, 0]},
        (
            "the output must have from 1 to 2147483647 pixels per axis. Got"
            " [-15, 6]."
        ),
    ),
    (
        {"stride": [2**31 - 1, 2], "H": 3},
        (
            "the output must have from 1 to 2147483647 pixels per axis. Got"
            " [4294967296, 4]."
        ),
    ),
]


@pytest.mark.parametrize(("change", "message"), BAD_LAYERS)
def test_bad_layers(change, message, tmp_path):
    path = tmp_path / "bad.json"
    bad = {**LAYER, **change}
    path.write_text(json.dumps([{**LAYER, "name": "good"}, bad]))
    with pytest.raises(ValueError) as error:
        layers.load(path)
    called = " (small)" if bad["name"] == "small" else ""
    assert str(error.value) == f"{path}, layer 1{called}: {message}"


@pytest.mark.parametrize("key", [key for key in LAYER if key != "name"])
def test_missing_keys(key, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps([{k: v for k, v in LAYER.items() if k != key}]))
    with pytest.raises(ValueError) as error:
        layers.load(path)
    assert str(error.value) == (
        f"{path}, layer 0 (small): {key} is missing; required are {REQUIRED}."
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", " is not JSON: Expecting property name enclosed in double"),
        ("\xff", " is not JSON: 'utf-8' codec can't decode byte 0xff in"),
        ("[]", " must hold a list of layers. Got []."),
        ("{}", " must hold a list of layers. Got {}."),
        ("[3]", ", layer 0: a layer must be an object. Got 3."),
        ("[[]]", ", layer 0: a layer must be an object. Got []."),
        ('[{"H": 3}]', f", layer 0: name is missing; required are {REQUIRED}."),
    ],
)
def test_bad_files(text, message, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError) as error:
        layers.load(path)
    assert str(error.value).startswith(f"{path}{message}")


def test_names_must_differ(tmp_path):
    path = tmp_path / "twice.json"
    path.write_text(json.dumps([LAYER, LAYER]))
    with pytest.raises(ValueError) as error:
        layers.load(path)
    assert str(error.value) == (
        f"{path}, layer 1 (small): name must not be that of another layer."
        ' Got "small".'
    )


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
