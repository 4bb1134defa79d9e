"""MLX's own tests of transposed convolution, with ours in the built-in's place.

Set MLX_CONVT_MLX_TESTS to the folder python/tests of a checkout of MLX at the
version that this package is built for.
"""

import os

import pytest
from helpers import run_python

FOLDER = os.environ.get("MLX_CONVT_MLX_TESTS")

RUN = """
import sys
import unittest

sys.path.insert(0, {folder!r})
import mlx.core as mx
import mlx_convt

calls = 0


def counted(function):
    def call(*arguments, **keywords):
        global calls
        calls += 1
        return function(*arguments, **keywords)

    return call


for name in ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"):
    setattr(mx, name, counted(getattr(mlx_convt, name)))
suite = unittest.defaultTestLoader.loadTestsFromName("test_conv_transpose")
result = unittest.TextTestRunner(verbosity=2).run(suite)
print(calls, result.testsRun, len(result.skipped))
sys.exit(not result.wasSuccessful())
"""


@pytest.mark.skipif(not FOLDER, reason="MLX_CONVT_MLX_TESTS is not set")
def test_mlx_suite():
    done = run_python(RUN.format(folder=FOLDER), timeout=600)
    assert done.returncode == 0, done.stderr
    calls, ran, skipped = map(int, done.stdout.split())
    assert ran > skipped
    assert calls >= 100
