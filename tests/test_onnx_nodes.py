"""ONNX's own ConvTranspose node tests, as its Python package carries them."""

import functools
import warnings

import mlx.core as mx
import numpy as np
import pytest

import mlx_convt

onnx = pytest.importorskip("onnx")

NAMES = (
    "test_convtranspose",
    "test_convtranspose_1d",
    "test_convtranspose_3d",
    "test_convtranspose_autopad_same",
    "test_convtranspose_dilations",
    "test_convtranspose_group_2",
    "test_convtranspose_group_2_image_3",
    "test_convtranspose_kernel_shape",
    "test_convtranspose_output_shape",
    "test_convtranspose_pad",
    "test_convtranspose_pads",
)


@functools.cache
def cases():
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        # Collecting evaluates every operator's examples, overflows included.
        warnings.simplefilter("ignore")
        return {case.name: case for case in collect_testcases("ConvTranspose")}


def call_arguments(attributes, spatial, kernel):
    """ONNX's attributes as keyword arguments of conv_transpose*d."""
    rank = len(spatial)
    stride = attributes.get("strides", [1] * rank)
    dilation = attributes.get("dilations", [1] * rank)
    extra = attributes.get("output_padding", [0] * rank)
    pads = attributes.get("pads", [0] * (2 * rank))
    auto_pad = attributes.get("auto_pad", b"NOTSET").decode()
    wanted = attributes.get("output_shape")
    assert list(attributes.get("kernel_shape", kernel)) == list(kernel)
    if auto_pad.startswith("SAME"):
        wanted = [i * s for i, s in zip(spatial, stride, strict=True)]
    padding = list(zip(pads[:rank], pads[rank:], strict=True))
    if wanted is not None:
        # The output shape decides; what it lacks becomes output padding.
        extra, padding = list(extra), []
        for axis, size in enumerate(wanted):
            full = stride[axis] * (spatial[axis] - 1) + 1
            full += dilation[axis] * (kernel[axis] - 1)
            total = max(full + extra[axis] - size, 0)
            extra[axis] = size + total - full
            less, more = total // 2, total - total // 2
            upper = auto_pad == "SAME_UPPER"
            padding.append((less, more) if upper else (more, less))
    return {
        "stride": list(stride),
        "padding": padding,
        "dilation": list(dilation),
        "output_padding": list(extra),
        "groups": attributes.get("group", 1),
    }


def from_onnx_weight(values, groups):
    inputs, outputs, *kernel = values.shape
    split = values.reshape(groups, inputs // groups, outputs, *kernel)
    split = np.moveaxis(split, 1, -1)
    return split.reshape(groups * outputs, *kernel, inputs // groups)


def test_every_case_is_here():
    assert tuple(sorted(cases())) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_node(name):
    case = cases()[name]
    (node,) = case.model.graph.node
    attributes = {
        attribute.name: onnx.helper.get_attribute_value(attribute)
        for attribute in node.attribute
    }
    ((inputs, outputs),) = case.data_sets
    values, weight, *bias = inputs
    rank = values.ndim - 2
    arguments = call_arguments(attributes, values.shape[2:], weight.shape[2:])
    actual = getattr(mlx_convt, f"conv_transpose{rank}d")(
        mx.array(np.moveaxis(values, 1, -1)),
        mx.array(from_onnx_weight(weight, arguments["groups"])),
        bias=mx.array(bias[0]) if bias else None,
        **arguments,
    )
    # The examples hold small integers: their sums are exact.
    np.testing.assert_array_equal(
        np.moveaxis(np.array(actual), -1, 1), outputs[0]
    )


def test_same_padding_is_auto_pad_same_upper():
    case = cases()["test_convtranspose_autopad_same"]
    values, weight = case.data_sets[0][0]
    actual = mlx_convt.conv_transpose2d(
        mx.array(np.moveaxis(values, 1, -1)),
        mx.array(from_onnx_weight(weight, 1)),
        stride=2,
        padding="same",
    )
    np.testing.assert_array_equal(
        np.moveaxis(np.array(actual), -1, 1), case.data_sets[0][1][0]
    )
