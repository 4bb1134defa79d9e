"""Tables of the work of published layers, ours beside MLX's.

python tests/metal/work_table.py prints them; --check FILE exits with 1 where
those in the file are others, --write FILE renews them.
"""

import argparse
import math
import re
import sys
from pathlib import Path

import library
import mlx_dispatch
from work import most_at_once, work_of

from mlx_convt import layers

CONTRACTIONS = ("output", "input_grad", "weight_grad")
M1, M3 = 13, 15  # generations of Apple's GPUs
HEADINGS = (
    *("layer", "useful, M", "executed", "MLX", "bytes", "MLX", "kernel", "KiB"),
    *("at once", "threadgroups", "MLX"),
)


def problem(layer, contraction, generation, element=0):
    """The layer as the plan takes it, in float32, an axis of one before it."""
    return library.Problem(
        contraction=CONTRACTIONS.index(contraction),
        batch=layer.batch,
        spatial=(1, *layer.spatial),
        kernel=(1, *layer.kernel),
        out=(1, *layer.output_shape[1:-1]),
        stride=(1, *layer.stride),
        padding=(0, *layer.padding),
        dilation=(1, *layer.dilation),
        c_in=layer.in_channels,
        c_out=layer.out_channels,
        groups=layer.groups,
        generation=generation,
        element=element,
    )


def ours(layer, contraction, generation, using, element=0):
    posed = problem(layer, contraction, generation, element)
    return work_of(using.plan(posed), using)


def is_one_dimensional(layer):
    return layer.spatial[0] == layer.kernel[0] == 1


def sizes_of(layer):
    """The arguments of mlx_dispatch."""
    first = int(is_one_dimensional(layer))
    return {
        "batch": layer.batch,
        "spatial": layer.spatial[first:],
        "kernel": layer.kernel[first:],
        "c_in": layer.in_channels,
        "c_out": layer.out_channels,
        "stride": layer.stride[first:],
        "padding": [(p, p) for p in layer.padding[first:]],
        "dilation": layer.dilation[first:],
        "output_padding": layer.output_padding[first:],
        "groups": layer.groups,
    }


def of_mlx(layer, contraction):
    sizes = sizes_of(layer)
    return mlx_dispatch.dispatch(len(sizes["spatial"]), contraction, **sizes)


def ratios(layer, work):
    """Multiply-adds over the useful ones, bytes over the least."""
    least = mlx_dispatch.least_bytes(**sizes_of(layer))
    moved = work.bytes_read + work.bytes_written
    return work.multiply_adds / (layer.flops // 2), moved / least


def short(value):
    """Three digits."""
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def row(layer, ours, theirs):
    our_products, our_bytes = ratios(layer, ours)
    their_products, their_bytes = ratios(layer, theirs)
    memory = ours.threadgroup_bytes / 1024
    mark = " (1-D)" if is_one_dimensional(layer) else ""
    return (
        layer.name + mark,
        f"{layer.flops / 2e6:.1f}",
        short(our_products),
        short(their_products),
        short(our_bytes),
        short(their_bytes),
        ours.kernel.replace("_", " "),
        f"{memory:.1f}" if memory else "none",
        str(most_at_once(ours)),
        str(ours.groups),
        str(theirs.groups),
    )


def mean_row(name, chosen, our_works, their_works):
    columns = []
    for works in zip(
        map(ratios, chosen, our_works), map(ratios, chosen, their_works)
    ):
        columns.append([value for pair in zip(*works) for value in pair])
    means = [short(mean(column)) for column in zip(*columns)]
    return (name, "", *means, "", "", "", "", "")


def table(contraction, using):
    chosen = layers.load()
    theirs = [of_mlx(layer, contraction) for layer in chosen]
    of_m1, of_m3 = (
        [ours(layer, contraction, generation, using) for layer in chosen]
        for generation in (M1, M3)
    )
    rows = [
        *map(row, chosen, of_m1, theirs),
        mean_row("geometric mean", chosen, of_m1, theirs),
        mean_row("the same on an M3", chosen, of_m3, theirs),
    ]
    to_the_left = ("layer", "kernel")
    align = [":--" if name in to_the_left else "--:" for name in HEADINGS]
    lines = [HEADINGS, align, *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def tables(using=None):
    using = using or library.Library()
    return {name: table(name, using) for name in CONTRACTIONS}


def renewed(text, made):
    """The text with its tables replaced; each lies between two comments."""
    for name, lines in made.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        text, count = re.subn(
            pattern, rf"\g<1>\n{lines}\n\g<2>", text, flags=re.DOTALL
        )
        if count != 1:
            raise ValueError(f"{count} places for the table of {name}")
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", type=Path, metavar="FILE")
    parser.add_argument("--write", type=Path, metavar="FILE")
    options = parser.parse_args()
    made = tables()
    if options.write:
        options.write.write_text(renewed(options.write.read_text(), made))
    elif options.check:
        text = options.check.read_text()
        if renewed(text, made) != text:
            sys.exit(f"{options.check}: tables are not up to date")
    else:
        for name, lines in made.items():
            print(f"{name}\n\n{lines}")


if __name__ == "__main__":
    main()
