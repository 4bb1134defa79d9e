"""Transposed convolution for MLX: complete, and fast on the CPU."""

import pkgutil as _pkgutil

from mlx_convt import _guard

# Python started in a checkout finds this folder before the installed package;
# there the compiled module is, so look in both.
__path__ = _pkgutil.extend_path(__path__, __name__)

_guard.check_mlx()
__version__: str = _guard.check_extension().__version__

from mlx_convt import nn
from mlx_convt.native import native_ops
from mlx_convt.ops import (
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from mlx_convt.patching import patch
from mlx_convt.porting import from_torch, to_torch

__all__ = [
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "from_torch",
    "native_ops",
    "nn",
    "patch",
    "to_torch",
]
