"""Check what a built wheel and source distribution hold.

Usage: check_dist.py FOLDER, with one of each in it and mlx_convt installed.
"""

import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import mlx_convt


def check_wheel(path: Path) -> None:
    name, version, *tags = path.stem.split("-")
    assert (name, version) == ("mlx_convt", mlx_convt.__version__), path.name
    assert tags[:2] == ["cp310", "abi3"], path.name

    held = {
        n for n in zipfile.ZipFile(path).namelist() if "dist-info/" not in n
    }
    wanted = {
        file.as_posix()
        for file in Path("mlx_convt").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    wanted.add("mlx_convt/_ext.abi3.so")
    assert held == wanted, sorted(held ^ wanted)


def check_sdist(path: Path) -> None:
    # A wheel has been built from it, so no source is missing.
    with tarfile.open(path) as archive:
        paths = [PurePosixPath(name).parts for name in archive.getnames()]
    top = {parts[1] for parts in paths if len(parts) > 1}
    wanted = {
        "CHANGELOG.md",
        "CMakeLists.txt",
        "CONTRIBUTING.md",
        "LICENSE",
        "PKG-INFO",
        "README.md",
        "cmake",
        "docs",
        "examples",
        "kernels",
        "mlx_convt",
        "pyproject.toml",
        "tests",
    }
    assert top == wanted, sorted(top ^ wanted)


def main(folder: Path) -> None:
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    check_wheel(wheel)
    check_sdist(sdist)
    print(f"{wheel.name} and {sdist.name} are complete")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
