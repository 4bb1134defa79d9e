"""mlx_convt.patch: ours in the place of mx.conv_transpose1d, 2d and 3d."""

import sys
import threading

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

import mlx_convt
from mlx_convt import patching

NAMES = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
BUILTIN = {name: getattr(mx, name) for name in NAMES}


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    assert {name: getattr(mx, name) for name in NAMES} == BUILTIN
    assert not patching._patches


def ours_runs(rank=1):
    """Only ours has a jvp."""
    x = mx.ones((1, *[4] * rank, 2))
    w = mx.ones((3, *[2] * rank, 2))
    call = getattr(mx, f"conv_transpose{rank}d")
    try:
        mx.eval(mx.jvp(lambda x: call(x, w, 2), [x], [x]))
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_block(rank):
    x = mx.random.normal((2, *[5] * rank, 4))
    w = mx.random.normal((6, *[3] * rank, 4))
    call = (x, w, 2, 1, 1, 1)
    before = getattr(mx, f"conv_transpose{rank}d")(*call, stream=mx.cpu)
    assert not ours_runs(rank)
    with mlx_convt.patch():
        assert ours_runs(rank)
        after = getattr(mx, f"conv_transpose{rank}d")(*call, stream=mx.cpu)
        exact = getattr(mlx_convt, f"conv_transpose{rank}d")(*call)
    assert not ours_runs(rank)
    assert mx.array_equal(after, exact)
    assert mx.allclose(after, before, rtol=1e-5, atol=1e-5)


def test_until_undone():
    patch = mlx_convt.patch()
    assert ours_runs()
    patch.undo()
    assert not ours_runs()
    patch.undo()
    assert not ours_runs()


def test_an_error_ends_it():
    with pytest.raises(ZeroDivisionError), mlx_convt.patch():
        raise ZeroDivisionError
    assert not ours_runs()


def test_the_last_of_several_ends_it():
    first, second = mlx_convt.patch(), mlx_convt.patch()
    first.undo()
    first.undo()
    assert ours_runs()
    with mlx_convt.patch():
        second.undo()
        assert ours_runs()
    assert not ours_runs()


def test_again():
    patch = mlx_convt.patch()
    for _ in range(2):
        with patch:
            with patch:
                assert ours_runs()
            assert ours_runs()
        assert not ours_runs()
    with patch, patch:
        patch.undo()
        assert not ours_runs()


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_layers(rank):
    layer = getattr(nn, f"ConvTranspose{rank}d")(4, 6, 3, 2, 1, 1, 1)
    x = mx.random.normal((2, *[4] * rank, 4))
    before = layer(x)
    with mlx_convt.patch():
        assert mx.allclose(layer(x), before, rtol=1e-5, atol=1e-6)
        mx.eval(mx.jvp(layer, [x], [x]))


def test_keywords():
    x, w = mx.ones((1, 4, 4, 4)), mx.ones((4, 2, 2, 2))
    with mlx_convt.patch():
        y = mx.conv_transpose2d(
            x,
            w,
            stride=(2, 1),
            padding=(1, 0),
            dilation=(1, 2),
            output_padding=(1, 0),
            groups=2,
            stream=mx.default_stream(mx.cpu),
        )
    assert y.shape == (1, 7, 6, 4)


# What ours refuses, and MLX computes.
FALLBACKS = [
    {"padding": -1},
    {"stride": 2, "output_padding": 2},
    {"stride": 2, "output_padding": -1},
]


@pytest.mark.parametrize("arguments", FALLBACKS)
def test_what_ours_refuses_goes_to_mlx(arguments):
    x = mx.random.normal((1, 5, 3))
    w = mx.random.normal((2, 3, 3))
    with pytest.raises(ValueError):
        mlx_convt.conv_transpose1d(x, w, **arguments)
    before = mx.conv_transpose1d(x, w, **arguments)
    with mlx_convt.patch():
        assert mx.array_equal(mx.conv_transpose1d(x, w, **arguments), before)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_padding_that_mlx_takes_otherwise(rank):
    """Above dilation*(K - 1), it cuts the rest off stride times."""
    x = mx.random.normal((1, *[6] * rank, 3))
    w = mx.random.normal((2, *[3] * rank, 3))
    call = getattr(mx, f"conv_transpose{rank}d")
    before = call(x, w, 2, 3)
    ours = getattr(mlx_convt, f"conv_transpose{rank}d")(x, w, 2, 3)
    assert before.shape != ours.shape
    with mlx_convt.patch():
        after = getattr(mx, f"conv_transpose{rank}d")(x, w, 2, 3)
    assert mx.array_equal(after, before)


@pytest.mark.parametrize(
    "window", [(1, 3), (2, 2), (2, 3, 2), (2, "same"), (2, ((1, 2),))]
)
def test_other_paddings_stay_ours(window):
    x, w = mx.ones((1, 6, 3)), mx.ones((2, 3, 3))
    with mlx_convt.patch():
        mx.eval(mx.jvp(lambda x: mx.conv_transpose1d(x, w, *window), [x], [x]))


def test_what_is_left_of_the_map_is_ours():
    """MLX refuses where nothing is left."""
    x, w = mx.ones((1, 3, 3)), mx.ones((2, 3, 3))
    with pytest.raises(ValueError):
        mx.eval(mx.conv_transpose1d(x, w, 2, 3))
    exact = mlx_convt.conv_transpose1d(x, w, 2, 3)
    with mlx_convt.patch():
        assert mx.array_equal(mx.conv_transpose1d(x, w, 2, 3), exact)


