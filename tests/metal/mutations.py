"""All seeded defects, and copies of the kernels that have one of them."""

import shutil

from mutants import (
    contraction_plans,
    correlate,
    few,
    phases,
    plan,
    weight_grad,
)

MUTANTS = [
    mutant
    for part in (
        correlate,
        few,
        weight_grad,
        phases,
        contraction_plans,
        plan,
    )
    for mutant in part.MUTANTS
]


def copy_with(mutant, kernels, to):
    """A copy of what the tests compile of `kernels`, with the defect."""
    shutil.copytree(kernels / "metal", to / "metal")
    for name in ("geometry.h", "geometry.cpp"):
        shutil.copy(kernels / name, to)
    file = to / "metal" / mutant.file
    file.write_text(mutant.applied(file.read_text()))
