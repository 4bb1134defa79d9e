"""Builds the emulator, the plans and the kernels, and runs them.

Everything is compiled from what ships: the host code that plans launches and
the kernels' text as it goes to Metal's compiler. The results of a build are
kept in `build/metal_tests` and made again when a source changes.
"""

import ctypes
import functools
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from compilation import compile_all, digest, link, run, texts_of

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
KERNELS = ROOT / "kernels"
HOST_FLAGS = ["-std=c++20", "-O2", "-fPIC", "-Wall", "-Wextra"]
# Loads, stores and other undefined behaviour call the emulator's checks.
KERNEL_FLAGS = [
    "-std=c++17",
    "-O1",
    "-march=x86-64-v3",
    "-fPIC",
    "-g1",
    "-w",
    "-fno-strict-aliasing",
    "-ftrivial-auto-var-init=pattern",
    "-fsanitize=thread",
    "-fsanitize=alignment,bounds,signed-integer-overflow",
    "-fsanitize=shift,integer-divide-by-zero",
]


@dataclass(frozen=True)
class Specialisation:
    """One function that a kernel text is compiled into."""

    name: str
    kernel: str
    text: str  # all but the prelude: defines, parameters, kernel

    @property
    def defines(self):
        found = re.findall(r"^#define (CT_\w+) (.*)$", self.text, re.MULTILINE)
        return dict(found)


class Problem(ctypes.Structure):
    """RunnerProblem of runner.h."""

    _fields_ = [
        ("contraction", ctypes.c_int64),
        ("batch", ctypes.c_int64),
        *(
            (name, ctypes.c_int64 * 3)
            for name in (
                "spatial",
                "kernel",
                "out",
                "stride",
                "padding",
                "dilation",
            )
        ),
        *(
            (name, ctypes.c_int64)
            for name in (
                "c_in",
                "c_out",
                "groups",
                "element",
                "has_bias",
                "generation",
                "first_misalign",
                "second_misalign",
            )
        ),
    ]


class Options(ctypes.Structure):
    """RunnerOptions of runner.h."""

    _fields_ = [
        ("order", ctypes.c_int64),
        ("seed", ctypes.c_int64),
        ("permuted_layout", ctypes.c_int64),
        ("last_groups_only", ctypes.c_int64),
        ("tail_bytes", ctypes.c_int64),
    ]


class Counts(ctypes.Structure):
    """RunnerCounts of runner.h."""

    _fields_ = [
        ("multiply_adds", ctypes.c_uint64),
        ("loads", ctypes.c_uint64),
        ("stores", ctypes.c_uint64),
        ("barriers", ctypes.c_uint64),
        ("threadgroup_bytes", ctypes.c_uint64),
    ]


