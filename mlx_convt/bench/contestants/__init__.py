"""Who takes part in the benchmark, and what each of them needs.

The modules beside this one are imported in a contestant's own process only.
Each has ``variants(task)``: the ways in which the library could run the task,
operands already in the library's own layout and weights prepared where it has
a form for that. The quickest variant is the one that counts.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import dataclass

FLOATS = frozenset({"float32"})
HALVES = frozenset({"float16", "bfloat16"})


@dataclass(frozen=True)
class Contestant:
    """An implementation, and how to come by it."""

    name: str
    code: str
    distribution: str
    modules: tuple[str, ...]
    install: str
    dtypes: frozenset[str] = FLOATS
    gradients: bool = False
    single_threaded: bool = False

    def missing(self) -> bool:
        return any(
            importlib.util.find_spec(module) is None for module in self.modules
        )

    def version(self) -> str:
        return importlib.metadata.version(self.distribution)


def _peer(
    name: str,
    modules: tuple[str, ...],
    distribution: str,
    install: str,
    dtypes: frozenset[str] = FLOATS,
    gradients: bool = False,
) -> Contestant:
    return Contestant(
        name=name,
        code=f"{__name__}.{name}",
        distribution=distribution,
        modules=modules,
        install=f"pip install {install}",
        dtypes=dtypes,
        gradients=gradients,
    )


OURS = Contestant(
    name="ours",
    code=f"{__name__}.ours",
    distribution="mlx-convt",
    modules=(),
    install="",
    dtypes=FLOATS | HALVES | {"float64"},
    gradients=True,
)

BUILTIN = Contestant(
    name="built-in",
    code=f"{__name__}.builtin",
    distribution="mlx",
    modules=(),
    install="",
    dtypes=FLOATS | HALVES,
    gradients=True,
    single_threaded=True,
)

PEERS = (
    _peer(
        "torch",
        ("torch",),
        "torch",
        "torch==2.13.0",
        dtypes=FLOATS | HALVES | {"float64"},
        gradients=True,
    ),
    _peer(
        "onnxruntime",
        ("onnxruntime", "onnx"),
        "onnxruntime",
        "onnxruntime onnx",
    ),
    _peer("openvino", ("openvino",), "openvino", "openvino"),
    _peer("ncnn", ("ncnn",), "ncnn", "ncnn"),
    _peer(
        "litert",
        ("ai_edge_litert", "flatbuffers"),
        "ai-edge-litert",
        "ai-edge-litert flatbuffers",
    ),
    _peer("jax", ("jax",), "jax", "jax", gradients=True),
)
