"""Transposed convolutions of published networks, to measure and to test on."""

from __future__ import annotations

import json
import math
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

    The file is a list of objects with the keys ``name``, ``N``, ``H``, ``W``,
    ``C_in``, ``C_out``, ``KH``, ``KW``, ``stride``, ``padding``,
    ``output_padding``, ``dilation`` (two ints each), ``groups`` and, if you
    like, ``source``. Audio layers have ``H`` of 1: MLX's gradients of
    ``conv_transpose1d`` can take 70 times as long as those of the same call in
    two dimensions.
    """
    path = path or Path(__file__).with_name("layers.json")
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}.") from error
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}.") from error
    if not isinstance(entries, list) or not entries:
        raise ValueError(
            f"{path} must hold a list of layers. Got {_show(entries)}."
        )
    layers: list[Layer] = []
    for index, entry in enumerate(entries):
        try:
            layer = _layer(entry)
            if layer.name in (other.name for other in layers):
                raise ValueError(
                    "name must not be that of another layer."
                    f" Got {_show(layer.name)}."
                )
        except ValueError as error:
            name = entry.get("name") if isinstance(entry, dict) else None
            called = f" ({name})" if name and isinstance(name, str) else ""
            raise ValueError(
                f"{path}, layer {index}{called}: {error}"
            ) from error
        layers.append(layer)
    return layers


_SIZES = ("N", "H", "W", "C_in", "C_out", "KH", "KW", "groups")
_PAIRS = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1}
_REQUIRED = ("name", *_SIZES, *_PAIRS)
_OPTIONAL = ("source",)

# Dimensions of MLX's arrays are 32-bit integers.
_MOST = 2**31 - 1


def _layer(entry: Any) -> Layer:
    if type(entry) is not dict:
        raise ValueError(f"a layer must be an object. Got {_show(entry)}.")
    for key in _REQUIRED:
        if key not in entry:
            raise ValueError(
                f"{key} is missing; required are {', '.join(_REQUIRED)}."
            )
    for key, value in entry.items():
        _check(key, value)
    sizes = {key: entry[key] for key in _SIZES}
    groups, c_in, c_out = (sizes[key] for key in ("groups", "C_in", "C_out"))
    if c_in % groups or c_out % groups:
        raise ValueError(
            f"groups must divide C_in and C_out. Got {groups}, {c_in}, {c_out}."
        )
    pairs = {key: tuple(entry[key]) for key in _PAIRS}
    extra, stride = pairs["output_padding"], pairs["stride"]
    dilation = pairs["dilation"]
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation)):
        raise ValueError(
            "output_padding must be smaller than stride or dilation. Got"
            f" {list(extra)}, {list(stride)}, {list(dilation)}."
        )
    layer = Layer(
        name=entry["name"],
        source=entry.get("source", ""),
        batch=sizes["N"],
        spatial=(sizes["H"], sizes["W"]),
        in_channels=c_in,
        out_channels=c_out,
        kernel=(sizes["KH"], sizes["KW"]),
        groups=groups,
        **pairs,
    )
    out = list(layer.output_shape[1:-1])
    if not all(1 <= size <= _MOST for size in out):
        raise ValueError(
            f"the output must have from 1 to {_MOST} pixels per axis. Got {out}."
        )
    return layer


def _check(key: str, value: Any) -> None:
    """Whether the value of a key has the right type and range."""
    if key in ("name", "source"):
        rule = "must be a text"
        ok = isinstance(value, str) and (key != "name" or value != "")
        if key == "name":
            rule += " that is not empty"
    elif key in _SIZES:
        rule = f"must be an int from 1 to {_MOST}"
        ok = _is_int(value, 1)
    elif key in _PAIRS:
        least = _PAIRS[key]
        rule = f"must be a list of two ints from {least} to {_MOST}"
        ok = isinstance(value, list) and len(value) == 2
        ok = ok and all(_is_int(one, least) for one in value)
    else:
        rule = f"is not one of {', '.join((*_REQUIRED, *_OPTIONAL))}"
        ok = False
    if not ok:
        raise ValueError(f"{key} {rule}. Got {_show(value)}.")


def _is_int(value: Any, least: int) -> bool:
    return type(value) is int and least <= value <= _MOST


def _show(value: Any) -> str:
    """As in the file, or its beginning."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _by(values: tuple[int, ...]) -> str:
    if len(set(values)) == 1:
        return str(values[0])
    return "x".join(map(str, values))
