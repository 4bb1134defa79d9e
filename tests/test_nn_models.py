"""mlx_convt.nn's layers inside models: as MLX's own behave."""

import copy
from functools import partial

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import pytest
from helpers import flat

import mlx_convt


def pair(*arguments):
    """Our layer and MLX's, of one seed."""
    layers = []
    for kind in (mlx_convt.nn.ConvTranspose2d, nn.ConvTranspose2d):
        mx.random.seed(7)
        layers.append(kind(*arguments))
    return layers


def model(groups=2):
    mx.random.seed(3)
    return nn.Sequential(
        nn.Linear(64, 8),
        mlx_convt.nn.ConvTranspose1d(8, 64, 4, 2, "same", groups=groups),
        nn.ReLU(),
        nn.Linear(64, 64),
    )


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_save_and_load(tmp_path, kind):
    source, file = model(), str(tmp_path / f"weights.{kind}")
    source.save_weights(file)
    mx.random.seed(4)
    target = model()
    target.layers[1].weight = mx.zeros_like(target.layers[1].weight)
    target.load_weights(file)
    x = mx.random.normal((2, 5, 64))
    assert mx.array_equal(source(x), target(x))


def test_mlx_weights_load(tmp_path):
    mine, theirs = pair(6, 4, 3, 2, 1)
    theirs.bias = mx.arange(4.0)
    file = str(tmp_path / "weights.npz")
    theirs.save_weights(file)
    mine.load_weights(file)
    assert mx.array_equal(mine.bias, theirs.bias)
    mine.save_weights(file)
    theirs.load_weights(file)


def test_freezing():
    layer = mlx_convt.nn.ConvTranspose1d(2, 3, 4)
    layer.freeze(keys="weight")
    assert flat(layer.trainable_parameters()).keys() == {"bias"}
    net = model()
    net.layers[1].freeze()
    trained = flat(net.trainable_parameters()).keys()
    assert {name.split(".")[1] for name in trained} == {"0", "3"}
    net.unfreeze()
    assert len(flat(net.trainable_parameters())) == 6


def test_quantize_leaves_the_layer():
    net = model()
    before = net.layers[1].weight
    nn.quantize(net.layers[1])
    nn.quantize(net)
    assert isinstance(net.layers[3], nn.QuantizedLinear)
    assert type(net.layers[1]) is mlx_convt.nn.ConvTranspose1d
    assert net.layers[1].weight is before
    assert net(mx.zeros((1, 5, 64))).shape == (1, 10, 64)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_set_dtype(dtype):
    layer = mlx_convt.nn.ConvTranspose2d(2, 3, 3)
    layer.set_dtype(getattr(mx, dtype))
    x = mx.zeros((1, 4, 4, 2), getattr(mx, dtype))
    assert layer(x).dtype == getattr(mx, dtype)


def test_copy():
    layer = mlx_convt.nn.ConvTranspose2d(4, 6, 3, 2, ((0, 1),) * 2, groups=2)
    twin = copy.deepcopy(layer)
    assert repr(twin) == repr(layer)
    x = mx.random.normal((1, 4, 4, 4))
    assert mx.array_equal(twin(x), layer(x))


@pytest.mark.parametrize("compiled", [False, True])
def test_training(compiled):
    """A few steps of SGD move our layer as they move MLX's."""
    results = []
    for layer in pair(4, 3, 4, 2, 1):
        optimizer = optim.SGD(0.1, momentum=0.9)
        state = [layer.state, optimizer.state]
        x = mx.random.normal((2, 4, 5, 4), key=mx.random.key(1))
        target = mx.random.normal((2, 8, 10, 3), key=mx.random.key(2))

        def loss(layer, x, target):
            return ((layer(x) - target) ** 2).mean()

        def step(layer, optimizer, loss, x, target):
            value, grads = nn.value_and_grad(layer, loss)(layer, x, target)
            optimizer.update(layer, grads)
            return value

        step = partial(step, layer, optimizer, loss)
        if compiled:
            step = mx.compile(step, inputs=state, outputs=state)
        losses = []
        for _ in range(5):
            losses.append(step(x, target))
            mx.eval(losses[-1], state)
        results.append((mx.stack(losses), layer.weight, layer.bias))
        assert losses[-1].item() < 0.98 * losses[0].item()
    for mine, theirs in zip(*results):
        assert mx.allclose(mine, theirs, rtol=1e-4, atol=1e-5)
