"""A contraction on the emulated GPU, from and to NumPy arrays."""

from dataclasses import dataclass

import library
import numpy as np
from helpers import CONTRACTIONS

ELEMENTS = ("float32", "float16", "bfloat16")
M1, M3 = 13, 15  # generations of Apple's GPUs
ORDERS = {"forward": 0, "reverse": 1, "random": 2}


@dataclass(frozen=True)
class Outcome:
    """What a run returned, found wrong and counted."""

    result: np.ndarray  # float64
    errors: str
    counts: library.Counts


def problem(
    contraction,
    geometry,
    element="float32",
    *,
    has_bias=False,
    generation=M1,
    misalign=(0, 0),
):
    """A library.Problem of helpers.Geometry."""

    def padded(values, missing):
        return (missing,) * (3 - geometry.rank) + tuple(values)

    return library.Problem(
        CONTRACTIONS.index(contraction),
        geometry.batch,
        padded(geometry.spatial, 1),
        padded(geometry.kernel, 1),
        padded(geometry.output_spatial, 1),
        padded(geometry.stride, 1),
        padded((low for low, _ in geometry.padding), 0),
        padded(geometry.dilation, 1),
        geometry.c_in,
        geometry.c_out,
        geometry.groups,
        ELEMENTS.index(element),
        has_bias,
        generation,
        *misalign,
    )


def stored(array, element):
    """The array's bytes in the GPU's memory."""
    if element != "bfloat16":
        return np.ascontiguousarray(array, element)
    bits = np.ascontiguousarray(array, "float32").view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def loaded(array, element):
    """float64 from the GPU's memory."""
    if element != "bfloat16":
        return array.astype(np.float64)
    return (array.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def contract(
    contraction,
    geometry,
    operands,
    element="float32",
    *,
    bias=None,
    order="forward",
    permuted=False,
    generation=M1,
    misalign=(0, 0),
    using=None,
):
    """Run `operands` as helpers.OPERANDS names them; an Outcome."""
    using = using or library.shared()
    posed = problem(
        contraction,
        geometry,
        element,
        has_bias=bias is not None,
        generation=generation,
        misalign=misalign,
    )
    first, second = operands
    if contraction == "input_grad":  # the engine's order is x, w, y
        first, second = second, first
    results = {
        "output": "output_grad",
        "input_grad": "input",
        "weight_grad": "weight",
    }
    dtype = np.uint16 if element == "bfloat16" else element
    result = np.zeros(geometry.shape(results[contraction]), dtype)
    errors, counts = using.run(
        posed,
        library.Options(ORDERS[order], 7, permuted, 0),
        stored(first, element),
        stored(second, element),
        None if bias is None else stored(bias, element),
        result,
    )
    return Outcome(loaded(result, element), errors, counts)
