"""Memory beyond the operands and the result: packed weights and scratch."""

import sys

import pytest
from helpers import CONTRACTIONS, run_python

CODE = """
import mlx.core as mx
from helpers import contract, make_geometry

def peak():
    # ru_maxrss would begin with the peak of the process that started this one.
    with open("/proc/self/status") as status:
        (line,) = (line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024

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
