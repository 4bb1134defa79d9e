"""Compiled part of mlx_convt; use the functions of mlx_convt."""

from collections.abc import Sequence

import mlx.core

built_for_mlx: str = ...

gpu_kernels: str = ...

array_registered: bool = ...

def conv_transpose(
    input: mlx.core.array,
    weight: mlx.core.array,
    bias: mlx.core.array | None,
    stride: Sequence[int],
    padding_lo: Sequence[int],
    padding_hi: Sequence[int],
    dilation: Sequence[int],
    output_padding: Sequence[int],
    groups: int,
    stream: mlx.core.Stream
    | mlx.core.ThreadLocalStream
    | mlx.core.Device
    | mlx.core.DeviceType
    | None = ...,
) -> mlx.core.array: ...
def plain_call(
    rank: int,
    input: object | None,
    weight: object | None,
    stride: object | None,
    padding: object | None,
    dilation: object | None,
    output_padding: object | None,
    groups: object | None,
    bias: object | None,
    stream: object | None,
) -> mlx.core.array | None:
    """conv_transpose for arguments of the usual forms; None for any other."""

def output_shape(
    input: mlx.core.array,
    weight: mlx.core.array,
    bias: mlx.core.array | None,
    stride: Sequence[int],
    padding_lo: Sequence[int],
    padding_hi: Sequence[int],
    dilation: Sequence[int],
    output_padding: Sequence[int],
    groups: int,
) -> list[int]:
    """Check a call as conv_transpose does; return the output's shape."""

def algorithms() -> list[str]:
    """Names of the CPU algorithms, in the order in which they are tried."""

def eligible(
    contraction: str,
    algorithm: str,
    input: mlx.core.array,
    weight: mlx.core.array,
    stride: Sequence[int],
    padding_lo: Sequence[int],
    padding_hi: Sequence[int],
    dilation: Sequence[int],
    output_padding: Sequence[int],
    groups: int,
) -> bool:
    """Whether an algorithm can run a contraction of this call."""

def compile_gpu_kernels() -> list[str]:
    """Names of the GPU's functions, all compiled; none without kernels."""

def num_threads() -> int: ...
def instruction_set() -> str: ...
def instruction_sets() -> list[str]:
    """Names of those that this processor can run, best first."""

def blas_why_not() -> str:
    """What `blas` is missing; empty where it has a CBLAS."""

def peak_flops(float64: bool = ...) -> float:
    """
    Multiplications and additions per second of fused multiply-adds in
    registers, on all threads.
    """

def stream_seconds(read_bytes: int, write_bytes: int) -> float:
    """Least time to read and write so many bytes once, on all threads."""
