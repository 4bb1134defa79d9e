"""What the figures were measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx
import numpy as np

import mlx_convt
from mlx_convt import _ext
from mlx_convt.compare.timing import evaluation_ms


@dataclass(frozen=True)
class Machine:
    """Hardware, versions, and the fixed cost of an evaluation."""

    processor: str
    cpus: int
    system: str
    mlx_convt: str
    mlx: str
    python: str
    numpy: str
    instruction_set: str
    threads: int
    algorithm: str
    evaluation_ms: float
    device: str  # "CPU", or the name of the GPU

    def heading(self, dtype: str) -> list[str]:
        software = f"Python {self.python}, NumPy {self.numpy}"
        both = f"mlx_convt {self.mlx_convt} and MLX {self.mlx}"
        return [
            f"{both}, {self.device}, {dtype}",
            f"{self.processor}, {self.cpus} CPUs, {self.system}, {software}",
        ]

    def lines(self, dtype: str) -> list[str]:
        threads = f"{self.threads} thread" + "s" * (self.threads > 1)
        if self.algorithm != "auto":
            threads += f", algorithm {self.algorithm}"
        cost = f"An mx.eval of one element costs {self.evaluation_ms:.3f} ms"
        ours = f"ours: {self.instruction_set}, {threads}; built-in: one thread"
        if self.device != "CPU":
            ours = f"ours: {_ext.gpu_kernels} kernels; built-in: MLX's own"
        return [
            *self.heading(dtype),
            ours,
            f"{cost}; every time below contains it.",
        ]


def describe(device: mx.Device | mx.DeviceType = mx.cpu) -> Machine:
    """This machine, for figures that are measured on `device`."""
    return Machine(
        processor=_processor(),
        cpus=_cpus(),
        system=f"{platform.system()} {platform.machine()}",
        mlx_convt=mlx_convt.__version__,
        mlx=importlib.metadata.version("mlx"),
        python=platform.python_version(),
        numpy=np.__version__,
        instruction_set=_ext.instruction_set(),
        threads=_ext.num_threads(),
        algorithm=os.environ.get("MLX_CONVT_ALGORITHM") or "auto",
        evaluation_ms=evaluation_ms(),
        device="CPU"
        if device == mx.cpu
        else str(mx.device_info(device)["device_name"]),
    )


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    elif platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        found = subprocess.run(
            command, check=False, capture_output=True, text=True
        )
        if found.returncode == 0:
            return found.stdout.strip()
    return platform.processor() or "unknown processor"
