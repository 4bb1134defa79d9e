"""What a Mach-O file needs and offers, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Binary:
    arch: str
    macos: str
    install_name: str
    libraries: tuple[str, ...]
    rpaths: tuple[str, ...]
    exports: frozenset[str]
    # From a symbol to the library that holds it; "" where the linker knew none.
    imports: dict[str, str]


def read(path: Path) -> Binary:
    # Only here: the tests of the checks need no lief.
    import lief

    # It reports what is odd in Zig's files, but reads them all the same.
    lief.logging.disable()
    binaries = lief.MachO.parse(str(path))
    binary = binaries.at(0) if binaries else None
    if binary is None or binary.build_version is None:
        raise ValueError(f"{path} is no Mach-O file for a version of macOS.")
    own_name = lief.MachO.LoadCommand.TYPE.ID_DYLIB
    commands = list(binary.libraries)
    libraries = tuple(c.name for c in commands if c.command != own_name)

    def library(ordinal: int) -> str:
        # Apple's linker marks a dynamic look-up by 254, Zig's by 0.
        if 1 <= ordinal <= len(libraries):
            return libraries[ordinal - 1]
        return ""

    return Binary(
        arch=binary.header.cpu_type.name,
        macos=".".join(map(str, binary.build_version.minos)),
        install_name=next(
            (c.name for c in commands if c.command == own_name), ""
        ),
        libraries=libraries,
        rpaths=tuple(command.path for command in binary.rpaths),
        exports=frozenset(str(s.name) for s in binary.exported_symbols),
        imports={
            str(s.name): library(s.library_ordinal)
            for s in binary.imported_symbols
        },
    )
