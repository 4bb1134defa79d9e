"""What MLX lets through unchecked."""

import mlx.core as mx
import numpy as np
import pytest
from helpers import run_python

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
