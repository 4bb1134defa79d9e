"""Uncover hidden digits by Newton's method through mlx_convt.

A small variational autoencoder learns scikit-learn's digits. Its decoder then
draws some that it never saw from their codes; ten of their sixteen rows are
hidden, and the others get noise. The most likely code is sought, the minimum of

    f(z) = |visible * (decoder(z) - seen)|^2 / (2 SENSOR^2) + |z|^2 / 2

Newton's method needs products of the Hessian with vectors. Forward over reverse
they are `mx.jvp` of `mx.grad`, which MLX's own transposed convolution refuses,
for it has no jvp (it can be differentiated twice in reverse). Conjugate
gradients in a trust region solve for the step (Steihaug, 1983), for all digits
at once. Gradient descent and Adam go beside it, each with the best of its rates.
At the minimum the same product, mapped over a basis by `mx.vmap`, gives the
whole Hessian and with it error bars of the hidden pixels (Laplace's
approximation). As the decoder drew the digits, the truth is known, and it is
counted how often it lies within them.

    pip install scikit-learn pillow matplotlib
    python examples/newton.py            # about half a minute
    python examples/newton.py --quick    # a few seconds

It prints the error of the products against finite differences, their time
beside MLX's, and how far each method gets, and draws the digits, the error bars
and the convergence.
"""

import argparse
from functools import partial

import matplotlib
import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from common import compiled_step, median_times, train
from minimisers import (
    Newton,
    check,
    first_order,
    gradient,
    hessian_product,
    minimise,
)
from PIL import Image
from sklearn.datasets import load_digits

import mlx_convt

SIDE = 16
HIDDEN = 10  # rows
LATENT = 16
NOISE = 0.1  # standard deviation of a pixel, for the autoencoder
SENSOR = 0.02  # the same, of the noise on what is seen
BATCH = 128
PEAK_RATE = 3e-3
CLOSE = 1e-6  # above the minimum counts as there
RATES = {
    "gradient descent": (optim.SGD, (1e-4, 2e-4, 4e-4)),
    "Adam": (optim.Adam, (0.05, 0.1, 0.2, 0.4)),
}


def sigmoid(x):
    # MLX computes exp and sigmoid in single precision, even in float64.
    return 0.5 + 0.5 * mx.tanh(0.5 * x)


def silu(x):
    return x * sigmoid(x)


class Decoder(nn.Module):
    """Codes (N, 16) to images (N, 16, 16)."""

    def __init__(self, layer):
        super().__init__()
        self.enter = nn.Linear(LATENT, 4 * 4 * 32)
        self.up1 = layer(32, 16, 4, 2, 1)
        self.up2 = layer(16, 1, 4, 2, 1)

    def __call__(self, z):
        x = silu(self.enter(z)).reshape(-1, 4, 4, 32)
        return sigmoid(self.up2(silu(self.up1(x))))[..., 0]


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(SIDE * SIDE, 256)
        self.code = nn.Linear(256, 2 * LATENT)
        self.decoder = Decoder(mlx_convt.nn.ConvTranspose2d)

    def encode(self, images):
        flat = images.reshape(-1, SIDE * SIDE)
        return mx.split(self.code(silu(self.hidden(flat))), 2, axis=-1)


def load():
    """The digits at 16 x 16 pixels, from 0 to 1."""
    size = SIDE, SIDE
    images = [
        Image.fromarray(image.astype(np.float32)).resize(
            size, Image.Resampling.BICUBIC
        )
        for image in load_digits().images
    ]
    return np.clip(np.stack(images) / 16, 0, 1).astype(np.float32)


def sample(mean, log_var):
    return mean + mx.exp(0.5 * log_var) * mx.random.normal(mean.shape)


def learn(images, steps, rng):
    """A variational autoencoder of the images."""
    model = Autoencoder()

    def loss(batch):
        mean, log_var = model.encode(batch)
        z = sample(mean, log_var)
        error = (model.decoder(z) - batch).square().sum() / (2 * NOISE**2)
        prior = (mx.exp(log_var) + mean.square() - 1 - log_var).sum() / 2
        return (error + prior) / len(batch)

    def batches():
        while True:
            yield (mx.array(images[rng.integers(len(images), size=BATCH)]),)

    rate = optim.cosine_decay(PEAK_RATE, steps)
    train(compiled_step(model, optim.Adam(rate), loss), batches(), steps)
    return model


def posterior(decoder, seen, visible):
    """f(z), one value for each digit."""

    def f(z):
        error = (visible * (decoder(z) - seen)).square().sum((1, 2))
        return error / (2 * SENSOR**2) + z.square().sum(1) / 2

    return f


def contest(f, z, budget):
    """All methods: the codes of Newton's, and what to show of each.

    That is the median distance of the digits to the lowest loss found, the
    share of them that end there, and what it cost.
    """
    runs = {"Newton": [minimise(Newton(f), f, z, budget)]}
    for name, (kind, rates) in RATES.items():
        runs[name] = [
            minimise(first_order(f, kind(rate)), f, z, budget) for rate in rates
        ]
    lowest = np.min([r[1].min(0) for rs in runs.values() for r in rs], axis=0)
    curves = {}
    for name, results in runs.items():
        _, losses, spent, seconds = min(
            results, key=lambda result: np.median(result[1][-1] - lowest)
        )
        gaps = losses - lowest
        there = np.mean(gaps[-1] < 0.01)
        curves[name] = np.median(gaps, 1), there, spent, seconds
    return runs["Newton"][0][0], curves


