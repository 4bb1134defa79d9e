"""Diagnostics of a kernel's text from libclang, under several sets of rules."""

from pathlib import Path
from typing import Literal

from clang import cindex

from .textual import forbidden

Rules = Literal["plain", "opencl", "conversions"]

FOLDER = Path(__file__).parent
# Metal is C++14 up to 3.2 and C++17 from 4.0 on, as C++ for OpenCL 2021 is.
PLAIN = [
    "-xc++",
    "-std=c++14",
    "-Wno-c++17-extensions",
    "--target=x86_64-linux-gnu",
    "-nostdinc",
]
ARGUMENTS = {
    "plain": PLAIN,
    "conversions": PLAIN,
    "opencl": [
        "-xcl",
        "-cl-std=clc++2021",
        "-cl-no-stdinc",
        "--target=spir64",
    ],
}
WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wzero-length-array",
    "-Wno-unused",
    "-Wno-duplicate-decl-specifier",  # CONSTANT is const
    "-Wno-undefined-inline",
    "-Wno-undefined-internal",
    "-Wno-pragma-once-outside-header",
]
NAME = "kernel_text.cpp"
CONSTANT_SPACE = 2


def diagnostics(text: str, rules: Rules) -> list[str]:
    """What is wrong with the text of one specialisation, "line: message"."""
    unit = cindex.Index.create().parse(
        NAME,
        args=[
            *ARGUMENTS[rules],
            *WARNINGS,
            f"-include{FOLDER / f'{rules}_cpp.h'}",
        ],
        unsaved_files=[(NAME, text)],
    )
    found = [
        f"{where(error)}: {error.spelling}"
        for error in unit.diagnostics
        if error.severity >= cindex.Diagnostic.Error
    ]
    if rules == "plain":
        found += program_variables(unit.cursor)
    return found


def where(error: cindex.Diagnostic) -> str:
    """The line; of an error within a declaration, the line that led there."""
    for note in (error, *error.children):
        file = note.location.file
        if file is not None and file.name == NAME:
            return str(note.location.line)
    return str(error.location)


def program_variables(scope: cindex.Cursor) -> list[str]:
    """Variables outside of functions: Metal allows them in CONSTANT alone."""
    return [
        f"{cursor.location.line}: variable {cursor.spelling!r} outside of a "
        "function must be CONSTANT"
        for cursor in scope.get_children()
        if cursor.kind == cindex.CursorKind.VAR_DECL
        and cursor.location.file.name == NAME
        and cursor.type.get_address_space() != CONSTANT_SPACE
    ]


def check_text(text: str) -> list[str]:
    """All checks of the text of one specialisation, and who found what."""
    found = [f"text {message}" for message in forbidden(text)]
    for rules in ARGUMENTS:
        found += [f"{rules} {message}" for message in diagnostics(text, rules)]
    return found
