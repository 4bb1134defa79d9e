"""Train a small neural vocoder that builds sound with mlx_convt.

A vocoder turns the frames of a mel spectrogram back into a waveform. This one
is the generator of HiFi-GAN (Kong, Kim and Bae, 2020) in small: transposed
convolutions of stride 8, 8 and 4 make 256 samples of every frame, with residual
blocks between them. The convolutions in those blocks are transposed ones of
stride 1, which are ordinary convolutions with the kernel turned round.

There is no adversary, and a mel spectrogram has no phases, so that it takes the
phases, as neural source-filter models do, from an excitation: pulses at the
pitch of the note, and noise. The pitch is therefore given, not found; the
network learns what makes a voice, a plucked string or a flute of the pulses.
All sounds are synthesised, by sounds.py. It learns from random notes and is
judged on a melody, which it never hears, by the log-spectral distance to the
original, next to Griffin and Lim's algorithm (1984), which needs no training,
but is not told the pitch either.

    pip install matplotlib pillow
    python examples/vocoder.py            # about half a minute
    python examples/vocoder.py --quick    # a few seconds

It writes the picture, and next to it two WAV files: the melody as it was
synthesised, and as the network makes it of the mel spectrogram. It prints the
distances, and the time of one training step with this package's layers and
with MLX's own.
"""

import argparse
import io
from pathlib import Path

import matplotlib
import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from common import compiled_step, median_times, print_times, train, warm_cosine
from PIL import Image
from sounds import RATE, melody, practice, write

from mlx_convt.nn import ConvTranspose1d

HOP = 256  # samples per frame
STRIDES = 8, 8, 4
WINDOW = 1024  # samples, of the mel spectrogram
BANDS = 40
RESOLUTIONS = 256, 512, 1024  # samples, of the loss
FRAMES = 32  # of an example
BATCH = 4
PEAK_RATE = 3e-3
QUIET = 1e-3  # magnitudes below do not count: -60 dB


def spectra(sound, window):
    """Magnitudes (N, frames, window / 2 + 1) of (N, samples)."""
    hop = window // 4
    hops = sound.reshape(len(sound), -1, hop)
    count = hops.shape[1] - 3
    frames = [hops[:, i : i + count] for i in range(4)]
    shape = mx.array(np.hanning(window + 1)[:-1].astype(np.float32))
    shape = shape / shape.square().sum().sqrt()
    frames = mx.concatenate(frames, axis=-1) * shape
    return mx.abs(mx.fft.rfft(frames))


def mel_bands():
    """The filters, (window / 2 + 1, bands)."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    mels = np.linspace(0, top, BANDS + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    f = np.linspace(0, RATE / 2, WINDOW // 2 + 1)[:, None]
    low, mid, high = edges[:-2], edges[1:-1], edges[2:]
    rise, fall = (f - low) / (mid - low), (high - f) / (high - mid)
    filters = np.maximum(np.minimum(rise, fall), 0)
    return (filters / np.maximum(filters.sum(0), 1)).astype(np.float32)


def decibels(magnitudes):
    return 20 * mx.log10(mx.maximum(magnitudes, QUIET))


def mel_spectrogram(sound):
    """Log-mel frames (N, samples / HOP, bands) of (N, samples)."""
    side = (WINDOW - HOP) // 2
    padded = mx.pad(sound, [(0, 0), (side, side)])
    mel = spectra(padded, WINDOW) @ mx.array(mel_bands())
    return decibels(mel) / 20 + 1.5


def batches(sound, excitation, rng):
    """Endless examples: mel frames, excitation, sound."""
    mel = np.array(mel_spectrogram(mx.array(sound[None]))[0])
    while True:
        begins = rng.integers(len(mel) - FRAMES + 1, size=BATCH)
        frames = [slice(b, b + FRAMES) for b in begins]
        samples = [slice(HOP * b, HOP * (b + FRAMES)) for b in begins]
        yield (
            mx.array(np.stack([mel[part] for part in frames])),
            mx.array(np.stack([excitation[part] for part in samples])),
            mx.array(np.stack([sound[part] for part in samples])),
        )


def our_upsampling(c_in, c_out, stride):
    return ConvTranspose1d(c_in, c_out, 2 * stride, stride, "same")


def our_convolution(c_in, c_out, kernel, dilation=1):
    return ConvTranspose1d(c_in, c_out, kernel, 1, "same", dilation)


def mlx_upsampling(c_in, c_out, stride):
    return nn.ConvTranspose1d(c_in, c_out, 2 * stride, stride, stride // 2)


def mlx_convolution(c_in, c_out, kernel, dilation=1):
    same = dilation * (kernel // 2)
    return nn.Conv1d(c_in, c_out, kernel, 1, same, dilation)


OURS = our_upsampling, our_convolution
MLX = mlx_upsampling, mlx_convolution


class Residual(nn.Module):
    """Two dilated convolutions, each added to its input."""

    def __init__(self, channels, convolution):
        super().__init__()
        self.layers = [convolution(channels, channels, 3, d) for d in (1, 3)]

    def __call__(self, x):
        for layer in self.layers:
            x = x + layer(nn.leaky_relu(x, 0.1))
        return x


class Vocoder(nn.Module):
    """Mel frames (N, L, bands), excitation (N, 256 L, 2) to (N, 256 L)."""

    def __init__(self, layers, channels=(128, 64, 32, 16)):
        super().__init__()
        upsampling, convolution = layers
        self.enter = convolution(BANDS, channels[0], 5)
        self.ups, self.blocks = [], []
        for c_in, c_out, stride in zip(channels, channels[1:], STRIDES):
            self.ups.append(upsampling(c_in, c_out, stride))
            self.blocks.append(Residual(c_out, convolution))
        self.source = convolution(2, channels[-1], 33)
        self.last = Residual(channels[-1], convolution)
        self.leave = convolution(channels[-1], 1, 7)

    def __call__(self, mel, excitation):
        x = self.enter(mel)
        for up, block in zip(self.ups, self.blocks):
            x = block(up(nn.leaky_relu(x, 0.1)))
        # The frames say how loud each filtered copy of the source is.
        x = self.last(x * self.source(excitation))
        return self.leave(x)[..., 0]


def build(layers, steps):
    """A fresh model and its compiled training step."""
    model = Vocoder(layers)
    schedule = warm_cosine(PEAK_RATE, steps, max(steps // 20, 1))
    optimizer = optim.Adam(schedule)

    def loss(mel, excitation, sound):
        made, total = model(mel, excitation), 0
        for window in RESOLUTIONS:
            ours, theirs = spectra(made, window), spectra(sound, window)
            total += mx.abs(mx.log((ours + QUIET) / (theirs + QUIET))).mean()
            total += mx.abs(ours - theirs).mean() / theirs.mean()
        return total / len(RESOLUTIONS)

    return model, compiled_step(model, optimizer, loss)


def distance(sound, truth):
    """Log-spectral distance in decibels, of 1-dimensional arrays."""
    end = len(truth) // WINDOW * WINDOW
    ours, theirs = (
        decibels(spectra(mx.array(s[None, :end]), WINDOW))
        for s in (sound, truth)
    )
    return (ours - theirs).square().mean(-1).sqrt().mean().item()


def griffin_lim(mel, rounds=60):
    """Magnitudes by the filters' pseudoinverse, phases by iteration."""
    bands = np.array(10 ** (mel - 1.5), np.float64)
    magnitudes = np.maximum(bands @ np.linalg.pinv(mel_bands()), 0)
    shape = np.hanning(WINDOW + 1)[:-1]
    shape /= np.sqrt((shape**2).sum())
    length = HOP * (len(magnitudes) + 3)
    place = HOP * np.arange(len(magnitudes))[:, None] + np.arange(WINDOW)
    weight = np.full(length, 1e-9)
    np.add.at(weight, place, shape**2 * np.ones_like(place))
    phases = np.ones_like(magnitudes)
    for _ in range(rounds):
        frames = np.fft.irfft(magnitudes * phases) * shape
        sound = np.bincount(place.ravel(), frames.ravel(), length) / weight
        spectrum = np.fft.rfft(sound[place] * shape)
        phases = spectrum / np.maximum(np.abs(spectrum), 1e-9)
    side = (WINDOW - HOP) // 2
    return sound[side : side + HOP * len(magnitudes)].astype(np.float32)


