"""Compiles kernels with nvcc into one program, and runs launches with it."""

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from .dump import Buffer, Launch, dump, results

FOLDER = Path(__file__).parent
# ptxas would take half of the time to optimise.
NVCC = ["nvcc", "-arch=sm_90", "-std=c++17", "-lineinfo", "-Xptxas=-O0"]
NVCC += ["-Werror=all-warnings", "-Xcompiler=-Wall,-Wextra,-Werror"]
POISON = "255"  # in every byte: NaN in all floating-point types
SANITIZER = ["compute-sanitizer", "--error-exitcode=99", "--tool"]
TOOLS = ("memcheck", "racecheck", "initcheck", "synccheck")


class Specialisation(Protocol):
    """A kernel's name, its whole text, and the macros that this defines."""

    name: str
    text: str
    defines: Mapping[str, str]


def build(specialisations: Iterable[Specialisation], folder: Path) -> Path:
    """The program that runs launches of these kernels, by their names."""
    namespaces = [
        in_namespace(f"specialisation_{i}", each)
        for i, each in enumerate(specialisations)
    ]
    parts = min(os.cpu_count() or 1, len(namespaces))
    paths = [FOLDER / "driver.cu"]
    for part in range(parts):
        path = folder / f"kernels_{part}.cu"
        path.write_text(HEAD + "".join(namespaces[part::parts]))
        paths.append(path)
    objects = [folder / f"{path.stem}.o" for path in paths]
    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(compile_one, paths, objects))
    program = folder / "driver"
    done(["nvcc", "-arch=sm_90", "-o", program, *objects])
    return program


HEAD = """\
#include "prelude.cuh"
bool add_kernel(const char* name, const void* kernel);
"""


def in_namespace(scope: str, specialisation: Specialisation) -> str:
    name = specialisation.name
    return "\n".join(
        [
            f"namespace {scope} {{",
            f'#line 1 "{name}"',
            specialisation.text,
            "static const bool IS_ADDED =",
            f'    add_kernel("{name}", (const void*){name});',
            f"}} // namespace {scope}",
            *(f"#undef {macro}" for macro in specialisation.defines),
            "",
        ]
    )


def compile_one(source: Path, target: Path) -> None:
    done([*NVCC, f"-I{FOLDER}", "-c", source, "-o", target])


def run(
    program: Path,
    buffers: Sequence[Buffer],
    launches: Sequence[Launch],
    tool: str | None = None,
) -> dict[str, bytes]:
    """The writable buffers by name; under a tool of compute-sanitizer too."""
    launches_path = program.with_suffix(".launches")
    results_path = program.with_suffix(".results")
    launches_path.write_bytes(dump(buffers, launches))
    command = [program, launches_path, results_path]
    if tool != "initcheck":
        command.append(POISON)
    if tool is not None:
        command = [*SANITIZER, tool, *command]
    done(command)
    return results(buffers, results_path.read_bytes())


def done(command: Sequence[str | Path]) -> None:
    finished = subprocess.run(
        command,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert finished.returncode == 0, finished.stdout
