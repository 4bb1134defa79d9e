"""Weights between PyTorch's layout and MLX's."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from mlx_convt._arguments import error, read_int, wrong_kind


def from_torch(weight: Any, groups: int = 1) -> mx.array:
    """A transposed convolution's weight, from PyTorch's layout to MLX's.

    PyTorch keeps ``(C_in, C_out/groups, *K)``, with the groups in blocks along
    ``C_in``; MLX keeps ``(C_out, *K, C_in/groups)``, with the groups in blocks
    along ``C_out``. With groups, moving axes is not enough: the blocks must
    change places too. The kernel is not flipped.

    Args:
        weight (torch.Tensor, numpy.ndarray or array): Weight of one, two or
            three spatial axes. float64 of PyTorch and numpy becomes float32, as
            it does in ``mx.array``.
        groups (int): The layer's number of groups. Default: ``1``.

    Returns:
        array: The same weight in MLX's layout, of a dtype like the input's.

    Raises:
        ValueError: If the weight has not 3 to 5 axes, or ``groups`` does not
            divide its first.
        TypeError: If ``weight`` is no array, or ``groups`` no int.

    Equivalent to ``mx.array(weight).moveaxis(0, -1)`` for ``groups=1``.
    :func:`to_torch` is the inverse.

    Example:
        >>> layer = torch.nn.ConvTranspose2d(8, 4, 3, groups=2)
        >>> mlx_convt.from_torch(layer.weight, groups=2).shape
        (4, 3, 3, 4)
    """
    array = as_array("from_torch", "weight", weight)
    count = _check("from_torch", array, groups, "C_in")
    c_in, group_out, *kernel = array.shape
    blocks = array.reshape(count, c_in // count, group_out, *kernel)
    blocks = mx.moveaxis(blocks, 1, -1)
    return blocks.reshape(count * group_out, *kernel, c_in // count)


def to_torch(weight: Any, groups: int = 1) -> mx.array:
    """A transposed convolution's weight, from MLX's layout to PyTorch's.

    The inverse of :func:`from_torch`.

    Args:
        weight (array): Weight of shape ``(C_out, *K, C_in/groups)``.
        groups (int): The layer's number of groups. Default: ``1``.

    Returns:
        array: The same weight as ``(C_in, C_out/groups, *K)``, an MLX array.
        ``torch.tensor(numpy.array(w))`` makes a tensor of it; numpy has no
        bfloat16.

    Raises:
        ValueError: If the weight has not 3 to 5 axes, or ``groups`` does not
            divide its first.
        TypeError: If ``weight`` is no array, or ``groups`` no int.

    Example:
        >>> mlx_convt.to_torch(mx.ones((4, 3, 3, 4)), groups=2).shape
        (8, 2, 3, 3)
    """
    array = as_array("to_torch", "weight", weight)
    count = _check("to_torch", array, groups, "C_out")
    c_out, *kernel, group_in = array.shape
    blocks = array.reshape(count, c_out // count, *kernel, group_in)
    blocks = mx.moveaxis(blocks, -1, 1)
    return blocks.reshape(count * group_in, c_out // count, *kernel)


def as_array(name: str, what: str, value: Any) -> mx.array:
    """An MLX array with the numbers of a tensor, wherever they are."""
    if isinstance(value, mx.array):
        return value
    if hasattr(value, "cpu"):  # a tensor may lie on a GPU
        value = value.cpu()
    if isinstance(value, np.ndarray):
        # MLX takes neither negative strides nor foreign byte orders.
        native = value.dtype.newbyteorder("=")
        value = np.array(value, dtype=native, order="C")
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        try:
            return mx.array(value)
        except (NotImplementedError, RuntimeError, TypeError, ValueError):
            rule = f"{what} must be dense, of a dtype that MLX has"
            raise error(name, rule, f"{value.dtype}", TypeError) from None
    rule = f"{what} must be a torch.Tensor, a numpy.ndarray or an MLX array"
    raise wrong_kind(name, rule, value)


def _check(name: str, weight: mx.array, groups: Any, first: str) -> int:
    shape = tuple(weight.shape)
    if not 3 <= len(shape) <= 5:
        rule = "weight must have one, two or three spatial axes"
        raise error(name, rule, f"shape {shape}")
    count = read_int(name, "groups", groups)
    if count < 1 or shape[0] % count:
        rule = f"groups must be at least 1 and divide {first}"
        raise error(name, rule, f"groups {count}, {first} {shape[0]}")
    return count
