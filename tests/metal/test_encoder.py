"""kernels/metal/eval.cpp, on a device that writes down what it is told.

It is compiled as it ships, against MLX's own headers and library but for what
only Macs have of them.
"""

import re
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from emulated import ELEMENTS, M1, M3, contract, loaded, stored
from encoder.comparison import (
    MOST_INTS,
    check_encoded,
    compilation_of,
    library_name,
    metal_texts,
    operands_of,
)
from encoder.recorder import HERE, Array, Behaviour, shared
from geometries import CHOSEN, random_geometry
from helpers import (
    CONTRACTIONS,
    draw_integers,
    draw_operands,
    make_geometry,
    oracle,
    to_numpy,
)


@pytest.fixture(scope="module")
def recorder():
    return shared()


def declarations(text, scope):
    """Of a class' public part, or of the functions outside if "MLX_API"."""
    text = re.sub(r"//.*|/\*.*?\*/", "", text).replace("= {}", "= <>")
    if scope == "MLX_API":
        found = re.findall(r"^MLX_API [^;{]*;", text, re.MULTILINE)
    else:
        text = text[text.index(f"class MLX_API {scope} {{\n public:") :]
        text = re.split(r"public:|\n private:|\n\}", text)[1]
        while "{" in text:
            text = re.sub(r"\{[^{}]*\}", ";", text)
        found = text.split(";")
    return {" ".join(one.split()) for one in found} - {""}


@pytest.mark.parametrize("scope", ["CommandEncoder", "Device", "MLX_API"])
def test_declarations_are_mlx_s(scope):
    name = "mlx/backend/metal/device.h"
    theirs, ours = (
        declarations((folder / name).read_text().replace("};\n", "}\n"), scope)
        for folder in (Path(mx.__file__).parent / "include", HERE / "include")
    )
    assert ours
    assert ours - theirs == set()


@pytest.mark.parametrize("contraction", CONTRACTIONS)
@pytest.mark.parametrize("name", CHOSEN)
def test_chosen(recorder, name, contraction):
    for element in ELEMENTS:
        for generation in (M1, M3):
            for has_bias in {False, contraction == "output"}:
                check_encoded(
                    recorder,
                    contraction,
                    CHOSEN[name],
                    element,
                    has_bias=has_bias,
                    generation=generation,
                )


@pytest.mark.parametrize("misalign", [(0, 0), (4, 0), (0, 4), (12, 8)])
def test_random(recorder, misalign):
    for seed in range(100):
        for contraction in CONTRACTIONS:
            check_encoded(
                recorder,
                contraction,
                random_geometry(seed),
                ELEMENTS[seed % 3],
                has_bias=contraction == "output" and seed % 2 == 0,
                misalign=misalign,
            )


@pytest.mark.parametrize(
    ("contraction", "misalign", "slower"),
    [
        ("output", (4, 0), True),
        ("output", (0, 4), False),
        ("input_grad", (4, 0), False),
        ("input_grad", (0, 4), True),
        ("weight_grad", (4, 0), True),
        ("weight_grad", (0, 4), True),
    ],
)
def test_slices_lose_vector_loads(recorder, contraction, misalign, slower):
    """Where a slice is the operand that the kernel reads so."""
    geometry = make_geometry((16, 16), (4, 4), 16, 24, stride=2)
    whole = check_encoded(recorder, contraction, geometry)
    sliced = check_encoded(recorder, contraction, geometry, misalign=misalign)
    assert (whole["constants"] != sliced["constants"]) == slower
    ones = sum(map(sum, whole["constants"]))
    assert ones - sum(map(sum, sliced["constants"])) == slower


@pytest.mark.parametrize("taps", [MOST_INTS, MOST_INTS + 1])
def test_long_tables(recorder, taps):
    """The longest that Metal copies, and the shortest that needs an array."""
    geometry = make_geometry((1100,), (taps,), 8, 16)
    for contraction in ("output", "input_grad"):
        plan = check_encoded(recorder, contraction, geometry)
        assert taps in map(len, plan["constants"])


