"""The `blas` algorithm on Linux, through the library that MLX_CONVT_BLAS names.

On a Mac the same code calls Accelerate. The library is read once per process,
so the exact and the random tests run again in processes of their own.
"""

import re
import sys

import pytest
from helpers import run_python

pytestmark = pytest.mark.skipif(
    sys.platform == "darwin", reason="blas is what the other tests run there"
)


@pytest.fixture(scope="module")
def library():
    openblas = pytest.importorskip("scipy_openblas32")
    return f"{openblas.get_lib_dir()}/{openblas.get_library(fullname=True)}"


PYTEST = """
import sys
import pytest
sys.exit(pytest.main(["-q", "-x", "-p", "no:cacheprovider", *{arguments!r}]))
"""


def run_tests(library, *arguments):
    done = run_python(
        PYTEST.format(arguments=arguments), timeout=600, MLX_CONVT_BLAS=library
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b[1-9]\d* passed", done.stdout)
    assert not re.search(r"skipped|failed", done.stdout)


def test_exact(library):
    run_tests(library, "test_exact.py", "-k", "blas and not skips_are_honest")


def test_it_runs_every_call(library):
    done = run_python(
        """
from test_exact import CONTRACTIONS, DTYPES, FAMILIES, eligible
for family in FAMILIES.values():
    for geometry in family:
        for contraction in CONTRACTIONS:
            for dtype in DTYPES:
                assert eligible("blas", contraction, geometry, dtype)
""",
        MLX_CONVT_BLAS=library,
    )
    assert done.returncode == 0, done.stderr


def test_random_geometries(library):
    done = run_python(
        """
import test_random_geometry as tests
case = tests.random_case
tests.random_case = lambda seed: (*case(seed)[:3], "blas")
for seed in range(10_000, 10_600):
    tests.check(seed)
print("done")
""",
        MLX_CONVT_BLAS=library,
    )
    assert done.stdout == "done\n", done.stderr


def test_our_threads_do_not_change_its_bits(library):
    code = """
import test_threads as tests
few = ("few rows", "wide", "groups")
tests.GEOMETRIES = {name: tests.GEOMETRIES[name] for name in few}
print(tests.digest())
"""
    digests = {
        run_python(
            code,
            MLX_CONVT_BLAS=library,
            MLX_CONVT_ALGORITHM="blas",
            MLX_CONVT_NUM_THREADS=str(threads),
            OPENBLAS_NUM_THREADS="1",
        ).stdout
        for threads in (1, 2, 5)
    }
    assert len(digests) == 1
    assert len(digests.pop()) == 65


WITHOUT = """
import mlx.core as mx
from mlx_convt import conv_transpose1d
try:
    conv_transpose1d(mx.zeros((1, 4, 2)), mx.zeros((3, 3, 2)))
except ValueError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (None, "MLX_CONVT_BLAS is not set"),
        ("", "MLX_CONVT_BLAS is not set"),
        ("libm.so.6", "no cblas_sgemm and cblas_dgemm in libm.so.6"),
    ],
)
def test_no_library(path, reason):
    done = run_python(
        "import os; os.environ['MLX_CONVT_ALGORITHM'] = 'blas'" + WITHOUT,
        MLX_CONVT_BLAS=path,
    )
    assert done.stdout == (
        "[conv_transpose1d] MLX_CONVT_ALGORITHM=blas cannot run this "
        f"operation: {reason}.\n"
    ), done.stderr


def test_a_library_that_does_not_load():
    done = run_python(
        "import os; os.environ['MLX_CONVT_ALGORITHM'] = 'blas'" + WITHOUT,
        MLX_CONVT_BLAS="/nowhere/libblas.so",
    )
    assert done.stdout.startswith(
        "[conv_transpose1d] MLX_CONVT_ALGORITHM=blas cannot run this "
        "operation: the library of MLX_CONVT_BLAS does not load: "
    ), done.stderr
    assert "/nowhere/libblas.so" in done.stdout
