"""Write the Metal kernels' files into a C++ source, as text.

Usage: embed_metal.py FOLDER OUTPUT.cpp

Metal compiles one text, so includes and pragmas that only files need are left
out. Apple's compiler is given ASCII; anything else is refused here.
"""

import re
import sys
from pathlib import Path

HEADER = """\
// Written by embed_metal.py from {folder}.
#include "metal/source.h"

#include <stdexcept>

namespace mlx_convt::metal {{

std::string source_file(const std::string& name) {{
{files}  throw std::logic_error("[mlx_convt] no kernel file " + name + ".");
}}

}} // namespace mlx_convt::metal
"""
FILE = """\
  if (name == "{name}") {{
    return R"metal({text})metal";
  }}
"""


def text_of(path: Path) -> str:
    try:
        text = path.read_bytes().decode("ascii")
    except UnicodeDecodeError as error:
        sys.exit(
            f"{path} is not ASCII, which Metal's compiler is given: {error}"
        )
    return re.sub(r"^#pragma once\n", "", text, flags=re.MULTILINE)


def main(folder: Path, output: Path) -> None:
    paths = sorted([*folder.glob("*.metal"), folder / "params.h"])
    files = "".join(FILE.format(name=p.stem, text=text_of(p)) for p in paths)
    output.write_text(HEADER.format(folder=folder.name, files=files))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
