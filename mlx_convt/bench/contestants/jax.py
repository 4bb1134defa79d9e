"""JAX: a compiled convolution of the dilated input, in both layouts."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from mlx_convt.bench.contestants.task import (
    Array,
    Task,
    Variant,
    channels_first,
    channels_last,
)

jax: Any = importlib.import_module("jax")

# Weight layouts, and their axes in MLX's.
_WEIGHTS = {"NHWC": ("HWIO", (1, 2, 3, 0)), "NCHW": ("OIHW", (0, 3, 1, 2))}


def variants(task: Task) -> Iterator[Variant]:
    for layout in _WEIGHTS:
        yield _variant(task, layout)


def _variant(task: Task, layout: str) -> Variant:
    layer = task.layer
    weights, axes = _WEIGHTS[layout]
    reach = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel)]
    padding = [
        (r - p, r - p + extra)
        for r, p, extra in zip(reach, layer.padding, layer.output_padding)
    ]

    def apply(x: Any, w: Any) -> Any:
        return jax.lax.conv_general_dilated(
            x,
            w,
            window_strides=(1, 1),
            padding=padding,
            lhs_dilation=layer.stride,
            rhs_dilation=layer.dilation,
            dimension_numbers=(layout, weights, layout),
            feature_group_count=layer.groups,
        )

    def forward_and_gradients(x: Any, w: Any, cotangent: Any) -> Any:
        y, pullback = jax.vjp(apply, x, w)
        return y, pullback(cotangent)

    def image(array: Array) -> Any:
        return jax.numpy.array(
            array if layout == "NHWC" else channels_first(array)
        )

    def from_image(array: Any) -> Array:
        plain = np.asarray(array)
        return plain if layout == "NHWC" else channels_last(plain)

    # A transposed convolution is a convolution with the mirrored kernel.
    mirrored = task.w[:, ::-1, ::-1].transpose(axes)
    w = jax.numpy.array(np.ascontiguousarray(mirrored))
    x = image(task.x)
    if not task.gradients:
        forward = jax.jit(apply)
        return Variant(
            layout,
            lambda: forward(x, w).block_until_ready(),
            lambda y: [from_image(y)],
        )

    compiled = jax.jit(forward_and_gradients)
    cotangent = image(task.cotangent)

    def results(arrays: Any) -> list[Array]:
        _, (x_grad, w_grad) = arrays
        back = np.asarray(w_grad).transpose(np.argsort(axes))
        return [
            from_image(x_grad),
            np.ascontiguousarray(back[:, ::-1, ::-1]),
        ]

    return Variant(
        layout,
        lambda: jax.block_until_ready(compiled(x, w, cotangent)),
        results,
    )
