"""``python -m mlx_convt``: what it prints, writes, refuses and detects."""

import io
import json
import math
import subprocess
import sys

import mlx.core as mx
import numpy as np
import pytest

import mlx_convt
from mlx_convt import layers
from mlx_convt.compare import check, cli

SMALL = {
    "name": "small",
    "source": "made up",
    "N": 2,
    "H": 3,
    "W": 4,
    "C_in": 6,
    "C_out": 8,
    "KH": 3,
    "KW": 2,
    "stride": [2, 3],
    "padding": [1, 0],
    "output_padding": [1, 0],
    "dilation": [1, 2],
    "groups": 2,
}


@pytest.fixture
def small_file(tmp_path):
    path = tmp_path / "small.json"
    path.write_text(json.dumps([SMALL]))
    return str(path)


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quick")
    process = subprocess.run(
        [
            *(sys.executable, "-m", "mlx_convt", "--quick"),
            *("--threads", "1", "--json", "figures.json"),
            *("--plot", "ratios.png"),
        ],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    return process, folder


def check_quick(process):
    """A line per layer and pass, and a step for each; returns the lines."""
    assert process.returncode == 0, process.stdout + process.stderr
    lines = process.stdout.splitlines()
    assert f"mlx_convt {mlx_convt.__version__} and MLX" in lines[0]
    for name in layers.QUICK:
        assert sum(line.startswith(f"{name} ") for line in lines) == 2
    assert sum(line.startswith("geometric mean ") for line in lines) == 2
    steps = process.stderr.splitlines()
    total = 2 * len(layers.QUICK)
    assert len(steps) == total
    assert steps[-1].startswith(f"[{total}/{total}]")
    return lines


def test_quick_succeeds_and_reports_progress(quick):
    process, _ = quick
    assert "Every element is checked." in check_quick(process)


def test_quick_writes_consistent_json(quick):
    _, folder = quick
    report = json.loads((folder / "figures.json").read_text())
    assert report["machine"]["threads"] == 1
    assert report["dtype"] == "float32"
    assert len(report["rows"]) == 2 * len(layers.QUICK)
    for row in report["rows"]:
        ours, builtin = row["ours"], row["builtin"]
        assert row["ok"]
        assert ours["errors"].keys() == row["tolerances"].keys()
        for name, error in ours["errors"].items():
            assert error <= row["tolerances"][name]
        ratio = builtin["milliseconds"] / ours["milliseconds"]
        assert row["ratio"] == pytest.approx(ratio)
    logs = [
        math.log(row["ratio"])
        for row in report["rows"]
        if row["pass"] == "forward"
    ]
    mean = math.exp(sum(logs) / len(logs))
    assert report["geometric_mean"]["forward"] == pytest.approx(mean)


def test_quick_draws_the_plot(quick):
    image = pytest.importorskip("matplotlib.image")
    _, folder = quick
    pixels = image.imread(folder / "ratios.png")
    assert min(pixels.shape[:2]) > 400
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 10


def test_list_describes_every_layer(capsys):
    assert cli.main(["--list", "--layers", "all"]) == 0
    text = capsys.readouterr().out
    for layer in layers.load():
        assert f"{layer.name}: {layer.label}," in text
        assert layer.source in text


def test_json_on_stdout_is_alone_there(small_file, capsys):
    assert cli.main(["--layers", small_file, "--json", "-"]) == 0
    out, err = capsys.readouterr()
    names = [row["layer"]["name"] for row in json.loads(out)["rows"]]
    assert names == ["small", "small"]
    assert "geometric mean" in err


def test_forward_alone(small_file, capsys):
    options = ["--layers", small_file, "--no-gradients", "--json", "-"]
    assert cli.main(options) == 0
    report = json.loads(capsys.readouterr().out)
    assert [row["pass"] for row in report["rows"]] == ["forward"]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(small_file, dtype, capsys):
    assert cli.main(["--layers", small_file, "--dtype", dtype]) == 0
    assert f"CPU, {dtype}" in capsys.readouterr().out


def test_the_builtin_has_no_float64(small_file, capsys):
    options = ["--layers", small_file, "--dtype", "float64", "--json", "-"]
    assert cli.main(options) == 0
    out, err = capsys.readouterr()
    for row in json.loads(out)["rows"]:
        assert row["builtin"]["milliseconds"] is None
        assert row["ratio"] is None
        assert max(row["ours"]["errors"].values()) < 1e-14
    assert " none " in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--layers", "nonesuch"], "no layer named 'nonesuch'; there are dcg"),
        (["--layers", "absent.json"], "absent.json: No such file"),
        (["--dtype", "int8"], "invalid choice: 'int8'"),
        (["--threads", "0"], "--threads must be 1 to 4096. Got 0."),
        (["--threads", "two"], "invalid int value: 'two'"),
        (["--quick", "--layers", "all"], "not allowed with"),
        (["--json", "absent/x.json"], "cannot write to absent/x.json"),
        (["--plot", "x.docx"], "the name must end in one of"),
        (
            ["--plot", "x.png", "--dtype", "float64"],
            "--plot draws ratios, and the built-in has no float64.",
        ),
        pytest.param(
            ["--device", "gpu"],
            "--device gpu needs MLX's Metal backend, of a Mac.",
            marks=pytest.mark.skipif(
                mx.metal.is_available(), reason="this is a Mac"
            ),
        ),
        (
            ["--device", "gpu", "--dtype", "float64"],
            "--device gpu has no float64.",
        ),
        (["--frobnicate"], "unrecognized arguments: --frobnicate"),
    ],
)
def test_bad_options(options, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "--plot" in options:
        pytest.importorskip("matplotlib")
    with pytest.raises(SystemExit) as stopped:
        cli.main(options)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_plot_without_matplotlib(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.backend_bases", None)
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--plot", "ratios.png"])
    assert stopped.value.code == 2
    assert "pip install matplotlib" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], ["bench"]])
