"""Runs the tests on the kernels of a folder until one fails.

python tests/metal/mutant_cases.py KERNELS BUILD BEGIN prints how they were
seen to be broken, and in which test; nothing where they were not. BEGIN is the
stage to begin with.
"""

import re
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import emulated
import geometries
import library
import pytest
import test_kernels
import test_large
import test_plans
from helpers import CONTRACTIONS, Geometry

Missing = pytest.fail.Exception  # an error that was not raised
SECONDS = 60  # of a test; then the signal ends the process
ELEMENTS = emulated.ELEMENTS
CHOSEN = geometries.CHOSEN
PIXELWISE = ["output", "input_grad"]
PLANS = [
    test_plans.chosen_plans,
    test_plans.layers_plans,
    test_plans.random_plans,
]
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


def edges():
    """In float32 alone, so that no other kernel need be compiled."""
    return [
        case
        for name in CHOSEN
        for case in (
            *each(test_kernels.test_edges, [name], CONTRACTIONS, ["float32"]),
            (test_kernels.test_bias, (name, "float32")),
        )
    ]


def plans():
    return [
        *((test_plans.test_limits, limit) for limit in test_plans.LIMITS),
        (test_plans.test_limit_of_empty_sums, ()),
        (test_plans.test_limit_of_grids, ()),
        *(
            (test_kernels.test_sums_over_nothing, (*empty, "float32"))
            for empty in test_kernels.EMPTY
        ),
        *each(test_plans.test_plans, PLANS),
    ]


def operands():
    return [
        *each(
            test_kernels.test_operands_that_begin_anywhere,
            [(0, 4), (4, 0), (8, 12)],
            CONTRACTIONS,
            ELEMENTS,
        ),
        *each(
            test_kernels.test_infinity_reaches_what_the_formula_says,
            CHOSEN,
            PIXELWISE,
        ),
    ]


def large():
    return [
        *each(test_large.test_last_image, test_large.IMAGES, PIXELWISE),
        *each(test_large.test_images_side_by_side, PIXELWISE),
        *each(test_large.test_last_pixels, test_large.PIXELS),
        (test_large.test_last_line, ()),
        (test_large.test_last_phase, ()),
        (test_large.test_far_pixels, ()),
    ]


def others():
    """From those that see most to those that take most time."""
    return [
        *each(test_kernels.test_edges, CHOSEN, CONTRACTIONS, ["float16"]),
        *each(
            test_kernels.test_rounding, [*CHOSEN][::3], CONTRACTIONS, ELEMENTS
        ),
        *each(test_kernels.test_edges, CHOSEN, CONTRACTIONS, ["bfloat16"]),
        *each(test_kernels.test_layers, LAYERS, CONTRACTIONS, ELEMENTS),
        *each(test_kernels.test_random_geometries, range(10), CONTRACTIONS),
        *each(test_kernels.test_any_lane_layout, CHOSEN, CONTRACTIONS),
        *each(test_kernels.test_same_bits_in_any_order, CHOSEN, CONTRACTIONS),
        (test_kernels.test_every_specialisation_has_run, ()),
    ]


def failure(error, using, is_plan):
    if using.errors:
        first = re.split(r":| to |, at ", using.errors.splitlines()[0])[0]
        return f"checker: {first}"
    if isinstance(error, (AssertionError, Missing)):
        return "wrong plan" if is_plan else "wrong result"
    return f"refused: {error}".splitlines()[0]


def name_of(argument):
    if isinstance(argument, (Geometry, dict)):
        return "..."
    return getattr(argument, "__name__", str(argument))


def first_failure(using, cases):
    for test, arguments in cases:
        signal.alarm(SECONDS)
        try:
            test(*arguments)
        except (AssertionError, ValueError, RuntimeError, Missing) as error:
            is_plan = test.__module__ == test_plans.__name__
            named = ", ".join(map(name_of, arguments))
            how = failure(error, using, is_plan)
            return f"{how}\n{test.__name__}[{named}]"
    return ""


def affected(using, ships):
    """Those of edges() that have another plan or kernel than what ships."""
    same = {one.name for one in using.specialisations} - {
        one.name
        for one in set(using.specialisations) - set(ships.specialisations)
    }
    for case in edges():
        _, (name, *contraction, element) = case
        problems = [
            emulated.problem(
                *(contraction or ["output"]),
                CHOSEN[name],
                element,
                has_bias=not contraction,
                generation=generation,
            )
            for generation in test_kernels.GENERATIONS
        ]
        try:
            plans = [using.plan(posed) for posed in problems]
        except ValueError:
            yield case
            continue
        launches = [one for plan in plans for one in plan["launches"]]
        if any(one["name"] not in same for one in launches) or plans != [
            ships.plan(posed) for posed in problems
        ]:
            yield case


def run(using, begin):
    stages = {
        "edges": edges,
        "plans": plans,
        "operands": operands,
        "large": large,
        "others": others,
    }
    for name in sorted(stages, key=lambda name: name != begin):
        signal.alarm(0)  # for the compilation
        if name == "edges":
            using.load_kernels(
                [
                    one
                    for one in using.specialisations
                    if one.defines["CT_T"] == "float"
                ]
            )
            cases = affected(using, library.Library())
        else:
            using.load_kernels()
            cases = stages[name]()
        found = first_failure(using, cases)
        if found:
            return found
    return ""


def main(kernels, build, begin):
    try:
        using = Recording(Path(kernels), Path(build))
        library.shared = lambda: using
        found = run(using, begin)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        found = "refused to compile"
    print(found)


if __name__ == "__main__":
    main(*sys.argv[1:])