def compare(f, f_mlx, z, repeats):
    """Try MLX's layers, and time a product in both orders, in float32."""
    try:
        hessian_product(f_mlx)(z, z)
    except ValueError as error:
        print(f"with MLX's own layers: {error}")

    def twice(f):
        return mx.grad(lambda z, v: (gradient(f)(z) * v).sum())

    forms = {
        "forward over reverse": hessian_product(f),
        "reverse over reverse": twice(f),
        "MLX's reverse over reverse": twice(f_mlx),
    }
    calls = {
        name: partial(lambda form: mx.eval(form(z, z)), mx.compile(form))
        for name, form in forms.items()
    }
    times = median_times(calls, repeats).items()
    print(f"product: {', '.join(f'{name} {ms:.2f} ms' for name, ms in times)}")


def uncertainty(f, decoder, z):
    """The standard deviation of every pixel, by Laplace's approximation."""
    basis = mx.eye(LATENT, dtype=z.dtype)[:, None]
    basis = mx.broadcast_to(basis, (LATENT, *z.shape))
    product = hessian_product(f)
    hessians = mx.vmap(lambda v: product(z, v))(basis)
    slopes = mx.vmap(lambda v: mx.jvp(decoder, [z], [v])[1][0])(basis)
    covariances = np.linalg.inv(np.array(hessians).transpose(1, 0, 2))
    slopes = np.array(slopes)
    variance = np.einsum("anyx,nab,bnyx->nyx", slopes, covariances, slopes)
    return np.sqrt(np.maximum(variance, 0))


def draw(path, rows, curves):
    """The digits at the left, the convergence at the right."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(15, 4.5), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.62, 1))
    grid = left.subplots(len(rows), 1)
    for axes, (label, images) in zip(grid, rows.items()):
        gap = np.full((SIDE, 1), np.nan)
        line = [part for image in images[:10] for part in (image, gap)]
        colours, top = ("inferno", 0.2) if "error" in label else ("gray", 1)
        axes.imshow(np.hstack(line[:-1]), cmap=colours, vmin=0, vmax=top)
        axes.set(xticks=[], yticks=[], ylabel=label)
        axes.spines[:].set_visible(False)
    plots = right.subplots(1, 2, sharey=True)
    for name, (gaps, _, spent, seconds) in curves.items():
        shown = np.maximum(gaps, 1e-12)
        plots[0].semilogy(spent, shown, label=name)
        plots[1].semilogy(seconds, shown, label=name)
    plots[0].set(ylabel="loss above the minimum, median")
    plots[0].set(xlabel="gradients (a product is two)")
    plots[1].set(xlabel="seconds")
    handles = plots[0].get_legend_handles_labels()
    right.legend(*handles, loc="outside upper center", ncols=3)
    for axes in plots:
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=80)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="100 steps")
    parser.add_argument("--steps", type=int, help="training steps [700]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="newton.png")
    options = parser.parse_args()
    quick, steps = options.quick, options.steps
    if steps is None:
        steps = 100 if quick else 700

    mx.set_default_device(mx.cpu)
    mx.random.seed(options.seed)
    rng = np.random.default_rng(options.seed)
    count = 32
    images = rng.permutation(load())
    model = learn(images[count:], steps, rng)

    decoder = model.decoder
    truth = decoder(sample(*model.encode(mx.array(images[:count]))))
    visible = (mx.arange(SIDE) < SIDE - HIDDEN)[:, None] * mx.ones(SIDE)
    data = truth + SENSOR * mx.random.normal(truth.shape), visible
    mx.eval(data)
    theirs = Decoder(nn.ConvTranspose2d)
    theirs.update(decoder.parameters())
    f, f_mlx = posterior(decoder, *data), posterior(theirs, *data)
    compare(f, f_mlx, mx.zeros((count, LATENT)), 3 if quick else 9)

    # From here on in float64, which MLX's convolutions do not have, either.
    decoder.set_dtype(mx.float64)
    f = posterior(decoder, *(array.astype(mx.float64) for array in data))
    z = mx.zeros((count, LATENT), mx.float64)
    print(f"product against finite differences: error {check(f, z):.1e}")

    z, curves = contest(f, z, 350 if quick else 500)
    for name, (gaps, there, spent, seconds) in curves.items():
        print(f"{name}: {there:.0%} at the minimum", end="")
        print(f" after {spent[-1]} gradients, {seconds[-1]:.2f} s", end="")
        if gaps[-1] < CLOSE:
            first = np.argmax(gaps < CLOSE)
            print(f"; half of them within {CLOSE:.0e}", end="")
            print(f" after {spent[first]}, {seconds[first]:.2f} s", end="")
        print()

    found, truth, visible = map(np.array, (decoder(z), truth, visible))
    deviation = uncertainty(f, decoder, z)
    error, bars = (a[:, visible == 0] for a in (found - truth, deviation))
    print(f"hidden pixels: error {np.sqrt((error**2).mean()):.3f}", end="")
    print(f", expected {np.sqrt((bars**2).mean()):.3f}; within", end="")
    for k in (1, 2):
        print(f" {k} sigma {(np.abs(error) < k * bars).mean():.1%}", end="")
    print(" (68.3% and 95.4% are right)")

    rows = {
        "truth": truth,
        "seen": np.where(visible, np.array(data[0]), 0.3),
        "found": found,
        "error": np.abs(found - truth),
        "error bar": deviation,
    }
    draw(options.output, rows, curves)
    print(f"picture: {options.output}")


if __name__ == "__main__":
    main()
