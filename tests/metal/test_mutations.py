"""The seeded defects are still those of today's text, and all are noticed."""

import library
import pytest
from mutations import MUTANTS
from run_mutations import NOT_CAUGHT, TABLE, caught_by, cells_of

METAL = library.KERNELS / "metal"
EXAMPLES = [
    "lanes: phase of another axis",
    "sum_splits: pitch of splits wrong",
    "reduction_plan: a split too few",
]


def test_names_are_unique():
    assert len(MUTANTS) >= 60
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_each_applies():
    for mutant in MUTANTS:
        text = (METAL / mutant.file).read_text()
        assert mutant.applied(text) != text, mutant.name


def test_every_file_has_some():
    """But for what only real Metal compiles, and headers of declarations."""
    files = {file.name for file in METAL.glob("*.metal")}
    files |= {file.name for file in METAL.glob("*.cpp")}
    files |= {"launches.h", "specialisation.h"}
    files -= {"prelude.metal", "eval.cpp"}
    assert {mutant.file for mutant in MUTANTS} == files


def test_table():
    """It is that of these defects, each of them caught."""
    rows = [
        line.strip("|\n").split(" | ")
        for line in TABLE.read_text().splitlines()
        if line.startswith("| ") and "`" in line
    ]
    found = [tuple(cell.strip() for cell in row[:3]) for row in rows]
    assert found == [cells_of(mutant) for mutant in MUTANTS]
    assert all(row[3].strip() not in ("", NOT_CAUGHT) for row in rows)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name):
    (mutant,) = (one for one in MUTANTS if one.name == name)
    how, _ = caught_by(mutant, library.shared())
    assert how == "wrong result" or how.startswith("checker: ")
