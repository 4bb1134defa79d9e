"""Train a small super-resolution network that enlarges with mlx_convt.

FSRCNN (Dong, Loy and Tang, "Accelerating the Super-Resolution Convolutional
Neural Network", 2016) does all its work at low resolution and enlarges once,
at the end, with a 9x9 transposed convolution of stride 2. Here that layer is
`mlx_convt.nn.ConvTranspose2d` in an ordinary `mlx.nn` model: gradients come from
`nn.value_and_grad`, and the whole training step goes through `mx.compile`.

The model learns from one photograph and is judged on another, which it never
sees; both come inside scikit-learn's wheel. The protocol is the usual one:
pillow's bicubic filter halves the photograph, the model doubles it again, and
PSNR compares the luminance with the original's, next to bicubic enlargement.

    pip install scikit-learn pillow matplotlib
    python examples/super_resolution.py            # about half a minute
    python examples/super_resolution.py --quick    # a few seconds

It shows the loss as it falls, prints the gain over bicubic and the time of one
training step with this layer and with MLX's own, and draws the results.
"""

import argparse
from functools import partial

import matplotlib
import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from common import compiled_step, median_times, print_times, train, warm_cosine
from PIL import Image
from sklearn.datasets import load_sample_image

import mlx_convt.nn

SCALE = 2
BORDER = 4  # high-resolution pixels at the edge, left out of loss and PSNR
PATCH = 24  # low-resolution pixels on a side
BATCH = 8
PEAK_RATE = 1e-3
DETAIL = 72  # pixels on a side of each detail in the picture


def bicubic_taps(channels):
    """The (1, 9, 9, channels) of bicubic enlargement of the first channel."""
    # Output 2i - 4 + k lies (k - 4.5) / 2 input pixels away from input i.
    x = np.abs(np.arange(9) - 4.5) / 2
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    taps = np.where(x < 1, near, np.where(x < 2, far, 0))
    weight = np.zeros((1, 9, 9, channels), np.float32)
    weight[0, :, :, 0] = np.outer(taps, taps)
    return mx.array(weight)


class Fsrcnn(nn.Module):
    """Extract, shrink, map, expand, enlarge; Linear is a 1x1 convolution.

    `layer` makes the last one. It starts as bicubic enlargement of the picture,
    its first channel, and learns the rest.
    """

    def __init__(self, layer, features=47, shrunk=12, mappings=2):
        super().__init__()
        layers = [nn.Conv2d(1, features, 5, padding=2), nn.PReLU()]
        layers += [nn.Linear(features, shrunk), nn.PReLU()]
        for _ in range(mappings):
            layers += [nn.Conv2d(shrunk, shrunk, 3, padding=1), nn.PReLU()]
        layers += [nn.Linear(shrunk, features), nn.PReLU()]
        # The signal fades through this depth with MLX's default weights.
        normal = nn.init.he_normal()
        for each in layers[::2]:
            each.weight = normal(each.weight)
            each.bias = mx.zeros_like(each.bias)
        self.features = nn.Sequential(*layers)
        geometry = {"stride": SCALE, "padding": 4, "output_padding": 1}
        self.enlarge = layer(features + 1, 1, 9, **geometry)
        self.enlarge.weight = bicubic_taps(features + 1)

    def __call__(self, low):
        # 0.1, because the paper trains the last layer ten times more slowly.
        features = 0.1 * self.features(low - 0.5)
        return self.enlarge(mx.concatenate([low, features], axis=-1))


def resize(image, size):
    return image.resize(size, Image.Resampling.BICUBIC)


def load(name):
    """One sample photograph at even size, and the same at half that size."""
    photo = Image.fromarray(load_sample_image(name))
    width, height = photo.width // SCALE, photo.height // SCALE
    high = photo.crop((0, 0, SCALE * width, SCALE * height)).convert("YCbCr")
    return resize(high, (width, height)), high


def luminance(image):
    """The luminance of a YCbCr image, (H, W, 1), from 0 to 1."""
    return np.asarray(image.getchannel(0), np.float32)[..., None] / 255


