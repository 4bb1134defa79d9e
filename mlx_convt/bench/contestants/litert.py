"""LiteRT with its XNNPACK delegate: one TRANSPOSE_CONV, constant weights.

TRANSPOSE_CONV has no groups, no dilation, and two forms of padding: none, or
what makes the output `stride` times the input, with the smaller part first.
Where ours has the smaller part last, the same operation on mirrored operands
is it, at the same cost.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from mlx_convt.bench.contestants.task import (
    Array,
    NotExpressible,
    Task,
    Variant,
)
from mlx_convt.layers import Layer

flatbuffers: Any = importlib.import_module("flatbuffers")
schema: Any = importlib.import_module("ai_edge_litert.schema_py_generated")
interpreters: Any = importlib.import_module("ai_edge_litert.interpreter")


def variants(task: Task) -> Iterator[Variant]:
    padding, mirrored = express(task.layer)
    flip = (slice(None), *(slice(None, None, -1 if m else 1) for m in mirrored))
    x = np.ascontiguousarray(task.x[flip])
    w = np.ascontiguousarray(task.w[flip])
    interpreter = interpreters.Interpreter(
        model_content=_model(task.layer, w, padding), num_threads=task.threads
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    output = interpreter.get_output_details()[0]["index"]

    def results(_: Any) -> list[Array]:
        return [np.ascontiguousarray(interpreter.get_tensor(output)[flip])]

    yield Variant("NHWC", interpreter.invoke, results)


def express(layer: Layer) -> tuple[str, tuple[bool, ...]]:
    """The form of padding, and which axes to mirror."""
    if layer.groups > 1 or max(layer.dilation) > 1:
        raise NotExpressible("no groups and no dilation")
    padding = list(zip(layer.padding, layer.output_padding, strict=True))
    covered = all(
        k >= s for k, s in zip(layer.kernel, layer.stride, strict=True)
    )
    if covered and all(low == extra == 0 for low, extra in padding):
        return "VALID", (False,) * len(padding)
    mirrored = []
    for (low, extra), k, s in zip(
        padding, layer.kernel, layer.stride, strict=True
    ):
        high = low - extra
        if low + high != k - s or abs(low - high) > 1:
            raise NotExpressible("no such padding")
        mirrored.append(low > high)
    return "SAME", tuple(mirrored)


def _model(layer: Layer, w: Array, padding: str) -> bytes:
    shape = np.array(layer.output_shape, np.int32)
    tensors = [
        _tensor("shape", (4,), schema.TensorType.INT32, 1),
        _tensor("w", w.shape, schema.TensorType.FLOAT32, 2),
        _tensor("x", layer.input_shape, schema.TensorType.FLOAT32, 0),
        _tensor("y", layer.output_shape, schema.TensorType.FLOAT32, 0),
    ]
    options = schema.TransposeConvOptionsT()
    options.padding = getattr(schema.Padding, padding)
    options.strideH, options.strideW = layer.stride
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [0, 1, 2], [3]
    operator.builtinOptionsType = schema.BuiltinOptions.TransposeConvOptions
    operator.builtinOptions = options
    code = schema.OperatorCodeT()
    code.builtinCode = schema.BuiltinOperator.TRANSPOSE_CONV
    code.deprecatedBuiltinCode = schema.BuiltinOperator.TRANSPOSE_CONV
    code.version = 1
    graph = schema.SubGraphT()
    graph.tensors, graph.operators = tensors, [operator]
    graph.inputs, graph.outputs = [2], [3]
    model = schema.ModelT()
    model.version = 3
    model.operatorCodes, model.subgraphs = [code], [graph]
    model.buffers = [_buffer(None), _buffer(shape), _buffer(w)]
    builder = flatbuffers.Builder(w.nbytes + 1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(name: str, shape: tuple[int, ...], kind: int, buffer: int) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape = name, list(shape)
    tensor.type, tensor.buffer = kind, buffer
    return tensor


def _buffer(array: Array | None) -> Any:
    buffer = schema.BufferT()
    if array is not None:
        buffer.data = np.frombuffer(array.tobytes(), np.uint8)
    return buffer
