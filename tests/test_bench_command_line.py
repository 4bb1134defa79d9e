"""``python -m mlx_convt bench``: what it prints, writes and refuses."""

import json
import os
import subprocess
import sys

import pytest
from test_command_line import SMALL, check_quick

from mlx_convt import layers
from mlx_convt.bench import cli, scaling
from mlx_convt.bench.contestants import PEERS


def run(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "mlx_convt", *arguments],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    process = run(
        *("bench", "--quick", "--peers", "none", "--threads", "1"),
        *("--json", "figures.json"),
        cwd=folder,
    )
    return process, folder


def test_quick_succeeds_and_reports_progress(quick):
    process, _ = quick
    lines = check_quick(process)
    assert "net of an mx.eval of one element, which cost" in lines[-1]


def test_quick_writes_consistent_json(quick):
    _, folder = quick
    report = json.loads((folder / "figures.json").read_text())
    assert report["dtype"] == "float32"
    assert report["versions"].keys() == {"ours", "built-in"}
    assert report["peak_gflops"].keys() == {"1"}
    assert len(report["rows"]) == 2 * len(layers.QUICK)
    assert [(s["pass"], s["threads"]) for s in report["summary"]] == [
        ("forward", 1),
        ("gradients", 1),
    ]
    for row in report["rows"]:
        ours = row["entries"]["ours"]
        assert ours["ok"]
        assert ours["problem"] is None
        assert ours["errors"].keys() == row["tolerances"].keys()
        for name, error in ours["errors"].items():
            assert error <= row["tolerances"][name]
        seconds = ours["milliseconds"] / 1e3
        assert row["gflops"] == pytest.approx(row["flops"] / seconds / 1e9)
        floor = row["floor"]
        bound = "compute_ms" if floor["bound"] == "c" else "memory_ms"
        assert floor[bound] == max(floor["compute_ms"], floor["memory_ms"])
        assert row["share"] == pytest.approx(
            floor[bound] / ours["milliseconds"]
        )
        assert row["best_peer"] is row["ratio"] is None
        assert row["allowed_bytes"] > 4 << 20
        if sys.platform == "linux":
            assert row["extra_bytes"] >= 0


def test_a_peer_is_rated_and_drawn(tmp_path):
    pytest.importorskip("torch")
    image = pytest.importorskip("matplotlib.image")
    (tmp_path / "small.json").write_text(json.dumps([SMALL]))
    process = run(
        *("bench", "--layers", "small.json", "--peers", "torch"),
        *("--threads", "1", "--rounds", "3", "--seconds", "0.1"),
        *("--json", "-", "--plot", "ratios.png"),
        cwd=tmp_path,
    )
    assert process.returncode == 0, process.stderr
    report = json.loads(process.stdout)
    for row in report["rows"]:
        assert row["best_peer"] == "torch"
        torch, ours = (row["entries"][name] for name in ("torch", "ours"))
        assert torch["ok"]
        assert row["ratio"] == pytest.approx(
            torch["milliseconds"] / ours["milliseconds"]
        )
    for part in report["summary"]:
        assert part["worst_layer"] == "small"
        assert part["worst_ratio"] == pytest.approx(part["ratio"])
    assert "worst layer: small," in process.stderr
    assert min(image.imread(tmp_path / "ratios.png").shape[:2]) > 200


def test_scaling(monkeypatch, capsys):
    for name in ("BATCHES", "SIDES", "CHANNELS"):
        monkeypatch.setattr(scaling, name, (4, 8))
    options = ["--scaling", "--passes", "forward", "--threads", "1"]
    effort = ["--rounds", "1", "--seconds", "0.05"]
    assert cli.main([*options, *effort, "--json", "-"]) == 0
    out, err = capsys.readouterr()
    assert err.count("\ntime grows as work to the power ") == 3
    work = {row["layer"]: row["flops"] for row in json.loads(out)["rows"]}
    assert work["batch 8"] == 2 * work["batch 4"]
    assert work["side 8"] == 4 * work["side 4"]
    assert work["channels 8"] == 4 * work["channels 4"]


def test_list(capsys):
    assert cli.main(["--list"]) == 0
    text = capsys.readouterr().out
    for layer in layers.load():
        assert f"{layer.name}: {layer.label}," in text


