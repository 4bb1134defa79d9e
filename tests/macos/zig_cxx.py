"""A C++ compiler for macOS on Linux: ziglang's, with Apple's options put right.

Usage: zig_cxx.py OPTIONS, as a C++ compiler. CMake calls it.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path


def translated(options: list[str]) -> list[str]:
    kept = []
    for option in options:
        if option == "-bundle":
            # Zig writes no bundles; dlopen takes a dylib as well.
            kept.append("-shared")
        elif option.startswith("-Wl,@") or option in ("-Wl,-x", "-Wl,-S"):
            # The names that Python will provide, which Zig cannot read, and
            # stripping, which leaves a table that lief cannot read.
            continue
        else:
            kept.append(option)
    return kept


if __name__ == "__main__":
    spec = find_spec("ziglang")
    if spec is None or spec.origin is None:
        sys.exit("Building for macOS needs the Python package ziglang.")
    zig = str(Path(spec.origin).with_name("zig"))
    os.execv(zig, [zig, "c++", *translated(sys.argv[1:])])
