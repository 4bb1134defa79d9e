"""A row of docs/differences.md as two calls: the library's, and ours."""

import functools

import mlx.core as mx
import mlx.nn
import numpy as np
from equivalents_libraries import LIBRARIES
from equivalents_page import helper_functions, of_rank

import mlx_convt


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


def our_layer(theirs, code, names):
    layer = eval(code, names)
    if isinstance(layer, mlx.nn.Module):
        expected = layer.weight.shape
        layer.weight = eval(theirs.weight_of, names)
        assert layer.weight.shape == expected
        layer.bias = names["b"]
    return layer


def both(row, geometry, names):
    """Theirs (there may be several) and ours, as numpy, channels last."""
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
    ours = our_layer(theirs, codes[1], right)
    if isinstance(ours, mlx.nn.Module):
        ours = ours(right["x"])
    return list(theirs.evaluate(codes[0], left)), np.array(ours)


def agree(row, geometry, names):
    try:
        results, ours = both(row, geometry, names)
    except Exception:  # noqa: BLE001 - each library has its own errors
        return False
    same = [np.array_equal(result, ours) for result in results]
    return bool(same) and all(same)
