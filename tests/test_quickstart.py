"""The quickstart notebook runs, and prints and draws what is stored in it."""

import contextlib
import io
import json
import re
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parent.parent / "examples" / "quickstart.ipynb"
# Of a cell with this tag, numbers may differ: times, or a training's losses.
VARIES = "varies"


@pytest.fixture(scope="module")
def cells():
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]


def code_cells(cells):
    return [cell for cell in cells if cell["cell_type"] == "code"]


def printed(cell):
    """What a cell has stored as printed, without the numbers that vary."""
    streams = (o for o in cell["outputs"] if o["output_type"] == "stream")
    return comparable(cell, "".join("".join(o["text"]) for o in streams))


def comparable(cell, text):
    if VARIES in cell["metadata"].get("tags", []):
        text = re.sub(r" *\d+(\.\d+)?", " #", text)
    return text


def drawn(cell):
    return sum("image/png" in o.get("data", {}) for o in cell["outputs"])


def test_cells_do_and_print_what_is_stored(cells, monkeypatch):
    pytest.importorskip("PIL")
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.close("all")))
    namespace = {"__name__": "__main__"}
    with matplotlib.rc_context():
        for cell in code_cells(cells):
            name, before = f"cell {cell['id']}", len(shown)
            code = compile("".join(cell["source"]), name, "exec")
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(code, namespace)  # noqa: S102
            assert comparable(cell, out.getvalue()) == printed(cell), name
            assert len(shown) - before == drawn(cell), name
    assert len(shown) >= 3


def test_outputs_are_stored_without_errors_or_traces_of_a_machine(cells):
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert len(text) < 300_000
    notebook = json.loads(text)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}

    ids = [cell["id"] for cell in cells]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in ids)
    for number, cell in enumerate(code_cells(cells), 1):
        name = cell["id"]
        assert cell["execution_count"] == number, name
        assert set(cell["metadata"]) <= {"tags"}, name
        source = "".join(cell["source"])
        assert bool("print(" in source) == bool(printed(cell)), name
        draws = "plt.show()" in source or "\nshow(" in source
        # The cell that defines show() draws nothing.
        assert draws == bool(drawn(cell)) or "def show(" in source, name
        for output in cell["outputs"]:
            assert output["output_type"] in ("stream", "display_data"), name
            assert output.get("name", "stdout") == "stdout", name
            words = json.dumps(output.get("text", ""))
            assert not re.search(r"/(tmp|home|root|Users)/", words), name
