"""PyTorch: both memory formats, and oneDNN's prepared weights."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

from mlx_convt.bench.contestants.task import (
    Array,
    Task,
    Variant,
    channels_first,
    channels_last,
    from_input_major,
    input_major,
)

torch: Any = importlib.import_module("torch")


def variants(task: Task) -> Iterator[Variant]:
    torch.set_num_threads(task.threads)
    dtype = getattr(torch, task.dtype)
    groups = task.layer.groups

    def tensor(array: Array) -> Any:
        return torch.from_numpy(array).to(dtype)

    x = tensor(channels_first(task.x))
    w = tensor(input_major(task.w, groups))
    cotangent = tensor(channels_first(task.cotangent))
    for name, memory_format in (
        ("NCHW", torch.contiguous_format),
        ("channels last", torch.channels_last),
    ):
        arrays = [
            array.clone().contiguous(memory_format=memory_format)
            for array in (x, w, cotangent)
        ]
        if task.gradients:
            call = _forward_and_gradients(task, *arrays)
            yield Variant(name, call, lambda r: _gradients(r, groups))
        else:
            yield Variant(name, _forward(task, *arrays[:2]), _output)
    prepared = torch.backends.mkldnn.is_available() and hasattr(
        torch.ops.mkldnn, "_reorder_convolution_transpose_weight"
    )
    if prepared and not task.gradients and task.dtype == "float32":
        yield Variant("prepared weights", _prepared(task, x, w), _output)


def _forward(task: Task, x: Any, w: Any) -> Callable[[], Any]:
    arguments = task.layer.arguments

    def call() -> Any:
        with torch.inference_mode():
            return torch.nn.functional.conv_transpose2d(x, w, **arguments)

    return call


def _forward_and_gradients(
    task: Task, x: Any, w: Any, cotangent: Any
) -> Callable[[], Any]:
    arguments = task.layer.arguments
    x.requires_grad_()
    w.requires_grad_()

    def call() -> Any:
        y = torch.nn.functional.conv_transpose2d(x, w, **arguments)
        return torch.autograd.grad(y, (x, w), cotangent)

    return call


def _prepared(task: Task, x: Any, w: Any) -> Callable[[], Any]:
    """What `torch.compile` makes of a frozen model on a CPU."""
    layer = task.layer
    window = (
        list(layer.padding),
        list(layer.output_padding),
        list(layer.stride),
        list(layer.dilation),
        layer.groups,
    )
    operations = torch.ops.mkldnn
    x = x.contiguous(memory_format=torch.channels_last)
    w = operations._reorder_convolution_transpose_weight(
        w, *window, list(x.shape)
    )

    def call() -> Any:
        with torch.inference_mode():
            return operations._convolution_transpose_pointwise(
                x, w, None, *window, "none", [], ""
            )

    return call


def _array(tensor: Any) -> Array:
    wide = tensor.detach()
    if wide.dtype in (torch.float16, torch.bfloat16):
        wide = wide.float()
    array: Array = wide.contiguous().numpy()
    return array


def _output(y: Any) -> list[Array]:
    return [channels_last(_array(y))]


def _gradients(gradients: Any, groups: int) -> list[Array]:
    x_grad, w_grad = map(_array, gradients)
    return [channels_last(x_grad), from_input_major(w_grad, groups)]
