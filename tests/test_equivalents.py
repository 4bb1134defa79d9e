"""Every row of docs/differences.md, in the library that it is about."""

import functools
import itertools
import sys

import mlx.core as mx
import numpy as np
import pytest
from equivalents.calls import (
    agree,
    attempt,
    both,
    cases,
    draw,
    helpers,
    library,
)
from equivalents.derivatives import (
    KINDS,
    ArrayProbe,
    JaxProbe,
    TensorFlowProbe,
    TorchProbe,
)
from equivalents.libraries import LIBRARIES
from equivalents.page import rows_of_calls, table_with
from helpers import make_geometry

import mlx_convt

ROWS = rows_of_calls()
FAULTS = table_with("call", "MLX")
CAN = table_with("library", "float16")


def ids(row):
    return f"{row.library}: {row.theirs}"


def test_every_library_has_rows():
    assert {row.library for row in ROWS} == set(LIBRARIES)
    assert len(ROWS) > 25


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_row(row):
    library(row.library)
    tried, computed, ranks = set(), set(), set()
    for geometry, names, broken in cases(row):
        if broken:
            continue
        tried.add(geometry)
        theirs, ours = both(row, geometry, names)
        try:
            expected = ours()
        except ValueError:
            assert row.sized  # ours refuses some of the sizes
            continue
        computed.add(geometry)
        for result in theirs():
            assert result.shape == expected.shape, names
            np.testing.assert_array_equal(result, expected, str(names))
            ranks.add(geometry.rank)
    assert computed == tried
    assert ranks == ({2} if "rank == 2" in row.where else {1, 2, 3})


LIMITED = [row for row in ROWS if row.clauses or row.sized]


@pytest.mark.parametrize("row", LIMITED, ids=ids)
def test_limits_of_row(row):
    """No clause is in vain, and a size that ours refuses theirs does too."""
    library(row.library).need_version_of_page()
    excluded = {clause: [] for clause in row.clauses}
    for geometry, names, broken in cases(row):
        if len(broken) == 1:
            excluded[broken[0]].append((geometry, names))
        elif row.sized and not broken:
            theirs, ours = both(row, geometry, names)
            assert attempt(ours) is not None or not attempt(theirs), names
    # What a clause alone excludes differs, or is refused.
    for clause, excludes in excluded.items():
        assert excludes, clause
        assert not all(agree(row, *case) for case in excludes), clause


@pytest.mark.parametrize("side", ["MLX", "mlx_convt"])
@pytest.mark.parametrize("line", FAULTS, ids=lambda line: line[-1])
def test_faults_of_mlx(line, side):
    call, of_mlx, of_ours, _ = (cell.strip("`") for cell in line)
    module, expected = {"MLX": (mx, of_mlx), "mlx_convt": (mlx_convt, of_ours)}[
        side
    ]
    if sys.platform == "darwin" and side == "MLX" and "float64" in call:
        pytest.skip("MLX computes this in another way there")
    if side == "MLX":
        library("MLX").need_version_of_page()
    functions = {
        f"conv_transpose{rank}d": getattr(module, f"conv_transpose{rank}d")
        for rank in (1, 2, 3)
    }
    assert outcome(call, {**helpers(), **functions}) == expected


def outcome(code, names):
    """The value in words, or the class of the error."""
    try:
        value = eval(code, names)
        return str(value.item() if isinstance(value, mx.array) else value)
    except (TypeError, ValueError) as error:
        return type(error).__name__


def test_where_mlx_has_other_sizes():
    library("MLX").need_version_of_page()
    axes = (4,), (1, 2, 3), (1, 2, 3), (1, 2), range(4), range(3)
    for n, k, s, d, p, op in itertools.product(*axes):
        spread = (n - 1) * s + d * (k - 1) + 1
        # At each end; output padding takes from that of the high one.
        over = p - d * (k - 1)
        excess = max(over, 0) + max(over - op, 0)
        if op >= max(s, d) or spread - 2 * p + op < 1:
            continue
        x, w = mx.ones((1, n, 1)), mx.ones((1, k, 1))
        expected = spread - 2 * p + op - (s - 1) * excess
        try:
            y = mx.conv_transpose1d(x, w, s, p, d, op)
        except ValueError:
            assert expected < 1
            continue
        assert y.shape[1] == expected
        ours = mlx_convt.conv_transpose1d(x, w, s, p, d, op)
        assert ours.shape[1] == spread - 2 * p + op
        if not excess:
            input_grad = helpers()["input_grad"]
            grad = input_grad(mx.conv_transpose1d, x, w, s, p, d, op)
            assert (grad.shape != x.shape) == (op > p and s > 1)


