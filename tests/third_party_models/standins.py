"""Importing a package without the packages that it fetches and reads with.

mlx_audio imports clients of model hubs, tokenizers and readers of audio before
it defines a model. No layer computes with them, so where one is not installed
an empty module takes its place during the import: whatever is taken from it is
an empty class, which fails as soon as it is used.
"""

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import sys
import types

REPLACEABLE = (
    "huggingface_hub",
    "mlx_lm",
    "scipy",
    "sentencepiece",
    "soxr",
    "tokenizers",
    "tqdm",
    "transformers",
    "typing_extensions",
    "yaml",
)


class StandIn(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        # Annotations subscript some of them.
        subscript = classmethod(lambda cls, item: cls)
        return type(name, (), {"__class_getitem__": subscript})


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in REPLACEABLE:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return StandIn(spec.name)

    def exec_module(self, module):
        pass


@contextlib.contextmanager
def stand_ins():
    """Puts them behind everything that is installed, and takes them away."""
    finder = Finder()
    sys.meta_path.append(finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name, module in list(sys.modules.items()):
            if isinstance(module, StandIn):
                del sys.modules[name]


def load(name):
    """The module, with stand-ins for what its package misses."""
    with stand_ins():
        return importlib.import_module(name)
