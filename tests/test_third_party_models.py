"""Models by other people give the same output and gradients with ours.

mlx_audio and moshi_mlx come from the index of packages, without what they
depend on, since no layer of theirs computes with that:

    pip install --no-deps mlx-audio==0.6.2 moshi_mlx==0.3.0

MLX_CONVT_MLX_EXAMPLES names a checkout of ml-explore/mlx-examples.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import pytest
from metal.needs import missing
from third_party_models import codecs, speech  # noqa: F401, they fill CASES
from third_party_models.case import CASES, Case
from third_party_models.comparison import assert_within, run, spread

FLOAT64_BESIDE_FLOAT32 = 2.0**-29  # of the rounding errors
VARIABLE = "MLX_CONVT_MLX_EXAMPLES"
# Few and small: on the CPU mx.compile calls the C++ compiler for each.
COMPILED = (
    "mlx_audio.tts.models.vibevoice.acoustic_tokenizer.UpsampleLayer",
    "mlx_audio.tts.models.voxcpm2.audio_vae.CausalTransposeConv1d",
    "mlx_audio.tts.models.chatterbox.s3gen.matcha.decoder.Upsample1D",
)


def installed(name):
    package = CASES[name].package
    if importlib.util.find_spec(package) is None:
        missing("models", f"{package} is not installed")
    return CASES[name]


def check(case, compiled=False):
    """Both ways to ours, beside MLX's own and beside float64."""
    wanted = {"gradients": case.differentiable}
    supported = {
        "gradients": case.differentiable and case.builtin_differentiates
    }
    exact = run(case.build, "plain", mx.float64, **wanted)
    builtin = run(case.build, "builtin", **supported)
    allowed = spread(builtin, exact)
    if not case.builtin_differentiates:
        allowed = max(allowed, spread(run(case.build, "plain"), exact))

    # Twice, as Winograd's rounding may be, and twice for luck.
    patched = run(case.build, "patch", **wanted, compiled=compiled)
    assert patched.arrays.keys() == exact.arrays.keys()
    assert_within(patched, exact, 4 * allowed)
    assert patched.calls == builtin.calls

    converted = run(case.build, "convert", **supported, compiled=compiled)
    assert_within(converted, exact, 4 * allowed)
    assert len(converted.report.converted) == case.converted
    assert len(converted.report.skipped) == case.skipped
    assert bool(converted.calls) == (case.functions or case.skipped > 0)

    for mode in ("patch", "convert"):
        double = run(case.build, mode, mx.float64, **wanted)
        assert_within(double, exact, 16 * allowed * FLOAT64_BESIDE_FLOAT32)


@pytest.mark.parametrize("name", CASES)
def test_model(name):
    check(installed(name))


@pytest.mark.parametrize("name", COMPILED)
def test_compiled_model(name):
    check(installed(name), compiled=True)


@pytest.fixture
def checkout():
    path = os.environ.get(VARIABLE)
    if not path:
        missing("checkout", f"{VARIABLE} is not set")
    return Path(path)


@pytest.mark.parametrize("compiled", [False, True])
def test_encodec_of_mlx_examples(checkout, compiled):
    examples = codecs.mlx_examples
    module = examples.load_encodec(checkout)

    def build():
        sizes = {"num_filters": 8, "hidden_size": 16}
        decoder = examples.encodec_decoder(module, **sizes)
        return decoder, lambda model, x: model(x), (2, 20, 16)

    check(Case("mlx-examples", build, converted=4), compiled)


def run_example(tmp_path, *arguments):
    script = Path(__file__).parent.parent / "examples" / "mlx_examples.py"
    command = [sys.executable, "-W", "error", script, *arguments]
    env = {k: v for k, v in os.environ.items() if k != VARIABLE}
    return subprocess.run(
        command,
        check=False,
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
    )


def test_example_without_checkout(tmp_path):
    for arguments in (["--quick"], ["--checkout", tmp_path]):
        wrong = run_example(tmp_path, *arguments)
        assert wrong.returncode == 2
        assert (
            "git clone https://github.com/ml-explore/mlx-examples"
            in wrong.stderr
        )


def test_example(checkout, tmp_path):
    pytest.importorskip("PIL")  # Segment Anything imports it
    done = run_example(tmp_path, "--quick", "--checkout", checkout.resolve())
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("equal within rounding") == 2
