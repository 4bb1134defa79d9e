"""Whether what was encoded is what a plan asks for."""

import ctypes
import functools
import itertools

import library
import numpy as np
from emulated import problem

from .recorder import VERSION, Array, Behaviour

MEMORIES = ("first", "second", "bias", "result", "temporary", "constants")
# In the order that the primitive takes them.
OPERANDS = {
    "output": ("input", "weight"),
    "input_grad": ("weight", "output_grad"),
    "weight_grad": ("input", "output_grad"),
}
MOST_INTS = 1024  # that Metal copies into its commands: 4096 bytes
PAGE = 4096  # temporaries are whole ones


def operands_of(contraction, geometry, has_bias=False, misalign=(0, 0)):
    """Arrays without values."""
    arrays = [
        Array(geometry.shape(name), misalign=bytes_off)
        for name, bytes_off in zip(OPERANDS[contraction], misalign)
    ]
    return [*arrays, *([Array((geometry.c_out,))] if has_bias else [])]


@functools.cache
def metal_texts():
    return library.shared().metal_texts()


def library_name(kernel):
    return f"mlx_convt_{VERSION}_{kernel}"


def compilation_of(kernels):
    """What a device that has compiled nothing is asked for."""
    built = set()
    for kernel in kernels:
        yield f"library {library_name(kernel)}"
        if kernel not in built:
            yield f"build {library_name(kernel)}"
        built.add(kernel)
        yield f"kernel {kernel}"


def check_constants(found, ints, temporaries):
    """True where they are an array, which has to be kept."""
    if len(ints) <= MOST_INTS:
        assert found["ints"] == ints
        return False
    bound = {"memory": found["memory"], "size": found["size"]}
    assert bound in temporaries
    assert not found["is_written"]
    kept = ctypes.string_at(bound["memory"], bound["size"])
    assert np.frombuffer(kept, np.int32).tolist() == ints
    return True


def check_arrays(record, bound, plan):
    """`bound` is the (address, size) of each (memory, index)."""
    arrays = {
        (name, 0): (array["memory"], array["size"])
        for name, array in zip(MEMORIES, record["operands"])
    }
    result = record["result"]
    arrays["result", 0] = result["memory"], result["size"]
    kept = {(a["memory"], a["size"]) for a in record["temporaries"]}
    for index, size in enumerate(plan["temporaries"]):
        made = bound["temporary", index]
        assert made in kept
        assert made[1] == -(-size // PAGE) * PAGE
        arrays["temporary", index] = made
    assert bound.items() <= arrays.items()
    assert len(kept) == len(record["temporaries"])
    places = set(arrays.values())
    assert len(places) == len(arrays)
    for (begin, size), (after, _) in itertools.pairwise(sorted(places | kept)):
        assert begin + size <= after


def check_dispatches(record, plan):
    """Grids, threads and what each buffer index holds."""
    bound = {}
    tables = set()
    assert len(record["dispatches"]) == len(plan["launches"])
    for found, launch in zip(record["dispatches"], plan["launches"]):
        assert found["kernel"] == launch["name"]
        assert found["grid"] == launch["grid"]
        assert found["threads"] == [launch["threads"], 1, 1]
        indices = [binding["index"] for binding in found["bindings"]]
        assert indices == list(range(len(launch["slots"])))
        for binding, slot in zip(found["bindings"], launch["slots"]):
            key = MEMORIES[slot["memory"]], slot["index"]
            if key[0] == "constants":
                ints = plan["constants"][slot["index"]]
                if check_constants(binding, ints, record["temporaries"]):
                    tables.add(slot["index"])
                continue
            assert binding["is_written"] == slot["is_written"], key
            place = binding["memory"], binding["size"]
            assert bound.setdefault(key, place) == place, key
    check_arrays(record, bound, plan)
    kept = len(plan["temporaries"]) + len(tables)
    assert len(record["temporaries"]) == kept


def check_encoded(
    recorder,
    contraction,
    geometry,
    element="float32",
    *,
    has_bias=False,
    misalign=(0, 0),
    generation=13,
):
    """eval_gpu encodes the plan that make_plan makes; the plan."""
    plan = library.shared().plan(
        problem(
            contraction,
            geometry,
            element,
            has_bias=has_bias,
            misalign=misalign,
            generation=generation,
        )
    )
    recorder.replace_device()
    record = recorder.eval(
        contraction,
        geometry,
        element,
        operands_of(contraction, geometry, has_bias, misalign),
        Behaviour(generation=generation),
    )
    assert record["error"] is None
    assert record["misuses"] == []
    names = [launch["name"] for launch in plan["launches"]]
    assert record["events"] == [
        *compilation_of(names),
        *(f"dispatch {name}" for name in names),
        f"temporaries {len(record['temporaries'])}",
    ]
    for name in names:
        assert recorder.text(library_name(name)) == metal_texts()[name]
    check_dispatches(record, plan)
    return plan
