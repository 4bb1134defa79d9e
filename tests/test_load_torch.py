"""PyTorch state dictionaries into MLX models, with PyTorch's own modules."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from helpers import assert_within, to_numpy, unit_roundoff
from mlx.utils import tree_flatten

import mlx_convt

RANKS = (1, 2, 3)
KERNEL = (2, 3, 4)


def draw(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


class TestTorch:
    """With PyTorch's own modules."""

    torch = None

    @pytest.fixture(autouse=True)
    def needs_torch(self):
        TestTorch.torch = pytest.importorskip("torch")
        self.torch.manual_seed(0)

    def forward(self, module, x):
        y = module(self.torch.tensor(np.moveaxis(x, -1, 1).copy()))
        return np.moveaxis(y.detach().double().numpy(), 1, -1)

    def module(self, rank, *arguments, **keywords):
        kind = getattr(self.torch.nn, f"ConvTranspose{rank}d")
        return kind(*arguments, **keywords)

    @pytest.mark.parametrize("rank", RANKS)
    @pytest.mark.parametrize("groups", [1, 2, 6])
    def test_modules(self, rank, groups):
        source = self.module(
            rank, 6, 12, 4, stride=3, padding=1, output_padding=1, groups=groups
        )
        target = getattr(mlx_convt.nn, f"ConvTranspose{rank}d")(
            6, 12, 4, 3, 1, output_padding=1, groups=groups
        )
        assert mlx_convt.nn.load_torch(target, source.state_dict()) is target
        x = draw((2, *KERNEL[:rank], 6))
        exact = self.forward(source.double(), x.astype(np.float64))
        bound = 6 * 4**rank * 4 * unit_roundoff("float32") * np.abs(exact).max()
        assert_within(target(mx.array(x)), exact, bound, (rank, groups))
        back = mlx_convt.to_torch(target.weight, groups)
        assert np.array_equal(
            np.array(back), source.weight.detach().float().numpy()
        )

    @pytest.mark.parametrize("second", [3, 5])
    def test_bilinear(self, second):
        source = self.torch.nn.Bilinear(3, second, 2)
        target = mlx_convt.nn.load_torch(
            nn.Bilinear(3, second, 2), source.state_dict()
        )
        a, b = draw((4, 3)), draw((4, second), 1)
        want = source(self.torch.tensor(a), self.torch.tensor(b))
        y = target(mx.array(a), mx.array(b))
        assert np.allclose(np.array(y), want.detach().numpy(), atol=1e-5)

    @pytest.mark.parametrize("rank", RANKS)
    @pytest.mark.parametrize(
        ("style", "dim"),
        [
            *(("function", dim) for dim in (0, 1, None)),
            *(("parametrization", dim) for dim in (0, 1)),
        ],
    )
    @pytest.mark.parametrize("c_in", [1, 6])
    @pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
    def test_weight_norm(self, rank, style, dim, c_in):
        groups = 2 if c_in > 1 else 1
        source = self.module(rank, c_in, 4, 3, stride=2, groups=groups)
        utils = self.torch.nn.utils
        where = utils if style == "function" else utils.parametrizations
        where.weight_norm(source, dim=dim)
        state = {
            # So that the weight is not simply the direction.
            name: value * 1.5 if name.endswith(("_g", "original0")) else value
            for name, value in source.state_dict().items()
        }
        source.load_state_dict(state)
        target = getattr(mlx_convt.nn, f"ConvTranspose{rank}d")(
            c_in, 4, 3, 2, groups=groups
        )
        mlx_convt.nn.load_torch(target, state)
        x = draw((2, *KERNEL[:rank], c_in))
        y = self.forward(source, x)
        assert np.allclose(to_numpy(target(mx.array(x))), y, 1e-4, 1e-5)

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
    def test_weight_norm_is_rounded_once(self, dtype):
        """float32 inside for the 16 bit types, float64 for itself."""
        source = self.torch.nn.utils.parametrizations.weight_norm(
            self.torch.nn.ConvTranspose1d(64, 6, 3)
        )
        state = {
            name: mx.array(value.numpy()).astype(getattr(mx, dtype))
            for name, value in source.state_dict().items()
        }
        source.double().load_state_dict(
            {k: self.torch.tensor(to_numpy(v)) for k, v in state.items()}
        )
        target = mlx_convt.nn.ConvTranspose1d(64, 6, 3)
        mlx_convt.nn.load_torch(target, state)
        assert target.weight.dtype == getattr(mx, dtype)
        exact = np.moveaxis(source.weight.detach().numpy(), 0, -1)
        bound = 1.01 * unit_roundoff(dtype) * np.abs(exact)
        if dtype == "float64":
            bound *= 8
        assert_within(
            target.weight, exact, bound + 1e-7 * (dtype == "float16"), dtype
        )

    @pytest.mark.parametrize("rank", RANKS)
    def test_a_network(self, rank):
        torch = self.torch
        source = torch.nn.Sequential()
        source.stem = getattr(torch.nn, f"Conv{rank}d")(3, 8, 3, padding=1)
        # MLX's BatchNorm takes no maps of three axes.
        source.up = torch.nn.Sequential(
            torch.nn.GroupNorm(2, 8)
            if rank == 3
            else getattr(torch.nn, f"BatchNorm{rank}d")(8),
            self.module(rank, 8, 12, 4, 2, 1, groups=4),
            torch.nn.Sequential(
                torch.nn.ReLU(), self.module(rank, 12, 2, 3, bias=False)
            ),
        )
        for name, value in source.up[0].state_dict().items():
            if name != "num_batches_tracked":
                value.uniform_(1, 2)
        source.eval()

        class Target(nn.Module):
            def __init__(self):
                super().__init__()
                ours = getattr(mlx_convt.nn, f"ConvTranspose{rank}d")
                # MLX's own layer is served too.
                theirs = getattr(nn, f"ConvTranspose{rank}d")
                self.stem = getattr(nn, f"Conv{rank}d")(3, 8, 3, padding=1)
                self.up = nn.Sequential(
                    nn.GroupNorm(2, 8, pytorch_compatible=True)
                    if rank == 3
                    else nn.BatchNorm(8),
                    ours(8, 12, 4, 2, 1, groups=4),
                    nn.Sequential(nn.ReLU(), theirs(12, 2, 3, bias=False)),
                )

            def __call__(self, x):
                return self.up(self.stem(x))

        target = mlx_convt.nn.load_torch(Target(), source.state_dict())
        target.eval()
        x = draw((2, *[5, 6, 4][:rank], 3))
        y = self.forward(source, x)
        assert np.allclose(to_numpy(target(mx.array(x))), y, 1e-4, 1e-5)
        names = {name for name, _ in tree_flatten(target.parameters())}
        assert "up.layers.2.layers.1.weight" in names


