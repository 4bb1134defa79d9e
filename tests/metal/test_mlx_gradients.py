"""What MLX's Metal backend does for gradients, counted by hand."""

import pytest
from mlx_cases import DOUBLING, count, geometry, work


def test_input_gradient_of_one_dimension_is_an_implicit_gemm():
    found = work("input_grad", rank=1, **DOUBLING)
    assert found.path == "implicit_gemm_2d bm32 bn8 bk16"
    # 8 rows fill a tile of 32; 16 columns are two of 8; 4 taps of 32 channels.
    assert found.multiply_adds == 32 * 16 * (4 * 32)
    assert found.groups == 2
    # The weights are transposed first: 32 x 4 x 16 elements there and back.
    assert found.launches == 2
    gemm = 8 * 128 * 2 + 16 * 128 * 1
    assert found.bytes_read == (32 * 4 * 16 + gemm) * 4
    assert found.bytes_written == (32 * 4 * 16 + 8 * 16) * 4


def test_large_tiles_of_the_special_kernel():
    sizes = {**DOUBLING, "spatial": 16, "c_in": 32, "c_out": 64}
    # 32 x 16 x 16 = 8192 rows and 64 channels: tiles of 64 x 64 whatever the
    # columns, but 32 of those are all there is.
    found = work("input_grad", **sizes, batch=32)
    assert found.path == "implicit_gemm_2d bm64 bn64 bk16"
    assert found.multiply_adds == 8192 * 64 * (16 * 64)
    less = work("input_grad", **sizes, batch=31)
    assert less.path == "implicit_gemm_2d bm32 bn32 bk16"
    few = work("input_grad", **sizes | {"c_out": 48}, batch=32)
    assert few.path == less.path


@pytest.mark.parametrize(
    ("c_out", "depth"), [(1, 16), (2, 32), (3, 64), (4, 64)]
)
def test_few_channels_lie_side_by_side(c_out, depth):
    found = work("input_grad", **DOUBLING, c_in=32, c_out=c_out)
    # 16 taps of 1, 2 or 4 places: multiples of 16 as they are.
    assert found.path == f"implicit_gemm_2d c{c_out} bm32 bn32 bk16"
    assert found.multiply_adds == 64 * 32 * depth


def test_eight_channels_of_a_group_lie_side_by_side_too():
    found = work("input_grad", **DOUBLING, c_out=32, groups=4)
    # 4 groups of 64 rows and 4 columns as 8, 16 taps of 8 channels.
    assert found.path == "implicit_gemm_2d c8 bm64 bn8 bk16"
    assert found.multiply_adds == 4 * 64 * 8 * (16 * 8)
    # Without groups eight channels are no special case: here 16 are paid.
    whole = work("input_grad", **DOUBLING, c_out=8, batch=4)
    assert whole.path == "implicit_gemm_2d_general bm32 bn32 bk16"
    assert whole.multiply_adds == (4 * 64) * 32 * (16 * 16)


def test_depthwise_input_gradient():
    found = work("input_grad", **DOUBLING, c_in=16, c_out=16, groups=16)
    assert found.path == "depthwise_2d"
    # 8 x 8 outputs are 2 x 1 blocks of 4 x 8, 16 channels two of 8.
    assert found.groups == 2 * 1 * 2
    assert found.multiply_adds == 4 * (4 * 8 * 8) * 16
    # A block at stride 2 spans 4 * 2 + 3 by 8 * 2 + 3 pixels.
    assert found.bytes_read == 4 * 8 * (11 * 19 + 16) * 4
    # 16 x 4 x 4 x 1 is its own transpose, so nothing is copied.
    assert found.launches == 1
    other = {"c_in": 16, "c_out": 16, "groups": 16}
    # 54 channels are no multiple of 8, a stride of 3 is too long, and an axis
    # of its own wastes seven of a block's eight columns.
    odd = dict.fromkeys(other, 54)
    assert work("input_grad", **DOUBLING, **odd).path.startswith("implicit")
    wide = work("input_grad", kernel=3, stride=3, **other)
    assert wide.path == "implicit_gemm_2d c1 bm32 bn8 bk16"
    line = work("input_grad", rank=1, **DOUBLING, **other)
    assert line.path == "depthwise_2d"
    assert line.multiply_adds == 8 * count(geometry(1, **DOUBLING, **other))


