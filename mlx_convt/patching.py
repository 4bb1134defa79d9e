"""Our operations under MLX's names, for models that call those."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import mlx.core as mx

from mlx_convt import _ext, ops
from mlx_convt._arguments import mlx_cuts_more

_OURS: dict[str, Callable[..., mx.array]] = {
    "conv_transpose1d": ops.conv_transpose1d,
    "conv_transpose2d": ops.conv_transpose2d,
    "conv_transpose3d": ops.conv_transpose3d,
}


class Patch:
    """What :func:`patch` returns: a context, and something to undo."""

    def __init__(self) -> None:
        self._used = False  # by a block; the first one is begun by patch()

    def undo(self) -> None:
        """Take this patch back; once it is, do nothing."""
        with _lock:
            _remove(self, everywhere=True)

    def __enter__(self) -> Patch:  # noqa: PYI034, Self is of Python 3.11
        with _lock:
            if self._used or self not in _patches:
                _add(self)
            self._used = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with _lock:
            _remove(self, everywhere=False)


def patch() -> Patch:
    """Put our operations in the place of MLX's own, as a monkeypatch.

    From this call on, ``mx.conv_transpose1d``, ``2d`` and ``3d`` are those of
    ``mlx_convt``, and so is what ``mlx.nn``'s layers call: models by others run
    unchanged. It ends with the ``with`` block, or with ``undo()`` of what is
    returned; of several patches, with the last.

    The results are MLX's to within rounding. A call that ``mlx_convt`` refuses
    and MLX takes, such as a negative padding, still goes to MLX. So does one
    whose result has another shape there, since MLX cuts off ``stride`` times
    what a padding has above ``dilation*(K - 1)``; and one for a GPU for which
    this build has no kernels. Neither is any faster then.

    It holds for the whole process, all threads included. It does not reach a
    name imported before (``from mlx.core import conv_transpose2d``), functions
    that ``mx.compile`` has traced before, and transposed convolutions written
    with ``mx.conv_general``.

    Returns:
        Patch: To be used in a ``with`` statement, or to be undone.

    Example:
        >>> with mlx_convt.patch():
        ...     y = model(x)
        >>> patch = mlx_convt.patch()
        >>> patch.undo()
    """
    handle = Patch()
    with _lock:
        _add(handle)
    return handle


_lock = threading.Lock()
_patches: list[Patch] = []  # one entry for each block that holds
_before: dict[str, Callable[..., mx.array]] = {
    name: getattr(mx, name) for name in _OURS
}


def _add(handle: Patch) -> None:
    if not _patches:
        for name, function in _STAND_INS.items():
            # Somebody may have put back one that they met under a patch.
            if getattr(mx, name) is not function:
                _before[name] = getattr(mx, name)
            setattr(mx, name, function)
    _patches.append(handle)


def _remove(handle: Patch, everywhere: bool) -> None:
    if handle not in _patches:
        return
    _patches.remove(handle)
    if everywhere:
        _patches[:] = [other for other in _patches if other is not handle]
    if _patches:
        return
    for name, function in _before.items():
        # What somebody else put there since is not ours to take away.
        if getattr(mx, name) is _STAND_INS[name]:
            setattr(mx, name, function)


def _stand_in(
    name: str, builtin: Callable[..., mx.array]
) -> Callable[..., mx.array]:
    ours = _OURS[name]

    @functools.wraps(ours)
    def function(
        input: mx.array,
        weight: mx.array,
        /,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        *rest: Any,
        **more: Any,
    ) -> mx.array:
        def call(operation: Callable[..., mx.array]) -> mx.array:
            window = stride, padding, dilation
            return operation(input, weight, *window, *rest, **more)

        # Whoever kept this name while a patch held still has it afterwards.
        if not _patches:
            return call(builtin)
        if _ext.gpu_kernels == "none" and _on_gpu(more.get("stream")):
            return call(builtin)
        try:
            result = call(ours)
        except ValueError as refusal:
            # A wrong setting, and what MLX does not survive.
            if "MLX_CONVT_" in str(refusal) or "] groups " in str(refusal):
                raise
            try:
                return call(builtin)
            except (OverflowError, TypeError, ValueError):
                # Of the two errors, the one that names function and values.
                raise refusal from None
        if mlx_cuts_more(weight.shape[1:-1], stride, padding, dilation):
            with contextlib.suppress(OverflowError, TypeError, ValueError):
                return call(builtin)
        return result

    return function


def _on_gpu(stream: Any) -> bool:
    where = mx.default_device() if stream is None else stream
    return bool(getattr(where, "device", where) == mx.gpu)


# The built-in is what MLX has when this is imported.
_STAND_INS = {name: _stand_in(name, _before[name]) for name in _OURS}
