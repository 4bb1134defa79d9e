"""The public functions of the package."""

import mlx.core as mx

from mlx_convt import _ext, native
from mlx_convt._arguments import (
    Ints,
    Padding,
    StreamOrDevice,
    check_array,
    check_stream,
    read_window,
)


def conv_transpose1d(
    input: mx.array,
    weight: mx.array,
    /,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    output_padding: Ints = 0,
    groups: int = 1,
    *,
    bias: mx.array | None = None,
    output_size: Ints | None = None,
    stream: StreamOrDevice = None,
) -> mx.array:
    """1D transposed convolution over an input with several channels.

    The gradient of a convolution with respect to its input, as an operation
    of its own. Every input position spreads a copy of the kernel::

        y[n, i*stride - low + k*dilation, o] += x[n, i, c] * w[o, k, c]
        out = (in - 1)*stride - (low + high) + dilation*(K - 1)
              + output_padding + 1

    The arguments, the dtypes and the errors are those of
    :func:`conv_transpose2d`, with one spatial axis.

    Args:
        input (array): Input of shape ``(N, L, C_in)``.
        weight (array): Kernel of shape ``(C_out, K, C_in/groups)``.
        stride (int or tuple(int)): Distance between the copies of the kernel.
            Default: ``1``.
        padding (int, tuple or str): How much of the result is cut off at both
            ends; ``((low, high),)`` cuts each by its own amount; ``"same"``
            makes ``out = in*stride``; ``"valid"`` is ``0``. Default: ``0``.
        dilation (int or tuple(int)): Distance between the taps of the kernel.
            Default: ``1``.
        output_padding (int or tuple(int)): How much the result is longer at
            its high end. Default: ``0``.
        groups (int): Number of groups of channels. Default: ``1``.
        bias (array, optional): Added to the result, of shape ``(C_out,)``.
        output_size (int or tuple(int), optional): The length wanted; it
            chooses ``output_padding``.
        stream (Stream or Device, optional): Where to run.

    Returns:
        array: The result, of shape ``(N, out, C_out)``.

    Equivalent to ``mx.conv_transpose1d``, plus the bias.

    Example:
        >>> x, w = mx.ones((1, 100, 64)), mx.ones((32, 16, 64))
        >>> mlx_convt.conv_transpose1d(x, w, stride=8, padding=4).shape
        (1, 800, 32)
    """
    return _conv_transpose(
        1,
        input,
        weight,
        stride,
        padding,
        dilation,
        output_padding,
        groups,
        bias,
        output_size,
        stream,
    )


def conv_transpose2d(
    input: mx.array,
    weight: mx.array,
    /,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    output_padding: Ints = 0,
    groups: int = 1,
    *,
    bias: mx.array | None = None,
    output_size: Ints | None = None,
    stream: StreamOrDevice = None,
) -> mx.array:
    """2D transposed convolution over an input with several channels.

    The gradient of a convolution with respect to its input, as an operation
    of its own. Every input position spreads a copy of the kernel; per axis::

        y[n, i*stride - low + k*dilation, o] += x[n, i, c] * w[o, k, c]
        out = (in - 1)*stride - (low + high) + dilation*(K - 1)
              + output_padding + 1

    Output channel ``o`` of a group reads the ``C_in/groups`` input channels
    of that group.

    The dtypes are float32, float16, bfloat16 (both with sums in float32) and
    float64; mixed ones promote as ``mx.result_type`` says. A batch or a number
    of channels of zero is allowed. Gradients of any order, ``mx.vmap``,
    ``mx.compile`` and ``mx.checkpoint`` work with all arguments; compiled with
    ``shapeless=True``, ``"same"`` and ``output_size`` keep the numbers that
    they stood for when the function was traced.

    Args:
        input (array): Input of shape ``(N, H, W, C_in)``.
        weight (array): Kernel of shape ``(C_out, KH, KW, C_in/groups)``.
        stride (int or tuple(int)): Distance between the copies of the kernel.
            An int holds for both axes, here and below. Default: ``1``.
        padding (int, tuple or str): How much of the result is cut off. Per
            axis an int for both ends or a pair ``(low, high)``; ``"same"``
            makes ``out = in*stride``, with the odd element at the high end;
            ``"valid"`` is ``0``. Default: ``0``.
        dilation (int or tuple(int)): Distance between the taps of the kernel.
            Default: ``1``.
        output_padding (int or tuple(int)): How much the result is larger at
            its high end; less than the stride or the dilation. Default: ``0``.
        groups (int): Number of groups of channels; divides both ``C_in`` and
            ``C_out``. Default: ``1``.
        bias (array, optional): Added to the result, of shape ``(C_out,)``.
        output_size (int or tuple(int), optional): The spatial size wanted,
            one of the ``stride`` sizes per axis that ``output_padding`` can
            give; it chooses ``output_padding``.
        stream (Stream or Device, optional): Where to run.

    Returns:
        array: The result, of shape ``(N, H_out, W_out, C_out)``.

    Raises:
        ValueError: If a shape, a dtype or a number breaks a rule; the message
            names the rule and the values.
        TypeError: If an argument is not of a type listed above.

    Equivalent to ``mx.conv_transpose2d(input, weight, stride, padding,
    dilation, output_padding, groups) + bias``, which has one padding per
    axis. The weight's axes are MLX's; PyTorch's ``(C_in, C_out/groups, KH,
    KW)`` for ``groups=1`` becomes this one by ``transpose(1, 2, 3, 0)``.

    Source: Zeiler et al., "Deconvolutional Networks", CVPR 2010; the sizes as
    in Dumoulin and Visin, "A guide to convolution arithmetic for deep
    learning", 2016. Computed by phases: each output position reads only the
    taps that reach it, so no inserted zero is multiplied.

    Example:
        >>> x, w = mx.ones((1, 16, 16, 64)), mx.ones((32, 4, 4, 64))
        >>> mlx_convt.conv_transpose2d(x, w, stride=2, padding=1).shape
        (1, 32, 32, 32)
        >>> mlx_convt.conv_transpose2d(x, w, 2, 1, output_size=33).shape
        (1, 33, 33, 32)
    """
    return _conv_transpose(
        2,
        input,
        weight,
        stride,
        padding,
        dilation,
        output_padding,
        groups,
        bias,
        output_size,
        stream,
    )


