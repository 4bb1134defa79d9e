"""Check what built wheels and a source distribution hold.

Usage: check_dist.py FOLDER [--release] [--tag TAG]

FOLDER has one source distribution and at least one wheel, built from this
checkout. A release has a wheel for each platform, ready to be published, and
its tag is the version.
"""

import argparse
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

PROJECT = Path("pyproject.toml").read_text()
PLATFORMS = {
    "macosx_14_0_arm64",
    "manylinux_2_35_aarch64",
    "manylinux_2_35_x86_64",
}
EXTENSION = "mlx_convt/_ext.abi3.so"


def stated(pattern: str) -> str:
    found = re.search(pattern, PROJECT, re.MULTILINE)
    assert found, f"pyproject.toml has no {pattern}"
    return found[1]


VERSION = stated(r'^version = "(.*)"$')
MLX = stated(r'^dependencies = .*"(mlx==[0-9.]+)"')


def check_metadata(text: str) -> None:
    lines = text.splitlines()
    for wanted in (f"Version: {VERSION}", f"Requires-Dist: {MLX}"):
        assert wanted in lines, f"METADATA has no line {wanted}"


def check_wheel(path: Path) -> str:
    """Every file of the package, nothing beside it; returns the platform."""
    name, version, python, abi, platform = path.stem.split("-")
    assert (name, version) == ("mlx_convt", VERSION), path.name
    assert (python, abi) == ("cp310", "abi3"), path.name

    info = f"mlx_convt-{VERSION}.dist-info/"
    wanted = {
        file.as_posix()
        for file in Path("mlx_convt").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    wanted.add(EXTENSION)
    wanted |= {
        info + name
        for name in ("METADATA", "RECORD", "WHEEL", "licenses/LICENSE")
    }
    with zipfile.ZipFile(path) as archive:
        held = {n for n in archive.namelist() if not n.endswith("/")}
        # So no library of MLX either: the extension finds what is installed.
        assert held == wanted, (path.name, sorted(held ^ wanted))
        extension = archive.read(EXTENSION)
        check_metadata(archive.read(info + "METADATA").decode())
        tags = archive.read(info + "WHEEL").decode().splitlines()
    assert f"Tag: {python}-{abi}-{platform}" in tags, path.name
    on_mac = platform.startswith("macosx")
    rpath = ("@loader_path" if on_mac else "$ORIGIN") + "/../mlx/lib\0"
    assert rpath.encode() in extension, f"{path.name} would not find libmlx"
    if on_mac:
        assert b"<metal_stdlib>" in extension, f"{path.name} has no GPU kernels"
    return platform


def check_sdist(path: Path) -> None:
    """Every file of the checkout but those that only serve its upkeep."""
    assert path.name == f"mlx_convt-{VERSION}.tar.gz", path.name
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--release", action="store_true")
    parser.add_argument("--tag")
    args = parser.parse_args()

    if args.tag is not None:
        assert args.tag == f"v{VERSION}", f"{args.tag} is not v{VERSION}"
    (sdist,) = args.folder.glob("*.tar.gz")
    check_sdist(sdist)
    platforms = sorted(map(check_wheel, args.folder.glob("*.whl")))
    assert platforms, "no wheel"
    if args.release:
        assert platforms == sorted(PLATFORMS), platforms
    print(f"{sdist.name} is complete; wheels for {', '.join(platforms)}")


if __name__ == "__main__":
    main()
