"""Every test starts on the CPU, seeded, with no algorithm forced."""

import mlx.core as mx
import pytest


@pytest.fixture(autouse=True)
def cpu_without_forced_algorithm(monkeypatch):
    monkeypatch.delenv("MLX_CONVT_ALGORITHM", raising=False)
    before = mx.default_device()
    mx.set_default_device(mx.cpu)
    mx.random.seed(0)
    yield
    mx.set_default_device(before)