def test_a_wrong_setting_is_an_error(monkeypatch):
    monkeypatch.setenv("MLX_CONVT_ALGORITHM", "nonsense")
    x, w = mx.ones((1, 5, 3)), mx.ones((2, 3, 3))
    with mlx_convt.patch(), pytest.raises(ValueError, match="nonsense"):
        mx.conv_transpose1d(x, w)


def test_what_mlx_does_not_survive():
    x, w = mx.ones((1, 5, 3)), mx.ones((2, 3, 3))
    with mlx_convt.patch():
        with pytest.raises(ValueError, match="groups must be at least 1"):
            mx.conv_transpose1d(x, w, groups=0)
        with pytest.raises(ValueError, match=r"less than 2\^31"):
            mx.conv_transpose1d(x, w, dilation=2**30)


def test_integer_weights_go_to_mlx():
    x, w = mx.ones((1, 5, 3)), mx.ones((2, 3, 3), mx.int32)
    before = mx.conv_transpose1d(x, w)
    with mlx_convt.patch():
        assert mx.array_equal(mx.conv_transpose1d(x, w), before)


def test_what_both_refuse():
    x, w = mx.ones((1, 5, 3)), mx.ones((2, 3, 4))
    with pytest.raises(ValueError) as ours:
        mlx_convt.conv_transpose1d(x, w)
    with mlx_convt.patch(), pytest.raises(ValueError) as patched:
        mx.conv_transpose1d(x, w)
    assert str(patched.value) == str(ours.value)
    assert patched.value.__suppress_context__
    with mlx_convt.patch(), pytest.raises(TypeError, match=r"numpy\.ndarray"):
        mx.conv_transpose1d(np.ones((1, 5, 3)), w)


class Stream:
    """Here MLX has no stream on a GPU to be had."""

    device = mx.Device(mx.gpu)


@pytest.mark.parametrize("kernels", ["none", "Metal"])
@pytest.mark.parametrize(
    ("where", "default"),
    [
        ({"stream": mx.gpu}, mx.cpu),
        ({"stream": mx.Device(mx.gpu)}, mx.cpu),
        ({"stream": Stream()}, mx.cpu),
        ({"stream": None}, mx.gpu),
        ({}, mx.gpu),
    ],
)
def test_a_gpu_without_kernels_goes_to_mlx(
    monkeypatch, kernels, where, default
):
    """Decided by the stream, and by the default where there is none."""
    monkeypatch.setattr(mx, "default_device", lambda: mx.Device(default))
    monkeypatch.setattr(patching._ext, "gpu_kernels", kernels)
    monkeypatch.setitem(patching._OURS, NAMES[0], lambda *_, **__: "ours")
    function = patching._stand_in(NAMES[0], lambda *_, **__: "MLX's")
    operands = mx.ones((1, 5, 3)), mx.ones((2, 3, 3))
    cpu = mx.default_stream(mx.cpu)
    with mlx_convt.patch():
        expected = "MLX's" if kernels == "none" else "ours"
        assert function(*operands, **where) == expected
        for stream in (mx.cpu, mx.Device(mx.cpu), cpu):
            assert function(*operands, stream=stream) == "ours"


def test_somebody_elses_replacement_stays():
    def theirs(*arguments, **keywords):
        raise NotImplementedError

    patch = mlx_convt.patch()
    mx.conv_transpose1d = theirs
    try:
        patch.undo()
        assert mx.conv_transpose1d is theirs
        assert mx.conv_transpose2d is BUILTIN["conv_transpose2d"]
        with mlx_convt.patch():
            assert ours_runs()
        assert mx.conv_transpose1d is theirs
    finally:
        mx.conv_transpose1d = BUILTIN["conv_transpose1d"]


def test_a_name_kept_from_a_block():
    """What others keep, or put back, is MLX's own once no patch holds."""
    with mlx_convt.patch():
        kept = mx.conv_transpose1d
    x, w = mx.ones((1, 4, 2)), mx.ones((3, 2, 2))
    mx.conv_transpose1d = kept  # as a monkeypatch begun inside ends
    try:
        assert not ours_runs()
        with mlx_convt.patch():
            assert ours_runs()
        assert mx.conv_transpose1d is BUILTIN["conv_transpose1d"]
        assert not ours_runs()
    finally:
        mx.conv_transpose1d = BUILTIN["conv_transpose1d"]
    with pytest.raises(ValueError, match="jvp"):
        mx.jvp(lambda x: kept(x, w, 2), [x], [x])


def test_names_and_help():
    with mlx_convt.patch():
        for name in NAMES:
            function = getattr(mx, name)
            assert function.__name__ == name
            assert function.__doc__ == getattr(mlx_convt, name).__doc__


def test_threads():
    """Without the lock, 3000 rounds at this interval nearly always fail."""
    errors = []

    def work():
        for _ in range(3000):
            with mlx_convt.patch():
                if mx.conv_transpose2d is BUILTIN["conv_transpose2d"]:
                    errors.append("not patched inside a block")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert errors == []


def test_native_ops_inside(tmp_path):
    """A model by others, exported through MLX's own operations."""
    layer = nn.ConvTranspose1d(2, 3, 4, 2, 1)
    x = mx.random.normal((1, 5, 2))
    file = str(tmp_path / "layer.mlxfn")
    with mlx_convt.patch(), mlx_convt.native_ops():
        mx.export_function(file, layer, x)
    (y,) = mx.import_function(file)(x)
    assert mx.allclose(y, layer(x), rtol=1e-5, atol=1e-6)
