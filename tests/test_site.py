"""The documentation builds, its Python runs and its pictures are true."""

import html
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import pytest

import mlx_convt
import mlx_convt.nn

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
HAS_TORCH = importlib.util.find_spec("torch") is not None
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = {
    page.stem: BLOCK.findall(page.read_text(encoding="utf-8"))
    for page in sorted(DOCS.glob("*.md"))
}


def module_at(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # where dataclasses look
    spec.loader.exec_module(module)
    return module


geometry = module_at(DOCS / "pictures" / "phase_geometry.py")


@pytest.mark.parametrize("page", [name for name, got in PAGES.items() if got])
def test_python_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in PAGES[page]:
        if re.search(r"\btorch\.", block) and not HAS_TORCH:
            continue
        exec(compile(block, f"docs/{page}.md", "exec"), names)  # noqa: S102


def operation(axis):
    """The axis as a function of its input, with tap k weighing k + 1."""
    w = mx.arange(1, axis.kernel + 1, dtype=mx.float32).reshape(1, -1, 1)

    def function(x):
        y = mlx_convt.conv_transpose1d(
            x.reshape(1, -1, 1),
            w,
            axis.stride,
            [(axis.low, axis.high)],
            axis.dilation,
            axis.output_padding,
        )
        return y.reshape(-1)

    return function


def jacobian(axis):
    function, x = operation(axis), mx.zeros(axis.length)
    rows = [
        mx.grad(lambda x, o=o: function(x)[o])(x)
        for o in range(function(x).size)
    ]
    return [[int(entry) for entry in row.tolist()] for row in rows]


@pytest.mark.parametrize("name", geometry.PHASES)
def test_copies_of_the_kernel(name):
    axis = geometry.PHASES[name]
    expected = [[0] * axis.length for _ in range(axis.size)]
    for i, k, o in axis.contributions():
        if 0 <= o < axis.size:
            expected[o][i] += k + 1
    assert jacobian(axis) == expected


@pytest.mark.parametrize("name", geometry.PHASES)
def test_taps_of_phases(name):
    axis = geometry.PHASES[name]
    expected = [[0] * axis.length for _ in range(axis.size)]
    for o in range(axis.size):
        for k, offset in axis.terms(axis.phase(o)):
            i = o // axis.stride + offset
            if 0 <= i < axis.length:
                expected[o][i] += k + 1
    assert jacobian(axis) == expected


def test_phases_of_the_pictures_differ_as_the_text_says():
    taps = {
        name: [len(axis.terms(phase)) for phase in range(axis.stride)]
        for name, axis in geometry.PHASES.items()
    }
    assert taps == {"equal": [2, 2], "unequal": [2, 1, 2], "dilated": [3, 0]}


@pytest.mark.parametrize(("arguments", "axis"), geometry.SIZES)
def test_sizes(arguments, axis):
    x = mx.arange(1, axis.length + 1, dtype=mx.float32).reshape(1, -1, 1)
    w = mx.arange(1, axis.kernel + 1, dtype=mx.float32).reshape(1, -1, 1)
    spread = mlx_convt.conv_transpose1d(x, w, axis.stride).flatten().tolist()
    assert len(spread) == axis.spread
    beyond = max(axis.low + axis.size - axis.spread, 0)
    expected = (spread + [0] * beyond)[axis.low : axis.low + axis.size]
    y = mlx_convt.conv_transpose1d(x, w, axis.stride, **arguments)
    assert y.flatten().tolist() == expected


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of a build in which every warning is an error."""
    for module in ("sphinx", "myst_nb", "sphinx_book_theme", "matplotlib"):
        if importlib.util.find_spec(module) is None:
            if "sphinx" in os.environ.get("MLX_CONVT_REQUIRE", "").split(","):
                pytest.fail(f"MLX_CONVT_REQUIRE has sphinx: no {module}")
            pytest.skip(f"no {module}")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q"]
    run = subprocess.run(
        [*command, "-E", "-b", "html", DOCS, out],
        check=False,
        cwd=out,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return out


def test_every_page_is_built(site):
    missing = [page for page in PAGES if not (site / f"{page}.html").exists()]
    assert missing == []


def test_api_has_every_public_name(site):
    text = html.unescape((site / "api.html").read_text(encoding="utf-8"))
    names = [f"mlx_convt.nn.{name}" for name in mlx_convt.nn.__all__]
    names += [f"mlx_convt.{name}" for name in mlx_convt.__all__]
    missing = [
        name
        for name in names
        if f'id="{name}"' not in text and f'id="module-{name}"' not in text
    ]
    assert missing == []


def test_drawings_are_in_both_themes(site):
    text = (site / "operation.html").read_text(encoding="utf-8")
    for name in (*geometry.PHASES, "sizes"):
        for theme in ("light", "dark"):
            assert f"_images/{name}-{theme}.svg" in text
            assert (site / "_images" / f"{name}-{theme}.svg").exists()


def test_nothing_is_fetched(site):
    """Pages show without a network, but for links that a reader follows."""
    fetched = re.compile(
        r'<(?:script|img|link)[^>]*(?:src|href)="https?:[^"]*"'
    )
    found = {
        page.name: fetched.findall(page.read_text(encoding="utf-8"))
        for page in site.glob("*.html")
    }
    assert {name: got for name, got in found.items() if got} == {}
