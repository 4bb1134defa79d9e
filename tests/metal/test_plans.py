"""What must hold of every plan, whatever its kernels compute.

Plans are made, not run, so there are many of them.
"""

import itertools
import math
import re
from dataclasses import replace

import library
import pytest
from emulated import ELEMENTS, M1, M3, problem
from geometries import CHOSEN, random_geometry
from helpers import CONTRACTIONS, make_geometry
from work_plan import launches_of, structs

from mlx_convt import layers

MEMORIES = ("first", "second", "bias", "result", "temporary", "constants")
TABLES = ("classes", "terms", "masks", "taps")  # of any length
RANDOM = 3000  # geometries


def parameters_of(text):
    """(space, type, name, is_const) of a kernel's buffers, in order."""
    wrapper = text[text.rindex("\nKERNEL(") :]
    found = re.findall(
        r"(const )?(DEVICE|CONSTANT) (\w+)\* (\w+)\s+BUFFER\((\d+)\)", wrapper
    )
    assert [int(index) for *_, index in found] == list(range(len(found)))
    return [(space, kind, name, bool(c)) for c, space, kind, name, _ in found]


def declared_threads(text, defines):
    expression = re.search(r"\nKERNEL\((.*?)\)", text).group(1)
    factors = (defines.get(one, one) for one in expression.split(" * "))
    return math.prod(map(int, factors))


def wrappers_of(using):
    """(parameters, threads) that each kernel declares, by its name."""
    return {
        one.name: (
            parameters_of(one.text),
            declared_threads(one.text, one.defines),
        )
        for one in using.specialisations
    }


def check_slots(plan, launch, parameters, written):
    """Each buffer is what the kernel takes it for; adds to `written`."""
    assert len(launch["slots"]) == len(parameters), launch
    writes = set()
    for slot, (space, kind, name, is_const) in zip(launch["slots"], parameters):
        memory, index = MEMORIES[slot["memory"]], slot["index"]
        what = (launch["name"], name)
        assert (memory == "constants") == (space == "CONSTANT"), what
        if memory == "temporary" and index in unused_of(plan):
            assert name in ("bias", "result", "partial"), what
            continue
        assert slot["is_written"] == (not is_const), what
        if memory == "constants":
            assert plan["constants"][index], what
            if name not in TABLES:
                size = sum(count for _, count in structs()[kind])
                assert len(plan["constants"][index]) == size, what
        elif slot["is_written"]:
            assert memory in ("result", "temporary"), what
            writes.add((memory, index))
        elif memory == "temporary":
            assert (memory, index) in written, what
    # Sums go to the result or, of splits, to their parts.
    assert len(writes) == 1, launch
    written |= writes


def unused_of(plan):
    """Temporaries in the place of buffers that a kernel does not touch."""
    slots = [slot for launch in plan["launches"] for slot in launch["slots"]]
    named = [
        slot["index"]
        for slot in slots
        if MEMORIES[slot["memory"]] == "temporary"
    ]
    written = {
        slot["index"]
        for slot in slots
        if MEMORIES[slot["memory"]] == "temporary" and slot["is_written"]
    }
    unused = set(named) - written
    assert all(named.count(index) == 1 for index in unused)
    return unused


def check_sizes(plan, launches, wrappers):
    """Tables and temporaries are as long as kernels read and write them."""
    sizes = {}
    for stored, launch in zip(plan["launches"], launches):
        p = launch.p
        names = [name for _, _, name, _ in wrappers[launch.name][0]]
        if launch.kernel == "pack_weights":
            packed = stored["slots"][names.index("packed")]["index"]
            sizes[packed] = launch.itemsize * math.prod(
                (launch.grid[2], p.padded_rows, p.padded_columns)
            )
            assert len(launch.table("taps")) == p.slots * p.taps
            # Zeros take no more room than weights.
            assert p.slots * p.taps <= 2 * math.prod(p.window)
        elif launch.kernel == "sum_splits":
            if p.splits > 0:
                partial = stored["slots"][names.index("partial")]["index"]
                sizes[partial] = 4 * p.splits * p.elements
        elif not launch.kernel.startswith("weight_grad"):
            assert len(launch.table("classes")) == sum(p.classes)
        if launch.kernel == "few_columns":
            assert len(launch.table("masks")) == math.prod(p.slots)
        if launch.kernel == "correlate" and p.gathered:
            terms = math.prod(p.classes) * p.terms
            assert len(launch.table("terms")) == terms
    sizes |= dict.fromkeys(unused_of(plan), 16)
    assert sizes == dict(enumerate(plan["temporaries"]))


def check_plan(using, wrappers, posed):
    plan = using.plan(posed)
    written = set()
    for launch in plan["launches"]:
        parameters, threads = wrappers[launch["name"]]
        assert launch["threads"] == threads, launch
        assert all(0 < size < 2**31 for size in launch["grid"]), launch
        check_slots(plan, launch, parameters, written)
    used = set(range(len(plan["temporaries"]))) - unused_of(plan)
    assert written == {("result", 0), *(("temporary", one) for one in used)}
    check_sizes(plan, launches_of(plan, using), wrappers)


