"""The count of work: against the emulator, and against its targets."""

import itertools
import math

import library
import numpy as np
import pytest
from emulated import ELEMENTS, contract, problem
from geometries import CHOSEN, random_geometry
from helpers import CONTRACTIONS
from work import work_of
from work_plan import launches_of
from work_table import M1, M3, ours, ratios, renewed, tables

from mlx_convt import layers

DOCUMENT = library.ROOT / "docs" / "gpu.md"


@pytest.fixture(scope="module")
def plans():
    return library.Library()


@pytest.fixture(scope="module")
def emulator(plans):
    return library.shared()


def measured(contraction, geometry, element, using, **options):
    operands = [
        np.ones(shape, np.float32)
        for shape in geometry.operand_shapes(contraction)
    ]
    found = contract(
        contraction, geometry, operands, element, using=using, **options
    )
    assert found.errors == ""
    return found.counts


def planned(contraction, geometry, element, using, **options):
    return using.plan(problem(contraction, geometry, element, **options))


def compare(contraction, geometry, element, using, **options):
    plan = planned(contraction, geometry, element, using, **options)
    counts = measured(contraction, geometry, element, using, **options)
    work = work_of(plan, using)
    assert work.multiply_adds == counts.multiply_adds
    assert work.bytes_written == counts.stores
    assert counts.threadgroup_bytes == max(
        launch.threadgroup_bytes for launch in launches_of(plan, using)
    )


@pytest.mark.parametrize("name", CHOSEN)
@pytest.mark.parametrize("contraction", CONTRACTIONS)
def test_executed_and_written_as_the_emulator_counts(
    contraction, name, emulator
):
    geometry = CHOSEN[name]
    for element in ELEMENTS:
        for generation in (M1, M3):
            compare(
                contraction, geometry, element, emulator, generation=generation
            )
    compare(contraction, geometry, "float32", emulator, misalign=(4, 4))


@pytest.mark.parametrize("seed", range(20))
def test_random_geometries(seed, emulator):
    geometry = random_geometry(seed)
    for contraction in CONTRACTIONS:
        compare(contraction, geometry, "float32", emulator)


def test_chosen_geometries_reach_every_function_and_way(plans):
    names, ways = set(), set()
    for geometry in CHOSEN.values():
        for contraction in CONTRACTIONS:
            for element in ELEMENTS:
                for generation in (M1, M3):
                    plan = planned(
                        contraction,
                        geometry,
                        element,
                        plans,
                        generation=generation,
                    )
                    for launch in launches_of(plan, plans):
                        names.add(launch.name)
                        ways |= ways_of(launch)
    nothing_to_sum = {"convt_sum_splits_" + s for s in ("f32", "f16", "bf16")}
    assert names | nothing_to_sum == {one.name for one in plans.specialisations}
    assert ways == {
        *("gathered", "batch first", "folded", "grouped", "vectors"),
        *("element by element", "classes", "splits", "output first"),
    }


def ways_of(launch):
    p = vars(launch.p)
    flags = {
        "gathered": p.get("gathered"),
        "batch first": p.get("batch_first"),
        "folded": math.prod(p.get("fold", ())) > 1,
        "grouped": p.get("group_source") != p.get("source_channels"),
        "vectors": p.get("vector_source") or p.get("vector_x"),
        "element by element": p.get("vector_source") == 0,
        "classes": math.prod(p.get("classes", ())) > 1,
        "splits": p.get("splits", 1) > 1,
        "output first": p.get("output_first"),
    }
    return {name for name, is_there in flags.items() if is_there}


def main_kernel(contraction, geometry, using):
    plan = planned(contraction, geometry, "float32", using)
    return next(
        one["kernel"]
        for one in plan["launches"]
        if one["kernel"] != "pack_weights"
    )


def is_cropped(geometry):
    return any(side > 0 for pair in geometry.padding for side in pair)


@pytest.mark.parametrize("name", CHOSEN)
@pytest.mark.parametrize("contraction", CONTRACTIONS)
def test_bytes_read(contraction, name, emulator):
    """Tiles read no pixels beyond the edge; other threads read pixels again."""
    geometry = CHOSEN[name]
    kernel = main_kernel(contraction, geometry, emulator)
    for element in ELEMENTS:
        for generation in (M1, M3):
            case = (contraction, geometry, element, emulator)
            plan = planned(*case, generation=generation)
            work = work_of(plan, emulator)
            found = measured(*case, generation=generation).loads
            if kernel in ("correlate", "weight_grad"):
                is_inside = contraction != "output" and not is_cropped(geometry)
                assert found <= work.bytes_read
                assert found == work.bytes_read or not is_inside
            elif kernel != "weight_grad_direct":
                assert found >= work.bytes_read
            if kernel == "lanes":
                size = 4 if element == "float32" else 2
                assert found == 2 * size * work.multiply_adds


@pytest.mark.parametrize("layer", layers.load(), ids=lambda layer: layer.name)
@pytest.mark.parametrize("contraction", CONTRACTIONS)
def test_published_layers_waste_little(contraction, layer, plans):
    channels = (layer.in_channels, layer.out_channels)
    is_even = all(count // layer.groups % 16 == 0 for count in channels)
    for generation, element in itertools.product((M1, M3), range(3)):
        work = ours(layer, contraction, generation, plans, element)
        products, _ = ratios(layer, work)
        assert 0 < products <= (1.15 if is_even else 2)


def test_tables_are_those_of_the_document(plans):
    text = DOCUMENT.read_text()
    assert renewed(text, tables(plans)) == text


def test_a_place_for_each_table():
    assert renewed("a <!-- x -->\nold<!-- end --> b", {"x": "new\n"}) == (
        "a <!-- x -->\n\nnew\n\n<!-- end --> b"
    )
    with pytest.raises(ValueError, match="0 places for the table of x"):
        renewed("no place", {"x": "new\n"})
