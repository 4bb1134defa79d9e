"""A plan's launches, with their parameters by the names of params.h."""

import functools
import math
import re
from types import SimpleNamespace

import library


@functools.cache
def structs():
    """Of each struct in params.h the fields and how many ints they are."""
    text = (library.KERNELS / "metal" / "params.h").read_text()
    text = re.sub(r"//.*", "", text)
    return {
        name: [
            (field, int(size or 1))
            for field, size in re.findall(r"int (\w+)(?:\[(\d+)\])?;", body)
        ]
        for name, body in re.findall(
            r"struct (\w+) \{(.*?)\};", text, re.DOTALL
        )
    }


def unpack(struct, ints):
    """One value of the struct; entries of three are tuples."""
    values = {}
    for field, size in structs()[struct]:
        taken, ints = ints[:size], ints[size:]
        values[field] = taken[0] if size == 1 else tuple(taken)
    return SimpleNamespace(**values)


class Launch:
    """One launch of a plan, with the constants that its kernel reads."""

    def __init__(self, launch, plan, specialisation):
        self.kernel = launch["kernel"]
        self.grid = launch["grid"]
        self.threads = launch["threads"]
        defines = dict(specialisation.defines)
        self.type = defines.pop("CT_T")
        self.name = defines.pop("CT_NAME")
        self.itemsize = 4 if self.type == "float" else 2
        self.defines = {name: int(value) for name, value in defines.items()}
        self._text = specialisation.text
        self._slots = launch["slots"]
        self._constants = plan["constants"]

    def table(self, name):
        """The argument's structs, or its ints."""
        struct, index = re.search(
            rf"const CONSTANT (\w+)\* {name}\s+BUFFER\((\d+)\)", self._text
        ).groups()
        ints = self._constants[self._slots[int(index)]["index"]]
        if struct == "int":
            return ints
        size = sum(size for _, size in structs()[struct])
        return [
            unpack(struct, ints[at : at + size])
            for at in range(0, len(ints), size)
        ]

    @functools.cached_property
    def p(self):
        return self.table("p")[0]

    @property
    def threadgroup_bytes(self):
        """Of the arrays that the kernel declares."""
        sizes = {self.type: self.itemsize, "float": 4, "int4": 16, "uint4": 16}
        sizes["CT_T"] = self.itemsize
        names = {**self.defines, "sizeof": lambda type: type, "int": int}
        names["CT_T"] = self.itemsize
        wrapper = self._text[self._text.rindex("KERNEL(") :]

        def value(expression):
            # Sums, products and whole quotients of macros and numbers.
            python = expression.replace("/", "//")
            return eval(python, {"__builtins__": {}}, names)

        for name, expression in re.findall(
            r"constexpr int (\w+) =\s+(.*?);", wrapper, re.DOTALL
        ):
            names[name] = value(" ".join(expression.split()))
        return sum(
            sizes[declared] * value(length)
            for declared, length in re.findall(
                r"TG_ARRAY\(\s*(\w+),\s+\w+,\s+\[(.*?)\]\);", wrapper
            )
        )

    @property
    def groups(self):
        return math.prod(self.grid)


def launches_of(plan, using):
    """The plan's launches; `using` is the Library that made it."""
    known = {one.name: one for one in using.specialisations}
    return [Launch(one, plan, known[one["name"]]) for one in plan["launches"]]
