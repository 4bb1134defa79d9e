"""A row of docs/differences.md as two calls: the library's, and ours."""

import functools

import mlx.core as mx
import mlx.nn
import numpy as np

import mlx_convt
from equivalents.libraries import LIBRARIES
from equivalents.page import (
    GEOMETRIES,
    attributes,
    helper_functions,
    of_rank,
    sizes,
)


@functools.cache
def library(name):
    return LIBRARIES[name]()


@functools.cache
def helpers():
    return {**helper_functions(), "mlx_convt": mlx_convt}


def draw(geometry):
    """Input, weight and bias in MLX's layout: small integers, exact sums."""
    rng = np.random.default_rng(5)
    shapes = (
        geometry.shape("input"),
        geometry.shape("weight"),
        (geometry.c_out,),
    )
    return [rng.integers(-3, 4, shape).astype(np.float32) for shape in shapes]


def cases(row):
    """Geometries with the values of the row's names, and what excludes them."""
    for name, geometry in GEOMETRIES.items():
        if name == "negative" and "low" not in row.where:
            continue  # of no cut that both sides take
        wanted = sizes(geometry) if row.sized else [geometry.output_spatial]
        for size in wanted:
            names = attributes(geometry, size)
            yield geometry, names, row.broken(geometry, names)


def our_layer(theirs, code, names):
    layer = eval(code, names)
    if isinstance(layer, mlx.nn.Module):
        expected = layer.weight.shape
        layer.weight = eval(theirs.weight_of, names)
        assert layer.weight.shape == expected
        layer.bias = names["b"]
    return layer


def both(row, geometry, names):
    """Two functions for theirs and ours; theirs may yield several results.

    The results are numpy's, channels last.
    """
    theirs = library(row.library)
    x, w, b = draw(geometry)
    left = {
        **names,
        "x": theirs.array(theirs.channels(x)),
        "w": theirs.array(theirs.weight(w, geometry.groups, row.theirs)),
        "b": theirs.array(b),
    }
    right = {**helpers(), **left, "x": mx.array(x), "b": mx.array(b)}
    codes = [of_rank(code, geometry.rank) for code in (row.theirs, row.ours)]
    if codes[0].startswith("layer("):
        made = [
            of_rank(code, geometry.rank)
            for code in (row.before.theirs, row.before.ours)
        ]
        layer = eval(made[0], {**theirs.names, **left})
        left["layer"] = theirs.fill(layer, left["w"], left["b"])
        right["layer"] = our_layer(theirs, made[1], right)

    def ours():
        value = our_layer(theirs, codes[1], right)
        if isinstance(value, mlx.nn.Module):
            value = value(right["x"])
        return np.array(value)

    return lambda: list(theirs.evaluate(codes[0], left)), ours


def attempt(function, *arguments):
    """What it returns; None for an error, of whichever class."""
    try:
        return function(*arguments)
    except Exception:  # noqa: BLE001 - each library has its own errors
        return None


def agree(row, geometry, names):
    sides = attempt(both, row, geometry, names)
    results, ours = map(attempt, sides or (None, None))
    if not results or ours is None:
        return False
    return all(np.array_equal(result, ours) for result in results)
