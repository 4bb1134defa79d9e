"""Train a variational autoencoder whose decoder is of transposed convolutions.

The decoder draws a digit of 32x32 pixels from its label and eight latent
numbers: three layers `mlx_convt.nn.ConvTranspose2d` of stride 2 take 4x4 pixels
to 32x32. The encoder is a small perceptron. The loss is that of a VAE whose
Gaussian noise has the variance that fits best (Rybkin, Daniilidis and Levine,
"Simple and Effective VAE Training with Calibrated Decoders", 2021).

The digits are the 1797 that come with scikit-learn, a fifth of them kept for
the test. They are of 8x8 pixels, each the mean of 4x4 pixels of a scan; the
decoder learns from pictures that pillow's bicubic filter enlarges to the size
of the scan.

    pip install scikit-learn pillow matplotlib
    python examples/digits.py            # less than a minute
    python examples/digits.py --quick    # a few seconds

It prints the error of reconstruction next to that of a linear model with as
many numbers for a digit, how many of its samples a classifier trained on real
digits recognises, and the time of one training step with these layers and with
MLX's own; and it draws samples as the training goes, reconstructions, and ways
from one digit to the next.
"""

import argparse

import matplotlib
import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from common import compiled_step, median_times, print_times, train
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

import mlx_convt.nn

SMALL, SIZE = 8, 32  # pixels on a side: as they come, and as they are drawn
LATENT = 8
BATCH = 64
TEST = 360
RATE = 2e-3


class Vae(nn.Module):
    """Encoder and decoder of digits with a label; `layer` makes the layers."""

    def __init__(self, layer, hidden=256, channels=64):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(SMALL**2 + 10, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 2 * LATENT),
        )
        half, quarter = channels // 2, channels // 4
        self.start = nn.Linear(LATENT + 10, 4 * 4 * channels)
        self.decoder = nn.Sequential(
            nn.SiLU(),
            layer(channels, half, 4, stride=2, padding=1),  # to 8x8
            nn.BatchNorm(half),
            nn.SiLU(),
            layer(half, quarter, 4, stride=2, padding=1),  # to 16x16
            nn.BatchNorm(quarter),
            nn.SiLU(),
            layer(quarter, 1, 4, stride=2, padding=1),  # to 32x32
            nn.Sigmoid(),
        )

    def encode(self, small, label):
        """Mean and logarithm of the variance of the latent numbers."""
        pixels = mx.concatenate([small.reshape(-1, SMALL**2), label], axis=-1)
        return mx.split(self.encoder(pixels), 2, axis=-1)

    def decode(self, latent, label):
        start = self.start(mx.concatenate([latent, label], axis=-1))
        return self.decoder(start.reshape(len(start), 4, 4, -1))

    def loss(self, small, large, label):
        """Nats per digit, but for a constant."""
        mean, log_variance = self.encode(small, label)
        noise = mx.random.normal(mean.shape)
        drawn = self.decode(mean + mx.exp(0.5 * log_variance) * noise, label)
        # The enlarged picture has no more independent pixels than the small.
        misfit = 0.5 * SMALL**2 * mx.log(((drawn - large) ** 2).mean())
        spread = mx.exp(log_variance) - 1 - log_variance
        return misfit + 0.5 * (mean**2 + spread).sum(axis=-1).mean()


def load():
    """Small and large pictures, from 0 to 1, and labels, one-hot."""
    digits = load_digits()
    small = digits.images.astype(np.float32) / 16
    bicubic = ((SIZE, SIZE), Image.Resampling.BICUBIC)
    large = [np.asarray(Image.fromarray(x).resize(*bicubic)) for x in small]
    large = np.stack(large).clip(0, 1)[..., None]
    return small, large, np.eye(10, dtype=np.float32)[digits.target]


def batches(data, rng):
    while True:
        chosen = rng.integers(len(data[0]), size=BATCH)
        yield tuple(mx.array(part[chosen]) for part in data)


def build(layer, steps):
    """A fresh model and its compiled training step."""
    model = Vae(layer)
    optimizer = optim.Adam(optim.cosine_decay(RATE, steps))
    return model, compiled_step(model, optimizer, model.loss)


def linear(train_set, test_set):
    """Test pictures from LATENT principal components of each digit."""
    _, known, label = train_set
    _, unseen, wanted = test_set
    result = np.empty((len(unseen), SIZE**2), np.float32)
    for digit in range(10):
        rows = wanted[:, digit] == 1
        pca = PCA(LATENT, random_state=0)
        pca.fit(known[label[:, digit] == 1].reshape(-1, SIZE**2))
        parts = pca.transform(unseen[rows].reshape(-1, SIZE**2))
        result[rows] = pca.inverse_transform(parts)
    return result.reshape(unseen.shape)


def recognised(classifier, drawn, label):
    """The share of pictures that the classifier gives their label."""
    drawn = np.array(drawn).reshape(-1, SMALL, 4, SMALL, 4).mean(axis=(2, 4))
    return classifier.score(drawn.reshape(-1, SMALL**2), label.argmax(axis=1))


