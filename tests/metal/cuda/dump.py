"""Launches as the driver reads them; driver.cu describes the file."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

OPERANDS = ("first", "second", "bias")


@dataclass(frozen=True)
class Buffer:
    """Memory of the device; of a writable one only the size counts."""

    name: str
    data: bytes
    writable: bool


@dataclass(frozen=True)
class Launch:
    """A kernel and the indices of its buffers, in their order."""

    kernel: str
    grid: tuple[int, int, int]
    threads: int
    arguments: list[int]


def from_plan(
    plan: dict[str, Any], operands: dict[str, bytes], result_bytes: int
) -> tuple[list[Buffer], list[Launch]]:
    """A plan as the host code makes it, on `first`, `second` and `bias`."""
    buffers = [
        *(Buffer(name, operands[name], False) for name in OPERANDS),
        Buffer("result", bytes(result_bytes), True),
    ]
    temporary = len(buffers)
    for size in plan["temporaries"]:
        buffers.append(Buffer(f"buffer {len(buffers)}", bytes(size), True))
    constants = len(buffers)
    for ints in plan["constants"]:
        data = struct.pack(f"<{len(ints)}i", *ints)
        buffers.append(Buffer(f"buffer {len(buffers)}", data, False))
    # In the order of the host code's enum Memory.
    starts = [*range(temporary), temporary, constants]
    launches = [
        Launch(
            launch["name"],
            tuple(launch["grid"]),
            launch["threads"],
            [starts[s["memory"]] + s["index"] for s in launch["slots"]],
        )
        for launch in plan["launches"]
    ]
    return buffers, launches


def dump(buffers: Sequence[Buffer], launches: Sequence[Launch]) -> bytes:
    """The content of the file."""
    parts = [numbers(len(buffers))]
    for buffer in buffers:
        parts += [numbers(buffer.writable), sized(buffer.data)]
    parts.append(numbers(len(launches)))
    for launch in launches:
        parts += [
            sized(launch.kernel.encode()),
            numbers(*launch.grid, launch.threads),
            numbers(len(launch.arguments), *launch.arguments),
        ]
    return b"".join(parts)


def results(buffers: Iterable[Buffer], content: bytes) -> dict[str, bytes]:
    """The writable buffers by name, from what the driver wrote."""
    found = {}
    for buffer in buffers:
        if buffer.writable:
            found[buffer.name] = content[: len(buffer.data)]
            content = content[len(buffer.data) :]
    return found


def numbers(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}Q", *values)


def sized(data: bytes) -> bytes:
    return numbers(len(data)) + data
