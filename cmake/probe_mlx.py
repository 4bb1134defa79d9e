"""Find mlx and nanobind for CMake, and refuse a pair that cannot work.

Usage: probe_mlx.py PINNED_MLX_VERSION [MLX_PACKAGE_FOLDER]

Prints "mlx folder;nanobind CMake folder". Reads files only: importing mlx
would load libmlx and, on a Mac, Metal.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path


def package_folder(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"Building mlx_convt needs the Python package {name}.")
    return Path(next(iter(spec.submodule_search_locations)))


def mlx_version(mlx: Path) -> str:
    header = mlx / "include" / "mlx" / "version.h"
    if not header.exists():
        sys.exit(f"{mlx} holds no C++ headers: install mlx[cpu].")
    parts = re.findall(
        r"#define MLX_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", header.read_text()
    )
    return ".".join(parts)


def mlx_internals(mlx: Path) -> str | None:
    """The version of nanobind's shared state that MLX was built with."""
    for module in mlx.glob("core*.so"):
        found = re.search(
            rb"\x00nanobind_[a-z0-9_]+_(a\d+_v\d+)\x00", module.read_bytes()
        )
        if found:
            return found[1].decode()
    return None


def nanobind_internals(nanobind: Path) -> str:
    def define(file: str, name: str) -> str:
        found = re.search(
            rf"#\s*define {name} (\d+)", (nanobind / file).read_text()
        )
        if found is None:
            sys.exit(f"{nanobind / file} does not define {name}.")
        return found[1]

    major = define("include/nanobind/nb_backend.h", "NB_BACKEND_ABI_MAJOR")
    version = define("src/nb_internals.h", "NB_INTERNALS_VERSION")
    return f"a{major}_v{version}"


def main(pin: str, mlx_folder: str = "") -> None:
    mlx = Path(mlx_folder) if mlx_folder else package_folder("mlx")
    nanobind = package_folder("nanobind")

    version = mlx_version(mlx)
    if version != pin:
        sys.exit(
            f"mlx_convt builds against mlx {pin}, but {mlx} is {version}; "
            "MLX's C++ interface changes even between patch releases."
        )
    theirs, ours = mlx_internals(mlx), nanobind_internals(nanobind)
    if theirs != ours:
        sys.exit(
            f"mlx {version} was built with nanobind internals {theirs}, but "
            f"{nanobind} has {ours}; mx.array could not cross between them."
        )
    print(mlx.as_posix(), (nanobind / "cmake").as_posix(), sep=";")


if __name__ == "__main__":
    main(*sys.argv[1:])