def state(**changes):
    values = {"weight": draw((4, 3, 3)), "bias": draw((6,), 1)}
    return values | changes


def layer():
    return mlx_convt.nn.ConvTranspose1d(4, 6, 3, groups=2)


def test_not_strict():
    target = layer()
    bias = target.bias
    values = {"weight": draw((4, 3, 3)), "gain": draw((2,))}
    mlx_convt.nn.load_torch(target, values, strict=False)
    want = mlx_convt.from_torch(values["weight"], 2)
    assert mx.array_equal(target.weight, want)
    assert mx.array_equal(target.bias, bias)


def test_the_dictionary_stays():
    values = state(num_batches_tracked=np.array(3))
    names = list(values)
    mlx_convt.nn.load_torch(layer(), values)
    assert list(values) == names


def test_from_safetensors(tmp_path):
    """What a checkpoint written by PyTorch holds, read without PyTorch."""
    file = str(tmp_path / "torch.safetensors")
    mx.save_safetensors(
        file, {name: mx.array(value) for name, value in state().items()}
    )
    target = mlx_convt.nn.load_torch(layer(), mx.load(file))
    want = mlx_convt.from_torch(state()["weight"], 2)
    assert mx.array_equal(target.weight, want)


def test_frozen_and_dtype():
    target = layer()
    target.freeze()
    values = {name: value.astype(np.float16) for name, value in state().items()}
    mlx_convt.nn.load_torch(target, values)
    assert target.weight.dtype == mx.float16
    assert tree_flatten(target.trainable_parameters()) == []


def test_layers_is_only_left_out_of_a_sequential():
    class Stack(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [layer()]

    values = {f"layers.0.{name}": value for name, value in state().items()}
    mlx_convt.nn.load_torch(Stack(), values)
    values = {f"0.{name}": value for name, value in state().items()}
    mlx_convt.nn.load_torch(nn.Sequential(layer()), values)
