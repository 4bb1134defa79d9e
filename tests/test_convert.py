"""mlx_convt.nn.convert: MLX's layers become ours, in place."""

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import pytest
from helpers import flat

import mlx_convt

OURS = {
    rank: getattr(mlx_convt.nn, f"ConvTranspose{rank}d") for rank in (1, 2, 3)
}
BUILTIN = {rank: getattr(nn, f"ConvTranspose{rank}d") for rank in (1, 2, 3)}


LEFT = f"subclass {__name__}.Scaled, which patch() may reach"


class Scaled(nn.ConvTranspose2d):
    """A layer that computes something else."""

    def __call__(self, x):
        return 2 * super().__call__(x)


class Net(nn.Module):
    """Layers wherever MLX looks for them, and one that it finds twice."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.blocks = [
            nn.Sequential(nn.ConvTranspose2d(4, 4, 2, 2), nn.ReLU())
            for _ in range(2)
        ]
        self.heads = {"a": nn.ConvTranspose2d(4, 2, 3, 2, 1, 1, 1, False)}
        self.again = self.heads["a"]
        self.scaled = Scaled(2, 2, 2)

    def __call__(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.scaled(self.again(x) + self.heads["a"](x))


def test_a_model():
    net = Net()
    x = mx.random.normal((1, 7, 6, 3))
    before, parameters = net(x), flat(net.parameters())
    modules = {id(m) for m in net.modules()}
    report = mlx_convt.nn.convert(net)
    paths = ["blocks.0.layers.0", "blocks.1.layers.0"]
    assert report.converted[:2] == paths
    assert report.converted[2:] in (["heads.a"], ["again"])
    assert report.skipped == {"scaled": LEFT}

    assert type(net.again) is OURS[2]
    assert net.heads["a"] is net.again
    assert {id(m) for m in net.modules()} == modules
    after = flat(net.parameters())
    assert after.keys() == parameters.keys()
    assert all(after[name] is value for name, value in parameters.items())
    assert mx.allclose(net(x), before, rtol=1e-5, atol=1e-6)


def test_what_is_printed():
    net = Net()
    assert str(mlx_convt.nn.convert(net)) == (
        "3 layers converted\n"
        "  blocks.0.layers.0\n"
        "  blocks.1.layers.0\n"
        "  heads.a\n"
        "1 layer skipped\n"
        f"  scaled: {LEFT}"
    )
    assert str(mlx_convt.nn.convert(net)) == (
        f"no layer to convert\n1 layer skipped\n  scaled: {LEFT}"
    )
    single = nn.ConvTranspose1d(2, 2, 2)
    assert str(mlx_convt.nn.convert(single)) == (
        "1 layer converted\n  (the model)"
    )


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_a_single_layer(rank, bias):
    layer = BUILTIN[rank](4, 6, 3, 2, 1, 1, 1, bias)
    shown = repr(layer)
    x = mx.random.normal((2, *[5] * rank, 4))
    before = layer(x)
    assert mlx_convt.nn.convert(layer).converted == [""]
    assert type(layer) is OURS[rank]
    assert repr(layer) == shown
    assert mx.allclose(layer(x), before, rtol=1e-5, atol=1e-6)
    # What only ours takes.
    size = tuple(n - 1 for n in before.shape[1:-1])
    assert layer(x, output_size=size).shape[1:-1] == size


def test_ours_is_what_runs():
    """MLX's own has no jvp, and no primitive of this name."""
    layer = nn.ConvTranspose1d(2, 3, 4)
    x = mx.ones((1, 5, 2))
    with pytest.raises(ValueError, match="jvp"):
        mx.jvp(layer, [x], [x])
    mlx_convt.nn.convert(layer)
    mx.eval(mx.jvp(layer, [x], [x]))