def draw(path, sounds):
    """Spectrograms and a detail of the waveforms, a column each."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, rows = plt.subplots(
        2,
        len(sounds),
        figsize=(15, 5),
        height_ratios=(2, 1),
        sharex="row",
        sharey="row",
        layout="constrained",
    )
    seconds = len(next(iter(sounds.values()))) / RATE
    part = slice(int(0.1 * RATE), int(0.125 * RATE))
    for i, (label, sound) in enumerate(sounds.items()):
        image = np.array(decibels(spectra(mx.array(sound[None]), WINDOW))[0])
        rows[0, i].imshow(
            image.T,
            origin="lower",
            aspect="auto",
            extent=(0, seconds, 0, RATE / 2000),
            cmap="magma",
            vmin=-60,
            vmax=10,
        )
        rows[0, i].set(title=label, xlabel="s")
        rows[1, i].plot(1e3 * np.arange(len(sound))[part] / RATE, sound[part])
        rows[1, i].set(xlabel="ms")
    rows[0, 0].set(ylabel="kHz")
    rows[1, 0].set(ylabel="waveform")
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=90)
    # Noise does not compress: fewer colours make it a third as large.
    Image.open(drawn).quantize(64, dither=0).save(path, optimize=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="80 steps")
    parser.add_argument("--steps", type=int, help="training steps [800]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="vocoder.png", type=Path)
    options = parser.parse_args()
    steps = options.steps or (80 if options.quick else 800)

    mx.set_default_device(mx.cpu)
    mx.random.seed(options.seed)
    rng = np.random.default_rng(options.seed)
    truth, excitation = melody(HOP, rng)
    mel = mel_spectrogram(mx.array(truth[None]))
    examples = batches(*practice(15 if options.quick else 60, HOP, rng), rng)

    model, step = build(OURS, steps)

    def sing():
        return np.array(model(mel, mx.array(excitation[None]))[0])

    untrained = sing()
    train(step, examples, steps)
    ours, griffin = sing(), griffin_lim(mel[0])
    sounds = {"ours": ours, "untrained": untrained, "Griffin-Lim": griffin}
    distances = {name: distance(s, truth) for name, s in sounds.items()}
    line = ", ".join(f"{name} {db:.2f} dB" for name, db in distances.items())
    print(f"log-spectral distance on the melody: {line}")

    repeats, batch = 1 if options.quick else 3, next(examples)
    theirs = build(MLX, repeats)[1]
    times = median_times(
        {"mlx_convt": lambda: step(*batch), "MLX": lambda: theirs(*batch)},
        repeats,
    )
    print_times("training step", times)

    loudest = max(np.abs(truth).max(), np.abs(ours).max())
    write(options.output.with_suffix(".original.wav"), truth, loudest)
    write(options.output.with_suffix(".wav"), ours, loudest)
    panels = {"original (a melody that it never heard)": truth}
    for name in ("ours", "Griffin-Lim"):
        label = f"{name}, {distances[name]:.1f} dB from the original"
        panels[label] = sounds[name]
    draw(options.output, panels)
    print(f"picture: {options.output}")


if __name__ == "__main__":
    main()
