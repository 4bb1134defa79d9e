"""Defects seeded one at a time, each of which the tests have to notice."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A text in a file of kernels/metal, and what takes its place."""

    file: str
    name: str
    old: str
    new: str
    at: tuple = (1, 1)  # which occurrence, of how many

    def applied(self, text):
        which, count = self.at
        parts = text.split(self.old)
        if len(parts) - 1 != count:
            raise ValueError(
                f"{self.name}: {self.file} has {len(parts) - 1} of "
                f"{self.old!r}, not {count}"
            )
        before, after = parts[:which], parts[which:]
        return self.old.join(before) + self.new + self.old.join(after)

    @property
    def begin(self):
        """The tests that are the likeliest to notice it; all follow."""
        if self.file == "plan.cpp":
            return "plans"
        return "large" if self.name.endswith("of 32 bits") else "edges"

    @property
    def change(self):
        """The old and the new text on a line each."""
        return tuple(" ".join(text.split()) for text in (self.old, self.new))


def in_file(file, *rows):
    """Mutants of a file from (name, old, new) or (name, old, new, at)."""
    stem = file.rsplit(".", 1)[0] if not file.endswith(".h") else file
    return [Mutant(file, f"{stem}: {row[0]}", *row[1:]) for row in rows]