def rms(error):
    return float(np.sqrt(np.mean(error.astype(np.float64) ** 2)))


def draw(path, blocks):
    """Blocks of pictures, each (rows, columns, SIZE, SIZE), side by side."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    widths = [blocks[title][0].shape[1] for title in blocks]
    figure, axes = plt.subplots(
        ncols=len(blocks),
        width_ratios=widths,
        figsize=(15, 6.2),
        layout="constrained",
    )
    figure.get_layout_engine().set(wspace=0.02)
    cell = SIZE + 2
    for axis, (title, (pictures, names)) in zip(axes, blocks.items()):
        rows, columns = pictures.shape[:2]
        sheet = np.full((rows * cell - 2, columns * cell - 2), np.nan)
        for row in range(rows):
            for column in range(columns):
                y, x = row * cell, column * cell
                sheet[y : y + SIZE, x : x + SIZE] = pictures[row, column]
        # As many levels as the small pictures have, for a small file.
        levels = {"cmap": plt.get_cmap("bone", 17), "interpolation": "nearest"}
        axis.imshow(sheet, vmin=0, vmax=1, **levels)
        axis.set_title(title, fontsize=11)
        axis.set_xticks(np.arange(columns) * cell + SIZE / 2, names)
        axis.set_yticks([])
        axis.tick_params(length=0, labelsize=9)
        axis.spines[:].set_visible(False)
    figure.savefig(path, dpi=110)


def pictures(drawn, columns):
    """(10 * columns, SIZE, SIZE, 1), rows first, as a block."""
    return np.array(drawn).reshape(10, columns, SIZE, SIZE)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="150 steps")
    parser.add_argument("--steps", type=int, help="training steps [1500]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="digits.png")
    options = parser.parse_args()
    steps = options.steps
    if steps is None:
        steps = 150 if options.quick else 1500

    mx.set_default_device(mx.cpu)
    mx.random.seed(options.seed)
    rng = np.random.default_rng(options.seed)
    order = rng.permutation(1797)
    data = load()
    train_set = [part[order[TEST:]] for part in data]
    test_set = [part[order[:TEST]] for part in data]

    # One latent for each digit, drawn again as the training goes.
    each = mx.eye(10)
    latent = mx.random.normal((10, LATENT))
    stages = {}
    model, step = build(mlx_convt.nn.ConvTranspose2d, steps)

    def after(i):
        if i in (1, 10, 30, 100, 400, steps):
            model.eval()
            stages[i] = np.array(model.decode(latent, each))
            model.train()

    train(step, batches(train_set, rng), steps, after)
    model.eval()

    small, large, label = test_set
    mean, _ = model.encode(mx.array(small), mx.array(label))
    ours = np.array(model.decode(mean, mx.array(label)))
    pca = linear(train_set, test_set)
    print(f"reconstruction of {TEST} unseen digits, root mean square error:")
    print(f"  ours {rms(ours - large):.4f}", end="")
    print(f", {LATENT} principal components of each digit", end="")
    print(f" {rms(pca - large):.4f}")

    classifier = KNeighborsClassifier(3)
    real = train_set[0].reshape(-1, SMALL**2)
    classifier.fit(real, train_set[2].argmax(axis=1))
    wanted = mx.repeat(each, 100, axis=0)
    samples = model.decode(mx.random.normal((1000, LATENT)), wanted)
    share = recognised(classifier, samples, np.array(wanted))
    print(f"a classifier recognises {share:.1%} of 1000 samples", end="")
    print(f" and {recognised(classifier, large, label):.1%} of unseen digits")

    batch = next(batches(train_set, rng))
    layers = {"mlx_convt": mlx_convt.nn.ConvTranspose2d}
    layers["MLX"] = nn.ConvTranspose2d
    calls = {}
    for name, layer in layers.items():
        timed = build(layer, steps)[1]
        calls[name] = lambda timed=timed: timed(*batch)
    times = median_times(calls, 1 if options.quick else 5)
    print_times("training step", times)

    # From each digit to the next, in latents and label.
    weights = mx.linspace(0, 1, 7)[None, :, None]
    path = [
        (1 - weights) * x[:, None] + weights * mx.roll(x, -1, axis=0)[:, None]
        for x in (latent, each)
    ]
    ways = model.decode(*(x.reshape(70, -1) for x in path))
    first = label.argmax(axis=0)  # of each digit in the test set
    rebuilt = np.stack([large[first], ours[first], pca[first]], axis=1)
    several = samples.reshape(10, 100, SIZE, SIZE)[:, :8]
    growth = np.stack(list(stages.values()), axis=1)
    blocks = {
        "one sample, after so many steps": (
            pictures(growth, len(stages)),
            list(stages),
        ),
        "samples at the end": (several, [""] * 8),
        "unseen digits": (pictures(rebuilt, 3), ["digit", "ours", "PCA"]),
        "from each digit to the next": (pictures(ways, 7), [""] * 7),
    }
    draw(options.output, blocks)
    print(f"picture: {options.output}")


if __name__ == "__main__":
    main()
