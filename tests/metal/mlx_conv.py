"""One convolution of MLX's Metal backend, and the work that it makes.

Multiply-adds are those executed: tiles are whole, padded channels and zeros
between dilated pixels are multiplied. Bytes are those of device memory in the
simplest model: a threadgroup reads its rows and its columns once, whatever it
covers twice is read twice, and elementwise kernels read each element once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Work:
    """What one contraction makes the device do."""

    path: str
    multiply_adds: int
    bytes_read: int
    bytes_written: int
    threadgroup_bytes: int
    threads_per_group: int
    groups: int  # threadgroups of the main kernel
    launches: int

    def after(self, *, read: int, written: int, launches: int = 1) -> Work:
        """With smaller kernels around it, such as copies."""
        return replace(
            self,
            bytes_read=self.bytes_read + read,
            bytes_written=self.bytes_written + written,
            launches=self.launches + launches,
        )


@dataclass(frozen=True)
class Conv:
    """One convolution as the backend gets it; no padding is negative."""

    batch: int
    spatial: tuple[int, ...]
    kernel: tuple[int, ...]
    c_in: int
    c_out: int
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    kernel_dilation: tuple[int, ...]
    input_dilation: tuple[int, ...]
    groups: int
    flip: bool
    itemsize: int
    input_strided: bool = False  # not row contiguous
    weight_strided: bool = False

    @property
    def out(self) -> tuple[int, ...]:
        axes = zip(
            self.spatial,
            self.kernel,
            self.stride,
            self.padding,
            self.kernel_dilation,
            self.input_dilation,
        )
        return tuple(
            (f * (i - 1) + sum(p) - d * (k - 1)) // s + 1
            for i, k, s, p, d, f in axes
        )

    @property
    def rows(self) -> int:
        return self.batch * math.prod(self.out)

    @property
    def taps(self) -> int:
        return math.prod(self.kernel)

    @property
    def c_per_group(self) -> int:
        return self.c_in // self.groups

    @property
    def o_per_group(self) -> int:
        return self.c_out // self.groups

    @property
    def input_bytes(self) -> int:
        pixels = self.batch * math.prod(self.spatial)
        return pixels * self.c_in * self.itemsize

    @property
    def weight_bytes(self) -> int:
        return self.c_out * self.taps * self.c_per_group * self.itemsize

    @property
    def output_bytes(self) -> int:
        return self.rows * self.c_out * self.itemsize


def round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
