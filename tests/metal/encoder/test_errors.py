"""What eval_gpu refuses and what can fail, with every text in full."""

import pytest
from geometries import CHOSEN
from helpers import make_geometry

from .comparison import compilation_of, library_name, operands_of
from .recorder import Array, Behaviour, shared

SPLITS = CHOSEN["splits, bias and phases"]
KERNELS = (
    "convt_pack_weights_f32",
    "convt_correlate_f32_32x32",
    "convt_sum_splits_f32",
)


@pytest.fixture(scope="module")
def recorder():
    return shared()


def refused(
    recorder,
    contraction,
    geometry,
    behaviour=None,
    *,
    dtype="float32",
    arrays=None,
):
    """(type, text) of the error, before which nothing was encoded."""
    recorder.replace_device()
    record = recorder.eval(
        contraction,
        geometry,
        dtype,
        arrays or operands_of(contraction, geometry),
        behaviour or Behaviour(),
    )
    events = record["events"]
    assert not any(e.startswith(("dispatch", "temporaries")) for e in events)
    assert record["misuses"] == []
    assert record["error"] is not None
    return record["error"]["type"], record["error"]["text"]


def test_float64(recorder):
    assert refused(recorder, "output", SPLITS, dtype="float64") == (
        "ValueError",
        "[conv_transpose2d] the GPU computes float32, float16 and "
        + "bfloat16. Got float64. Call it with stream=mx.cpu.",
    )


@pytest.mark.parametrize("which", [0, 1, 2])
def test_strides(recorder, which):
    arrays = operands_of("output", SPLITS, has_bias=True)
    shape = arrays[which].shape
    arrays[which] = Array(shape, is_row_contiguous=False)
    assert refused(recorder, "output", SPLITS, arrays=arrays) == (
        "RuntimeError",
        "[conv_transpose2d] an operand that is not row contiguous reached "
        + "evaluation.",
    )


def test_limits(recorder):
    geometry = make_geometry(
        (1,), (2**15,), 1, 1, dilation=2**15, padding=((0, 2**30 - 2**15),)
    )
    assert geometry.output_spatial == (1,)
    assert refused(recorder, "output", geometry) == (
        "ValueError",
        "[conv_transpose1d] kernel times dilation must be less than 2^30 on "
        + f"the GPU. Got {2**15} x {2**15}. Call it with stream=mx.cpu.",
    )


NAMES = {
    "output": "ConvTranspose",
    "input_grad": "ConvTransposeInputGrad",
    "weight_grad": "ConvTransposeWeightGrad",
}
X, W, Y = "(2,4,5,260)", "(12,4,3,260)", "(2,8,5,12)"
SHAPES = {
    "output": (X, W, Y),
    "input_grad": (W, Y, X),
    "weight_grad": (X, Y, W),
}


def failed(contraction, at, why):
    """The error of an operation that could be run."""
    first, second, result = SHAPES[contraction]
    return (
        "RuntimeError",
        f"[conv_transpose2d] {NAMES[contraction]} failed on the GPU at {at}, "
        + f"for operands {first} and {second}, result {result}. Call it with "
        + "stream=mx.cpu, and please report this with the output of python "
        + f"-m mlx_convt info: {why}",
    )


@pytest.mark.parametrize("which", range(len(KERNELS)))
def test_function_that_does_not_compile(recorder, which):
    """Nothing is encoded, and those before it need not be built again."""
    name = KERNELS[which]
    error = refused(recorder, "output", SPLITS, Behaviour(refused=name))
    assert error == failed(
        "output",
        name,
        "[metal::Device] Unable to build metal library from source\n"
        + "program_source:1:1: error: refused\n",
    )
    operands = operands_of("output", SPLITS)
    again = recorder.eval("output", SPLITS, "float32", operands, Behaviour())
    assert again["error"] is None
    expected = list(compilation_of(KERNELS))
    for built in KERNELS[:which]:
        expected.remove(f"build {library_name(built)}")
    assert again["events"][: len(expected)] == expected
    assert len(again["dispatches"]) == len(KERNELS)


@pytest.mark.parametrize(
    ("contraction", "most", "kernel", "threads"),
    [
        ("output", 255, "convt_pack_weights_f32", 256),
        ("input_grad", 32, "convt_pack_weights_f32", 256),
        ("weight_grad", 127, "convt_weight_grad_f32_64x64", 128),
    ],
)
def test_too_few_threads(recorder, contraction, most, kernel, threads):
    behaviour = Behaviour(most_threads=most)
    assert refused(recorder, contraction, SPLITS, behaviour) == failed(
        contraction,
        kernel,
        f"it has {threads} threads in a threadgroup, and this GPU takes "
        + f"{most}.",
    )
    operands = operands_of(contraction, SPLITS)
    behaviour = Behaviour(most_threads=threads)
    record = recorder.eval(contraction, SPLITS, "float32", operands, behaviour)
    assert record["error"] is None
    assert record["misuses"] == []


@pytest.mark.parametrize(
    ("contraction", "most", "at", "wanted"),
    [
        ("output", 4 * 959, "the result's memory", 4 * 960),
        ("output", 4 * 960, "temporary memory", 38 * 4096),
        ("weight_grad", 4096, "the result's memory", 4 * 12 * 12 * 260),
    ],
)
def test_memory(recorder, contraction, most, at, wanted):
    behaviour = Behaviour(most_bytes=most)
    assert refused(recorder, contraction, SPLITS, behaviour) == failed(
        contraction,
        at,
        f"[metal::malloc] Attempting to allocate {wanted} bytes which is "
        + "greater than the maximum allowed buffer size of "
        + f"{most} bytes.",
    )
