"""Weights from PyTorch and back: layouts, groups, forms of arrays."""

import mlx.core as mx
import numpy as np
import pytest

import mlx_convt

RANKS = (1, 2, 3)
KERNEL = (2, 3, 4)


def draw(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_each_entry_lands_where_it_belongs(rank, groups):
    """w_mlx[g*O + o, k, c] = w_torch[g*C + c, o, k], entry by entry."""
    c_in, c_out, kernel = 6, 12, KERNEL[:rank]
    torch_weight = draw((c_in, c_out // groups, *kernel))
    weight = mlx_convt.from_torch(torch_weight, groups)
    assert weight.shape == (c_out, *kernel, c_in // groups)
    group_in, group_out = c_in // groups, c_out // groups
    for index in np.ndindex(c_out, *kernel, group_in):
        o, *k, c = index
        source = (o // group_out * group_in + c, o % group_out, *k)
        assert weight[index].item() == torch_weight[source]
    back = mlx_convt.to_torch(weight, groups)
    assert np.array_equal(np.array(back), torch_weight)


@pytest.mark.parametrize("groups", [1, 2])
def test_without_groups_it_moves_an_axis(groups):
    torch_weight = draw((4, 6, 3, 2))
    moved = np.moveaxis(torch_weight, 0, -1)
    same = np.array_equal(mlx_convt.from_torch(torch_weight, groups), moved)
    assert same == (groups == 1)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_mlx_dtypes(dtype):
    weight = mx.array(draw((4, 3, 2)), getattr(mx, dtype))
    assert mlx_convt.from_torch(weight, 2).dtype == weight.dtype
    assert mlx_convt.to_torch(weight, 2).dtype == weight.dtype


def test_a_tensor_on_a_gpu():
    class Tensor:
        def cpu(self):
            return draw((4, 3, 2))

    weight = mlx_convt.from_torch(Tensor(), 2)
    assert mx.array_equal(weight, mlx_convt.from_torch(draw((4, 3, 2)), 2))


def test_numpy_as_it_comes():
    """MLX by itself takes neither."""
    weight = draw((4, 3, 2))
    want = mlx_convt.from_torch(weight, 2)
    turned = np.ascontiguousarray(weight[::-1])[::-1]
    foreign = weight.astype(weight.dtype.newbyteorder())
    for same in (turned, foreign):
        assert mx.array_equal(mlx_convt.from_torch(same, 2), want)
    single = np.ones((1, 2, 3), np.float32)
    assert mlx_convt.from_torch(single[::-1]).shape == (2, 3, 1)


def test_gradients_go_through():
    weight = mx.array(draw((4, 3, 2)))
    scale = mx.array(draw((6, 2, 2)))
    grad = mx.grad(lambda w: (mlx_convt.from_torch(w, 2) * scale).sum())(weight)
    assert mx.array_equal(grad, mlx_convt.to_torch(scale, 2))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_dtypes(dtype):
    torch = pytest.importorskip("torch")
    source = torch.nn.ConvTranspose1d(4, 6, 3, groups=2)
    source.to(getattr(torch, dtype))
    weight = mlx_convt.from_torch(source.weight, 2)
    # As mx.array has it.
    kept = "float32" if dtype == "float64" else dtype
    assert weight.dtype == getattr(mx, kept)
    want = mlx_convt.from_torch(source.weight.detach().float().numpy(), 2)
    assert mx.array_equal(weight.astype(mx.float32), want)


def test_the_weight_is_a_copy():
    torch = pytest.importorskip("torch")
    source = torch.nn.ConvTranspose1d(4, 6, 3)
    weight = mlx_convt.from_torch(source.weight)
    before = mx.array(weight)
    with torch.no_grad():
        source.weight.zero_()
    assert mx.array_equal(weight, before)
