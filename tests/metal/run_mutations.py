"""Whether the tests notice every seeded defect.

python tests/metal/run_mutations.py [--only NAME] [--jobs N] runs those whose
name contains NAME, all by default, and renews their rows of MUTATIONS.md. It
exits with 1 where a defect was not noticed.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import library
from mutations import MUTANTS, copy_with

HERE = Path(__file__).parent
TABLE = HERE / "MUTATIONS.md"
NOT_CAUGHT = "NOT CAUGHT"
SECONDS = 300  # of a mutant, its compilation included
HEADER = """\
# Seeded defects, and what notices them

Each row is a change to one file of `kernels/metal` that
`python tests/metal/run_mutations.py` made, and the first test of the emulated
kernels or of their plans that fails then. "checker" is the emulator's report.

| Defect | File | Change | Caught by | In |
| --- | --- | --- | --- | --- |
"""


def caught_by(mutant, base):
    """(how, where) the tests notice it."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        copy_with(mutant, library.KERNELS, folder / "kernels")
        build = folder / "build"
        build.mkdir()
        for file in base.objects:
            (build / file.name).symlink_to(file)
        command = [
            HERE / "mutant_cases.py",
            folder / "kernels",
            build,
            mutant.begin,
        ]
        try:
            done = subprocess.run(
                [sys.executable, *map(str, command)],
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "hang", ""
    if done.returncode == -signal.SIGALRM:
        return "hang", ""
    if done.returncode < 0:
        return f"crash: {signal.Signals(-done.returncode).name}", ""
    if done.returncode:
        raise RuntimeError(done.stderr)
    how, where, *_ = [*done.stdout.splitlines(), "", ""]
    return how or NOT_CAUGHT, where


def cell(text):
    return text.replace("|", "\\|")


def code(text, limit=60):
    text = text if len(text) <= limit else text[: limit - 3] + "..."
    return f"`{cell(text)}`" if text else "nothing"


def cells_of(mutant):
    """What a row says of the defect itself."""
    old, new = map(code, mutant.change)
    return mutant.name, f"`{mutant.file}`", f"{old} to {new}"


def row(mutant, how, where):
    return f"| {' | '.join((*cells_of(mutant), cell(how), cell(where)))} |\n"


def write_table(results):
    """Of these mutants and those that are in it and have not changed."""
    text = TABLE.read_text() if TABLE.exists() else ""
    known = {line.rsplit(" | ", 2)[0]: line for line in text.splitlines(True)}
    rows = (
        row(mutant, *results[mutant])
        if mutant in results
        else known.get(f"| {' | '.join(cells_of(mutant))}", "")
        for mutant in MUTANTS
    )
    TABLE.write_text(HEADER + "".join(rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="NAME", default="")
    parser.add_argument("--jobs", metavar="N", type=int, default=2)
    options = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if options.only in mutant.name]
    for mutant in chosen:  # before the long part
        mutant.applied((library.KERNELS / "metal" / mutant.file).read_text())
    base = library.Library()
    base.load_kernels()
    start = time.monotonic()

    def run_one(mutant):
        before = time.monotonic()
        how, where = caught_by(mutant, base)
        seconds = time.monotonic() - before
        print(f"{seconds:5.1f} s  {mutant.name}: {how} {where}", flush=True)
        return how, where

    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(run_one, chosen))
    write_table(dict(zip(chosen, results)))
    missed = sum(how == NOT_CAUGHT for how, _ in results)
    print(f"{missed} of {len(chosen)} defects not caught, ", end="")
    used = os.times().children_user + os.times().children_system
    print(f"{time.monotonic() - start:.0f} s, of the CPU {used:.0f} s")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
