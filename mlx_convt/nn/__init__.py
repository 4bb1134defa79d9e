"""Layers for ``mlx.nn`` models, and ways to bring them into a model."""

from mlx_convt.nn.conversion import ConversionReport, convert
from mlx_convt.nn.layers import (
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from mlx_convt.nn.state_dict import load_torch

__all__ = [
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "ConversionReport",
    "convert",
    "load_torch",
]
