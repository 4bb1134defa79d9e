"""The examples on sound and on second derivatives reach what they promise."""

import re
import wave
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from helpers import run_example

EXAMPLES = Path(__file__).parent.parent / "examples"


def run_quick(script, folder, *modules):
    """What the example prints, from another folder, warnings being errors."""
    for module in modules:
        pytest.importorskip(module)
    arguments = "--quick", "--output", folder / "picture.png"
    output = run_example(script, folder, *arguments)
    picture = (folder / "picture.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    return output


def figures(pattern, text):
    """The groups of the only match, as numbers."""
    matches = re.findall(pattern, text)
    assert len(matches) == 1, text
    found = matches[0] if isinstance(matches[0], tuple) else matches
    return [float(figure) for figure in found]


def read(path):
    with wave.open(str(path)) as file:
        form = file.getnchannels(), file.getsampwidth(), file.getframerate()
        assert form == (1, 2, 16000)
        pcm = file.readframes(file.getnframes())
    return np.frombuffer(pcm, "<i2").astype(np.float64) / 32768


def test_vocoder_learns_and_sings(tmp_path):
    text = run_quick("vocoder.py", tmp_path, "PIL", "matplotlib")
    pattern = r"ours (\S+) dB, untrained (\S+) dB, Griffin-Lim (\S+) dB"
    ours, untrained, griffin_lim = figures(pattern, text)
    # Seeds 0 to 2 reach 6.41, 4.75 and 5.54 dB from 14.6 or more; Griffin-Lim
    # is 11.9 dB away.
    assert ours < 8.5, text
    assert 10 < griffin_lim < untrained, text
    figures(r"training step: mlx_convt (\S+) ms, MLX (\S+) ms", text)

    original = read(tmp_path / "picture.original.wav")
    sound = read(tmp_path / "picture.wav")
    # Sixteen beats of 0.4 s, in whole frames of 256 samples.
    assert len(sound) == len(original) == 16 * 6400 // 256 * 256
    assert np.abs([original, sound]).max() == pytest.approx(0.8, abs=1e-3)
    # As loud as the original in every half second; seeds 0 to 2 are within a
    # factor of 2^1.36.
    halves = [np.split(s[: 12 * 8000], 12) for s in (sound, original)]
    levels = np.std(halves, axis=2)
    assert (levels[1] > 0.02).all()
    assert (np.abs(np.log2(levels[0] / levels[1])) < 2.5).all(), levels


def test_newton_converges_and_knows_its_error(tmp_path):
    modules = "sklearn", "PIL", "matplotlib"
    text = run_quick("newton.py", tmp_path, *modules)
    assert "MLX's own layers: [Primitive::jvp] Not implemented for" in text
    times = r"forward over reverse (\S+) ms, reverse over reverse (\S+) ms"
    figures(rf"product: {times}, MLX's reverse over reverse (\S+) ms", text)
    (error,) = figures(r"against finite differences: error (\S+)", text)
    # Seeds 0 to 2: 8e-10 or less; in float32 it is 1e-2.
    assert error < 1e-7, text

    pattern = r"Newton: (\d+)% at the minimum after (\d+) gradients"
    share, spent = figures(pattern, text)
    # Seeds 0 to 2: all of them, and 28% or less with Adam.
    assert share >= 90, text
    assert spent < 390, text
    (near,) = figures(
        r"Newton: .*; half of them within 1e-06 after (\d+)", text
    )
    assert near <= spent, text
    (descent,) = figures(r"gradient descent: (\d+)% at the minimum", text)
    (adam,) = figures(r"Adam: (\d+)% at the minimum", text)
    assert max(descent, adam) < share, text

    pattern = r"hidden pixels: error (\S+), expected (\S+); within 1 sigma"
    error, expected = figures(pattern, text)
    one, two = figures(r"within 1 sigma (\S+)% 2 sigma (\S+)%", text)
    # Seeds 0 to 2: 1.03 to 1.17, 72.9 to 75.1% and 96.2 to 97.2%.
    assert 0.75 < expected / error < 1.4, text
    assert 60 < one < 80, text
    assert 90 < two < 98.5, text


def test_trust_region_follows_the_curvature(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    from minimisers import Newton

    def step(f, z):
        method = Newton(f)
        z, products = method(mx.array([z]))
        return z[0].tolist(), method.radius.item(), products

    # A quadratic function: in two dimensions two products are enough.
    slopes = mx.array([1.0, 9.0])
    z, _, products = step(lambda z: (slopes * z * z).sum(1), [1.0, 0.5])
    assert z == pytest.approx([0, 0], abs=1e-5)
    assert products == 2
    # Farther away, the second ends at the border of the region, of radius 2.
    z, _, products = step(lambda z: (slopes * z * z).sum(1), [4.0, 0.5])
    assert np.hypot(z[0] - 4, z[1] - 0.5) == pytest.approx(2)
    assert products == 2
    # Curved downwards: as far as the region reaches.
    z, _, _ = step(lambda z: mx.cos(z).sum(1), [0.1])
    assert z == pytest.approx([2.1])
    # From 1 Newton's step leads to -1, which is no lower: a quarter of it.
    _, radius, _ = step(lambda z: mx.sqrt(1 + z * z).sum(1), [1.0])
    assert radius == pytest.approx(0.5)