def test_state_is_kept():
    layer = nn.ConvTranspose1d(2, 3, 4)
    layer.freeze(keys="bias")
    layer.eval()
    layer.note = "kept"
    optimizer = optim.Adam(1e-3)
    optimizer.init(layer.trainable_parameters())
    mlx_convt.nn.convert(layer)
    assert flat(layer.trainable_parameters()).keys() == {"weight"}
    assert not layer.training
    assert layer.note == "kept"
    grads = nn.value_and_grad(layer, lambda x: layer(x).sum())
    before = mx.array(layer.weight)
    optimizer.update(layer, grads(mx.ones((1, 5, 2)))[1])
    assert not mx.array_equal(layer.weight, before)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (
            {"padding": -1},
            "padding must be at least 0. Got padding (-1, -1).",
        ),
        (
            {"stride": 2, "output_padding": 2},
            (
                "output_padding must be smaller than stride or dilation. Got "
                "output_padding (2, 2), stride (2, 2), dilation (1, 1)."
            ),
        ),
    ],
)
def test_what_ours_refuses_stays(arguments, why):
    layer = nn.ConvTranspose2d(2, 3, 3, **arguments)
    x = mx.ones((1, 5, 5, 2))
    before = layer(x)
    report = mlx_convt.nn.convert(layer)
    assert report.converted == []
    assert report.skipped == {"": f"[ConvTranspose2d] {why}"}
    assert type(layer) is nn.ConvTranspose2d
    assert mx.array_equal(layer(x), before)


def test_a_padding_that_mlx_takes_otherwise():
    """Above dilation*(K - 1), it cuts the rest off stride times."""
    layer = nn.ConvTranspose1d(4, 3, 3, 2, 3)
    x = mx.random.normal((1, 6, 4))
    before = layer(x)
    assert mlx_convt.nn.convert(layer).skipped == {
        "": "[ConvTranspose1d] padding must be at most dilation*(kernel_size - "
        "1), or MLX cuts off more. Got padding 3, kernel_size (3,), dilation 1."
    }
    assert mx.array_equal(layer(x), before)
    for same in (
        nn.ConvTranspose1d(4, 3, 3, 1, 3),
        nn.ConvTranspose1d(4, 3, 3, 2, 2),
        nn.ConvTranspose1d(4, 3, 2, 2, 3, 3),
    ):
        before = same(x)
        assert mlx_convt.nn.convert(same).converted == [""]
        assert mx.allclose(same(x), before, atol=1e-5)


def test_weights_that_ours_does_not_take():
    layer = nn.ConvTranspose1d(2, 3, 3)
    layer.weight = layer.weight.astype(mx.int32)
    assert mlx_convt.nn.convert(layer).skipped == {
        "": "[ConvTranspose1d] weight must be of floating point. "
        "Got mlx.core.int32."
    }
    layer = nn.ConvTranspose1d(2, 3, 3)
    layer.bias = mx.ones((1,))  # MLX adds whatever can be added
    assert mlx_convt.nn.convert(layer).skipped == {
        "": "[ConvTranspose1d] bias must have one value per output channel. "
        "Got bias (1,)."
    }
    layer.bias = mx.ones((3,), mx.int32)
    assert mlx_convt.nn.convert(layer).skipped == {
        "": "[ConvTranspose1d] bias must be of floating point. "
        "Got mlx.core.int32."
    }
    for odd in ([mx.ones((3,))], mx.ones((3,))):
        layer.weight = odd
        assert mlx_convt.nn.convert(layer).converted == []
    del layer.weight  # as those do that compute it in each call
    net = nn.Sequential(nn.ConvTranspose1d(2, 3, 3), layer)
    report = mlx_convt.nn.convert(net)
    assert report.converted == ["layers.0"]
    assert report.skipped == {
        "layers.1": "[ConvTranspose1d] the layer has no weight."
    }


def test_lists_of_mlx():
    layer = nn.ConvTranspose2d(2, 3, 3, padding=[1, 0])
    mlx_convt.nn.convert(layer)
    assert layer(mx.ones((1, 5, 5, 2))).shape == (1, 5, 7, 3)


def test_our_layers_are_not_listed():
    layer = mlx_convt.nn.ConvTranspose2d(4, 4, 3, groups=2)
    report = mlx_convt.nn.convert(nn.Sequential(layer))
    assert (report.converted, report.skipped) == ([], {})
    assert layer.groups == 2


def test_the_random_state_is_kept():
    mx.random.seed(5)
    plain = mx.random.normal((3,))
    net = Net()
    mx.random.seed(5)
    mlx_convt.nn.convert(net)
    assert mx.array_equal(mx.random.normal((3,)), plain)
