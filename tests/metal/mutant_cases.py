"""Runs the tests on the kernels of a folder until one fails.

python tests/metal/mutant_cases.py KERNELS BUILD prints how they were seen to
be broken, and in which test; nothing where they were not.
"""

import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import emulated
import geometries
import library
import test_kernels
import test_large
import test_plans
from helpers import CONTRACTIONS

SECONDS = 60  # of a test; then the signal ends the process
ELEMENTS = emulated.ELEMENTS
CHOSEN = geometries.CHOSEN
# The layers with most work leave little to see that the others do not have.
LAYERS = [name for name in test_kernels.LAYERS if "fcn" not in name]


class Recording(library.Library):
    """Keeps what the last run that found errors has found."""

    errors = ""

    def run(self, *args):
        errors, counts = super().run(*args)
        self.errors = errors or self.errors
        return errors, counts


def each(test, *choices):
    """(test, arguments) for every combination."""
    combinations = [()]
    for values in choices:
        combinations = [(*c, value) for c in combinations for value in values]
    return [(test, combination) for combination in combinations]


def first_cases():
    """In float32 alone, so that no other kernel need be compiled."""
    return each(test_kernels.test_edges, CHOSEN, CONTRACTIONS, ["float32"])


def other_cases():
    """From those that see most to those that take most time."""
    return [
        *((test, ()) for test in test_plans.TESTS),
        *((test_kernels.test_sums_over_nothing, (*empty, "float32"))
          for empty in test_kernels.EMPTY),
        *each(test_kernels.test_bias, CHOSEN, ["float32"]),
        *each(test_kernels.test_edges, CHOSEN, CONTRACTIONS, ["float16"]),
        *each(
            test_kernels.test_operands_that_begin_anywhere,
            [(0, 4), (4, 0), (8, 12)],
            CONTRACTIONS,
            ELEMENTS,
        ),
        *each(
            test_kernels.test_infinity_reaches_what_the_formula_says,
            CHOSEN,
            ["output", "input_grad"],
        ),
        *each(test_kernels.test_rounding, [*CHOSEN][::3], CONTRACTIONS, ELEMENTS),
        *each(test_large.test_tail, test_large.CASES),
        *each(test_kernels.test_edges, CHOSEN, CONTRACTIONS, ["bfloat16"]),
        *each(test_kernels.test_layers, LAYERS, CONTRACTIONS, ELEMENTS),
        *each(test_kernels.test_random_geometries, range(10), CONTRACTIONS),
        *each(test_kernels.test_any_lane_layout, CHOSEN, CONTRACTIONS),
        *each(test_kernels.test_same_bits_in_any_order, CHOSEN, CONTRACTIONS),
        (test_kernels.test_every_specialisation_has_run, ()),
    ]


def failure(error, using):
    if using.errors:
        return "checker: " + using.errors.splitlines()[0].split(":")[0]
    if isinstance(error, AssertionError):
        return "wrong result"
    return f"{type(error).__name__}: {error}".splitlines()[0]


def first_failure(using, cases):
    for test, arguments in cases:
        signal.alarm(SECONDS)
        try:
            test(*arguments)
        except (AssertionError, ValueError, RuntimeError) as error:
            named = ", ".join(str(a) for a in arguments)
            return f"{failure(error, using)}\n{test.__name__}[{named}]"
    return ""


def uses(using, kernels, case):
    """Whether a case of test_edges runs one of these kernels."""
    name, contraction, element = case[1]
    plans = [
        using.plan(
            emulated.problem(
                contraction, CHOSEN[name], element, generation=generation
            )
        )
        for generation in test_kernels.GENERATIONS
    ]
    return not kernels or any(
        launch["kernel"] in kernels
        for plan in plans
        for launch in plan["launches"]
    )


def main(kernels, build):
    try:
        using = Recording(Path(kernels), Path(build))
        library.shared = lambda: using
        theirs = {one.text for one in library.Library().specialisations}
        broken = {
            one.kernel
            for one in using.specialisations
            if one.text not in theirs
        }
        using.load_kernels(
            [
                one
                for one in using.specialisations
                if one.defines["CT_T"] == "float"
            ]
        )
        cases = [c for c in first_cases() if uses(using, broken, c)]
        found = first_failure(using, cases)
        if not found:
            signal.alarm(0)
            using.load_kernels()
            found = first_failure(using, other_cases())
    except RuntimeError as error:
        found = f"refused to compile\n{error}"
    print(found)


if __name__ == "__main__":
    main(*sys.argv[1:])