def batches(low, high, rng):
    """Endless pairs of random patches, in all eight orientations."""
    while True:
        lows, highs = [], []
        for _ in range(BATCH):
            y, x = (int(rng.integers(n - PATCH + 1)) for n in low.shape[:2])
            turns, flip = rng.integers(4), rng.integers(2)
            for image, scale, patches in ((low, 1, lows), (high, SCALE, highs)):
                rows = slice(scale * y, scale * (y + PATCH))
                columns = slice(scale * x, scale * (x + PATCH))
                patch = np.rot90(image[rows, columns], turns)
                patches.append(np.swapaxes(patch, 0, 1) if flip else patch)
        yield mx.array(np.stack(lows)), mx.array(np.stack(highs))


def build(layer, steps):
    """A fresh model and its compiled training step."""
    model = Fsrcnn(layer)
    schedule = warm_cosine(PEAK_RATE, steps, max(steps // 20, 1))
    optimizer = optim.Adam(schedule)

    def loss(low, high):
        inner = slice(BORDER, -BORDER)
        return ((model(low) - high)[:, inner, inner] ** 2).mean()

    return model, compiled_step(model, optimizer, loss)


def upscale(model, low):
    """Enlarge a YCbCr image: luminance by the model, colour by bicubic."""
    result = model(mx.array(luminance(low)[None]))[0, :, :, 0]
    pixels = np.array(mx.round(255 * mx.clip(result, 0, 1))).astype(np.uint8)
    y = Image.fromarray(pixels)
    _, cb, cr = resize(low, y.size).split()
    return Image.merge("YCbCr", (y, cb, cr))


def psnr(image, truth):
    error = (luminance(image) - luminance(truth)).astype(np.float64)
    return -10 * np.log10(np.mean(error[BORDER:-BORDER, BORDER:-BORDER] ** 2))


def draw(path, panels, truth):
    """The whole photograph, and two details of it in every version."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(15, 4.6), layout="constrained")
    figure.get_layout_engine().set(wspace=0.01, hspace=0.02)
    grid = figure.add_gridspec(2, 5, width_ratios=(3, 1, 1, 1, 1))
    whole = figure.add_subplot(grid[:, 0])
    whole.imshow(truth.convert("RGB"))
    whole.set_title("test photograph (the model never saw it)")
    whole.axis("off")
    details = ((270, 176, "#ffd23f"), (180, 196, "#3bceac"))
    for row, (x, y, colour) in enumerate(details):
        frame = {"edgecolor": colour, "linewidth": 2}
        box = plt.Rectangle((x, y), DETAIL, DETAIL, fill=False, **frame)
        whole.add_patch(box)
        for column, (label, image) in enumerate(panels.items(), 1):
            axes = figure.add_subplot(grid[row, column])
            detail = image.crop((x, y, x + DETAIL, y + DETAIL))
            axes.imshow(detail.convert("RGB"), interpolation="nearest")
            axes.set(xticks=[], yticks=[], title="" if row else label)
            axes.spines[:].set(**frame)
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="100 steps")
    parser.add_argument("--steps", type=int, help="training steps [1000]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="super_resolution.png")
    options = parser.parse_args()
    steps = options.steps
    if steps is None:
        steps = 100 if options.quick else 1000

    mx.set_default_device(mx.cpu)
    mx.random.seed(options.seed)
    rng = np.random.default_rng(options.seed)
    patches = batches(*map(luminance, load("china.jpg")), rng)
    low, truth = load("flower.jpg")

    model, step = build(mlx_convt.nn.ConvTranspose2d, steps)
    train(step, patches, steps)

    ours, bicubic = upscale(model, low), resize(low, truth.size)
    ours_db, bicubic_db = psnr(ours, truth), psnr(bicubic, truth)
    print(f"bicubic {bicubic_db:.2f} dB, ours {ours_db:.2f} dB", end="")
    print(f": a gain of {ours_db - bicubic_db:+.2f} dB on the test photograph")

    pair = next(patches)
    calls = {
        "mlx_convt": partial(
            build(mlx_convt.nn.ConvTranspose2d, steps)[1], *pair
        ),
        "MLX": partial(build(nn.ConvTranspose2d, steps)[1], *pair),
    }
    times = median_times(calls, 3 if options.quick else 9)
    print_times("training step", times)

    panels = {
        "low resolution": low.resize(truth.size, Image.Resampling.NEAREST),
        f"bicubic, {bicubic_db:.2f} dB": bicubic,
        f"ours, {ours_db:.2f} dB": ours,
        "original": truth,
    }
    draw(options.output, panels, truth)
    print(f"picture: {options.output}")


if __name__ == "__main__":
    main()
