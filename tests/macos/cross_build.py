"""Build the extension for macOS on Linux, and check it against MLX's wheel.

Usage: cross_build.py [--work DIR]    DIR is kept, and a second run is faster.

Compiles and links with ziglang, with stand-ins for the headers and frameworks
that only Apple's SDK has, then asks extension_check.py. Host code that MLX's
headers for macOS reject, or whose symbols a Mac would not find, fails here.
Nothing is run, and the kernels' Metal text is not looked at.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import nanobind
from extension_check import LIBOBJC, check_load_commands, check_symbols
from mach_o import Binary, read

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
MACOS = "14.0"


def run(*command: str | Path, **environment: str) -> None:
    # CMake and Ninja are where pip puts them, beside this Python.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **environment}
    done = subprocess.run(command, env=environment, check=False)
    if done.returncode:
        sys.exit(f"Failed: {' '.join(map(str, command))}")


def pinned_mlx() -> str:
    found = re.search(
        r'"mlx==([0-9.]+)"', (ROOT / "pyproject.toml").read_text()
    )
    if found is None:
        sys.exit("pyproject.toml does not pin mlx.")
    return found[1]


def mlx_for_macos(version: str, work: Path) -> Path:
    wheels = work / f"mlx-{version}"
    site = wheels / "site"
    if not site.exists():
        run(
            *(sys.executable, "-m", "pip", "download", "-q", "--no-deps"),
            *("--only-binary=:all:", "-d", wheels),
            *("--platform", f"macosx_{MACOS.replace('.', '_')}_arm64"),
            *(f"mlx=={version}", f"mlx-metal=={version}"),
        )
        for wheel in wheels.glob("*.whl"):
            zipfile.ZipFile(wheel).extractall(wheels / "unfinished")
        (wheels / "unfinished").rename(site)
    return site / "mlx"


def text_stub(
    library: str, symbols: Iterable[str], brought: Iterable[str] = ()
) -> str:
    def quoted(names: Iterable[str]) -> str:
        return ", ".join(f"'{name}'" for name in names)

    return f"""--- !tapi-tbd
tbd-version: 4
targets: [ arm64-macos ]
install-name: {quoted([library])}
reexported-libraries:
  - targets: [ arm64-macos ]
    libraries: [ {quoted(brought)} ]
exports:
  - targets: [ arm64-macos ]
    symbols: [ {quoted(symbols)} ]
"""


def write_frameworks(libmlx: Binary, folder: Path) -> None:
    """Stubs to link, with exactly what libmlx.dylib takes from each."""
    taken: dict[str, list[str]] = {lib: [] for lib in libmlx.libraries}
    for name, library in libmlx.imports.items():
        taken.setdefault(library, []).append(name)
    for library in libmlx.libraries:
        if not library.startswith("/System/Library/Frameworks/"):
            continue
        name = library.rpartition("/")[2]
        # Foundation brings the Objective-C runtime along, as in Apple's SDK.
        brought = [LIBOBJC] if name == "Foundation" else []
        text = text_stub(library, taken[library], brought)
        for other in brought:
            text += text_stub(other, taken[other])
        stub = folder / f"{name}.framework" / f"{name}.tbd"
        stub.parent.mkdir(parents=True, exist_ok=True)
        stub.write_text(text + "...\n")


def build(mlx: Path, frameworks: Path, work: Path) -> Path:
    folder = work / "build"
    cache = str(work / "zig")
    compiler = f"{sys.executable};{HERE / 'zig_cxx.py'}"
    compile_flags = f"-target aarch64-macos.{MACOS} -isystem {HERE / 'stubs'}"
    # Zig cannot leave only Python's symbols open, so extension_check does. Its
    # own libc++, linked in, would hide what is taken from Apple's.
    link_flags = f"-undefined dynamic_lookup -nostdlib++ -F{frameworks}"
    run(
        *("cmake", "-S", ROOT, "-B", folder, "-G", "Ninja"),
        f"-DCMAKE_TOOLCHAIN_FILE={HERE / 'toolchain.cmake'}",
        f"-DCMAKE_CXX_COMPILER={compiler}",
        f"-DCMAKE_CXX_FLAGS={compile_flags}",
        f"-DCMAKE_MODULE_LINKER_FLAGS={link_flags}",
        f"-DPython_EXECUTABLE={sys.executable}",
        f"-DMLX_DIR_PY={mlx}",
        "-DMLX_CONVT_WERROR=ON",
        ZIG_GLOBAL_CACHE_DIR=cache,
        ZIG_LOCAL_CACHE_DIR=cache,
    )
    run(
        *("cmake", "--build", folder),
        ZIG_GLOBAL_CACHE_DIR=cache,
        ZIG_LOCAL_CACHE_DIR=cache,
    )
    (extension,) = folder.glob("_ext*.so")
    return extension


def allowed_python_symbols() -> set[str]:
    # With this list nanobind tells Apple's linker what may stay undefined.
    listed = Path(nanobind.cmake_dir()) / "darwin-ld-cpython.sym"
    return set(re.findall(r"^-U (\S+)$", listed.read_text(), re.MULTILINE))


def cross_build(work: Path) -> None:
    mlx = mlx_for_macos(pinned_mlx(), work)
    libmlx = read(mlx / "lib" / "libmlx.dylib")
    write_frameworks(libmlx, work / "frameworks")
    extension = read(build(mlx, work / "frameworks", work))
    counts, errors = check_symbols(extension, libmlx, allowed_python_symbols())
    errors += check_load_commands(extension, libmlx)
    print(f"{extension.arch}, macOS {extension.macos}")
    for rpath in extension.rpaths:
        print("looks in", rpath)
    for library in extension.libraries:
        print("links", library)
    for name, count in counts.most_common():
        print(f"{count:5d} symbols of {name}")
    if errors:
        sys.exit("\n".join(f"ERROR: {error}" for error in errors))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Build for macOS on Linux.")
    parser.add_argument("--work", type=Path, help="a folder to work in, kept")
    arguments = parser.parse_args()
    if arguments.work:
        arguments.work.mkdir(parents=True, exist_ok=True)
        cross_build(arguments.work.resolve())
    else:
        with tempfile.TemporaryDirectory() as folder:
            cross_build(Path(folder).resolve())
