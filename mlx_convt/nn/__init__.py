"""Layers for ``mlx.nn`` models, and ways to bring them into a model."""

from mlx_convt.nn.convert import Report, convert
from mlx_convt.nn.layers import (
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from mlx_convt.nn.load_torch import load_torch

__all__ = [
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Report",
    "convert",
    "load_torch",
]
