"""Each check of the emulator fires on the defect it is for, on no other."""

import subprocess
from pathlib import Path

import pytest
from compilation import compiler

HERE = Path(__file__).parent
EMULATOR = HERE / "emulator"
CHECKS = HERE / "emulator_checks"

COMMON = ["-march=x86-64-v3", "-fPIC", "-Wall", "-Wextra", "-Werror"]
RUNTIME = ["-std=c++20", "-O2"]
# Not linked with either sanitizer's library: the runtime has their hooks.
KERNELS = [
    "-std=c++17",
    "-O1",
    "-g",
    "-fno-strict-aliasing",
    "-ftrivial-auto-var-init=pattern",
    "-fsanitize=thread",
    "-fsanitize=alignment,bounds,signed-integer-overflow,shift",
    "-fsanitize=integer-divide-by-zero",
]


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """What the program of checks prints."""
    command = compiler()
    build = tmp_path_factory.mktemp("emulator")

    def compile_all(sources, flags):
        for source in sources:
            target = build / f"{source.stem}.o"
            options = [*COMMON, *flags, "-I", EMULATOR, "-c", source]
            subprocess.run([*command, *options, "-o", target], check=True)

    compile_all(sorted(EMULATOR.glob("*.cpp")), RUNTIME)
    compile_all(sorted(CHECKS.glob("*.cpp")), KERNELS)
    program = build / "checks"
    subprocess.run(
        [*command, *sorted(build.glob("*.o")), "-ldl", "-o", program],
        check=True,
    )
    run = subprocess.run([program], capture_output=True, text=True, check=False)
    assert run.stderr == ""
    assert run.returncode in (0, 1), run.stdout
    return run.stdout.splitlines()


def test_every_check_fires_on_its_defect_alone(lines):
    verdicts = lines[:-1]
    assert [line for line in verdicts if not line.startswith("ok ")] == []
    assert lines[-1] == "0 failed"


def test_all_defects_are_there(lines):
    cases = [
        name
        for file in CHECKS.glob("*_cases.h")
        for name in file.read_text().split("namespace ")[1:]
    ]
    defined = {name.split(" {")[0] for name in cases if "CASE_KERNEL(" in name}
    assert defined
    assert defined <= {line.removeprefix("ok ") for line in lines}
