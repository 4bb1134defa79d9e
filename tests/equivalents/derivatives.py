"""What each library can do with one layer: dtypes, jvp, vmap, second order.

Each has f(x, w), the layer with a stride of 2 in its own layout, and the same
few functions around it, all of which take numpy arrays.
"""

import numpy as np

KINDS = ("float16", "bfloat16", "float64", "mixed dtypes")


class Probe:
    """Linear in both operands, so that each derivative has a plain formula."""

    def __init__(self, library):
        self.library = library
        rng = np.random.default_rng(2)
        shape = {"input": (1, 4, 3, 2), "weight": (3, 3, 3, 2)}
        self.x, self.t, self.u = (
            self.operand(rng.integers(-2, 3, shape["input"])) for _ in range(3)
        )
        self.w, self.v = (
            self.operand(rng.integers(-2, 3, shape["weight"]), True)
            for _ in range(2)
        )

    def operand(self, values, weight=False):
        values, library = values.astype(np.float32), self.library
        if not weight:
            return library.array(library.channels(values))
        return library.array(library.weight(values, 1, ""))

    def result(self, y):
        return np.array(y)

    def same(self, actual, expected):
        actual, expected = self.result(actual), self.result(expected)
        return np.array_equal(actual, expected)

    def computes(self, kind):
        if kind == "mixed dtypes":
            operands = self.cast(self.x, "float16"), self.w
        else:
            operands = self.cast(self.x, kind), self.cast(self.w, kind)
        y = self.cast(self.f(*operands), "float32")
        return self.same(y, self.f(self.x, self.w))

    def jvp(self):
        expected = self.f(self.t, self.w) + self.f(self.x, self.v)
        return self.same(self.push(), expected)

    def vmap(self, over):
        xs, ws = [self.x, self.t], [self.w, self.v]
        if over == "input":
            ws = [self.w, self.w]
        rows = [self.f(x, w) for x, w in zip(xs, ws)]
        return self.same(self.mapped(xs, ws, over), self.stack(rows))

    def double_backward(self):
        # With g the gradient of the squared result's sum, linear in x.
        def gradient(x):
            return self.grad(lambda x: self.total(self.f(x, self.w) ** 2), x)

        second = self.grad(lambda x: self.total(gradient(x) * self.u), self.x)
        return self.same(second, gradient(self.u))


class ArrayProbe(Probe):
    """Of MLX and of mlx_convt, which differ in f alone."""

    def __init__(self, library, function):
        super().__init__(library)
        self.f = lambda x, w: function(x, w, 2)
        self.mx = library.names["mx"]
        self.stack = self.mx.stack

    def cast(self, x, kind):
        return x.astype(getattr(self.mx, kind))

    def total(self, x):
        return x.sum()

    def grad(self, function, x):
        return self.mx.grad(function)(x)

    def push(self):
        return self.mx.jvp(self.f, [self.x, self.w], [self.t, self.v])[1][0]

    def mapped(self, xs, ws, over):
        if over == "input":
            return self.mx.vmap(self.f, (0, None))(self.stack(xs), ws[0])
        return self.mx.vmap(self.f)(self.stack(xs), self.stack(ws))


class TorchProbe(Probe):
    def __init__(self, library):
        super().__init__(library)
        self.torch = library.torch
        self.stack = self.torch.stack

    def result(self, y):
        return y.detach().numpy()

    def f(self, x, w):
        return self.library.names["F"].conv_transpose2d(x, w, stride=2)

    def cast(self, x, kind):
        return x.to(getattr(self.torch, kind))

    def total(self, x):
        return x.sum()

    def grad(self, function, x):
        return self.torch.func.grad(function)(x)

    def push(self):
        points, tangents = (self.x, self.w), (self.t, self.v)
        return self.torch.func.jvp(self.f, points, tangents)[1]

    def mapped(self, xs, ws, over):
        if over == "input":
            map_x = self.torch.func.vmap(self.f, (0, None))
            return map_x(self.stack(xs), ws[0])
        return self.torch.func.vmap(self.f)(self.stack(xs), self.stack(ws))


class JaxProbe(Probe):
    def __init__(self, library):
        super().__init__(library)
        self.jax = library.jax
        self.stack = self.jax.numpy.stack

    def f(self, x, w):
        return self.jax.lax.conv_transpose(x, w, (2, 2), "VALID")

    def cast(self, x, kind):
        return x.astype(kind)

    def total(self, x):
        return x.sum()

    def grad(self, function, x):
        return self.jax.grad(function)(x)

    def push(self):
        points, tangents = (self.x, self.w), (self.t, self.v)
        return self.jax.jvp(self.f, points, tangents)[1]

    def mapped(self, xs, ws, over):
        axes = (0, None) if over == "input" else (0, 0)
        ws = ws[0] if over == "input" else self.stack(ws)
        return self.jax.vmap(self.f, axes)(self.stack(xs), ws)

    def computes(self, kind):
        if kind != "float64":
            return super().computes(kind)
        if self.cast(self.x, kind).dtype == kind:
            return super().computes(kind)
        with self.jax.enable_x64(True):
            assert self.cast(self.x, kind).dtype == kind
            return "with" if super().computes(kind) else False


class TensorFlowProbe(Probe):
    def __init__(self, library):
        super().__init__(library)
        self.tf = library.tf
        self.stack = self.tf.stack

    def f(self, x, w):
        shape = (1, 9, 7, 3)
        return self.tf.nn.conv2d_transpose(x, w, shape, 2, "VALID")

    def cast(self, x, kind):
        return self.tf.cast(x, kind)

    def total(self, x):
        return self.tf.reduce_sum(x)

    def grad(self, function, x):
        with self.tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, x)

    def push(self):
        accumulator = self.tf.autodiff.ForwardAccumulator
        with accumulator([self.x, self.w], [self.t, self.v]) as pushed:
            y = self.f(self.x, self.w)
        return pushed.jvp(y)

    def mapped(self, xs, ws, over):
        if over == "input":
            return self.tf.vectorized_map(
                lambda x: self.f(x, ws[0]), self.stack(xs)
            )
        return self.tf.vectorized_map(
            lambda both: self.f(*both),
            (self.stack(xs), self.stack(ws)),
            fallback_to_while_loop=False,
        )
