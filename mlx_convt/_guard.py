"""Refuse to import where the compiled module cannot work, and say why."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

# pyproject.toml's pin; the check of `built_for_mlx` keeps the two equal.
MLX_VERSION = "0.32.4"

_GET_MLX = f"run `pip install 'mlx[cpu]=={MLX_VERSION}'`"
_REINSTALL = "reinstall mlx_convt (in a checkout: `pip install '.[cpu]'`)"


def check_mlx() -> None:
    """Load MLX's library, which the compiled module's symbols come from."""
    try:
        import mlx.core as mx
    except ImportError as error:
        raise ImportError(
            f"mlx_convt cannot import mlx.core ({error}): {_GET_MLX}."
        ) from error
    installed: str = mx.__version__  # type: ignore[attr-defined]
    if installed != MLX_VERSION:
        raise ImportError(
            f"mlx_convt works with mlx {MLX_VERSION} only, because MLX's C++ "
            f"interface changes with every release, but mlx {installed} "
            f"is installed: {_GET_MLX}."
        )


def check_extension() -> ModuleType:
    """Load the compiled module and make sure that it knows mx.array."""
    try:
        extension = import_module("mlx_convt._ext")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"mlx_convt's compiled module is not installed: {_REINSTALL}."
        ) from error
    except ImportError as error:
        raise ImportError(
            f"mlx_convt's compiled module does not load ({error}): "
            f"{_REINSTALL}."
        ) from error
    if extension.built_for_mlx != MLX_VERSION:
        raise ImportError(
            f"mlx_convt's compiled module was built for mlx "
            f"{extension.built_for_mlx}, not {MLX_VERSION}: {_REINSTALL}."
        )
    if not extension.array_registered:
        raise ImportError(
            "mlx_convt's compiled module does not know mx.array, because "
            "nanobind-backend and mlx have different type registries: run "
            f"`pip install 'mlx[cpu]=={MLX_VERSION}' nanobind-backend==1.0.0`."
        )
    return extension
