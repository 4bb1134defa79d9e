"""The kernels under nvcc; on an NVIDIA GPU also their results."""

import shutil
import struct
import subprocess
from types import SimpleNamespace

import library
import numpy as np
import pytest
from cuda.build import TOOLS, build, run
from cuda.dump import Buffer, Launch, dump, from_plan
from emulated import contract, problem, stored
from helpers import OPERANDS, make_geometry
from needs import missing

# Each SIMD-group multiplies a matrix with itself, transposed on one side, and
# exercises the functions over lanes that the kernels use.
PROBE = """\
#define CT_NAME probe_{0}
#define CT_T {0}
template <typename T>
METAL_FUNC void probe(
    const DEVICE T* x,
    DEVICE float* products,
    DEVICE T* sums,
    THREADGROUP T* tile,
    uint3 tgid,
    uint sg,
    uint lane) {{
  const int first = int(tgid.x * 2 + sg) * 64;
  tile += int(sg) * 64;
  for (int i = int(lane); i < 64; i += 32) {{
    tile[i] = x[first + i];
  }}
  threadgroup_barrier(mem_flags::mem_threadgroup);
  simdgroup_matrix<T, 8, 8> a;
  simdgroup_matrix<T, 8, 8> b;
  simdgroup_matrix<float, 8, 8> sum;
  sum = make_filled_simdgroup_matrix<float, 8, 8>(1.0f);
  simdgroup_load(a, tile, 8);
  simdgroup_load(b, tile, 8, ulong2(0), true);
  simdgroup_multiply_accumulate(sum, a, b, sum);
  simdgroup_store(sum, products + first, 8);
  const float total = simd_sum(float(tile[lane]));
  const float next = simd_shuffle_down(float(tile[lane]), 1);
  const float other = simd_shuffle_xor(float(tile[lane]), 16);
  const uint4 v = uint4(1, 2, 3, int(lane));
  sums[int(tgid.x * 2 + sg) * 32 + int(lane)] =
      T(fma(total, 2.0f, next) + other + float(min(v.w, v.x) + v.z));
}}

KERNEL(64) CT_NAME(
    const DEVICE CT_T* x BUFFER(0),
    DEVICE float* products BUFFER(1),
    DEVICE CT_T* sums BUFFER(2) KERNEL_IDS) {{
  KERNEL_IDS_INIT
  TG_ARRAY(CT_T, tile, [128]);
  probe<CT_T>(x, products, sums, tile, tgid, sg, lane);
}}
"""
ELEMENTS = {"float": "float32", "half": "float16", "bfloat": "bfloat16"}
GEOMETRIES = [
    make_geometry((9, 11), (4, 4), 40, 72, batch=2, stride=2, padding=1),
    make_geometry((5, 6), (3, 3), 12, 18, stride=(2, 3), groups=3),
    make_geometry((7, 8), (3, 3), 24, 3, stride=2, output_padding=1),
    make_geometry((6, 7), (3, 3), 8, 8, batch=2, dilation=2, groups=8),
    make_geometry((2,), (3,), 130, 70),
]


def gpu():
    """Skips where no NVIDIA GPU answers."""
    smi = shutil.which("nvidia-smi")
    if smi is None or subprocess.call([smi], stdout=subprocess.DEVNULL):
        pytest.skip("needs an NVIDIA GPU")


def sanitizer(tool):
    if tool is not None and shutil.which("compute-sanitizer") is None:
        pytest.skip("needs compute-sanitizer")


@pytest.fixture(scope="module")
def nvcc():
    if shutil.which("nvcc") is None:
        missing("nvcc", "needs nvcc")


@pytest.fixture(scope="module")
def probes(nvcc, tmp_path_factory):
    kernels = [
        SimpleNamespace(
            name=f"probe_{element}",
            text=PROBE.format(element),
            defines=["CT_NAME", "CT_T"],
        )
        for element in ELEMENTS
    ]
    return build(kernels, tmp_path_factory.mktemp("probes"))


@pytest.fixture(scope="module")
def shipped(nvcc, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shipped")
    return build(library.specialisations(), folder)


def integers(*shape):
    return np.random.default_rng(0).integers(-3, 4, shape).astype(float)


def test_dump():
    buffers = [Buffer("x", b"abc", False), Buffer("y", b"\0\0", True)]
    launches = [Launch("twice", (4, 3, 2), 64, [1, 0])]
    numbers = struct.Struct("<Q").pack
    assert dump(buffers, launches) == (
        numbers(2)
        + (numbers(0) + numbers(3) + b"abc")
        + (numbers(1) + numbers(2) + b"\0\0")
        + numbers(1)
        + (numbers(5) + b"twice")
        + b"".join(map(numbers, (4, 3, 2, 64, 2, 1, 0)))
    )


def test_shipped_kernels_compile(shipped):
    assert shipped.exists()


@pytest.mark.parametrize("tool", [None, *TOOLS])
@pytest.mark.parametrize("element", ELEMENTS)
def test_probe(element, tool, request):
    gpu()
    sanitizer(tool)
    program = request.getfixturevalue("probes")
    dtype = ELEMENTS[element]
    x = integers(6, 8, 8)
    lanes = x.reshape(6, 64)[:, :32]
    next_lane = lanes[:, np.minimum(np.arange(32) + 1, 31)]
    other = lanes[:, np.arange(32) ^ 16]
    total = lanes.sum(axis=1, keepdims=True)
    sums = 2 * total + next_lane + other + np.minimum(np.arange(32), 1) + 3
    products = x @ x.transpose(0, 2, 1) + 1
    expected = {
        "products": stored(products, "float32").tobytes(),
        "sums": stored(sums, dtype).tobytes(),
    }
    buffers = [
        Buffer("x", stored(x, dtype).tobytes(), False),
        *(Buffer(name, data, True) for name, data in expected.items()),
    ]
    launches = [Launch(f"probe_{element}", (3, 1, 1), 64, [0, 1, 2])]
    assert run(program, buffers, launches, tool) == expected


@pytest.mark.parametrize("tool", [None, *TOOLS])
@pytest.mark.parametrize("element", ELEMENTS.values())
@pytest.mark.parametrize("contraction", OPERANDS)
def test_plans(contraction, element, tool, request):
    """The shipped plans, against the emulator: all sums are exact."""
    gpu()
    sanitizer(tool)
    program = request.getfixturevalue("shipped")
    for geometry in GEOMETRIES:
        shapes = geometry.operand_shapes(contraction)
        operands = [integers(*shape) for shape in shapes]
        expected = contract(contraction, geometry, operands, element)
        assert expected.errors == ""
        result = stored(expected.result, element).tobytes()
        first, second = (stored(o, element).tobytes() for o in operands)
        if contraction == "input_grad":  # the engine's order is x, w, y
            first, second = second, first
        buffers, launches = from_plan(
            library.shared().plan(problem(contraction, geometry, element)),
            {"first": first, "second": second, "bias": b""},
            len(result),
        )
        found = run(program, buffers, launches, tool)
        assert found["result"] == result, geometry