@pytest.mark.parametrize(("c_in", "count"), [(16, 2), (3, 3)])
def test_several_long_tables(recorder, c_in, count):
    """One of them, with 16 channels, at two of a kernel's indices."""
    geometry = make_geometry((40,), (1200,), c_in, 32, stride=200, dilation=3)
    plan = check_encoded(recorder, "output", geometry)
    assert sum(len(ints) > MOST_INTS for ints in plan["constants"]) == count


def test_empty_sum(recorder):
    """Operands without a value, and a result that is the bias."""
    geometry = make_geometry((3, 4), (2, 2), 0, 4)
    plan = check_encoded(recorder, "output", geometry, has_bias=True)
    assert [one["kernel"] for one in plan["launches"]] == ["sum_splits"]


@pytest.mark.parametrize(
    ("contraction", "sizes"),
    [
        ("output", {"batch": 0}),
        ("output", {"c_out": 0}),
        ("input_grad", {"batch": 0}),
        ("weight_grad", {"c_in": 0}),
    ],
)
def test_empty_results(recorder, contraction, sizes):
    sizes = {"c_in": 8, "c_out": 16, **sizes}
    geometry = make_geometry((3, 4), (2, 2), **sizes)
    operands = operands_of(contraction, geometry)
    record = recorder.eval(
        contraction, geometry, "float32", operands, Behaviour()
    )
    assert record["error"] is None
    assert record["events"] == []
    assert record["result"]["size"] == 0


def test_everything_is_compiled_once(recorder):
    geometry = CHOSEN["dilation"]
    check_encoded(recorder, "output", geometry)
    again = recorder.eval(
        "output",
        geometry,
        "float32",
        operands_of("output", geometry),
        Behaviour(),
    )
    assert len(again["dispatches"]) == 2
    assert [e for e in again["events"] if e.startswith("build")] == []


def test_compile_gpu_kernels(recorder):
    recorder.replace_device()
    record = recorder.compile_all()
    assert record["error"] is None
    assert record["names"] == list(metal_texts())
    assert record["events"] == list(compilation_of(record["names"]))
    for name, text in metal_texts().items():
        assert recorder.text(library_name(name)) == text


EXECUTED = [
    ("splits, bias and phases", "float32"),
    ("folded and gathered", "float16"),
    ("few rows, groups", "bfloat16"),
    ("twelve columns", "float32"),
    ("depthwise, dilated", "float16"),
    ("splits 64x64", "float32"),
]


@pytest.mark.parametrize("contraction", CONTRACTIONS)
@pytest.mark.parametrize(("name", "element"), EXECUTED)
def test_numbers(recorder, name, element, contraction):
    """What is encoded computes the contraction, on the emulated GPU."""
    geometry = CHOSEN[name]
    posed = draw_operands(contraction, geometry, largest=1)
    posed = [to_numpy(operand) for operand in posed]
    bias = None
    if contraction == "output":
        bias = to_numpy(draw_integers((geometry.c_out,), seed=5))
    expected = oracle(contraction, geometry, *posed)
    outcome = contract(
        contraction, geometry, posed, element, bias=bias, misalign=(4, 0)
    )

    first, second = posed[::-1] if contraction == "input_grad" else posed
    values = [stored(first, element), stored(second, element)]
    values += [] if bias is None else [stored(bias, element)]
    arrays = [
        Array(one.shape, one, misalign)
        for one, misalign in zip(values, (4, 0, 0))
    ]
    record = recorder.eval(contraction, geometry, element, arrays, Behaviour())
    assert record["error"] is None
    result = np.zeros(expected.shape, values[0].dtype)
    assert recorder.execute(result) == ""
    result = loaded(result, element)
    assert np.array_equal(result, outcome.result)
    if element == "float32":
        wanted = expected if bias is None else expected + bias
        assert np.array_equal(result, wanted)
