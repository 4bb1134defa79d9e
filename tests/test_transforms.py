"""Streams, threads, laziness and modules, on exact integers."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import mlx.core as mx
import mlx.optimizers as optim
import numpy as np
import pytest
from helpers import (
    CONTRACTIONS,
    assert_exact,
    contract,
    draw_integers,
    draw_operands,
    make_geometry,
    run_python,
)
from mlx import nn

import mlx_convt

GEOMETRIES = {
    "1d groups": make_geometry((5,), 3, 4, 6, batch=2, stride=2, groups=2),
    "2d": make_geometry(
        (3, 4), (3, 2), 2, 3, stride=(2, 1), padding=((1, 0), (0, 1))
    ),
    "2d depthwise": make_geometry((5, 4), 4, 5, 5, stride=2, groups=5),
    "3d": make_geometry((2, 3, 2), 2, 3, 2, stride=2, output_padding=1),
}


def contraction_function(contraction, geometry):
    return lambda first, second: contract(contraction, geometry, first, second)


def test_async_eval():
    geometry = GEOMETRIES["2d"]
    operands = draw_operands("output", geometry)
    results = [geometry.forward(*operands) for _ in range(8)]
    mx.async_eval(*results)
    for actual in results:
        assert_exact(actual, "output", geometry, operands)


@pytest.mark.parametrize("contraction", CONTRACTIONS)
def test_streams(contraction):
    geometry = GEOMETRIES["1d groups"]
    operands = draw_operands(contraction, geometry)
    function = contraction_function(contraction, geometry)
    with mx.stream(mx.new_stream(mx.cpu)):
        inside = function(*operands)
    assert_exact(inside, contraction, geometry, operands)
    assert_exact(function(*operands), contraction, geometry, operands)


STREAMS = {
    "kind of device": lambda: mx.cpu,
    "device": lambda: mx.Device(mx.cpu, 0),
    "stream": lambda: mx.new_stream(mx.cpu),
    "stream of a thread": lambda: mx.new_thread_local_stream(mx.cpu),
    "none": lambda: None,
}


@pytest.mark.parametrize("kind", STREAMS)
def test_stream_argument(kind):
    geometry = GEOMETRIES["2d"]
    operands = draw_operands("output", geometry)
    actual = geometry.forward(*operands, stream=STREAMS[kind]())
    # A second stream has to wait for the first.
    with mx.stream(mx.new_stream(mx.cpu)):
        moved = actual + 0
    assert_exact(moved, "output", geometry, operands)


@pytest.mark.parametrize("own_stream", [True, False])
def test_threads_of_the_caller(own_stream):
    # One piece of work a thread: none can go on after its streams are cleared.
    all_there = threading.Barrier(6)

    def work(offset):
        all_there.wait()
        names = itertools.islice(itertools.cycle(GEOMETRIES), offset, None)
        for name, contraction in zip(names, CONTRACTIONS * 4, strict=False):
            geometry = GEOMETRIES[name]
            operands = draw_operands(contraction, geometry)
            if own_stream:
                with mx.stream(mx.new_stream(mx.cpu)):
                    actual = contract(contraction, geometry, *operands)
                    mx.eval(actual)
            else:
                actual = contract(contraction, geometry, *operands)
            assert_exact(actual, contraction, geometry, operands)
        mx.clear_streams()

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(6)))


def test_nothing_is_computed_before_it_is_asked_for():
    # Hundreds of terabytes, if it were; in a process of its own in that case.
    done = run_python("""
import mlx.core as mx
from mlx_convt import conv_transpose2d

input = mx.zeros((64, 40000, 40000, 64))
weight = mx.zeros((64, 4, 4, 64))
output = conv_transpose2d(input, weight, stride=2, padding=1)
assert output.shape == (64, 80000, 80000, 64)
cotangent = mx.zeros(output.shape)
_, gradients = mx.vjp(
    lambda x, w: conv_transpose2d(x, w, stride=2, padding=1),
    [input, weight],
    [cotangent],
)
assert [g.shape for g in gradients] == [input.shape, weight.shape]
""")
    assert done.returncode == 0, done.stderr


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = draw_integers((6, 4, 4, 2), seed=1) / 8
        self.bias = mx.zeros((6,))
        self.head = nn.Linear(6, 1)

    def __call__(self, x):
        x = mlx_convt.conv_transpose2d(
            x, self.weight, stride=2, padding=1, groups=2, bias=self.bias
        )
        return self.head(nn.relu(x))


def test_a_module_trains():
    mx.random.seed(0)
    model = Decoder()
    inputs = draw_integers((8, 3, 3, 4)) / 4
    targets = draw_integers((8, 6, 6, 1)) / 4
    step = nn.value_and_grad(
        model, lambda x, y: nn.losses.mse_loss(model(x), y)
    )
    optimizer = optim.Adam(learning_rate=0.02)
    losses = []
    for _ in range(60):
        loss, gradients = step(inputs, targets)
        optimizer.update(model, gradients)
        mx.eval(model.parameters(), optimizer.state)
        losses.append(loss.item())
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.6 * losses[0]
    assert model.bias.abs().max().item() > 0
