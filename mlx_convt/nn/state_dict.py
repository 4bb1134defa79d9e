"""A PyTorch state dictionary into an MLX model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from mlx_convt._arguments import error, wrong_kind
from mlx_convt.nn.layers import check_module
from mlx_convt.porting import as_array, from_torch

_NAME = "load_torch"
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
# torch.nn.utils.weight_norm's names, and those of its parametrizations:
# the magnitude, the direction.
_WEIGHT_NORMS = (
    ("weight_g", "weight_v"),
    ("parametrizations.weight.original0", "parametrizations.weight.original1"),
)


def load_torch(
    model: nn.Module, state_dict: Mapping[str, Any], strict: bool = True
) -> nn.Module:
    """Load a PyTorch module's state dictionary into an MLX model.

    Names are those of the MLX model, but that PyTorch has no ``layers`` in the
    paths of an ``nn.Sequential``. What has another layout is brought into
    MLX's: weights of transposed convolutions by :func:`mlx_convt.from_torch`
    with the layer's own groups, weights of ``mlx.nn``'s convolutions by moving
    the channels behind the kernel, those of ``Bilinear`` by turning its inputs
    round. A weight in the two parts of PyTorch's weight norm is multiplied out,
    ``g * v / norm(v)``; no other parametrization is known, nor a second one on
    top. All other values must have the shape of the MLX model's parameters.
    They keep their dtype, whatever the parameters had.

    ``mlx.nn.GroupNorm`` computes what PyTorch's does only with
    ``pytorch_compatible=True``.

    Args:
        model (mlx.nn.Module): The model, with layers of :mod:`mlx_convt.nn` or
            ``mlx.nn``.
        state_dict (dict): Names and values as ``module.state_dict()`` has
            them; the values may be tensors, numpy or MLX arrays, such as
            ``mx.load`` reads from a safetensors file.
        strict (bool): Whether a parameter without a value and a value without
            a parameter are errors; ``num_batches_tracked`` never is. If
            ``False``, both are left out. Default: ``True``.

    Returns:
        mlx.nn.Module: The model, whose parameters are lazy until evaluated.

    Raises:
        ValueError: If names are missing or left over, or a shape differs; the
            message names them. The model is then as it was.
        TypeError: If an argument is not of a type listed above.

    Example:
        >>> model = mlx_convt.nn.ConvTranspose2d(8, 4, 3, groups=2)
        >>> source = torch.nn.ConvTranspose2d(8, 4, 3, groups=2)
        >>> mlx_convt.nn.load_torch(model, source.state_dict())
    """
    check_module(_NAME, model)
    _check_names(state_dict)

    rest = {
        name: value
        for name, value in state_dict.items()
        if name.split(".")[-1] != "num_batches_tracked"
    }
    modules = dict(model.named_modules())
    parameters: dict[str, mx.array] = {}
    tree_flatten(model.parameters(), destination=parameters)
    loaded: list[tuple[str, mx.array]] = []
    missing = []
    for path, parameter in parameters.items():
        name = _torch_name(path, modules)
        value = _take(rest, name)
        if value is None:
            missing.append(name)
            continue
        owner, _, leaf = path.rpartition(".")
        layer = modules.get(owner) if leaf == "weight" else None
        wanted = _torch_shape(parameter.shape, layer)
        if value.shape != wanted:
            rule = f"{name} must have the shape {wanted} in PyTorch"
            raise error(_NAME, rule, f"shape {value.shape}")
        loaded.append((path, _in_mlx_layout(value, layer)))
    if strict and (missing or rest):
        raise error(
            _NAME,
            "every parameter must have a value, and every value a parameter",
            f"no value for {', '.join(missing) or 'none'}, "
            f"no parameter for {', '.join(rest) or 'none'}",
        )
    return model.load_weights(loaded, strict=False)


def _torch_name(path: str, modules: Mapping[str, nn.Module]) -> str:
    """The name without the ``layers`` that MLX's Sequential puts into it."""
    parts = path.split(".")
    return ".".join(
        part
        for i, part in enumerate(parts)
        if part != "layers"
        or not isinstance(modules.get(".".join(parts[:i])), nn.Sequential)
    )


def _take(rest: dict[str, Any], name: str) -> mx.array | None:
    """The value of this name, no longer in the rest, or None."""
    if name in rest:
        return as_array(_NAME, name, rest.pop(name))
    owner, dot, leaf = name.rpartition(".")
    for magnitude, direction in _WEIGHT_NORMS:
        names = owner + dot + magnitude, owner + dot + direction
        if leaf == "weight" and all(part in rest for part in names):
            g, v = (as_array(_NAME, part, rest.pop(part)) for part in names)
            return _weight_norm(names, g, v)
    return None


def _weight_norm(names: tuple[str, str], g: mx.array, v: mx.array) -> mx.array:
    # One magnitude, or one for each index of the axis that the norm leaves out.
    axes = [
        i for i in range(v.ndim) if g.ndim == 0 or g.shape[i : i + 1] == (1,)
    ]
    kept = tuple(1 if i in axes else n for i, n in enumerate(v.shape))
    if g.ndim and (g.shape != kept or len(axes) < v.ndim - 1):
        rule = (
            f"{names[0]} must have 1 entry, or on one axis those of {names[1]}"
        )
        raise error(_NAME, rule, f"shapes {g.shape} and {v.shape}")
    narrow = v.dtype in (mx.float16, mx.bfloat16)
    wide = v.astype(mx.float32) if narrow else v
    norm = mx.sqrt(mx.sum(wide * wide, axis=axes, keepdims=True))
    return (wide * (g.astype(wide.dtype) / norm)).astype(v.dtype)


def _torch_shape(
    shape: tuple[int, ...], layer: nn.Module | None
) -> tuple[int, ...]:
    if isinstance(layer, _TRANSPOSED):
        c_out, *kernel, group_in = shape
        groups = getattr(layer, "groups", 1)
        return (group_in * groups, c_out // groups, *kernel)
    if isinstance(layer, _CONVOLUTIONS):
        return (shape[0], shape[-1], *shape[1:-1])
    if isinstance(layer, nn.Bilinear):
        return (shape[0], shape[2], shape[1])
    return shape


def _in_mlx_layout(value: mx.array, layer: nn.Module | None) -> mx.array:
    if isinstance(layer, _TRANSPOSED):
        return from_torch(value, getattr(layer, "groups", 1))
    if isinstance(layer, _CONVOLUTIONS):
        return mx.moveaxis(value, 1, -1)
    if isinstance(layer, nn.Bilinear):
        return value.swapaxes(1, 2)
    return value


def _check_names(state_dict: object) -> None:
    if not isinstance(state_dict, Mapping):
        rule = "state_dict must be a mapping of names to arrays"
        raise wrong_kind(_NAME, rule, state_dict)
    for name in state_dict:
        if not isinstance(name, str):
            rule = "the names in state_dict must be strings"
            raise error(_NAME, rule, repr(name), TypeError)