class Library:
    """The plans and the specialisations; kernels once `load_kernels` ran."""

    def __init__(self, kernels=KERNELS, folder=None):
        self.kernels = kernels
        self.folder = folder or ROOT / "build" / "metal_tests"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.host_objects = self._build_host()
        self._load(self.host_objects)
        self.specialisations = [
            Specialisation(
                *(
                    self._text(name, index)
                    for name in ("name", "kernel", "text")
                )
            )
            for index in range(self.handle.runner_specialisations())
        ]

    def _load(self, objects):
        library = self.folder / f"{digest(map(str, objects))}.so"
        if not library.exists():
            link(objects, library)
        self.objects = objects
        self.handle = ctypes.CDLL(str(library))
        for name in ("plan", "errors", "name", "kernel", "text", "metal_text"):
            getattr(self.handle, f"runner_{name}").restype = ctypes.c_char_p
        for name in ("run", "specialisations"):
            getattr(self.handle, f"runner_{name}").restype = ctypes.c_int64

    def _text(self, name, index):
        function = getattr(self.handle, f"runner_{name}")
        return function(ctypes.c_int64(index)).decode()

    def metal_texts(self):
        """The text of every specialisation as real Metal gets it, by name."""
        return {
            s.name: self._text("metal_text", i)
            for i, s in enumerate(self.specialisations)
        }

    def _build_host(self):
        emulator = HERE / "emulator"
        metal = self.kernels / "metal"
        files = [
            *sorted(
                file for file in metal.glob("*.cpp") if file.stem != "eval"
            ),
            self.kernels / "geometry.cpp",
            HERE / "runner" / "runner.cpp",
            self._embedded(),
        ]
        headers = texts_of(
            *metal.glob("*.h"),
            self.kernels / "geometry.h",
            *emulator.glob("*.h"),
            *(HERE / "runner").glob("*.h"),
        )
        units = [(file, file.read_text(), *headers) for file in files]
        headers = texts_of(*emulator.glob("*.h"))
        units += [
            (file, file.read_text(), *headers)
            for file in sorted(emulator.glob("*.cpp"))
        ]
        flags = [*HOST_FLAGS, f"-I{self.kernels}"]
        jobs = [
            (flags, file, self.folder / f"{digest(HOST_FLAGS, *texts)}.o")
            for file, *texts in units
        ]
        compile_all(jobs)
        return [to for _, _, to in jobs]

    def _embedded(self):
        """The source that holds the kernels' texts."""
        embed = ROOT / "cmake" / "embed_metal.py"
        metal = self.kernels / "metal"
        texts = texts_of(embed, *metal.glob("*.metal"), metal / "params.h")
        file = self.folder / f"{digest(*texts)}.cpp"
        if not file.exists():
            run([sys.executable, embed, metal, file])
        return file

    def load_kernels(self, chosen=None):
        """Compile and load `chosen` specialisations, all by default."""
        headers = texts_of(
            *(HERE / "emulator").glob("*.h"), HERE / "runner" / "registry.h"
        )
        flags = [*KERNEL_FLAGS, f"-I{HERE}"]
        jobs = []
        groups = {}
        for one in chosen or self.specialisations:
            # Those of a kernel and a type share the cost of the headers.
            groups.setdefault((one.kernel, one.defines["CT_T"]), []).append(one)
        for members in groups.values():
            unit = unit_of(members)
            base = self.folder / digest(KERNEL_FLAGS, unit, *headers)
            base.with_suffix(".cpp").write_text(unit)
            jobs.append(
                (flags, base.with_suffix(".cpp"), base.with_suffix(".o"))
            )
        compile_all(jobs)
        self._load([*self.host_objects, *(to for _, _, to in jobs)])

    def plan(self, problem):
        """The plan as a dict; ValueError where it is refused."""
        text = self.handle.runner_plan(ctypes.byref(problem)).decode()
        plan = json.loads(text)
        if "error" in plan:
            raise ValueError(plan["error"])
        return plan

    def run(self, problem, options, first, second, bias, result):
        """Run a plan on arrays; (errors' text, counts)."""
        counts = Counts()
        pointers = [
            None if a is None else a.ctypes.data_as(ctypes.c_void_p)
            for a in (first, second, bias, result)
        ]
        found = self.handle.runner_run(
            ctypes.byref(problem),
            ctypes.byref(options),
            *pointers,
            ctypes.byref(counts),
        )
        text = self.handle.runner_errors().decode()
        return (text or f"{found} errors") if found else "", counts


def unit_of(specialisations):
    """A C++ source that holds the specialisations and registers them."""
    text = '#include "emulator/prelude.h"\n#include "emulator/bind.h"\n'
    text += '#include "runner/registry.h"\n'
    for one in specialisations:
        names = {"CT_NAME", *one.defines}
        undefine = "".join(f"#undef {name}\n" for name in sorted(names))
        text += (
            f"namespace in_{one.name} {{\n{one.text}"
            "static const runner::Registration registration({"
            f'"{one.name}", emulator::call<&{one.name}>, '
            f"emulator::buffer_count<&{one.name}>, declared_threads}});\n"
            f"}}\n{undefine}"
        )
    return text


@functools.cache
def shared():
    """The one Library of a test run, with all kernels."""
    library = Library()
    library.load_kernels()
    return library


def specialisations():
    return Library().specialisations