def chosen_plans():
    for geometry, contraction, element, generation in itertools.product(
        CHOSEN.values(), CONTRACTIONS, ELEMENTS, (M1, M3)
    ):
        for has_bias in {False, contraction == "output"}:
            yield problem(
                contraction,
                geometry,
                element,
                generation=generation,
                has_bias=has_bias,
            )


def layers_plans():
    for layer in layers.load():
        geometry = make_geometry(
            layer.spatial,
            layer.kernel,
            layer.in_channels,
            layer.out_channels,
            batch=layer.batch,
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            output_padding=layer.output_padding,
            groups=layer.groups,
        )
        for contraction, element in itertools.product(CONTRACTIONS, ELEMENTS):
            yield problem(contraction, geometry, element)


def random_plans():
    for seed in range(RANDOM):
        geometry = random_geometry(seed)
        for contraction in CONTRACTIONS:
            yield problem(
                contraction,
                geometry,
                ELEMENTS[seed % 3],
                generation=(M1, M3)[seed % 2],
                has_bias=contraction == "output" and seed % 5 == 0,
                misalign=((0, 0), (4, 0), (0, 4))[seed % 3],
            )


@pytest.mark.parametrize("plans", [chosen_plans, layers_plans, random_plans])
def test_plans(plans):
    using = library.shared()
    wrappers = wrappers_of(using)
    for posed in plans():
        check_plan(using, wrappers, posed)


PIXELS = make_geometry((2**10,), (1,), 1, 1, batch=2**20, padding=((0, 9),))


def too_much(what, limit, got):
    return f"{what} must be less than {limit} on the GPU. Got {got}."


# What is refused, and the same with one less of the thing, which is not.
LIMITS = [
    (
        too_much("input times stride", "2^30", f"{2**20} x {2**10}"),
        make_geometry(
            (2**20,), (1,), 1, 1, stride=2**10, padding=((0, 2**29),)
        ),
        {"spatial": (2**20 - 1,)},
    ),
    (
        too_much("output plus padding plus stride", "2^30", 2**30),
        make_geometry((3,), (1,), 1, 1, stride=2**28, output_padding=2**28 - 1),
        {"output_padding": (2**28 - 2,)},
    ),
    (
        too_much("kernel times dilation", "2^30", f"{2**15} x {2**15}"),
        make_geometry(
            (1,), (2**15,), 1, 1, dilation=2**15, padding=((0, 2**29),)
        ),
        {"kernel": (2**15 - 1,)},
    ),
    (
        too_much(
            "batch times input pixels", "2^30", f"{2**20} x 1 x 1 x {2**10}"
        ),
        PIXELS,
        {"batch": 2**20 - 1},
    ),
    (  # more than 64 bits hold
        too_much(
            "the number of weights", "2^31", f"{2**10} x 1 x 1 x 1 x {2**54}"
        ),
        make_geometry((9,), (1,), 2**54, 2**10),
        {"c_in": 2**20},
    ),
    (
        too_much(
            "batch times output pixels", "2^30", f"{2**20} x 1 x 1 x {2**10}"
        ),
        make_geometry((2**9,), (2,), 1, 1, batch=2**20, stride=2),
        {"batch": 2**20 - 1},
    ),
    (
        too_much(
            "the number of weights", "2^31", f"{2**19} x 1 x 1 x 1 x {2**12}"
        ),
        make_geometry((9,), (1,), 2**12, 2**19),
        {"c_out": 2**19 - 1},
    ),
]


@pytest.mark.parametrize(("text", "refused", "less"), LIMITS)
def test_limits(text, refused, less):
    assert_limit("input_grad", text, refused, less)


def assert_limit(contraction, text, refused, less):
    using = library.shared()
    with pytest.raises(ValueError) as error:
        using.plan(problem(contraction, refused))
    assert str(error.value) == text
    assert using.plan(problem(contraction, replace(refused, **less)))


def test_limit_of_empty_sums():
    assert_limit(
        "output",
        too_much(
            "the size of an empty sum", "2^31", f"{2**20} x 1 x 1 x {2**9} x 4"
        ),
        make_geometry((2**9,), (1,), 0, 4, batch=2**20),
        {"c_out": 3},
    )


def test_limit_of_grids():
    """Which takes many phases of many groups, in a small result."""
    assert_limit(
        "output",
        too_much("an axis of threadgroups", "2^31", 2**31),
        make_geometry(
            (1,),
            (1,),
            2**17,
            2**12,
            groups=2**12,
            stride=2**19,
            output_padding=2**19 - 1,
        ),
        {"output_padding": (2**19 - 2,)},
    )
