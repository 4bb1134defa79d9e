"""What MLX lets through unchecked."""

import mlx.core as mx
import numpy as np
import pytest
from helpers import forced, make_geometry, oracle, run_python, to_mlx, to_numpy

import mlx_convt

X = (np.arange(24) % 5 - 2).reshape(1, 6, 4).astype(np.float32)
W = (np.arange(24) % 7 - 3).reshape(2, 3, 4).astype(np.float32)


def call(x, w):
    return mlx_convt.conv_transpose1d(x, w, stride=2, padding=1)


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float64])
def test_cotangents_of_another_dtype(dtype):
    @mx.custom_function
    def identity(y):
        return y

    @identity.vjp
    def identity_vjp(primals, cotangent, output):
        return cotangent.astype(dtype)

    x, w = mx.array(X), mx.array(W)
    expected = mx.grad(lambda x, w: call(x, w).sum(), (0, 1))(x, w)
    actual = mx.grad(lambda x, w: identity(call(x, w)).sum(), (0, 1))(x, w)
    for a, b in zip(actual, expected, strict=True):
        assert a.dtype == mx.float32
        assert mx.array_equal(a, b)


@pytest.mark.parametrize("dtype", [mx.float16, mx.int32])
def test_tangents_of_another_dtype(dtype):
    x, w = mx.array(X), mx.array(W)
    _, (tangent,) = mx.jvp(call, [x, w], [x.astype(dtype), w.astype(dtype)])
    assert mx.array_equal(tangent, 2 * call(x, w))


@pytest.mark.parametrize("stream", ["cpu", 3])
def test_a_stream_of_the_wrong_type(stream):
    with pytest.raises(TypeError) as error:
        mlx_convt.conv_transpose1d(mx.array(X), mx.array(W), stream=stream)
    assert str(error.value) == (
        "[conv_transpose1d] stream must be an MLX stream or device, or None. "
        f"Got stream {stream!r}."
    )


def gradient(index):
    def run(x, w, y):
        return mx.vjp(lambda *a: call(*a), [x, w], [y])[1][index]

    return run


# The gradient for x sees w and y, that for w sees x and y.
@pytest.mark.parametrize(
    ("index", "shapes"),
    [
        (1, [(3, 6, 4), (2, 3, 4), (1, 11, 2)]),
        (0, [(1, 6, 4), (512, 3, 4), (1, 11, 2)]),
        (0, [(1, 6, 4), (2, 3, 4), (1, 12, 2)]),
    ],
    ids=["batch", "channels", "size"],
)
def test_shapes_that_do_not_belong_together(index, shapes):
    compiled = mx.compile(gradient(index), shapeless=True)
    operands = mx.array(X), mx.array(W), mx.ones((1, 11, 2))
    assert mx.array_equal(compiled(*operands), gradient(index)(*operands))
    with pytest.raises(ValueError, match=r"^\[conv_transpose1d\] "):
        mx.eval(compiled(*map(mx.ones, shapes)))


def test_a_forced_algorithm_meets_another_shape(monkeypatch):
    monkeypatch.setenv("MLX_CONVT_ALGORITHM", "lanewise")
    compiled = mx.compile(
        lambda x, w: mlx_convt.conv_transpose1d(x, w, groups=4),
        shapeless=True,
    )
    mx.eval(compiled(mx.ones((1, 5, 4)), mx.ones((4, 3, 1))))
    with pytest.raises(ValueError, match="lanewise cannot run") as error:
        mx.eval(compiled(mx.ones((1, 5, 36)), mx.ones((4, 3, 9))))
    assert str(error.value).startswith("[conv_transpose1d]")


# Lines and maps of more than a box of positions, phases that a tap does not
# reach, dilated taps, groups, and more channels than are turned at once.
STRIPS = (
    make_geometry((5, 300), (3, 4), 5, 3, batch=2, stride=2, padding=1),
    make_geometry((40, 37), 3, 4, 6, stride=3, output_padding=2, groups=2),
    make_geometry((70,), 3, 300, 2, stride=2, dilation=3, padding=4),
    make_geometry((4, 5, 30), 3, 3, 2, stride=(1, 2, 1), padding=1, batch=3),
)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_bad_pixel_stays_where_the_formula_puts_it(bad, dtype):
    """Places of a strip between its lines, and behind them, hold garbage."""
    rng = np.random.default_rng(5)
    for geometry in STRIPS:
        x, w = (np.ones(s) for s in geometry.operand_shapes("output"))
        clean = oracle("output", geometry, x, w)
        for _ in range(6):
            pixel = tuple(rng.integers(x.shape))
            marked = np.zeros_like(x)
            marked[pixel] = 1
            reached = oracle("output", geometry, marked, w) > 0
            dirty = x.copy()
            dirty[pixel] = bad
            with forced("strip"):
                y = geometry.forward(to_mlx(dirty, dtype), to_mlx(w, dtype))
            y = to_numpy(y)
            assert np.array_equal(y[~reached], clean[~reached]), geometry
            assert np.array_equal(
                y[reached], np.full(reached.sum(), bad), equal_nan=True
            ), geometry


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_bad_weight_stays_in_its_phase_and_channel(bad):
    """It may meet the zeros around the input, as in any algorithm."""
    rng = np.random.default_rng(6)
    for geometry in STRIPS:
        x, w = (np.ones(s) for s in geometry.operand_shapes("output"))
        clean = oracle("output", geometry, x, w)
        for _ in range(6):
            weight = tuple(int(i) for i in rng.integers(w.shape))
            marked = np.zeros_like(w)
            marked[weight] = 1
            reached = oracle("output", geometry, x, marked) > 0
            may_reach = np.zeros_like(reached)
            phase = tuple(
                slice((k * d - p[0]) % s, None, s)
                for k, d, p, s in zip(
                    weight[1:-1],
                    geometry.dilation,
                    geometry.padding,
                    geometry.stride,
                    strict=True,
                )
            )
            may_reach[(slice(None), *phase, weight[0])] = True
            assert not (reached & ~may_reach).any(), "the test is wrong"
            dirty = w.copy()
            dirty[weight] = bad
            with forced("strip"):
                y = to_numpy(
                    geometry.forward(
                        to_mlx(x, "float32"), to_mlx(dirty, "float32")
                    )
                )
            assert np.array_equal(y[~may_reach], clean[~may_reach]), geometry
            assert not np.isfinite(y[reached]).any(), geometry


def test_leaving_while_streams_compute():
    code = """
import mlx.core as mx, mlx_convt
y, w = mx.ones((1, 48, 48, 32)), mx.ones((32, 3, 3, 32)) * 0.01
for _ in range(200):
    y = mlx_convt.conv_transpose2d(y, w, 1, 1)
mx.async_eval(y)
"""
    for _ in range(5):
        done = run_python(code)
        assert done.returncode == 0, done.stderr
