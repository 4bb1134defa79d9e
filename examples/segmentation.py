"""Train a U-Net that tells circles, triangles and rectangles from each other.

The network halves a picture three times and doubles it again with layers
`mlx_convt.nn.ConvTranspose2d`, each joined by what the way down had at that
size. The pictures have odd sizes, so halving rounds up, and one size comes
from two: 8 pixels from 15 or 16. `output_size`, an argument of the call, says
which it was, for every axis and picture anew: the network learns from pictures
of 61x61 pixels and is tested on others of 61x61 and of 93x149.

The pictures are made here: bright shapes of any tint, with waves and noise, that
overlap on a dark ground. A pixel's colour tells a shape from the ground but not
what shape it is; for that the network must see the outline.

    pip install scikit-learn matplotlib
    python examples/segmentation.py            # about a minute
    python examples/segmentation.py --quick    # ten seconds

It prints the mean intersection over union (IoU) of the four classes next to
that of a classifier of single pixels, and the time of one training step with
these layers and with MLX's own; and it draws results as the training goes.
"""

import argparse
import itertools

import matplotlib
import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from common import compiled_step, median_times, print_times, train, warm_cosine
from sklearn.neighbors import KNeighborsClassifier

import mlx_convt.nn

CLASSES = ("background", "circle", "triangle", "rectangle")
COLOURS = ("#22223b", "#ffd23f", "#ee4266", "#3bceac")
SIZE, WIDE = (61, 61), (93, 149)
BATCH = 8
RATE = 5e-3


