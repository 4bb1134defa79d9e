"""From MLX's layers to ours, in a model that exists."""

from __future__ import annotations

from dataclasses import dataclass, field

import mlx.nn as nn

from mlx_convt.nn.layers import (
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    check_module,
    read_window,
)

_OURS: dict[type[nn.Module], type[nn.Module]] = {
    nn.ConvTranspose1d: ConvTranspose1d,
    nn.ConvTranspose2d: ConvTranspose2d,
    nn.ConvTranspose3d: ConvTranspose3d,
}


@dataclass(frozen=True)
class Report:
    """What :func:`convert` did.

    Attributes:
        converted (list(str)): Paths of the layers that are now ours, such as
            ``"decoder.layers.0"``; ``""`` is the model itself.
        left (dict(str, str)): Paths of the transposed convolutions that stayed
            as they were, and why.
    """

    converted: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)

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
        if self.left:
            count = len(self.left)
            lines.append(
                "1 layer left as it was"
                if count == 1
                else f"{count} layers left as they were"
            )
            lines += [
                f"{entry(path)}: {why}" for path, why in self.left.items()
            ]
        return "\n".join(lines)


def convert(model: nn.Module) -> Report:
    """Turn MLX's transposed convolutions in a model into ours, in place.

    Every layer that is exactly an ``mlx.nn.ConvTranspose1d``, ``2d`` or ``3d``
    gets the class of that name in ``mlx_convt.nn``. It stays the same object,
    so parameters, frozen ones, the training mode, an optimizer's state and
    other references to the layer stay as they are; the model itself may be
    such a layer.

    A subclass keeps its class, since it may compute something else. So does a
    layer that :func:`mlx_convt.conv_transpose2d` would refuse, with a negative
    padding for instance. Functions that ``mx.compile`` has traced before stay
    as they were. Transposed convolutions that a model calls as functions are
    reached by :func:`mlx_convt.patch`.

    Args:
        model (mlx.nn.Module): The model, or a single layer.

    Returns:
        Report: The paths of the layers converted, and of those left with the
        reason; ``print`` shows it.

    Raises:
        TypeError: If ``model`` is not an ``mlx.nn.Module``.

    Example:
        >>> model = nn.Sequential(nn.ConvTranspose2d(8, 4, 4, 2, 1), nn.ReLU())
        >>> print(mlx_convt.nn.convert(model))
        1 layer converted
          layers.0
    """
    check_module("convert", model)
    report = Report()
    # MLX walks with a stack; reversed, layers come in their order.
    for path, module in reversed(model.named_modules()):
        if type(module) in _OURS:
            mistake = _mistake(module)
            if mistake is None:
                module.__class__ = _OURS[type(module)]
                module.groups = 1
                report.converted.append(path)
            else:
                report.left[path] = mistake
        elif isinstance(module, tuple(_OURS)) and not isinstance(
            module, tuple(_OURS.values())
        ):
            kind = type(module)
            name = f"{kind.__module__}.{kind.__qualname__}"
            report.left[path] = f"subclass {name}, which patch() may reach"
    return report


def _mistake(layer: nn.Module) -> str | None:
    """Why ours would refuse to compute what this layer of MLX's computes."""
    try:
        read_window(
            type(layer).__name__,
            layer.weight.ndim - 2,
            layer.stride,
            layer.padding,
            layer.dilation,
            layer.output_padding,
        )
    except (TypeError, ValueError) as error:
        return str(error)
    return None
