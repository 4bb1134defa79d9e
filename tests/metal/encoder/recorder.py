"""Builds kernels/metal/eval.cpp for a device that only records, and calls it.

The headers in `include` stand in for those that MLX has on Macs alone; all else
is MLX's own, and what ships.
"""

import ctypes
import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path

import library
import mlx.core as mx
from compilation import compile_all, digest, link, run, texts_of, whole
from helpers import CONTRACTIONS, DTYPES
from needs import missing

HERE = Path(__file__).parent
PROJECT = (library.ROOT / "pyproject.toml").read_text()
VERSION = re.search(r'^version = "(.*)"', PROJECT, re.MULTILINE).group(1)
FLAGS = [*library.HOST_FLAGS, f'-DMLX_CONVT_VERSION="{VERSION}"']
UNLIMITED = 2**63 - 1


class Operand(ctypes.Structure):
    """CallOperand of call.h."""

    _fields_ = [
        ("rank", ctypes.c_int64),
        ("shape", ctypes.c_int64 * 5),
        ("values", ctypes.c_void_p),
        ("misalign", ctypes.c_int64),
        ("is_row_contiguous", ctypes.c_int64),
    ]


class Call(ctypes.Structure):
    """Call of call.h."""

    _fields_ = [
        ("contraction", ctypes.c_int64),
        ("rank", ctypes.c_int64),
        *(
            (name, ctypes.c_int64 * 3)
            for name in (
                "stride",
                "padding_lo",
                "padding_hi",
                "dilation",
                "output_padding",
            )
        ),
        ("groups", ctypes.c_int64),
        ("dtype", ctypes.c_int64),
        ("operand_count", ctypes.c_int64),
        ("operands", Operand * 3),
        ("generation", ctypes.c_int64),
        ("most_threads", ctypes.c_int64),
        ("most_bytes", ctypes.c_int64),
        ("refused", ctypes.c_char_p),
    ]


@dataclass(frozen=True)
class Behaviour:
    """How the device is to behave."""

    generation: int = 13
    most_threads: int = 1024
    most_bytes: int = UNLIMITED
    refused: str = ""


@dataclass(frozen=True)
class Array:
    """An operand: its shape, and its bytes in the GPU's memory if any."""

    shape: tuple
    values: object = None
    misalign: int = 0
    is_row_contiguous: bool = True


def call_of(contraction, geometry, dtype, arrays, behaviour):
    low, high = zip(*geometry.padding)
    operands = [
        Operand(
            len(array.shape),
            array.shape,
            None if array.values is None else array.values.ctypes.data,
            array.misalign,
            array.is_row_contiguous,
        )
        for array in arrays
    ]
    return Call(
        CONTRACTIONS.index(contraction),
        geometry.rank,
        geometry.stride,
        low,
        high,
        geometry.dilation,
        geometry.output_padding,
        geometry.groups,
        DTYPES.index(dtype),
        len(operands),
        tuple(operands),
        behaviour.generation,
        behaviour.most_threads,
        behaviour.most_bytes,
        behaviour.refused.encode(),
    )


def mlx_folder():
    """Of the installed package, with headers and its library."""
    folder = Path(mx.__file__).parent
    for file in ("lib/libmlx.so", "include/mlx/array.h"):
        if not (folder / file).exists():
            missing("emulator", f"mlx has no {file}: pip install 'mlx[cpu]'")
    return folder


class Recorder:
    """eval_gpu of `kernels`; runs what it encodes with those of `using`."""

    def __init__(self, using, kernels=library.KERNELS):
        mlx = mlx_folder()
        flags = [
            *FLAGS,
            f"-I{HERE / 'include'}",
            f"-I{kernels}",
            *("-isystem", mlx / "include"),
        ]
        headers = [
            (mlx / "include/mlx/version.h").read_text(),
            *texts_of(*kernels.rglob("*.h")),
            *texts_of(*HERE.rglob("*.h"), *HERE.rglob("*.hpp")),
            *texts_of(
                HERE.parent / "emulator/runtime.h",
                HERE.parent / "runner/registry.h",
            ),
        ]
        sources = [
            kernels / "metal/eval.cpp",
            kernels / "primitive.cpp",
            *sorted(HERE.glob("*.cpp")),
        ]
        folder = using.folder
        jobs = [
            (
                flags,
                file,
                folder / f"{digest(FLAGS, file.read_text(), *headers)}.o",
            )
            for file in sources
        ]
        compile_all(jobs)
        objects = [to for _, _, to in jobs]
        built = folder / f"{digest(map(str, [*objects, *using.objects]))}.so"
        if not built.exists():
            # Of an archive the linker takes what is missing, so not the runner.
            archive = built.with_suffix(".a")
            with whole(archive) as partial:
                run(["ar", "rcs", partial, *using.host_objects])
            compiled = using.objects[len(using.host_objects) :]
            objects += [*compiled, archive, mlx / "lib/libmlx.so"]
            link(objects, built)
        self.handle = ctypes.CDLL(str(built))
        for function in ("eval", "compile", "execute", "text"):
            getattr(self.handle, f"call_{function}").restype = ctypes.c_char_p

    def eval(self, contraction, geometry, dtype, arrays, behaviour):
        """What a device that behaves so was told, as a dict."""
        posed = call_of(contraction, geometry, dtype, arrays, behaviour)
        return json.loads(self.handle.call_eval(ctypes.byref(posed)))

    def execute(self, result):
        """Run the last call in the emulator, into an array; the errors."""
        to = result.ctypes.data_as(ctypes.c_void_p)
        return self.handle.call_execute(to).decode()

    def compile_all(self):
        return json.loads(self.handle.call_compile())

    def text(self, name):
        return self.handle.call_text(name.encode()).decode()

    def replace_device(self):
        self.handle.call_replace_device()


@functools.cache
def shared():
    """The one Recorder of a test run."""
    return Recorder(library.shared())
