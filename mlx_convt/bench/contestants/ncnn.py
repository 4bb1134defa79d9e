"""ncnn: constant weights, float32 throughout, packed or plain channels.

It has no batches; the images run one by one.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mlx_convt.bench.contestants.task import (
    Array,
    Task,
    Variant,
    channels_first,
    channels_last,
)

ncnn: Any = importlib.import_module("ncnn")

_OFF = (
    "use_bf16_packed",
    "use_bf16_storage",
    "use_fp16_arithmetic",
    "use_fp16_packed",
    "use_fp16_storage",
    "use_vulkan_compute",
)


def variants(task: Task) -> Iterator[Variant]:
    net = _net(task)
    images = channels_first(task.x)
    c = task.layer.in_channels
    for pack in (1, 4, 8, 16):
        if c % pack == 0:
            mats = [
                ncnn.convert_packing(ncnn.Mat(image).clone(), pack, net.opt)
                for image in images
            ]
            yield _variant(task, net, mats, f"channels by {pack}")


def _variant(task: Task, net: Any, mats: list[Any], name: str) -> Variant:
    _, *spatial, c_out = task.layer.output_shape

    def call() -> list[Any]:
        outputs = []
        for mat in mats:
            extractor = net.create_extractor()
            extractor.input("x", mat)
            # 1: leave the channels packed as they are.
            _, y = extractor.extract("y", 1)
            outputs.append(y)
        return outputs

    def results(outputs: list[Any]) -> list[Array]:
        plain = [np.array(ncnn.convert_packing(y, 1, net.opt)) for y in outputs]
        y = np.stack([image.reshape(c_out, *spatial) for image in plain])
        return [channels_last(y)]

    return Variant(name, call, results)


def _net(task: Task) -> Any:
    layer = task.layer
    w = np.ascontiguousarray(task.w.transpose(0, 3, 1, 2))
    kind = "Deconvolution" if layer.groups == 1 else "DeconvolutionDepthWise"
    values = {
        0: layer.out_channels,
        (1, 11): layer.kernel,
        (2, 12): layer.dilation,
        (3, 13): layer.stride,
        (4, 14): layer.padding,  # left, top
        (15, 16): layer.padding,  # right, bottom
        (18, 19): layer.output_padding,
        6: w.size,
    }
    if layer.groups > 1:
        values[7] = layer.groups
    text = []
    for key, value in values.items():
        if isinstance(key, tuple) and isinstance(value, tuple):
            # ncnn names the width first.
            text += [f"{k}={v}" for k, v in zip(key, reversed(value))]
        else:
            text.append(f"{key}={value}")

    net = ncnn.Net()
    net.opt.num_threads = task.threads
    for option in _OFF:
        if hasattr(net.opt, option):
            setattr(net.opt, option, False)
    with tempfile.TemporaryDirectory() as folder:
        graph, weights = Path(folder, "net.param"), Path(folder, "net.bin")
        graph.write_text(
            f"7767517\n2 2\nInput x 0 1 x\n{kind} y 1 1 x y {' '.join(text)}\n",
            encoding="ascii",
        )
        # Four zero bytes: plain float32 follows.
        weights.write_bytes(bytes(4) + w.tobytes())
        if net.load_param(str(graph)) or net.load_model(str(weights)):
            raise RuntimeError("ncnn cannot load the layer")
    return net
