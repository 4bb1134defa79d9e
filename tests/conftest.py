"""Every test starts on the CPU, with no algorithm forced from outside."""

import mlx.core as mx
import pytest


@pytest.fixture(autouse=True)
def cpu_without_forced_algorithm(monkeypatch):
    monkeypatch.delenv("MLX_CONVT_ALGORITHM", raising=False)
    before = mx.default_device()
    mx.set_default_device(mx.cpu)
    yield
    mx.set_default_device(before)
