"""OpenVINO: constant weights, float32 throughout, both layouts of images."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from mlx_convt.bench.contestants.task import (
    Array,
    Task,
    Variant,
    channels_first,
    channels_last,
    input_major,
)

# It would send statistics of its use, from a fork of this process. Without this
# module it has a stub for it.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

openvino: Any = importlib.import_module("openvino")
ops: Any = importlib.import_module("openvino.opset13")


def variants(task: Task) -> Iterator[Variant]:
    core = openvino.Core()
    for layout in ("NCHW", "NHWC"):
        last = layout == "NHWC"
        x = task.x if last else channels_first(task.x)
        compiled = core.compile_model(
            _model(task, x.shape, last),
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "f32",
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": task.threads,
                "NUM_STREAMS": 1,
            },
        )
        request = compiled.create_infer_request()
        request.set_input_tensor(openvino.Tensor(x, shared_memory=True))
        yield _variant(layout, request, (x, compiled))


def _variant(layout: str, request: Any, alive: Any) -> Variant:
    def call() -> Any:
        request.infer(share_outputs=True)
        return alive  # The request does not own its input.

    def results(_: Any) -> list[Array]:
        y = np.array(request.get_output_tensor().data)
        return [y if layout == "NHWC" else channels_last(y)]

    return Variant(layout, call, results)


def _model(task: Task, shape: tuple[int, ...], channels_last: bool) -> Any:
    layer = task.layer
    w = input_major(task.w, layer.groups)
    window = {
        "strides": layer.stride,
        "pads_begin": layer.padding,
        "pads_end": layer.padding,
        "dilations": layer.dilation,
        "output_padding": layer.output_padding,
    }
    parameter = ops.parameter(shape, np.float32)
    x = _transpose(parameter, (0, 3, 1, 2)) if channels_last else parameter
    if layer.groups == 1:
        y = ops.convolution_backprop_data(x, ops.constant(w), **window)
    else:
        w = w.reshape(layer.groups, -1, *w.shape[1:])
        y = ops.group_convolution_backprop_data(x, ops.constant(w), **window)
    if channels_last:
        y = _transpose(y, (0, 2, 3, 1))
    return openvino.Model([y], [parameter])


def _transpose(node: Any, axes: tuple[int, ...]) -> Any:
    return ops.transpose(node, np.array(axes, np.int64))
