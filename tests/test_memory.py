"""Memory beyond the operands and the result: packed weights and scratch."""

import mmap
import pathlib
import re
import sys

import pytest
from helpers import CONTRACTIONS, make_geometry, run_python


def peak():
    """The most memory that this process has had."""
    # ru_maxrss would begin with the peak of the process that started this one.
    with open("/proc/self/status") as status:
        (line,) = (line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


CODE = """
import mlx.core as mx
from helpers import contract, make_geometry
from test_memory import peak

geometry = make_geometry(
    {spatial}, 4, {channels}, {channels}, stride=2, padding=1, groups={groups}
)
operands = [mx.ones(s) for s in geometry.operand_shapes({contraction!r})]
mx.eval(operands)
small = make_geometry(
    (9, 9), 4, {channels}, {channels}, stride=2, padding=1, groups={groups}
)
# Loads the code, starts the threads, packs weights once.
mx.eval(contract(
    {contraction!r},
    small,
    *(mx.ones(s) for s in small.operand_shapes({contraction!r})),
))
before = peak()
result = contract({contraction!r}, geometry, *operands)
mx.eval(result)
print(peak() - before - result.nbytes)
"""
MEGABYTE = 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("groups", [1, 32])
@pytest.mark.parametrize("contraction", CONTRACTIONS)
def test_scratch_does_not_grow_with_the_map(contraction, groups):
    code = CODE.format(
        contraction=contraction, groups=groups, channels=32, spatial=(300, 310)
    )
    done = run_python(code, MLX_CONVT_NUM_THREADS=2)
    assert done.returncode == 0, done.stderr
    # A matrix of every tap at every position would hold 180 MB.
    assert int(done.stdout) < 8 * MEGABYTE


DILATED = """
import mlx.core as mx
from helpers import contract
from test_memory import FAR_APART, peak

geometry = FAR_APART[{index}]
operands = [mx.ones(s) for s in geometry.operand_shapes({contraction!r})]
mx.eval(operands)
before = peak()
result = contract({contraction!r}, geometry, *operands)
mx.eval(result)
print(peak() - before - result.nbytes)
"""
FAR_APART = (
    make_geometry((4000,), 3, 32, 2, dilation=1000, padding=1000),
    make_geometry((1100, 30), (2, 3), 16, 3, dilation=(1000, 1)),
    make_geometry((40, 40), 3, 64, 1, stride=2, dilation=1000, padding=1000),
)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("index", range(len(FAR_APART)))
@pytest.mark.parametrize("contraction", CONTRACTIONS)
def test_taps_that_lie_far_apart_need_little_memory(contraction, index):
    """A strip holds all pixels between its taps, so there it must not run."""
    code = DILATED.format(contraction=contraction, index=index)
    done = run_python(code, MLX_CONVT_NUM_THREADS=2)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 12 * MEGABYTE


HUGE_PAGES = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")

ADVISED = """
import mlx.core as mx
import numpy as np
import mlx_convt

def advised(result):
    # The bytes of the result in mappings with the flag that the advice sets.
    begin, bytes = np.asarray(result).ctypes.data, 0
    with open("/proc/self/smaps") as maps:
        for line in maps:
            first, *rest = line.split()
            if first == "VmFlags:" and "hg" in rest:
                low, high = max(low, begin), min(high, begin + result.nbytes)
                bytes += max(high - low, 0)
            elif "-" in first:
                low, high = (int(n, 16) for n in first.split("-"))
    return bytes

for pixels in (64, 512):
    x = mx.ones((1, pixels, pixels, 4))
    y = mlx_convt.conv_transpose2d(x, mx.ones((32, 2, 2, 4)), stride=2)
    mx.eval(y)
    assert mx.all(y == 4).item()
    print(y.nbytes - advised(y))
"""


@pytest.mark.skipif(not HUGE_PAGES.exists(), reason="no huge pages to advise")
def test_large_results_are_advised_to_be_huge_pages():
    done = run_python(ADVISED)
    assert done.returncode == 0, done.stderr
    small, large = map(int, done.stdout.split())
    assert small == 2**21
    assert large < 2 * mmap.PAGESIZE  # what is no whole page


@pytest.mark.skipif(sys.platform != "linux", reason="limits address space")
def test_no_memory_for_packed_weights():
    code = """
import resource
import mlx.core as mx
import mlx_convt

x, w = mx.ones((1, 32, 32, 1024)), mx.ones((64, 32, 32, 1024))
result = mlx_convt.conv_transpose2d(x, w, padding=16)
mx.eval(x, w)
with open("/proc/self/statm") as sizes:
    used = int(sizes.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**26, used + 2**26))
try:
    mx.eval(result)
except RuntimeError as error:
    print(error)
"""
    done = run_python(code, MLX_CONVT_ALGORITHM="polyphase")
    assert re.fullmatch(
        r"\[conv_transpose2d\] no memory for \d+ bytes of packed weights or "
        r"sums\.\n",
        done.stdout,
    ), done.stdout + done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="limits address space")
def test_no_memory_for_the_phases_of_a_wide_stride():
    code = """
import resource
import mlx.core as mx
import mlx_convt

x, w = mx.ones((1, 2, 1)), mx.ones((1, 1, 1))
mx.eval(mlx_convt.conv_transpose1d(x, w))
result = mlx_convt.conv_transpose1d(x, w, 10**6)
with open("/proc/self/statm") as sizes:
    used = int(sizes.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**25, used + 2**25))
try:
    mx.eval(result)
except RuntimeError as error:
    print(error)
"""
    done = run_python(code, MLX_CONVT_ALGORITHM="polyphase")
    assert done.stdout == (
        "[conv_transpose1d] no memory to plan the phases of 1 x 1 x 1000000"
        " strides.\n"
    ), done.stdout + done.stderr
