"""From MLX's layers to ours, in a model that exists."""

from __future__ import annotations

from dataclasses import dataclass, field

import mlx.core as mx
import mlx.nn as nn

from mlx_convt._arguments import mlx_cuts_more
from mlx_convt.nn.layers import (
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    check_module,
    layer_window,
)

_OURS: dict[type[nn.Module], type[nn.Module]] = {
    nn.ConvTranspose1d: ConvTranspose1d,
    nn.ConvTranspose2d: ConvTranspose2d,
    nn.ConvTranspose3d: ConvTranspose3d,
}


@dataclass(frozen=True)
class ConversionReport:
    """What :func:`convert` did.

    Attributes:
        converted (list(str)): Paths of the layers that are now ours, such as
            ``"decoder.layers.0"``; ``""`` is the model itself.
        skipped (dict(str, str)): Paths of the transposed convolutions that
            stayed as they were, and why.
    """

    converted: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        def entry(path: str) -> str:
            return f"  {path or '(the model)'}"

        count = len(self.converted)
        lines = [
            f"{count} layer{'s' if count > 1 else ''} converted"
            if count
            else "no layer to convert"
        ]
        lines += map(entry, self.converted)
        if self.skipped:
            count = len(self.skipped)
            lines.append(f"{count} layer{'s' if count > 1 else ''} skipped")
            lines += [
                f"{entry(path)}: {why}" for path, why in self.skipped.items()
            ]
        return "\n".join(lines)


def convert(model: nn.Module) -> ConversionReport:
    """Turn MLX's transposed convolutions in a model into ours, in place.

    Every layer that is exactly an ``mlx.nn.ConvTranspose1d``, ``2d`` or ``3d``
    gets the class of that name in ``mlx_convt.nn``. It stays the same object,
    so parameters, frozen ones, the training mode, an optimizer's state and
    other references to the layer stay as they are; the model itself may be
    such a layer.

    A subclass keeps its class, since it may compute something else. So does a
    layer that ours would refuse, with a negative padding for instance, or
    compute otherwise: what a padding has above ``dilation*(K - 1)`` MLX cuts
    off ``stride`` times. What ``model.named_modules()`` does not find, in a
    tuple for instance, is not found here. Functions that ``mx.compile`` has
    traced before stay as they were. Transposed convolutions that a model calls
    as functions are reached by :func:`mlx_convt.patch`.

    Args:
        model (mlx.nn.Module): The model, or a single layer.

    Returns:
        ConversionReport: The paths of the layers converted, and of those
        skipped with the reason; ``print`` shows it.

    Raises:
        TypeError: If ``model`` is not an ``mlx.nn.Module``.

    Example:
        >>> model = nn.Sequential(nn.ConvTranspose2d(8, 4, 4, 2, 1), nn.ReLU())
        >>> print(mlx_convt.nn.convert(model))
        1 layer converted
          layers.0
    """
    check_module("convert", model)
    report = ConversionReport()
    # MLX walks with a stack; reversed, layers come in their order.
    for path, module in reversed(model.named_modules()):
        if type(module) in _OURS:
            mistake = _mistake(module)
            if mistake is None:
                module.__class__ = _OURS[type(module)]
                module.groups = 1
                report.converted.append(path)
            else:
                report.skipped[path] = mistake
        elif isinstance(module, tuple(_OURS)) and not isinstance(
            module, tuple(_OURS.values())
        ):
            name = f"{type(module).__module__}.{type(module).__qualname__}"
            reason = f"subclass {name}, which patch() may reach"
            report.skipped[path] = reason
    return report


def _mistake(layer: nn.Module) -> str | None:
    """Why ours would not compute what this layer of MLX's computes."""
    try:
        return _difference(layer)
    except (AttributeError, TypeError, ValueError) as error:
        return str(error)


def _difference(layer: nn.Module) -> str | None:
    name, weight = type(layer).__name__, layer.get("weight")
    if weight is None:
        return f"[{name}] the layer has no weight."
    for what, array in (("weight", weight), ("bias", layer.get("bias"))):
        if array is not None and not mx.issubdtype(array.dtype, mx.floating):
            rule = f"{what} must be of floating point"
            return f"[{name}] {rule}. Got {array.dtype}."
    c_out, *kernel, _ = weight.shape
    if "bias" in layer and layer.bias.shape != (c_out,):
        rule = "bias must have one value per output channel"
        return f"[{name}] {rule}. Got bias {layer.bias.shape}."
    window = layer.stride, layer.padding, layer.dilation
    layer_window(name, len(kernel), *window, layer.output_padding)
    if mlx_cuts_more(kernel, *window):
        return (
            f"[{name}] padding must be at most dilation*(kernel_size - 1), or "
            f"MLX cuts off more. Got padding {layer.padding}, "
            f"kernel_size {tuple(kernel)}, dilation {layer.dilation}."
        )
    return None
