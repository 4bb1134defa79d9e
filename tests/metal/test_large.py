"""Arrays of more than 2^31 elements: offsets in memory have 64 bits.

Only the last threadgroups run, and only the last values of an array are there;
those before them are zeros that take no memory.
"""

import math
from dataclasses import replace

import library
import numpy as np
import pytest
from emulated import ORDERS, loaded, problem, stored
from helpers import make_geometry, oracle

RESULTS = {
    "output": "output_grad",
    "input_grad": "input",
    "weight_grad": "weight",
}
ELEMENT = "float16"
GROUPS = 512  # that run of each launch, unless said otherwise
TAIL_BYTES = 1 << 22


def square(c_in, c_out, batch, **attributes):
    """121 pixels on either side, too many to be walked batch first."""
    return make_geometry(
        (11, 11), (3, 3), c_in, c_out, batch=batch, padding=1, **attributes
    )


IMAGES = {
    "vectors": square(16, 16, 2**21),
    "one by one": square(20, 20, 2**21),
    "gathered": square(3, 24, 2**23),
    "gathered gradient": square(24, 3, 2**23),
    "few columns": square(8, 3, 2**23),
    "few columns of the gradient": square(3, 8, 2**23),
    "lanes": square(24, 24, 2**21, groups=24),
}
# A line of the result is no whole number of threadgroups.
PLANE = make_geometry(
    (1025, 1023), (1, 3), 2049, 2049, padding=(0, 1), groups=2049
)
# One image is all that there is; its last pixel is far away.
FAR = make_geometry((1,), (2,), 40, 2**12, stride=2**20, dilation=2**20 - 1)
# Their pixels do not depend on each other.
PIXELS = {
    "x in vectors": make_geometry((2**13 + 3,), (1,), 2**18, 16),
    "x one by one": make_geometry((2**13 + 3,), (1,), 2**18 + 1, 16),
    "y": make_geometry((2**13 + 3,), (1,), 16, 2**18),
    "direct": make_geometry((2**11 + 3,), (1,), 2**20, 2**20, groups=2**20),
}


def tail(shape, seed):
    """The array's last values, small integers, flat."""
    count = min(math.prod(shape), TAIL_BYTES // 2)
    return np.random.default_rng(seed).integers(-2, 3, count).astype(float)


def run_tail(contraction, geometry, operands, bias=None, groups=GROUPS):
    """The result's last values, where the last threadgroups wrote them."""
    first, second = operands
    if contraction == "input_grad":  # the engine's order is x, w, y
        first, second = second, first
    shape = geometry.shape(RESULTS[contraction])
    result = np.zeros(min(math.prod(shape), TAIL_BYTES // 2), ELEMENT)
    errors, _ = library.shared().run(
        problem(contraction, geometry, ELEMENT, has_bias=bias is not None),
        library.Options(ORDERS["forward"], 1, 0, groups, TAIL_BYTES),
        stored(first, ELEMENT),
        stored(second, ELEMENT),
        None if bias is None else stored(bias, ELEMENT),
        result,
    )
    assert errors == "", geometry
    return loaded(result, ELEMENT)


def last_of(array, shape):
    """The end of a flat array, in this shape."""
    return array[-math.prod(shape) :].reshape(shape)


@pytest.mark.parametrize("contraction", ["output", "input_grad"])
@pytest.mark.parametrize("name", IMAGES)
def test_last_image(name, contraction):
    geometry = IMAGES[name]
    shapes = geometry.operand_shapes(contraction)
    assert max(map(math.prod, shapes)) > 2**31
    operands = [tail(shape, seed) for seed, shape in enumerate(shapes)]
    one = replace(geometry, batch=1)
    arrays = map(last_of, operands, one.operand_shapes(contraction))
    expected = oracle(contraction, one, *arrays)
    found = run_tail(contraction, geometry, operands)
    assert np.array_equal(last_of(found, expected.shape), expected)


@pytest.mark.parametrize("contraction", ["output", "input_grad"])
def test_images_side_by_side(contraction):
    """Walked batch first, the last rows are the last pixels of many images."""
    geometry = make_geometry((3, 3), (2, 2), 20, 20, batch=2**24)
    shapes = geometry.operand_shapes(contraction)
    operands = [tail(shape, seed) for seed, shape in enumerate(shapes)]
    one = replace(geometry, batch=1)
    arrays = map(last_of, operands, one.operand_shapes(contraction))
    expected = oracle(contraction, one, *arrays)
    found = last_of(run_tail(contraction, geometry, operands), expected.shape)
    assert np.array_equal(found[:, -1, -1], expected[:, -1, -1])


def test_last_line():
    """Of a plane so large that each line has its own threadgroups."""
    shapes = PLANE.operand_shapes("output")
    operands = [tail(shape, seed) for seed, shape in enumerate(shapes)]
    end = replace(PLANE, spatial=(1, 32))
    arrays = map(last_of, operands, end.operand_shapes("output"))
    expected = oracle("output", end, *arrays)
    found = last_of(run_tail("output", PLANE, operands), expected.shape)
    # The first pixel also sums one that is before these.
    assert np.array_equal(found[:, :, 1:], expected[:, :, 1:])


def test_last_phase():
    shapes = FAR.operand_shapes("output")
    operands = [tail(shape, seed) for seed, shape in enumerate(shapes)]
    bias = tail((FAR.c_out,), 2)
    found = run_tail("output", FAR, operands, bias)
    x, w = map(last_of, operands, shapes)
    expected = w[:, -1] @ x[0, 0] + bias
    assert np.array_equal(found[-FAR.c_out :], expected)


def test_far_pixels():
    x, w = FAR.shape("input"), FAR.shape("weight")
    operands = [tail(FAR.shape("output_grad"), 0), tail(w, 1)]
    found = run_tail("input_grad", FAR, operands)
    expected = operands[0][-FAR.c_out :] @ last_of(operands[1], w)[:, -1]
    assert np.array_equal(last_of(found, x)[0, 0], expected)


def last_pixels(array, channels, count):
    """(pixel, channel); zeros where the array begins within a pixel."""
    missing = np.zeros(max(0, count * channels - len(array)))
    whole = np.concatenate([missing, array[-count * channels :]])
    return whole.reshape(count, channels)


@pytest.mark.parametrize("name", PIXELS)
def test_last_pixels(name):
    geometry = PIXELS[name]
    shapes = geometry.operand_shapes("weight_grad")
    assert max(map(math.prod, shapes)) > 2**31
    operands = [tail(shape, seed) for seed, shape in enumerate(shapes)]
    # At most so many of the longer array's are not zeros.
    count = 1 + min(len(a) // shape[-1] for a, shape in zip(operands, shapes))
    x, y = (
        last_pixels(a, shape[-1], count) for a, shape in zip(operands, shapes)
    )
    found = run_tail("weight_grad", geometry, operands, groups=2)
    if geometry.groups > 1:
        expected = (y[:, -16:] * x[:, -16:]).sum(axis=0)
    else:
        expected = y[:, -1] @ x[:, -16:]
    assert np.array_equal(found[-16:], expected)
