"""What a case is: a small model of a package, and how to run it."""

from dataclasses import dataclass

import mlx.core as mx

from third_party_models.standins import load

CASES = {}
RATES = [4, 3, 2]  # odd ones are where models pad the output


@dataclass(frozen=True)
class Case:
    """Builds a model, a function of model and input, and the input's shape."""

    package: str
    build: object
    converted: int = 0  # layers of mlx.nn
    skipped: int = 0  # subclasses of them
    functions: bool = False  # also calls mx.conv_transpose1d or 2d by itself
    differentiable: bool = True
    # MLX's gradient of an output_padding beyond the padding has a wrong shape.
    builtin_differentiates: bool = True


def case(name, **about):
    """Registers a function that builds from the module of that name."""
    module = name.rpartition(".")[0]

    def add(build):
        package = name.partition(".")[0]
        CASES[name] = Case(package, lambda: build(load(module)), **about)
        return build

    return add


def plain(model, input):
    return model(input)


def in_two_steps(model, input):
    first, second = mx.split(input, [4], axis=-1)
    return model(input), model.step(first), model.step(second)