@functools.cache
def probe_of(name):
    if name == "mlx_convt":
        return ArrayProbe(library("MLX"), mlx_convt.conv_transpose2d)
    if name == "MLX":
        return ArrayProbe(library("MLX"), mx.conv_transpose2d)
    kinds = {"PyTorch": TorchProbe, "JAX": JaxProbe}
    if name in kinds:
        return kinds[name](library(name))
    return TensorFlowProbe(library("TensorFlow, Keras"))


ABILITIES = {
    **{kind: lambda probe, kind=kind: probe.computes(kind) for kind in KINDS},
    "jvp": lambda probe: probe.jvp(),
    "vmap": lambda probe: probe.vmap("both"),
    "double backward": lambda probe: probe.double_backward(),
}
SAID = [
    (line[0], *said)
    for line in CAN
    for said in zip(ABILITIES, line[1:], strict=True)
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "what", "cell"), SAID)
def test_dtypes_and_derivatives(name, what, cell):
    probe, ability = probe_of(name), ABILITIES[what]
    if cell == "over the input":
        assert probe.vmap("input")
    # In this layer no gradient and no vmap has faults; its stride is 2.
    faulty = cell.startswith("[with faults]") and what == "float64"
    if cell in ("no", "over the input") or faulty:
        probe.library.need_version_of_page()
        assert attempt(ability, probe) is None
    else:
        expected = "with" if cell.startswith("with `") else True
        assert ability(probe) == expected


def test_what_only_pytorch_takes():
    theirs = library("PyTorch")
    torch, function = theirs.torch, theirs.names["F"].conv_transpose2d
    x, w = torch.ones(1, 2, 4, 4), torch.ones(2, 3, 3, 3)
    assert function(x[0], w).shape == (3, 6, 6)
    for dtype in (torch.complex64, torch.int64):
        assert function(x.to(dtype), w.to(dtype)).dtype == dtype


def test_what_pytorch_refuses():
    theirs = library("PyTorch")
    theirs.need_version_of_page()
    torch, function = theirs.torch, theirs.names["F"].conv_transpose2d
    x, w = torch.ones(1, 2, 4, 4), torch.ones(2, 3, 3, 3)
    with pytest.raises(RuntimeError):
        function(x.double(), w)
    with pytest.raises(TypeError):
        function(x, w, padding="same")
    with pytest.raises(RuntimeError):
        function(x, w, stride=2, output_padding=2)
    with pytest.raises(RuntimeError):
        function(x, w, padding=-1)


# Kernel 2, stride 3: neither evaluator of ONNX makes n*s as both sides do.
GAPS = {"SAME_UPPER": (15, 1), "SAME_LOWER": (15, 0)}


@pytest.mark.parametrize("auto_pad", GAPS)
def test_onnx_same_below_the_stride(auto_pad):
    theirs = library("ONNX")
    theirs.need_version_of_page()
    geometry = make_geometry((5,), 2, 1, 1, stride=3)
    x, w, _ = draw(geometry)
    x, w = abs(x) + 1, abs(w) + 1
    model, inputs, _ = theirs.node(
        theirs.array(theirs.channels(x)),
        theirs.array(theirs.weight(w, 1, "")),
        np.zeros(1, np.float32),
        strides=[3],
        auto_pad=auto_pad,
    )
    spread = np.array(geometry.forward(mx.array(x), mx.array(w))).ravel()
    size, before = GAPS[auto_pad]
    expected = np.pad(spread, (before, size - 14 - before))
    result = theirs.by_reference(model, inputs)
    np.testing.assert_array_equal(result.ravel(), expected)
    result = theirs.by_runtime(model, inputs)
    np.testing.assert_array_equal(result.ravel(), spread)


def test_onnx_reference_is_wrong_about_groups():
    theirs = library("ONNX")
    theirs.need_version_of_page()
    geometry = make_geometry((5,), 2, 4, 4, groups=2)
    x, w, b = draw(geometry)
    model, inputs, _ = theirs.node(
        theirs.array(theirs.channels(x)),
        theirs.array(theirs.weight(w, 2, "")),
        b,
        group=2,
    )
    expected = geometry.forward(mx.array(x), mx.array(w), bias=mx.array(b))
    result = attempt(theirs.by_reference, model, inputs)
    assert result is None or not np.array_equal(
        np.moveaxis(result, 1, -1), np.array(expected)
    )