class Down(nn.Module):
    """A 2x2 convolution of stride 2; an odd size is padded, and rounds up.

    As a matrix product, which on a CPU takes half the time of MLX's Conv2d for
    all but the first.
    """

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.halve = nn.Linear(4 * in_channels, out_channels)
        self.norm = nn.BatchNorm(out_channels)

    def __call__(self, x):
        n, height, width, channels = x.shape
        x = mx.pad(x, [(0, 0), (0, height % 2), (0, width % 2), (0, 0)])
        x = x.reshape(n, x.shape[1] // 2, 2, x.shape[2] // 2, 2, channels)
        return nn.relu(self.norm(self.halve(x.swapaxes(2, 3).flatten(3))))


class Up(nn.Module):
    """Double to the size of what is passed over, and join it to that."""

    def __init__(self, layer, in_channels, skip_channels, out_channels):
        super().__init__()
        self.double = layer(in_channels, out_channels, 5, stride=2, padding=2)
        # A pixel meets a quarter of the taps; else what is deep would fade.
        self.double.weight = 2 * nn.init.he_normal()(self.double.weight)
        # Linear is a 1x1 convolution.
        self.join = nn.Linear(out_channels + skip_channels, out_channels)
        self.norm = nn.BatchNorm(out_channels)

    def __call__(self, x, skip):
        x = nn.relu(self.double(x, output_size=skip.shape[1:3]))
        joined = self.join(mx.concatenate([x, skip], axis=-1))
        return nn.relu(self.norm(joined))


class BuiltIn(nn.ConvTranspose2d):
    """MLX's layer has no output_size; this finds the output padding for it."""

    def __call__(self, x, output_size):
        kernel = self.weight.shape[1:3]
        axes = zip(x.shape[1:3], self.stride, self.padding, kernel)
        least = [(n - 1) * s - 2 * p + k for n, s, p, k in axes]
        extra = tuple(size - n for size, n in zip(output_size, least))
        geometry = (self.stride, self.padding, 1, extra)
        return mx.conv_transpose2d(x, self.weight, *geometry) + self.bias


class UNet(nn.Module):
    """Scores of the classes for each pixel; `layer` makes the layers upwards."""

    def __init__(self, layer, channels=(3, 16, 32, 64)):
        super().__init__()
        pairs = list(itertools.pairwise(channels))
        self.down = [Down(few, many) for few, many in pairs]
        self.up = []
        for few, many in reversed(pairs):
            self.up.append(Up(layer, many, few, max(few, channels[1])))
        self.scores = nn.Linear(channels[1], len(CLASSES))

    def __call__(self, x):
        x = 4 * (x - 0.4)  # about zero, and as spread as weights expect
        passed = []
        for down in self.down:
            passed.append(x)
            x = down(x)
        for up in self.up:
            x = up(x, passed.pop())
        return self.scores(x)

    def loss(self, pictures, truth):
        return nn.losses.cross_entropy(self(pictures), truth).mean()


def texture(points, light, rng):
    """Waves of one colour on another, for pixels at these points."""
    wave = np.sin(points @ rng.normal(0, 0.5, 2) + rng.uniform(0, 2 * np.pi))
    colour = light + rng.uniform(-0.12, 0.12, 3)
    return colour + rng.normal(0, 0.05, 3) * wave[..., None]


def shape(kind, points, rng):
    """The mask of a shape of this kind with its centre at the origin."""
    size = rng.uniform(6, 10)
    if CLASSES[kind] == "circle":
        return np.hypot(points[..., 0], points[..., 1]) < 0.9 * size
    sides = 3 if CLASSES[kind] == "triangle" else 4
    turn = rng.normal(0, 0.1)
    angles = turn + 2 * np.pi * np.arange(sides) / sides
    normals = np.stack([np.cos(angles), np.sin(angles)])
    if sides == 3:
        reach = rng.uniform(0.6, 0.75, 3)
    else:
        reach = np.tile(rng.uniform((0.4, 0.85), (0.6, 1)), 2)
    return (points @ normals < size * reach).all(axis=-1)


def scene(size, rng):
    """A picture, (H, W, 3), and the class of each of its pixels, (H, W)."""
    points = np.stack(np.indices(size), axis=-1).astype(np.float32)
    picture = texture(points, 0.2, rng)
    truth = np.zeros(size, np.int32)
    for _ in range(size[0] * size[1] // 400):
        kind = rng.integers(1, len(CLASSES))
        mask = shape(kind, points - rng.uniform(0, size), rng)
        picture[mask] = texture(points[mask], 0.7, rng)
        truth[mask] = kind
    picture += rng.normal(0, 0.04, picture.shape)
    return picture.clip(0, 1).astype(np.float32), truth


def scenes(count, size, rng):
    pairs = zip(*(scene(size, rng) for _ in range(count)))
    return tuple(mx.array(np.stack(part)) for part in pairs)


def batches(rng):
    while True:
        yield scenes(BATCH, SIZE, rng)


def build(layer, steps):
    """A fresh model and its compiled training step."""
    model = UNet(layer)
    schedule = warm_cosine(RATE, steps, max(steps // 10, 1))
    optimizer = optim.Adam(schedule)
    return model, compiled_step(model, optimizer, model.loss)


def predict(model, pictures):
    model.eval()
    parts = [mx.argmax(model(part), axis=-1) for part in mx.split(pictures, 4)]
    model.train()
    return np.array(mx.concatenate(parts))


def iou(predicted, truth):
    """The mean over the classes of intersection over union, of all pixels."""
    truth = np.array(truth)
    values = []
    for kind in range(len(CLASSES)):
        ours, wanted = predicted == kind, truth == kind
        values.append((ours & wanted).sum() / (ours | wanted).sum())
    return float(np.mean(values))


def draw(path, columns):
    """Columns of pictures and of maps of classes."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    rows = len(next(iter(columns.values())))
    figure, axes = plt.subplots(
        rows,
        len(columns),
        figsize=(15, 6.2),
        layout="constrained",
    )
    figure.get_layout_engine().set(wspace=0.01, hspace=0.01)
    maps = {"cmap": ListedColormap(COLOURS), "vmin": 0, "vmax": 3}
    for column, (title, shown) in zip(axes.T, columns.items()):
        column[0].set_title(title, fontsize=11)
        for axis, image in zip(column, shown):
            axis.imshow(image, interpolation="nearest", **maps)
            axis.axis("off")
    legend = [Patch(color=c, label=name) for c, name in zip(COLOURS, CLASSES)]
    figure.legend(
        handles=legend,
        loc="outside lower center",
        ncols=len(CLASSES),
        frameon=False,
    )
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="200 steps")
    parser.add_argument("--steps", type=int, help="training steps [800]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="segmentation.png")
    options = parser.parse_args()
    steps = options.steps
    if steps is None:
        steps = 200 if options.quick else 800

    mx.set_default_device(mx.cpu)
    mx.random.seed(options.seed)
    rng = np.random.default_rng(options.seed)
    tests = {size: scenes(32, size, rng) for size in (SIZE, WIDE)}
    known, labels = scenes(32, SIZE, rng)

    model, step = build(mlx_convt.nn.ConvTranspose2d, steps)
    stages = {}

    def after(i):
        if i in (10, 100, steps):
            stages[f"after {i} steps"] = predict(model, tests[WIDE][0])

    train(step, batches(rng), steps, after)

    pixels = KNeighborsClassifier(15)
    pixels.fit(np.array(known).reshape(-1, 3)[::4], np.array(labels).flat[::4])
    print("mean IoU on 32 unseen pictures of each size:")
    for size, (pictures, truth) in tests.items():
        ours = iou(predict(model, pictures), truth)
        sample = np.array(pictures).reshape(-1, 3)[::16]
        single = iou(pixels.predict(sample), np.array(truth).flat[::16])
        print(f"  {size[0]:3}x{size[1]:<3}  ours {ours:.3f}", end="")
        print(f", each pixel by its colour {single:.3f}")

    batch = next(batches(rng))
    calls = {}
    layers = {"mlx_convt": mlx_convt.nn.ConvTranspose2d, "MLX": BuiltIn}
    for name, layer in layers.items():
        timed = build(layer, steps)[1]
        calls[name] = lambda timed=timed: timed(*batch)
    times = median_times(calls, 1 if options.quick else 5)
    print_times("training step", times)

    pictures, truth = (np.array(part) for part in tests[WIDE])
    draw(
        options.output,
        {
            "unseen picture": pictures[:3],
            "truth": truth[:3],
            **{title: maps[:3] for title, maps in stages.items()},
        },
    )
    print(f"picture: {options.output}")


if __name__ == "__main__":
    main()