def test_peers_that_are_not_installed(capsys, monkeypatch):
    class Stopped(Exception):
        pass

    def stop(*_):
        raise Stopped

    # Ends after the introduction.
    monkeypatch.setattr(cli, "Table", stop)
    monkeypatch.setitem(sys.modules, "ncnn", None)
    with pytest.raises(Stopped):
        cli.main(["--quick"])
    assert "not installed: ncnn (pip install ncnn)" in capsys.readouterr().out


BAD_OPTIONS = [
    (["--layers", "nonesuch"], "no layer named 'nonesuch'; there are dcg"),
    (["--layers", "absent.json"], "absent.json: No such file"),
    (["--dtype", "int8"], "invalid choice: 'int8'"),
    (["--threads", "0"], "--threads must be 'all' or numbers from 1 to the"),
    (["--threads", "99999"], "processors at hand, with commas between. Got 9"),
    (["--threads", "1,two"], "with commas between. Got 1,two."),
    (["--passes", "backward"], "--passes must be of forward, gradients. Got b"),
    (["--peers", "numpy"], "no peer named 'numpy'; there are torch, onnx"),
    (["--rounds", "0"], "--rounds must be 1 to 1000. Got 0."),
    (["--seconds", "0"], "--seconds must be more than 0. Got 0."),
    (["--quick", "--layers", "all"], "not allowed with"),
    (["--json", "absent/x.json"], "cannot write to absent/x.json"),
    (["--plot", "x.docx"], "the name must end in one of"),
    (["--plot", "x.png", "--peers", "none"], "--plot draws ratios to peers"),
    (["--plot", "x.png", "--scaling"], "--plot draws ratios to peers"),
]


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS)
def test_bad_options(options, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "--plot" in options:
        pytest.importorskip("matplotlib")
    with pytest.raises(SystemExit) as stopped:
        cli.main(options)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_a_named_peer_must_be_installed(monkeypatch, capsys):
    for peer in PEERS:
        monkeypatch.setitem(sys.modules, peer.modules[0], None)
        with pytest.raises(SystemExit) as stopped:
            cli.main(["--peers", peer.name])
        assert stopped.value.code == 2
        message = f"{peer.name} is not installed: {peer.install}"
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [["--quick"], ["compare", "--quick"], ["bench", "--quick"]],
)
@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("MLX_CONVT_BLAS", "/absent", "does not load: /absent: cannot open"),
        ("MLX_CONVT_NUM_THREADS", "abc", "must be an integer from 1 to 4096."),
        ("MLX_CONVT_INSTRUCTION_SET", "mmx", "must be one of "),
        ("MLX_CONVT_ALGORITHM", "magic", "magic"),
    ],
)
def test_bad_environment(command, variable, value, message):
    if variable == "MLX_CONVT_BLAS" and sys.platform == "darwin":
        pytest.skip("Accelerate is there")
    process = run(*command, env={**os.environ, variable: value})
    assert process.returncode == 2
    assert "Traceback" not in process.stderr
    *usage, last = process.stderr.splitlines()
    assert all(line.startswith(("usage: ", " ")) for line in usage)
    assert variable in last
    assert message in last


LISTINGS = (
    ["--list"],
    ["compare", "--list"],
    ["bench", "--list"],
    ["bench", "--help"],
    ["--version"],
    ["info"],
    ["info", "--json"],
)


@pytest.mark.parametrize("command", LISTINGS, ids=" ".join)
def test_nobody_reads_the_output(command):
    with subprocess.Popen(
        [sys.executable, "-m", "mlx_convt", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        # argparse may have hidden it.
        hidden = command[-1] in ("--help", "--version")
        assert process.wait() in ((0, 141) if hidden else (141,))


@pytest.mark.parametrize("command", LISTINGS, ids=" ".join)
def test_the_output_is_closed(command):
    closed = ["sh", "-c", 'exec "$@" >&-', "sh"]
    process = subprocess.run(
        [*closed, sys.executable, "-m", "mlx_convt", *command],
        stderr=subprocess.PIPE,
        check=False,
    )
    assert process.stderr == b""
    assert process.returncode == 0


def test_the_commands_are_told_apart():
    for command, title in (
        ([], "Times mlx_convt and MLX's built-in"),
        (["compare"], "Times mlx_convt and MLX's built-in"),
        (["bench"], "Measures mlx_convt against MLX's built-in"),
    ):
        process = run(*command, "--help")
        assert process.returncode == 0
        assert title in " ".join(process.stdout.split())
