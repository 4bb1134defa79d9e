"""Whether dyld would find what the extension needs: symbols and libraries.

The proof is libmlx.dylib itself. It exports what MLX and metal-cpp offer, and
since Apple's linker made it, what it imports from a framework is there.
"""

from __future__ import annotations

import ctypes
import re
from collections import Counter
from collections.abc import Collection

from mach_o import Binary

RPATH = "@loader_path/../mlx/lib"
LIBSYSTEM = "/usr/lib/libSystem.B.dylib"
LIBOBJC = "/usr/lib/libobjc.A.dylib"

# Mangled: a length, then the name.
METAL_CPP = "3MTL|4MTL4|5MTLFX|2NS|2CA"
OF_MLX = re.compile(
    rf"__Z(?:T[VTISWH]|GV|GR)?N[rVK]*[RO]?(?:(3mlx)|{METAL_CPP})"
)
OF_LIBCXX = re.compile(
    r"__ZN?[rVK]*[RO]?St|__ZT[VTIS]N?(?:St|10__cxxabiv1)"
    r"|__Z(?:nw|na|dl|da)|___cxa_|___gxx_personality_v0$"
)
# A template of the standard library for such a type is in no library of Apple.
NOT_OF_LIBCXX = re.compile(rf"(?<!\d)(?:3mlx|9mlx_convt|{METAL_CPP})")


class Missing(Exception):
    """A symbol that dyld would not find."""


def readable(name: str) -> str:
    try:
        demangle = ctypes.CDLL("libstdc++.so.6")["__cxa_demangle"]
    except OSError:
        return name
    demangle.restype = ctypes.c_char_p
    text: bytes | None = demangle(name[1:].encode(), None, None, None)
    return text.decode() if text else name


def is_apple_only(library: str) -> bool:
    """Whether Zig knows nothing of the library, but libmlx.dylib does."""
    return library.startswith("/System/Library/") or library == LIBOBJC


def category(
    name: str, library: str, libmlx: Binary, python: Collection[str]
) -> str:
    """What a symbol belongs to; raises Missing unless it is found there."""
    if found := OF_MLX.match(name):
        if name not in libmlx.exports:
            raise Missing(f"libmlx.dylib does not export {readable(name)}")
        if library != libmlx.install_name:
            raise Missing(
                f"{readable(name)} is linked to {library or 'no library'}, "
                f"not to {libmlx.install_name}"
            )
        return "MLX" if found[1] else "metal-cpp"
    if name.startswith(("_Py", "__Py")):
        if name not in python:
            raise Missing(
                f"nanobind does not allow {name} to be left to Python, so "
                "Apple's linker would refuse it"
            )
        return "Python"
    home = libmlx.imports.get(name, "")
    if is_apple_only(home):
        if not library:
            raise Missing(f"{name} is in {home}, which is not linked")
        return home.rpartition("/")[2]
    if library == LIBSYSTEM:
        return "libSystem"
    if OF_LIBCXX.match(name) and not NOT_OF_LIBCXX.search(name):
        return "libc++"
    raise Missing(f"no library is known to export {readable(name)}")


def check_symbols(
    extension: Binary, libmlx: Binary, python: Collection[str]
) -> tuple[Counter[str], list[str]]:
    """The number of symbols by category, and what is wrong with others."""
    counts: Counter[str] = Counter()
    errors = []
    for name, library in sorted(extension.imports.items()):
        try:
            counts[category(name, library, libmlx, python)] += 1
        except Missing as error:
            errors.append(str(error))
    if not counts["MLX"]:
        errors.append("the extension needs nothing of MLX: is it ours?")
    return counts, errors


def check_load_commands(extension: Binary, libmlx: Binary) -> list[str]:
    errors = []
    if extension.arch != libmlx.arch:
        errors.append(
            f"the extension is for {extension.arch}, MLX for {libmlx.arch}"
        )
    if extension.macos != libmlx.macos:
        errors.append(
            f"the extension needs macOS {extension.macos}, MLX {libmlx.macos}"
        )
    if extension.rpaths != (RPATH,):
        errors.append(f"the rpaths are {list(extension.rpaths)}, not {RPATH}")
    if libmlx.install_name not in extension.libraries:
        errors.append(f"{libmlx.install_name} is not linked")
    known = {libmlx.install_name, *libmlx.libraries}
    errors += [
        f"{library} is linked, but not known to exist on a Mac"
        for library in extension.libraries
        if library not in known
    ]
    return errors