def conv_transpose3d(
    input: mx.array,
    weight: mx.array,
    /,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    output_padding: Ints = 0,
    groups: int = 1,
    *,
    bias: mx.array | None = None,
    output_size: Ints | None = None,
    stream: StreamOrDevice = None,
) -> mx.array:
    """3D transposed convolution over an input with several channels.

    The gradient of a convolution with respect to its input, as an operation
    of its own. Every input position spreads a copy of the kernel; per axis::

        y[n, i*stride - low + k*dilation, o] += x[n, i, c] * w[o, k, c]
        out = (in - 1)*stride - (low + high) + dilation*(K - 1)
              + output_padding + 1

    The arguments, the dtypes and the errors are those of
    :func:`conv_transpose2d`, with three spatial axes.

    Args:
        input (array): Input of shape ``(N, D, H, W, C_in)``.
        weight (array): Kernel of shape ``(C_out, KD, KH, KW, C_in/groups)``.
        stride (int or tuple(int)): Distance between the copies of the kernel.
            An int holds for all axes, here and below. Default: ``1``.
        padding (int, tuple or str): How much of the result is cut off. Per
            axis an int for both ends or a pair ``(low, high)``; ``"same"``
            makes ``out = in*stride``; ``"valid"`` is ``0``. Default: ``0``.
        dilation (int or tuple(int)): Distance between the taps of the kernel.
            Default: ``1``.
        output_padding (int or tuple(int)): How much the result is larger at
            its high end. Default: ``0``.
        groups (int): Number of groups of channels. Default: ``1``.
        bias (array, optional): Added to the result, of shape ``(C_out,)``.
        output_size (int or tuple(int), optional): The spatial size wanted; it
            chooses ``output_padding``.
        stream (Stream or Device, optional): Where to run.

    Returns:
        array: The result, of shape ``(N, D_out, H_out, W_out, C_out)``.

    Equivalent to ``mx.conv_transpose3d``, plus the bias.

    Example:
        >>> x, w = mx.ones((1, 4, 8, 8, 64)), mx.ones((32, 2, 2, 2, 64))
        >>> mlx_convt.conv_transpose3d(x, w, stride=2).shape
        (1, 8, 16, 16, 32)
    """
    return _conv_transpose(
        3,
        input,
        weight,
        stride,
        padding,
        dilation,
        output_padding,
        groups,
        bias,
        output_size,
        stream,
    )


def _conv_transpose(
    rank: int,
    input: mx.array,
    weight: mx.array,
    stride: Ints,
    padding: Padding,
    dilation: Ints,
    output_padding: Ints,
    groups: int,
    bias: mx.array | None,
    output_size: Ints | None,
    stream: StreamOrDevice,
) -> mx.array:
    if output_size is None and not native.active():
        result = _ext.plain_call(
            rank,
            input,
            weight,
            stride,
            padding,
            dilation,
            output_padding,
            groups,
            bias,
            stream,
        )
        if result is not None:
            return result
    name = f"conv_transpose{rank}d"
    check_array(name, "input", input)
    check_array(name, "weight", weight)
    if bias is not None:
        check_array(name, "bias", bias)
    check_stream(name, stream)
    window = read_window(
        name,
        rank,
        input.shape,
        weight.shape,
        stride,
        padding,
        dilation,
        output_padding,
        groups,
        output_size,
    )
    build = native.conv_transpose if native.active() else _ext.conv_transpose
    return build(input, weight, bias, *window, stream)
