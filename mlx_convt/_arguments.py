"""From the forms an argument may take to one integer per spatial axis.

Checked here is what an argument by itself must be: its type, its length, its
range, where Python's integers may exceed C++'s. Rules about shapes, dtypes and
several arguments are C++'s, and so are shapes of the wrong rank.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import mlx.core as mx

Ints: TypeAlias = int | Sequence[int]
Padding: TypeAlias = (
    int | Sequence[int | Sequence[int]] | Literal["same", "valid"]
)
# MLX's alias of this name exists in its stubs only.
StreamOrDevice: TypeAlias = (
    mx.Stream | mx.ThreadLocalStream | mx.Device | mx.DeviceType | None
)


class Window(NamedTuple):
    """The attributes of a call, in the order in which ``_ext`` takes them."""

    stride: list[int]
    padding_lo: list[int]
    padding_hi: list[int]
    dilation: list[int]
    output_padding: list[int]
    groups: int


def check_array(name: str, what: str, value: object) -> None:
    if not isinstance(value, mx.array):
        raise wrong_kind(name, f"{what} must be an mlx.core.array", value)


def check_stream(name: str, stream: object) -> None:
    kinds = (mx.Stream, mx.ThreadLocalStream, mx.Device, mx.DeviceType)
    if stream is not None and not isinstance(stream, kinds):
        rule = "stream must be an MLX stream or device, or None"
        raise error(name, rule, f"stream {stream!r}", TypeError)


def read_window(
    name: str,
    rank: int,
    input_shape: Sequence[int],
    weight_shape: Sequence[int],
    stride: Ints,
    padding: Padding,
    dilation: Ints,
    output_padding: Ints,
    groups: int,
    output_size: Ints | None,
) -> Window:
    strides = read_ints(name, rank, "stride", stride, 1)
    dilations = read_ints(name, rank, "dilation", dilation, 1)
    extra = read_ints(name, rank, "output_padding", output_padding, 0)
    spatial, kernel = input_shape[1:-1], weight_shape[1:-1]
    well_formed = len(spatial) == len(kernel) == rank
    same = isinstance(padding, str) and padding == "same"

    if same and output_size is not None:
        raise error(
            name,
            'output_size must be left out with padding "same"',
            f"output_size {output_size}",
        )
    if any(extra) and (same or output_size is not None):
        chosen = 'padding "same"' if same else "output_size"
        raise error(
            name,
            f"output_padding must be left out with {chosen}",
            f"output_padding {tuple(extra)}",
        )
    if not same:
        lo, hi = read_padding(name, rank, padding)
    elif well_formed:
        lo, hi, extra = _same(kernel, strides, dilations)
    else:
        lo, hi = [0] * rank, [0] * rank
    if output_size is not None:
        wanted = read_ints(name, rank, "output_size", output_size, 1)
        if well_formed:
            axes = zip(spatial, strides, dilations, kernel, lo, hi, strict=True)
            least = [
                (i - 1) * s + d * (k - 1) + 1 - p - q
                for i, s, d, k, p, q in axes
            ]
            extra = _extra(name, wanted, least, strides)
    count = read_int(name, "groups", groups)
    _check_range(name, "groups", [count], 1, count)
    return Window(strides, lo, hi, dilations, extra, count)


def mlx_cuts_more(
    kernel: Sequence[int], stride: Any, padding: Any, dilation: Any
) -> bool:
    """Whether MLX's own cuts off more than the padding, of valid arguments.

    What a padding has above dilation*(K - 1) it cuts off stride times.
    """
    if isinstance(padding, str):
        return False
    rank = len(kernel)
    ends = _as_list(padding, rank) if _is_int(padding) else padding
    axes = zip(kernel, _as_list(stride, rank), _as_list(dilation, rank), ends)
    return any(
        s > 1 and max(_as_list(pair, 2)) > d * (k - 1) for k, s, d, pair in axes
    )


def _same(
    kernel: Sequence[int], strides: list[int], dilations: list[int]
) -> tuple[list[int], list[int], list[int]]:
    """Both paddings and the output padding that give in * stride."""
    surplus = [
        d * (k - 1) + 1 - s
        for k, s, d in zip(kernel, strides, dilations, strict=True)
    ]
    lo = [max(n, 0) // 2 for n in surplus]
    hi = [max(n, 0) - p for n, p in zip(surplus, lo, strict=True)]
    return lo, hi, [max(-n, 0) for n in surplus]


def _extra(
    name: str, wanted: list[int], least: list[int], strides: list[int]
) -> list[int]:
    """The output padding that makes `least`, the size without it, `wanted`."""
    most = [n + s - 1 for n, s in zip(least, strides, strict=True)]
    inside = zip(least, wanted, most, strict=True)
    if not all(a <= n <= b for a, n, b in inside):
        raise error(
            name,
            f"output_size must lie between {tuple(least)} and {tuple(most)}",
            f"output_size {tuple(wanted)}",
        )
    return [n - m for n, m in zip(wanted, least, strict=True)]


def read_int(name: str, what: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        got = f"{what} {value!r}"
        raise error(name, f"{what} must be an int", got, TypeError) from None


def read_ints(
    name: str, rank: int, what: str, value: Any, least: int
) -> list[int]:
    def wrong(kind: type[Exception]) -> Exception:
        rule = f"{what} must be an int or {_count(rank)}"
        return error(name, rule, f"{what} {value!r}", kind)

    try:
        values = _as_list(value, rank)
    except TypeError:
        raise wrong(TypeError) from None
    if len(values) != rank:
        raise wrong(ValueError)
    _check_range(name, what, values, least, tuple(values))
    return values


def read_padding(
    name: str, rank: int, value: Any
) -> tuple[list[int], list[int]]:
    def wrong(kind: type[Exception]) -> Exception:
        rule = (
            f"padding must be an int, {_count(rank)} or (low, high) pairs, "
            '"same" or "valid"'
        )
        return error(name, rule, f"padding {value!r}", kind)

    if isinstance(value, str):
        if value != "valid":
            raise wrong(ValueError)
        return [0] * rank, [0] * rank
    try:
        entries = [value] * rank if _is_int(value) else list(value)
        pairs = [_as_list(entry, 2) for entry in entries]
    except TypeError:
        raise wrong(TypeError) from None
    if len(pairs) != rank or any(len(pair) != 2 for pair in pairs):
        raise wrong(ValueError)
    lo, hi = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    for values in (lo, hi):
        _check_range(name, "padding", values, 0, tuple(values))
    return lo, hi


def _as_list(value: Any, length: int) -> list[int]:
    """The entries of a sequence; an int stands for `length` of itself."""
    if _is_int(value):
        return [operator.index(value)] * length
    return [operator.index(entry) for entry in value]


def _is_int(value: Any) -> bool:
    try:
        operator.index(value)
    except TypeError:
        return False
    return True


def _check_range(
    name: str, what: str, values: list[int], least: int, shown: object
) -> None:
    if min(values) < least:
        rule = f"{what} must be at least {least}"
    elif max(values) >= 2**31:
        rule = f"{what} must be less than 2^31"
    else:
        return
    raise error(name, rule, f"{what} {shown}")


def _count(rank: int) -> str:
    return f"a sequence of {rank} int{'s' if rank > 1 else ''}"


def error(
    name: str, rule: str, got: str, kind: type[Exception] = ValueError
) -> Exception:
    return kind(f"[{name}] {rule}. Got {got}.")


def wrong_kind(name: str, rule: str, value: object) -> Exception:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    return error(name, rule, kind, TypeError)
