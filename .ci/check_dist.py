"""Check what a built wheel and source distribution hold.

Usage: check_dist.py FOLDER, with one of each in it and mlx_convt installed.
"""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

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
    """Every file of the checkout but those that only serve its upkeep."""
    with tarfile.open(path) as archive:
        members = [one.name for one in archive.getmembers() if one.isfile()]
    held = {name.split("/", 1)[1] for name in members}
    listed = subprocess.run(
        ["git", "ls-files"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    upkeep = (".ci/", ".github/", ".clang-format", ".gitignore")
    wanted = {name for name in listed if not name.startswith(upkeep)}
    wanted.add("PKG-INFO")
    assert held == wanted, sorted(held ^ wanted)


def main(folder: Path) -> None:
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    check_wheel(wheel)
    check_sdist(sdist)
    print(f"{wheel.name} and {sdist.name} are complete")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