def test_depthwise_input_gradient_in_one_dimension():
    separable = {"spatial": 6, "c_in": 4, "c_out": 4, "groups": 4}
    found = work("input_grad", rank=1, **separable)
    assert found.path == "depthwise_1d"
    assert found.multiply_adds == 6 * 4 * 3
    # Blocks of 4 channels x 4 outputs: two, which read 6 + 2 * 2 pixels.
    assert (found.groups, found.threads_per_group) == (2, 16)
    assert found.bytes_read == (4 * 10 + 4 * 3 * 2) * 4
    padded = work("input_grad", rank=1, **separable, padding=1)
    assert padded.path.startswith("implicit_gemm_2d c1")


def test_winograd_of_an_input_gradient():
    same = {"spatial": 64, "c_in": 128, "c_out": 128, "padding": 1}
    found = work("input_grad", **same)
    assert found.path == "winograd gemm bm64 bn64 bk16"
    # 11 x 11 cells of 6 x 6 are two tiles of rows, 128 channels two of columns.
    product = 64 * (2 * 64) * (2 * 64) * 128
    matrices = 128 * 128 + 121 * 128 + 121 * 128
    assert found.multiply_adds == product + 2 * 8**3 * matrices
    assert found.groups == 64 * 2 * 2
    # Transposed weights, filter, zeros, input, its transform, gemm, output.
    assert found.launches == 7
    # The forward direction is flipped, which this path does not know.
    assert work("output", **same).path.startswith("implicit_gemm_2d bm32 bn64")
    small = same | {"spatial": 63}
    assert not work("input_grad", **small).path.startswith("winograd")


def test_weight_gradient_pads_a_batch_of_one_to_sixteen():
    sizes = {**DOUBLING, "spatial": 4}
    found = work("weight_grad", **sizes)
    assert found.path == "implicit_gemm_2d_general bm32 bn32 bk16"
    # 16 channels x 4 x 4 taps are rows, a quarter of them in each phase; the
    # 8 x 8 outputs are its taps, of which a phase uses 4 x 4.
    assert found.multiply_adds == 4 * 64 * 32 * (16 * 16)
    assert found.multiply_adds == 16 * count(geometry(**sizes))
    # Input and cotangent are transposed: 4 x 4 x 16 and 8 x 8 x 32 elements.
    gemm = 4 * (64 * 16 * 1 + 32 * 16 * 2)
    assert found.bytes_read == (256 + 2048 + gemm) * 4
    assert found.bytes_written == (256 + 2048 + 4 * 4 * 16 * 32) * 4
    assert found.launches == 3
    full = work("weight_grad", **sizes, batch=16)
    assert full.multiply_adds == count(geometry(**sizes, batch=16))


def test_weight_gradient_of_odd_kernels_rounds_its_phases():
    sizes = {"kernel": 3, "stride": 2, "padding": 1, "output_padding": 1}
    found = work("weight_grad", **sizes, batch=16)
    # 3 x 3 taps as four phases of 2 x 2: 16 / 9 of the rows that are needed.
    assert found.multiply_adds == 4 * (16 * 4) * 32 * (8 * 8 * 16)
    assert 9 * found.multiply_adds == 16 * count(geometry(**sizes, batch=16))


def test_small_weight_gradients_unfold():
    sizes = {**DOUBLING, "c_in": 1, "c_out": 1}
    found = work("weight_grad", **sizes)
    # 16 results of 16 x 16 terms with zeros: split, in tiles of 16 x 16.
    assert found.path == "unfold + gemm_splitk16 bm16 bn16 bk16"
    assert found.multiply_adds == 16 * 16 * 256
    # One channel and a batch of one: transposes that move nothing.
    assert found.launches == 3


def test_grouped_weight_gradient_uses_a_column_of_64():
    sizes = {**DOUBLING, "c_in": 16, "c_out": 16, "groups": 16}
    found = work("weight_grad", **sizes)
    assert found.path == "unfold + gemm_grouped bm64 bn64 bk16"
    # Each group: 4 x 4 results by 1 in a tile of 64 x 64, 16 x 16 terms.
    assert found.multiply_adds == 16 * 64 * 64 * 256
    # Input channels lie in their order already: only the cotangent is copied.
    assert found.launches == 1 + 3


def test_output_padding_above_padding_computes_too_much():
    sizes = {"kernel": 3, "stride": 2, "output_padding": 3}
    found = work("input_grad", **sizes)
    # 20 x 20 cotangents give 9 x 9 pixels before three are cut: 81 rows, 96 of
    # them executed, instead of 64.
    assert found.multiply_adds == 96 * 16 * (9 * 32)
