"""Our operations under MLX's names, for models that call those."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

import mlx.core as mx

from mlx_convt import _ext, ops

_OURS: dict[str, Callable[..., mx.array]] = {
    "conv_transpose1d": ops.conv_transpose1d,
    "conv_transpose2d": ops.conv_transpose2d,
    "conv_transpose3d": ops.conv_transpose3d,
}


class Patch(AbstractContextManager["Patch"]):
    """What :func:`patch` returns: a context, and something to undo."""

    def undo(self) -> None:
        """Take this patch back; once it is, do nothing."""
        _remove(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.undo()


def patch() -> Patch:
    """Put our operations in the place of MLX's own.

    From this call on, ``mx.conv_transpose1d``, ``2d`` and ``3d`` are those of
    ``mlx_convt``, and so is what ``mlx.nn``'s layers call: models by others run
    unchanged. It ends with the ``with`` block, or with ``undo()`` of what is
    returned; of several patches, with the last.

    The results are MLX's to within rounding, where MLX's are right. A call that
    ``mlx_convt`` refuses and MLX takes, such as a negative padding, still goes
    to MLX, and so does a call for a GPU for which this build has no kernels.

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
        if not _patches:
            _before.update((name, getattr(mx, name)) for name in _OURS)
            for name, function in _STAND_INS.items():
                setattr(mx, name, function)
        _patches.add(handle)
    return handle


_lock = threading.Lock()
_patches: set[Patch] = set()
_before: dict[str, Callable[..., mx.array]] = {}


def _remove(handle: Patch) -> None:
    with _lock:
        if handle not in _patches:
            return
        _patches.remove(handle)
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
    def function(*args: Any, **kwargs: Any) -> mx.array:
        if _ext.gpu_kernels == "none" and _on_gpu(kwargs.get("stream")):
            return builtin(*args, **kwargs)
        try:
            return ours(*args, **kwargs)
        except ValueError as refusal:
            try:
                return builtin(*args, **kwargs)
            except (TypeError, ValueError):
                # Of the two errors, the one that names function and values.
                raise refusal from None

    return function


def _on_gpu(stream: Any) -> bool:
    where = mx.default_device() if stream is None else stream
    return bool(getattr(where, "device", where) == mx.gpu)


# The built-in is what MLX has when this is imported.
_STAND_INS = {name: _stand_in(name, getattr(mx, name)) for name in _OURS}