def test_bad_layers(command, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps([{**SMALL, "stride": 2}]))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mlx_convt"),
            *(*command, "--layers", str(path)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.endswith(
        f": error: {path}, layer 0 (small): stride must be a list of two ints"
        " from 1 to 2147483647. Got 2.\n"
    )


def wrong_by_a_thousandth(x, w, **options):
    return mx.conv_transpose2d(x, w, **options) * 1.001


def not_a_number(x, w, **options):
    return mx.conv_transpose2d(x, w, **options) * math.nan


def one_wrong_element(x, w, **options):
    y = mx.conv_transpose2d(x, w, **options)
    return y.at[0, 0, 0, 0].add(0.01)


@pytest.mark.parametrize(
    "wrong", [wrong_by_a_thousandth, not_a_number, one_wrong_element]
)
def test_wrong_results_are_detected(wrong, small_file, monkeypatch, capsys):
    monkeypatch.setattr(mlx_convt, "conv_transpose2d", wrong)
    assert cli.main(["--layers", small_file, "--json", "-"]) == 1
    out, err = capsys.readouterr()
    assert "! small, ours: error of the output is" in err
    assert not json.loads(out)["rows"][0]["ok"]


@mx.custom_function
def wrong_input_gradient(x, w):
    return mx.conv_transpose2d(x, w)


@wrong_input_gradient.vjp
def _(primals, cotangent, _):
    _, (x_grad, w_grad) = mx.vjp(mx.conv_transpose2d, primals, [cotangent])
    return x_grad + 0.01, w_grad


def test_wrong_gradients_are_detected(tmp_path, monkeypatch, capsys):
    path = tmp_path / "plain.json"
    plain = {key: [1, 1] for key in ("stride", "dilation")}
    plain |= {key: [0, 0] for key in ("padding", "output_padding")}
    layer = {**SMALL, **plain, "groups": 1}
    path.write_text(json.dumps([layer]))
    monkeypatch.setattr(
        mlx_convt,
        "conv_transpose2d",
        lambda x, w, **_: wrong_input_gradient(x, w),
    )
    assert cli.main(["--layers", str(path)]) == 1
    notes = [
        line for line in capsys.readouterr().out.splitlines() if "!" in line
    ]
    assert "! small, ours: error of the input gradient is" in notes[-1]
    assert not any("weight gradient" in line for line in notes)


def test_a_failure_of_either_side_is_reported(small_file, monkeypatch, capsys):
    def fail(*_, **__):
        raise ValueError("no such luck")

    monkeypatch.setattr(mlx_convt, "conv_transpose2d", fail)
    assert cli.main(["--layers", small_file]) == 1
    assert "! small, ours: fails: no such luck" in capsys.readouterr().out

    monkeypatch.undo()
    monkeypatch.setattr(mx, "conv_transpose2d", fail)
    assert cli.main(["--layers", small_file]) == 0
    assert "! small, built-in: fails: no such luck" in capsys.readouterr().out


def test_a_part_is_named_in_the_notes(small_file, monkeypatch, capsys):
    monkeypatch.setattr(check, "WORK_BUDGET", 1.0)
    assert cli.main(["--layers", small_file]) == 0
    out = capsys.readouterr().out
    assert "a random part of the channels:\nsmall (12.50%)." in out


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal(small_file, monkeypatch):
    """The progress is one line, rewritten, and the table fits."""
    out, err = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    assert cli.main(["--layers", small_file]) == 0
    assert "\n" not in err.getvalue()
    assert "float64 reference" in err.getvalue()
    table = out.getvalue().split("\nForward\n")[1]
    assert max(map(len, table.split("\n\n")[0].splitlines())) <= 80
