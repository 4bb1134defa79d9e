"""Transposed convolutions as layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import mlx.core as mx
import mlx.nn as nn

from mlx_convt import ops
from mlx_convt._arguments import (
    Ints,
    Padding,
    error,
    read_int,
    read_ints,
    read_padding,
    wrong_kind,
)


class _Layer(nn.Module):
    """What the three ranks share; it stands before MLX's class in their bases.

    MLX's own ``__init__`` makes the parameters and attributes, so that names,
    shapes and initial values are the same, and models that look for MLX's
    layers with ``isinstance`` find these.
    """

    _rank: ClassVar[int]
    _operation: ClassVar[Callable[..., mx.array]]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Padding = 0,
        dilation: Ints = 1,
        output_padding: Ints = 0,
        bias: bool = True,
        *,
        groups: int = 1,
    ) -> None:
        name, rank = type(self).__name__, self._rank
        c_in = _channels(name, "in_channels", in_channels)
        c_out = _channels(name, "out_channels", out_channels)
        groups = _channels(name, "groups", groups)
        for what, channels in (("in_channels", c_in), ("out_channels", c_out)):
            if channels % groups:
                rule = f"{what} must be divisible by groups"
                got = f"{what} {channels}, groups {groups}"
                raise error(name, rule, got)

        kernel = read_ints(name, rank, "kernel_size", kernel_size, 1)
        window = layer_window(
            name, rank, stride, padding, dilation, output_padding
        )
        super().__init__(  # type: ignore[call-arg, no-untyped-call]
            c_in // groups,
            c_out,
            _form(kernel),
            *window,
            bias,
        )
        self.groups = groups

    def _extra_repr(self) -> str:
        text = super()._extra_repr()
        if self.groups == 1:
            return text
        c_in = self.weight.shape[-1] * self.groups
        _, rest = text.split(", ", 1)
        return f"{c_in}, {rest}, groups={self.groups}"

    def __call__(
        self, x: mx.array, output_size: Ints | None = None
    ) -> mx.array:
        return type(self)._operation(
            x,
            self.weight,
            self.stride,
            self.padding,
            self.dilation,
            # As in PyTorch, the size wanted replaces it.
            self.output_padding if output_size is None else 0,
            self.groups,
            bias=self.get("bias"),
            output_size=output_size,
        )


class ConvTranspose1d(_Layer, nn.ConvTranspose1d):
    """A 1D transposed convolution over a sequence with several channels.

    A drop-in for ``mlx.nn.ConvTranspose1d``: the same positional arguments,
    parameters and initial values. The arguments and the call are those of
    :class:`ConvTranspose2d`, with one spatial axis: an input ``(N, L, C_in)``,
    a result ``(N, L_out, C_out)``, ``weight`` of shape ``(C_out, K,
    C_in/groups)`` and ``bias`` of shape ``(C_out,)``.

    Example:
        >>> layer = mlx_convt.nn.ConvTranspose1d(64, 32, 16, 8, "same")
        >>> layer(mx.ones((1, 100, 64))).shape
        (1, 800, 32)
    """

    _rank = 1
    _operation = staticmethod(ops.conv_transpose1d)


class ConvTranspose2d(_Layer, nn.ConvTranspose2d):
    """A 2D transposed convolution over an image with several channels.

    A drop-in for ``mlx.nn.ConvTranspose2d``, of which it is a subclass: the
    same positional arguments, parameters and initial values, so that saved
    weights load. Computed by :func:`mlx_convt.conv_transpose2d`, which has
    the formula and the sizes; the bias is part of that one operation.

    Args:
        in_channels (int): Number of input channels.
        out_channels (int): Number of output channels.
        kernel_size (int or tuple(int)): Size of the kernel.
        stride (int or tuple(int)): Distance between the copies of the kernel.
            Default: ``1``.
        padding (int, tuple or str): How much of the result is cut off: per
            axis an int or a pair ``(low, high)``; ``"same"`` makes ``out =
            in*stride``; ``"valid"`` is ``0``. Default: ``0``.
        dilation (int or tuple(int)): Distance between the taps of the kernel.
            Default: ``1``.
        output_padding (int or tuple(int)): How much the result is larger at
            its high end. Default: ``0``.
        bias (bool): Whether to add a learnable bias. Default: ``True``.
        groups (int): Number of groups of channels; divides ``in_channels``
            and ``out_channels``. By name only. Default: ``1``.

    A call takes an input of shape ``(N, H, W, C_in)`` and, if wanted, the
    spatial ``output_size`` (int or tuple(int)), which replaces
    ``output_padding`` for that call. It returns ``(N, H_out, W_out, C_out)``.

    Parameters: ``weight`` of shape ``(C_out, KH, KW, C_in/groups)``, drawn from
    the uniform distribution between ``-s`` and ``s``, ``s = 1 / sqrt(KH * KW *
    C_in/groups)``; ``bias`` of shape ``(C_out,)``, zeros. These are MLX's
    initial values. Each output sums only about one in ``stride`` taps per axis,
    so deep decoders may need larger ones, by ``mlx.nn.init``.

    Raises:
        ValueError: If a number breaks a rule; the message names the class, the
            rule and the values.
        TypeError: If an argument is not of a type listed above.

    Equivalent to ``mlx.nn.ConvTranspose2d`` with ``groups=1``. PyTorch's layer
    of this name takes ``(..., output_padding, groups, bias, dilation)`` in this
    order; :func:`load_torch` loads its weights.

    Example:
        >>> layer = mlx_convt.nn.ConvTranspose2d(64, 32, 3, 2, 1)
        >>> layer(mx.ones((1, 16, 16, 64))).shape
        (1, 31, 31, 32)
        >>> layer(mx.ones((1, 16, 16, 64)), output_size=32).shape
        (1, 32, 32, 32)
    """

    _rank = 2
    _operation = staticmethod(ops.conv_transpose2d)


class ConvTranspose3d(_Layer, nn.ConvTranspose3d):
    """A 3D transposed convolution over a volume with several channels.

    A drop-in for ``mlx.nn.ConvTranspose3d``: the same positional arguments,
    parameters and initial values. The arguments and the call are those of
    :class:`ConvTranspose2d`, with three spatial axes: an input ``(N, D, H, W,
    C_in)``, a result ``(N, D_out, H_out, W_out, C_out)``, ``weight`` of shape
    ``(C_out, KD, KH, KW, C_in/groups)`` and ``bias`` of shape ``(C_out,)``.

    Example:
        >>> layer = mlx_convt.nn.ConvTranspose3d(64, 32, 2, 2)
        >>> layer(mx.ones((1, 4, 8, 8, 64))).shape
        (1, 8, 16, 16, 32)
    """

    _rank = 3
    _operation = staticmethod(ops.conv_transpose3d)


def layer_window(
    name: str,
    rank: int,
    stride: Any,
    padding: Any,
    dilation: Any,
    output_padding: Any,
) -> tuple[Any, Any, Any, Any]:
    """The four as MLX's layers keep them, or the error that they deserve."""
    strides = read_ints(name, rank, "stride", stride, 1)
    dilations = read_ints(name, rank, "dilation", dilation, 1)
    extra = read_ints(name, rank, "output_padding", output_padding, 0)
    got = f"output_padding {tuple(extra)}"
    if not all(e < max(s, d) for e, s, d in zip(extra, strides, dilations)):
        rule = "output_padding must be smaller than stride or dilation"
        given = f"stride {tuple(strides)}, dilation {tuple(dilations)}"
        raise error(name, rule, f"{got}, {given}")
    if isinstance(padding, str) and padding == "same":
        if any(extra):
            rule = 'output_padding must be left out with padding "same"'
            raise error(name, rule, got)
    elif not isinstance(padding, str) or padding != "valid":
        lo, hi = read_padding(name, rank, padding)
        padding = _form(lo) if lo == hi else tuple(zip(lo, hi))
    # MLX's layers keep an int here, and make tuples of the others.
    spread = dilations[0] if len(set(dilations)) == 1 else _form(dilations)
    return _form(strides), padding, spread, _form(extra)


def check_module(name: str, model: object) -> None:
    if not isinstance(model, nn.Module):
        raise wrong_kind(name, "model must be an mlx.nn.Module", model)


def _channels(name: str, what: str, value: Any) -> int:
    count = read_int(name, what, value)
    if count < 1:
        raise error(name, f"{what} must be at least 1", f"{what} {count}")
    return count


def _form(values: Sequence[Any]) -> Any:
    """As MLX's layers keep one entry per axis. A list would be a parameter."""
    return tuple(values) if len(values) > 1 else values[0]
