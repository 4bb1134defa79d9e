"""What the documents name is there, and README's Python does what it says."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *("README.md", "CONTRIBUTING.md"),
    *(str(file.relative_to(ROOT)) for file in (ROOT / "docs").glob("*.md")),
]
# A path from the root, or a test by its name alone.
PATH = re.compile(
    r"\b(?:cmake|docs|examples|kernels|tests)/[\w./-]+\w|\btest_\w+\.py"
)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links(document):
    text = (ROOT / document).read_text()
    targets = re.findall(r"\]\(([^)#:]+)\)", text)
    missing = [
        target
        for target in targets
        if not ((ROOT / document).parent / target).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files(document):
    text = (ROOT / document).read_text()
    # Trees are drawn, and other projects' paths begin otherwise.
    names = {name for name in PATH.findall(text) if "path/to" not in name}
    tests = {file.name for file in (ROOT / "tests").rglob("test_*.py")}
    missing = [
        name
        for name in names
        if name not in tests
        and not (ROOT / name).exists()
        and not list(ROOT.glob(f"{name}.*"))
    ]
    assert missing == []


def test_readme_runs(tmp_path, monkeypatch, capsys):
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(
        r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL
    )
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)  # noqa: S102
    promised = re.findall(
        r"^print\(.*\)  # (.*)$", "".join(blocks), re.MULTILINE
    )
    printed = capsys.readouterr().out.splitlines()
    assert len(promised) >= 4
    begins = [promise.removesuffix(" ...") for promise in promised]
    assert printed[: len(begins)] == begins
