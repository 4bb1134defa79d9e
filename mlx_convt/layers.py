"""Transposed convolutions of published networks, to measure and to test on."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlx_convt.reference import output_size

# One or two of every kind; the built-in needs a minute for them together.
COMPARED = frozenset(
    {
        "dcgan_g1",
        "dcgan_g4",
        "dcgan_g5",
        "pix2pix_up1",
        "sam_up1",
        "hifigan_v1_up1",
        "istft_1024_256",
        "fcn32s_upscore",
        "centernet_dla_dw_f2",
        "kokoro_pool_dw",
        "gtcrn_dw_dil5",
        "dbnet_out",
    }
)

# One layer of most kinds, a few seconds in all.
QUICK = frozenset(
    {
        "dcgan_g1",
        "pix2pix_up1",
        "centernet_dla_dw_f2",
        "kokoro_pool_dw",
        "gtcrn_dw_dil5",
        "dbnet_out",
    }
)


@dataclass(frozen=True)
class Layer:
    """One call of `conv_transpose2d`, and where it is found."""

    name: str
    source: str
    batch: int
    spatial: tuple[int, ...]
    in_channels: int
    out_channels: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...] = (0, 0)
    output_padding: tuple[int, ...] = (0, 0)
    dilation: tuple[int, ...] = (1, 1)
    groups: int = 1

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.batch, *self.spatial, self.in_channels)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        per_group = self.in_channels // self.groups
        return (self.out_channels, *self.kernel, per_group)

    @property
    def output_shape(self) -> tuple[int, ...]:
        out = output_size(
            self.spatial,
            self.kernel,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            output_padding=self.output_padding,
        )
        return (self.batch, *out, self.out_channels)

    @property
    def arguments(self) -> dict[str, tuple[int, ...] | int]:
        """Keyword arguments of the call beside the two arrays."""
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "output_padding": self.output_padding,
            "groups": self.groups,
        }

    @property
    def flops(self) -> int:
        """Useful operations of one contraction, cropped taps included."""
        pixels = self.batch * math.prod(self.spatial)
        return 2 * pixels * math.prod(self.weight_shape)

    @property
    def label(self) -> str:
        """Such as ``32x16x16x128 -> 64, k4 s2``."""
        parts = [f"k{_by(self.kernel)}", f"s{_by(self.stride)}"]
        if max(self.dilation) > 1:
            parts.append(f"d{_by(self.dilation)}")
        if self.groups > 1:
            parts.append(f"g{self.groups}")
        shape = "x".join(map(str, self.input_shape))
        return f"{shape} -> {self.out_channels}, {' '.join(parts)}"


def load(path: Path | None = None) -> list[Layer]:
    """The layers of a JSON file; without one, those of this package.

    The file is a list of objects with the keys ``name``, ``source``, ``N``,
    ``H``, ``W``, ``C_in``, ``C_out``, ``KH``, ``KW``, ``stride``, ``padding``,
    ``output_padding``, ``dilation`` (two ints each) and ``groups``. Audio
    layers have ``H`` of 1: MLX's gradients of ``conv_transpose1d`` can take
    70 times as long as those of the same call in two dimensions.
    """
    path = path or Path(__file__).with_name("layers.json")
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"{path} must hold a list of layers.")
    layers = []
    for index, entry in enumerate(entries):
        try:
            layers.append(_layer(entry))
        except (KeyError, TypeError, ValueError) as error:
            reason = f"lacks {error}" if isinstance(error, KeyError) else error
            raise ValueError(f"{path}, layer {index}: {reason}") from error
    if len({layer.name for layer in layers}) < len(layers):
        raise ValueError(f"{path}: two layers have the same name.")
    return layers


def _layer(entry: Mapping[str, Any]) -> Layer:
    spatial = _ints(entry, "H", "W")
    kernel = _ints(entry, "KH", "KW")
    per_axis = {
        key: _pair(entry, key, least)
        for key, least in (
            ("stride", 1),
            ("padding", 0),
            ("dilation", 1),
            ("output_padding", 0),
        )
    }
    batch, c_in, c_out, groups = _ints(entry, "N", "C_in", "C_out", "groups")
    layer = Layer(
        name=str(entry["name"]),
        source=str(entry["source"]),
        batch=batch,
        spatial=spatial,
        in_channels=c_in,
        out_channels=c_out,
        kernel=kernel,
        groups=groups,
        **per_axis,
    )
    if c_in % groups or c_out % groups:
        raise ValueError(
            f"groups must divide C_in and C_out. Got {groups}, {c_in}, {c_out}."
        )
    if min(layer.output_shape) < 1:
        raise ValueError(
            f"the output must not be empty. Got {layer.output_shape}."
        )
    return layer


def _ints(entry: Mapping[str, Any], *keys: str) -> tuple[int, ...]:
    return _checked([entry[key] for key in keys], ", ".join(keys), 1)


def _pair(entry: Mapping[str, Any], key: str, least: int) -> tuple[int, ...]:
    values = list(entry[key])
    if len(values) != 2:
        raise ValueError(f"{key} must be two ints. Got {entry[key]}.")
    return _checked(values, key, least)


def _checked(values: Iterable[Any], what: str, least: int) -> tuple[int, ...]:
    values = tuple(values)
    if not all(type(v) is int and v >= least for v in values):
        raise ValueError(
            f"{what} must be ints of at least {least}. Got {values}."
        )
    return values


def _by(values: tuple[int, ...]) -> str:
    if len(set(values)) == 1:
        return str(values[0])
    return "x".join(map(str, values))
