"""The thread pool: its size, results that do not depend on it, and forks."""

import hashlib
import os

import mlx.core as mx
import numpy as np
import pytest
from helpers import (
    CONTRACTIONS,
    DTYPES,
    contract,
    make_geometry,
    run_python,
    to_mlx,
    to_numpy,
)

# Large enough for several threads; the last ones sum over many positions.
GEOMETRIES = {
    "wide": make_geometry((33, 31), 4, 48, 40, batch=2, stride=2, padding=1),
    "joined taps": make_geometry((36, 34), 4, 48, 64, stride=2, padding=1),
    "few rows": make_geometry((4, 4), 4, 256, 384, stride=2, padding=1),
    "groups": make_geometry(
        (24, 26), 3, 24, 36, batch=2, stride=2, padding=1, groups=4
    ),
    "depthwise": make_geometry(
        (65, 63), 4, 70, 70, stride=2, padding=1, groups=70
    ),
    "few columns": make_geometry((40, 50), 5, 32, 2, stride=(1, 2)),
    "few columns of many channels": make_geometry(
        (30, 300), (3, 4), 270, 3, stride=2, padding=1
    ),
    "long sum": make_geometry((150, 161), 2, 5, 3, batch=2, stride=2),
    "long sum in three axes": make_geometry(
        (17, 31, 33), (3, 2, 2), 3, 9, stride=(1, 2, 2)
    ),
}


def digest():
    """A hash of every bit of every result."""
    result = hashlib.sha256()
    for geometry in GEOMETRIES.values():
        rng = np.random.default_rng(0)
        for contraction in CONTRACTIONS:
            operands = [
                rng.standard_normal(shape)
                for shape in geometry.operand_shapes(contraction)
            ]
            for dtype in DTYPES:
                actual = contract(
                    contraction, geometry, *(to_mlx(a, dtype) for a in operands)
                )
                result.update(to_numpy(actual).tobytes())
    return result.hexdigest()


def test_results_do_not_depend_on_the_number_of_threads():
    seen = {}
    for count in (1, 2, 3, 8):
        done = run_python(
            "import test_threads; print(test_threads.digest())",
            MLX_CONVT_NUM_THREADS=count,
        )
        assert done.returncode == 0, done.stderr
        seen[count] = done.stdout.strip()
    assert len(set(seen.values())) == 1, seen
    assert digest() == seen[1]


COUNT = "from mlx_convt import _ext; print(_ext.num_threads())"


@pytest.mark.parametrize("count", [1, 3, 17])
def test_number_of_threads(count):
    done = run_python(COUNT, MLX_CONVT_NUM_THREADS=count)
    assert done.stdout == f"{count}\n", done.stderr


affinity = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="Linux only"
)


@affinity
@pytest.mark.parametrize("unset", [None, ""])
def test_all_processors_by_default(unset):
    done = run_python(COUNT, MLX_CONVT_NUM_THREADS=unset)
    assert done.stdout == f"{len(os.sched_getaffinity(0))}\n", done.stderr


@affinity
def test_affinity_is_respected():
    one = min(os.sched_getaffinity(0))
    done = run_python(
        f"import os; os.sched_setaffinity(0, [{one}]); {COUNT}",
        MLX_CONVT_NUM_THREADS=None,
    )
    assert done.stdout == "1\n", done.stderr


USE = """
import mlx.core as mx
from mlx_convt import conv_transpose2d

def use():
    input, weight = mx.ones((1, 64, 64, 32)), mx.ones((32, 4, 4, 32))
    mx.eval(conv_transpose2d(input, weight, stride=2))
"""


@pytest.mark.parametrize(
    "value", ["0", "-1", "4097", "two", "1.5", "99999999999999999999"]
)
def test_bad_number_of_threads(value):
    code = f"""{USE}
try:
    use()
except RuntimeError as error:
    print(error)
"""
    done = run_python(code, MLX_CONVT_NUM_THREADS=value)
    assert done.stdout == (
        "[mlx_convt] MLX_CONVT_NUM_THREADS must be an integer from 1 to 4096. "
        f"Got {value}.\n"
    ), done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork_after_use():
    """A child that never calls may leave; the parent computes on."""
    code = f"""{USE}
import os
use()
child = os.fork()
if child == 0:
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
use()
print("done")
"""
    done = run_python(code, timeout=60, MLX_CONVT_NUM_THREADS=4)
    assert done.stdout == "done\n", done.stderr


def test_more_calls_at_once_than_threads():
    """Streams compete for one pool; whoever does not get it works alone."""
    geometry = GEOMETRIES["wide"]
    rng = np.random.default_rng(1)
    input, weight = (
        to_mlx(rng.standard_normal(shape), "float32")
        for shape in geometry.operand_shapes("output")
    )
    expected = geometry.forward(input, weight)
    streams = [mx.new_stream(mx.cpu) for _ in range(4)]
    results = [
        geometry.forward(input, weight, stream=stream) for stream in streams * 4
    ]
    mx.async_eval(*results)
    for actual in results:
        assert mx.array_equal(actual, expected).item()
