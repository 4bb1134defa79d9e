"""Run the examples and keep their pictures, small, for docs/examples.md.

python docs/pictures/example_pictures.py [NAME ...]    # some five minutes
"""

import itertools
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]
NAMES = ("super_resolution", "digits", "segmentation", "vocoder", "newton")
WIDTHS = (1320, 1200, 1100, 1000)  # pixels; a page has some 700
COLOURS = (256, 128, 64, 32)
MOST = 150_000  # bytes


def keep(picture, path):
    """The picture as a PNG, as wide and as colourful as its size allows."""
    image = Image.open(picture).convert("RGB")
    for colours, width in itertools.product(COLOURS, WIDTHS):
        size = width, round(image.height * width / image.width)
        small = image.resize(size, Image.Resampling.LANCZOS)
        # Given a palette, pillow spreads the error over the neighbours.
        palette = small.quantize(colours, Image.Quantize.MAXCOVERAGE)
        small.quantize(palette=palette).save(path, optimize=True)
        if path.stat().st_size <= MOST:
            return
    sys.exit(f"{path} is larger than {MOST} bytes")


def main():
    images = ROOT / "docs" / "images"
    images.mkdir(exist_ok=True)
    for name in sys.argv[1:] or NAMES:
        with tempfile.TemporaryDirectory() as folder:
            picture = Path(folder) / f"{name}.png"
            script = ROOT / "examples" / f"{name}.py"
            command = [sys.executable, script, "--output", picture]
            subprocess.run(command, check=True, cwd=folder)
            keep(picture, images / picture.name)


if __name__ == "__main__":
    main()
