"""ONNX Runtime: a ConvTranspose node with constant weights, bound arrays."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from mlx_convt.bench.contestants.task import (
    Task,
    Variant,
    channels_first,
    channels_last,
    input_major,
)

onnx: Any = importlib.import_module("onnx")
onnxruntime: Any = importlib.import_module("onnxruntime")

# Old enough for every release of ONNX Runtime that is still around.
_OPSET = 17
_IR_VERSION = 8


def variants(task: Task) -> Iterator[Variant]:
    x = channels_first(task.x)
    n, h, w, c = task.layer.output_shape
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = task.threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        _model(task, x.shape, (n, c, h, w)).SerializeToString(),
        options,
        providers=["CPUExecutionProvider"],
    )
    output = onnxruntime.OrtValue.ortvalue_from_numpy(
        np.zeros((n, c, h, w), np.float32)
    )
    binding = session.io_binding()
    binding.bind_ortvalue_input(
        "x", onnxruntime.OrtValue.ortvalue_from_numpy(x)
    )
    binding.bind_ortvalue_output("y", output)

    yield Variant(
        "NCHW",
        lambda: session.run_with_iobinding(binding),
        lambda _: [channels_last(output.numpy())],
    )


def _model(
    task: Task, input_shape: tuple[int, ...], output_shape: tuple[int, ...]
) -> Any:
    layer, helper = task.layer, onnx.helper
    node = helper.make_node(
        "ConvTranspose",
        ["x", "w"],
        ["y"],
        kernel_shape=layer.kernel,
        strides=layer.stride,
        pads=layer.padding + layer.padding,
        output_padding=layer.output_padding,
        dilations=layer.dilation,
        group=layer.groups,
    )
    graph = helper.make_graph(
        [node],
        "conv_transpose",
        [helper.make_tensor_value_info("x", 1, input_shape)],
        [helper.make_tensor_value_info("y", 1, output_shape)],
        [onnx.numpy_helper.from_array(input_major(task.w, layer.groups), "w")],
    )
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )
