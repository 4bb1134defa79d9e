"""The exact tests again, with each instruction set that this machine has."""

import re

import pytest
from helpers import run_python

from mlx_convt import _ext

RUN = """
import sys
import pytest
from mlx_convt import _ext

assert _ext.instruction_set() == {name!r}
sys.exit(pytest.main([
    "test_exact.py", "test_half_precision.py", "-q", "-x", "-p", "no:cacheprovider",
    "-k", "not reference and not skips_are_honest",
]))
"""


def names():
    """Those that this build and this processor have, the best one first."""
    done = run_python(
        "from mlx_convt import _ext; _ext.instruction_set()",
        MLX_CONVT_INSTRUCTION_SET="none",
    )
    found = re.search(r"must be one of (.*) on this processor", done.stderr)
    assert found, done.stderr
    return found[1].split(", ")


def test_the_best_is_the_default():
    assert names()[0] == _ext.instruction_set()
    assert names()[-1] == "baseline"


@pytest.mark.parametrize("name", ["avx512", "avx2", "baseline"])
def test_exact(name):
    if name not in names()[1:]:
        pytest.skip("this machine lacks it, or has nothing better")
    done = run_python(
        RUN.format(name=name), timeout=600, MLX_CONVT_INSTRUCTION_SET=name
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b[1-9]\d* passed", done.stdout)


def test_unknown_name():
    done = run_python(
        "from mlx_convt import _ext; _ext.instruction_set()",
        MLX_CONVT_INSTRUCTION_SET="sse9",
    )
    assert done.stderr.splitlines()[-1] == (
        "RuntimeError: [mlx_convt] MLX_CONVT_INSTRUCTION_SET must be one of "
        f"{', '.join(names())} on this processor. Got sse9."
    )
