"""Newton's method and first-order ones, for many small problems at once.

Each minimises f(z) of codes z, (N, dimensions), to losses (N,), where every
loss depends on its own code alone. Used by newton.py.
"""

import time
from functools import partial

import mlx.core as mx
import numpy as np


def gradient(f):
    return mx.grad(lambda z: f(z).sum())


def hessian_product(f):
    """(z, v) to the product of each code's Hessian at z with v."""
    return lambda z, v: mx.jvp(gradient(f), [z], [v])[1][0]


def dot(a, b):
    return (a * b).sum(1, keepdims=True)


def check(f, z):
    """The product against differences of gradients, relative to its size."""
    v, step = mx.random.normal(z.shape).astype(z.dtype), 1e-5
    product, grad = hessian_product(f)(z, v), gradient(f)
    difference = (grad(z + step * v) - grad(z - step * v)) / (2 * step)
    return (mx.abs(product - difference).max() / mx.abs(product).max()).item()


class Newton:
    """Newton's method in a trust region, for each code on its own."""

    def __init__(self, f):
        self.f = mx.compile(f)
        self.gradient = mx.compile(gradient(f))
        self.product = hessian_product(f)
        self.conjugate = mx.compile(self._conjugate)
        self.judge = mx.compile(self._judge)
        self.radius = None

    def __call__(self, z):
        """One step; returns the codes and the number of products."""
        if self.radius is None:
            self.radius = mx.full((len(z), 1), 2.0, z.dtype)
        g = self.gradient(z)
        p, r, d, done = mx.zeros_like(z), -g, -g, self.radius < 0
        products = 0
        while products < z.shape[1] and not done.all().item():
            p, r, d, done = self.conjugate(z, g, self.radius, p, r, d, done)
            products += 1
        z, self.radius = self.judge(z, g, self.radius, p, r)
        return z, products

    def _conjugate(self, z, g, radius, p, r, d, done):
        """A step of conjugate gradients for H p = -g, unless done."""
        hd, rr = self.product(z, d), dot(r, r)
        curvature = dot(d, hd)
        alpha = rr / mx.where(curvature > 0, curvature, 1)
        beyond = dot(p + alpha * d, p + alpha * d) >= radius**2
        leaves = beyond | (curvature <= 0)
        # How far it is from p along d to the border of the region.
        a, b, c = dot(d, d), dot(p, d), dot(p, p) - radius**2
        border = (mx.sqrt(mx.maximum(b * b - a * c, 0)) - b) / a
        alpha = mx.where(leaves, border, alpha)
        p = mx.where(done, p, p + alpha * d)
        r = mx.where(done, r, r - alpha * hd)
        # The closer the minimum, the more exactly, to converge quadratically.
        gg = dot(g, g)
        target = gg * mx.minimum(0.01, gg)
        done = done | leaves | (dot(r, r) <= target)
        return p, r, mx.where(done, d, r + dot(r, r) / rr * d), done

    def _judge(self, z, g, radius, p, r):
        """Take the step if it goes down; fit the region to its success."""
        # Since r = -g - H p, the quadratic model falls by p.(r - g) / 2.
        predicted = dot(p, r - g) / 2
        actual = (self.f(z) - self.f(z + p))[:, None]
        size = mx.sqrt(dot(p, p))
        grow = (actual > 0.75 * predicted) & (size > 0.99 * radius)
        wider = mx.where(grow, 2 * radius, radius)
        radius = mx.where(actual < 0.25 * predicted, size / 4, wider)
        return mx.where(actual > 0, z + p, z), radius


def first_order(f, optimizer):
    """A compiled step of MLX's optimizer, which needs no products."""
    grad, state = gradient(f), optimizer.state

    @partial(mx.compile, inputs=state, outputs=state)
    def update(z):
        return optimizer.apply_gradients({"z": grad(z)}, {"z": z})

    def step(z):
        if "z" not in state:
            optimizer.init({"z": z})
        return update(z)["z"], 0

    return step


def minimise(step, f, z, budget):
    """Steps until their gradients are spent; a product counts as two.

    Returns the codes, and for each step losses (N,), gradients and seconds.
    """
    mx.eval(step(z))  # compiles
    f, trace, spent, seconds = mx.compile(f), [], 0, 0.0
    while True:
        trace.append((np.array(f(z)), spent, seconds))
        if spent >= budget:
            return z, *map(np.array, zip(*trace))
        begin = time.perf_counter()
        z, products = step(z)
        mx.eval(z)
        seconds += time.perf_counter() - begin
        spent += 1 + 2 * products
