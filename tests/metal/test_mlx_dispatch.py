"""The model of MLX's Metal backend against work that is counted by hand."""

import itertools
import math

import pytest
from mlx_cases import DOUBLING, count, geometry, work
from mlx_conv import Conv
from mlx_dispatch import dispatch, least_bytes
from mlx_kernels import phase_taps

from mlx_convt import layers


def test_useful_work_and_least_bytes():
    sizes = geometry(**DOUBLING, groups=2, batch=3)
    # 3 images of 8 x 8, 4 x 4 taps, 16 x 32 channels of which half meet.
    assert count(sizes) == 3 * 64 * 16 * 16 * 32 // 2
    # Input 3 x 8 x 8 x 16, output 3 x 16 x 16 x 32, weights 32 x 4 x 4 x 8.
    elems = 3 * 64 * 16 + 3 * 256 * 32 + 32 * 16 * 8
    assert least_bytes(**sizes, itemsize=2) == 2 * elems


def test_phases_of_the_general_kernel():
    found = work("output", **DOUBLING)
    assert found.path == "implicit_gemm_2d_general bm32 bn32 bk16"
    # 4 phases of 8 x 8 outputs, 32 channels and 2 x 2 taps of 16 channels.
    assert found.multiply_adds == 4 * 64 * 32 * (4 * 16)
    assert found.multiply_adds == count(geometry(**DOUBLING))
    # A phase: 64 rows for one tile of columns, 32 columns for two of rows.
    assert found.bytes_read == 4 * (64 * 64 * 1 + 32 * 64 * 2) * 4
    assert found.bytes_written == 16 * 16 * 32 * 4
    assert found.threadgroup_bytes == (32 + 32) * (16 + 4) * 4
    assert found.threads_per_group == 32 * 2 * 2
    assert found.groups == 4 * 2 * 1
    assert found.launches == 1


