"""Tools that tests can do without, but not everywhere."""

import os

import pytest


def missing(tool, reason):
    """Skips the test; fails it where MLX_CONVT_REQUIRE lists the tool."""
    if tool in os.environ.get("MLX_CONVT_REQUIRE", "").split(","):
        pytest.fail(f"MLX_CONVT_REQUIRE has {tool}: {reason}", pytrace=False)
    pytest.skip(reason, allow_module_level=True)
