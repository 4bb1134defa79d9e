"""The examples run, and reach what they promise."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_super_resolution_learns_and_draws(tmp_path):
    for module in ("sklearn", "PIL", "matplotlib"):
        pytest.importorskip(module)
    picture = tmp_path / "picture.png"
    script = EXAMPLES / "super_resolution.py"
    command = [sys.executable, "-W", "error", script, "--quick"]
    run = subprocess.run(
        [*command, "--output", picture],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    gain = re.search(r"a gain of ([+-]\d+\.\d+) dB", run.stdout)
    assert gain, run.stdout
    # Untrained, the model is bicubic; seeds 0 to 2 reach 0.79 dB or more.
    assert float(gain[1]) > 0.5, run.stdout
    assert "training step: mlx_convt" in run.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