def test_large_tiles_of_the_general_kernel():
    large = {"batch": 32, "spatial": 16, "c_in": 128, "c_out": 64}
    found = work("output", **DOUBLING, **large)
    # 32 x 16 x 16 = 8192 rows of a phase and at least 64 channels.
    assert found.path == "implicit_gemm_2d_general bm64 bn64 bk16"
    assert found.groups == 4 * (8192 // 64) * 1
    # One image less, or half the columns, and a side of the tile is halved.
    fewer = large | {"batch": 31}
    assert "bm32 bn32" in work("output", **DOUBLING, **fewer).path
    narrow = large | {"c_out": 32}
    assert "bm64 bn32" in work("output", **DOUBLING, **narrow).path


def test_half_precision_pads_rows_of_a_tile_by_eight_elements():
    large = {"batch": 32, "spatial": 16, "c_in": 128, "c_out": 64}
    found = work("output", **DOUBLING, **large, itemsize=2)
    assert found.threadgroup_bytes == (64 + 64) * (16 + 8) * 2


def test_few_output_channels_pay_for_32():
    found = work("output", **DOUBLING, c_out=3)
    assert found.multiply_adds == 4 * 64 * 32 * (4 * 16)
    assert found.bytes_written == 16 * 16 * 3 * 4


def test_phases_of_three_taps_take_one_and_two():
    odd = {"kernel": 3, "stride": 2, "padding": 1, "output_padding": 1}
    # Per axis 1 + 2 taps, so 3 x 3 of 4 x 3 x 3 / 4 = 9: no work is lost.
    assert work("output", **odd).multiply_adds == 64 * 32 * 9 * 16
    # Without output_padding 15 outputs are 8 per phase all the same.
    less = odd | {"output_padding": 0}
    assert work("output", **less).multiply_adds == 64 * 32 * 9 * 16


def test_phases_without_taps_only_write_zeros():
    found = work("output", kernel=1, stride=2, output_padding=1)
    # Of four phases one has a tap; the other three launch their tiles too.
    assert found.multiply_adds == 64 * 32 * 16
    assert found.groups == 4 * 2


def test_phase_taps_are_those_that_meet_a_pixel():
    for dilation, spread, stride, kernel, low, flip in itertools.product(
        (1, 2, 3), (1, 2, 4), (1, 2), (1, 2, 3, 5), (0, 1, 3), (True, False)
    ):
        conv = Conv(
            batch=1,
            spatial=(9,),
            kernel=(kernel,),
            c_in=1,
            c_out=1,
            stride=(stride,),
            padding=((low, low),),
            kernel_dilation=(spread,),
            input_dilation=(dilation,),
            groups=1,
            flip=flip,
            itemsize=4,
        )
        phases = math.lcm(dilation, stride) // stride
        assert phase_taps(conv, 0) == [
            sum(
                (phase * stride - low + tap * spread) % dilation == 0
                for tap in range(kernel)
            )
            for phase in range(phases)
        ]


def test_strided_groups_unfold_their_zeros():
    found = work("output", **DOUBLING, groups=4)
    assert found.path == "unfold + gemm_grouped bm64 bn64 bk16"
    # 4 groups of 256 outputs x 8 channels, in 4 x 1 tiles of 64; all 16 taps
    # of 4 channels, so four times the taps and eight times the columns.
    assert found.multiply_adds == 4 * 256 * 64 * (16 * 4)
    assert found.multiply_adds == 4 * 8 * count(geometry(**DOUBLING, groups=4))
    weights, unfolded = 32 * 16 * 4, 256 * 16 * 16
    gemm = 4 * (256 * 64 * 1 + 8 * 64 * 4)
    assert found.bytes_read == (8 * 8 * 16 + weights + gemm) * 4
    assert found.bytes_written == (weights + unfolded + 256 * 32) * 4
    assert found.groups == 4 * 4
    # Weights transposed, input unfolded, product.
    assert found.launches == 3


def test_strided_calls_in_one_dimension_unfold_too():
    found = work("output", rank=1, **DOUBLING, c_in=64)
    # Product of 16 x 256 by 256 x 32: at least 8 slices of 16 and longer than
    # it is wide, so its 16 slices are split into as many parts.
    assert found.path == "unfold + gemm_splitk16 bm16 bn16 bk16"
    assert found.multiply_adds == 16 * 32 * (4 * 64)
    assert found.multiply_adds == 2 * count(geometry(1, **DOUBLING, c_in=64))
    partial, gemm = 16 * 16 * 32, 16 * 256 * 2 + 32 * 256 * 1
    assert found.bytes_read == (8 * 64 + gemm + partial) * 4
    assert found.bytes_written == (16 * 256 + partial + 16 * 32) * 4
    assert found.groups == 16 * (1 * 2)
    assert found.launches == 3


def test_long_products_of_many_rows_are_not_split():
    # 400 x 256 by 256 x 32: fewer terms than rows.
    found = work("output", rank=1, **DOUBLING, c_in=64, spatial=200)
    assert found.path == "unfold + gemm bm64 bn64 bk16"
    assert found.multiply_adds == (7 * 64) * 64 * 256
    assert found.groups == 7
    assert found.launches == 2


def test_long_products_are_split_in_two_at_least():
    sizes = {"kernel": 9, "stride": 2, "c_in": 64, "c_out": 512}
    found = work("output", rank=1, **sizes)
    # 23 x 576 by 576 x 512: 36 slices over 1 x 16 tiles of 32 are two each.
    assert found.path == "unfold + gemm_splitk2 bm16 bn32 bk16"
    assert found.groups == 2 * (2 * 16)
    fewer = work("output", rank=1, **sizes | {"kernel": 8})
    # 22 x 512 by 512 x 512: 32 slices are two each as well.
    assert fewer.path == found.path
    least = work("output", rank=1, **sizes | {"kernel": 8, "batch": 2})
    # 44 rows make two rows of tiles: one slice each, and still two parts.
    assert least.path == "unfold + gemm_splitk2 bm32 bn32 bk16"


def test_channels_are_padded_for_the_special_kernel():
    found = work("output", spatial=14, c_in=20, c_out=16)
    assert found.path == "pad + implicit_gemm_2d bm32 bn8 bk16"
    # 16 x 16 outputs, 20 channels as 32, 9 taps.
    assert found.multiply_adds == 256 * 16 * (9 * 32)
    assert found.launches == 1 + 2 * 2
    assert found.groups == 8 * 2
    # 15 x 16 outputs are too few, and too few for the general kernel as well.
    few = work("output", spatial=(13, 14), c_in=20, c_out=16)
    # 240 x 180 by 180 x 16: 11 slices over 8 x 1 tiles of 32, yet too short.
    assert few.path == "unfold + gemm bm64 bn64 bk16"
    assert few.multiply_adds == 256 * 64 * 192


def test_strided_three_dimensions_unfold():
    found = work("output", rank=3, **DOUBLING, spatial=2)
    # 64 x 1024 by 1024 x 32: 64 slices over two tiles of 32 are 32 parts.
    assert found.path == "unfold + gemm_splitk32 bm32 bn16 bk16"
    assert found.multiply_adds == 64 * 32 * (64 * 16)
    assert found.multiply_adds == 8 * count(geometry(3, **DOUBLING, spatial=2))


def test_three_dimensions_as_frames():
    # Padding of two on the first axis leaves none there; batch of one.
    sizes = {"rank": 3, "padding": 2, "spatial": (6, 18, 18), "batch": 1}
    found = work("output", **sizes)
    assert found.path == "3 x implicit_gemm_2d bm32 bn32 bk16"
    # 4 frames of 16 x 16: 1024 rows, 32 columns, 9 taps of 16 channels.
    assert found.multiply_adds == 3 * 1024 * 32 * (9 * 16)
    # Each plane of taps is copied and convolved, then two sums.
    assert found.launches == 3 * 2 + 2
    shifted = sizes | {"padding": 1}
    assert work("output", **shifted).path.startswith("implicit_gemm_3d")
    several = work("output", **sizes | {"batch": 2})
    assert several.path == "implicit_gemm_3d bm32 bn32 bk16"
    assert several.launches == 1


def test_three_dimensions_pad_channels():
    found = work("output", rank=3, spatial=2, c_in=3, c_out=20)
    assert found.path == "pad + implicit_gemm_3d bm32 bn32 bk16"
    # 4^3 rows, 20 channels as 32, 27 taps of 16; 32 channels are written.
    assert found.multiply_adds == 64 * 32 * (27 * 16)
    padded = 8 * 16 + 32 * 27 * 16
    assert found.bytes_written == (64 * 32 + padded) * 4
    assert found.launches == 1 + 2 * 2


def test_negative_paddings_cut_the_input():
    sizes = {"kernel": 2, "padding": 2}
    found = work("output", **sizes)
    # Padding of two is one above the reach of the taps: 6 x 6 pixels are left
    # and copied, and 5 x 5 outputs computed.
    assert found.launches == 2
    assert found.path == "implicit_gemm_2d bm32 bn32 bk16"
    assert found.multiply_adds == 32 * 32 * (4 * 16)
    # Transposed weights, convolution, zeros, paste.
    assert work("input_grad", **sizes).launches == 4


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"rank": 3, "groups": 2}, "no groups in three"),
        ({"spatial": 2, "kernel": 1, "padding": 1}, "no input left"),
        ({"spatial": 2, "kernel": 4, "padding": 3}, "without pixels"),
    ],
)
def test_calls_that_mlx_rejects(sizes, message):
    with pytest.raises(ValueError, match=message):
        work("output", **sizes)


@pytest.mark.parametrize("layer", layers.load(), ids=lambda layer: layer.name)
def test_published_layers(layer):
    arguments = {
        "batch": layer.batch,
        "spatial": layer.spatial,
        "kernel": layer.kernel,
        "c_in": layer.in_channels,
        "c_out": layer.out_channels,
        "stride": layer.stride,
        "padding": [(p, p) for p in layer.padding],
        "dilation": layer.dilation,
        "output_padding": layer.output_padding,
        "groups": layer.groups,
    }
    for contraction in ("output", "input_grad", "weight_grad"):
        found = dispatch(2, contraction, **arguments)
        moved = found.bytes_read + found.bytes_written
        assert moved >= least_bytes(**arguments)
        assert found.multiply_adds >= count(arguments)
        assert found.threadgroup_bytes <= 32 * 1024
        assert found.threads_per_group <= 1024
