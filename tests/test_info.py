"""``--version`` and ``info``: what a report of a bug should say."""

import json
import os
import platform

import mlx.core as mx
import numpy as np
import pytest
from test_bench_command_line import run
from test_instruction_sets import names

import mlx_convt
from mlx_convt import _ext, info
from mlx_convt.__main__ import main


@pytest.mark.parametrize("command", [[], ["compare"], ["bench"]])
def test_version(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == (
        f"mlx_convt {mlx_convt.__version__}, MLX {mx.__version__}, Python"
        f" {platform.python_version()}, NumPy {np.__version__}\n"
    )


def test_text(capsys):
    assert main(["info"]) == 0
    said = dict(
        line.split(":", 1) for line in capsys.readouterr().out.splitlines()
    )
    said = {name: text.strip() for name, text in said.items()}
    assert said["mlx_convt"] == (
        f"{mlx_convt.__version__}, built for MLX {_ext.built_for_mlx}"
    )
    assert f"mlx {mx.__version__}, python" in said["beside it"]
    assert f"numpy {np.__version__}" in said["beside it"]
    assert said["platform"] == platform.platform()
    assert said["processor"].endswith(" to run on")
    kernels = "no kernels in this build; call with stream=mx.cpu"
    if mx.metal.is_available():
        kernels = "Metal kernels"
    assert said["GPU"] == f"{kernels} (MLX's default: Device(cpu, 0))"
    best, *_ = names()
    assert said["instruction set"] == f"{best}, of {', '.join(names())}"
    assert said["threads"] == str(_ext.num_threads())
    assert said["algorithm"] == f"auto, of auto, {', '.join(_ext.algorithms())}"


def test_settings_from_the_environment(tmp_path):
    settings = {
        "MLX_CONVT_NUM_THREADS": "3",
        "MLX_CONVT_ALGORITHM": "polyphase",
        "MLX_CONVT_INSTRUCTION_SET": "baseline",
    }
    plain = {k: v for k, v in os.environ.items() if "MLX_CONVT" not in k}
    process = run("info", "--json", env=plain | settings)
    assert process.returncode == 0, process.stderr
    facts = json.loads(process.stdout)
    assert facts["threads"] == 3
    assert facts["algorithm"] == "polyphase"
    assert facts["instruction_set"] == "baseline"
    assert facts["instruction_sets"] == names()
    assert facts["environment"] == settings

    process = run("info", "--json", "facts.json", env=plain, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert facts["algorithm"] == "auto"
    assert facts["environment"] == {}
    assert process.stdout.splitlines() == info.lines(facts)
    assert process.stdout.endswith("no MLX_CONVT_ variables\n")


def test_a_cblas_is_named():
    library = pytest.importorskip("scipy_openblas32")
    folder = library.get_lib_dir()
    path = os.path.join(folder, library.get_library(fullname=True))
    process = run("info", "--json", env={**os.environ, "MLX_CONVT_BLAS": path})
    facts = json.loads(process.stdout)
    assert facts["blas"] == "available"
    assert facts["environment"]["MLX_CONVT_BLAS"] == path


def test_bad_options(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["info", "--json", "absent/x.json"])
    assert stopped.value.code == 2
    assert "cannot write to absent/x.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["NUM_THREADS", "ALGORITHM", "INSTRUCTION_SET", "BLAS"]
)
def test_a_wrong_setting_is_reported_with_the_rest(name):
    variable = f"MLX_CONVT_{name}"
    process = run("info", env=dict(os.environ) | {variable: "/wrong"})
    assert process.returncode == 0, process.stderr
    assert f"{variable}=/wrong" in process.stdout
    mistake = process.stdout.splitlines()[-1]
    assert mistake.startswith("mistake:")
    assert "/wrong" in mistake
    assert "platform:" in process.stdout
