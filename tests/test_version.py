"""One version: in pyproject.toml, what is installed, and the changelog."""

import importlib.metadata
import re
from pathlib import Path

import pytest

import mlx_convt
from mlx_convt._guard import MLX_VERSION

ROOT = Path(__file__).parents[1]


def text_of(file):
    """A file of the checkout, which an installed package does not have."""
    if not (ROOT / file).exists():
        pytest.skip(f"{file} is not beside the tests")
    return (ROOT / file).read_text()


def test_project():
    versions = re.findall(
        r'^version = "(.*)"$', text_of("pyproject.toml"), re.MULTILINE
    )
    assert versions == [mlx_convt.__version__]
    assert versions == [importlib.metadata.version("mlx-convt")]


def test_changelog():
    headings = re.findall(r"^## (.*)$", text_of("CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == mlx_convt.__version__


def test_pins():
    """What is built with, what is installed and what is asked for at import."""
    text = text_of("pyproject.toml")
    pins = re.findall(r'"mlx(?:\[cpu\])?==([0-9.]+)"', text)
    assert pins == [MLX_VERSION] * 3
    assert len(set(re.findall(r'"nanobind==([0-9.]+)"', text))) == 1
