"""The geometries that the kernels are run on.

Sizes lie at the edges of tiles (8, 32, 64), of slices of the reduction (16 or
32) and of 16-byte loads (4 or 8); layers of real networks are scaled down.
"""

import math

import numpy as np
from helpers import make_geometry

from mlx_convt import layers

# What each is there for, and its geometry.
CHOSEN = {
    # Rows, columns and reduction one below, at and above 8, 16, 32 and 64.
    "one of all": make_geometry((1,), (1,), 8, 8, batch=9),
    "rows 31": make_geometry((31,), (1,), 16, 40),
    "rows 32, columns 33": make_geometry((32,), (2,), 31, 33),
    "rows 33, columns 32": make_geometry((33,), (2,), 33, 32),
    "rows 63, columns 65": make_geometry(
        (9, 7), (1, 2), 15, 65, padding=(0, 1)
    ),
    "rows 65, columns 63": make_geometry((13, 5), (1, 1), 17, 63),
    "reduction 7": make_geometry((12,), (3,), 7, 24, stride=2),
    "reduction 9": make_geometry((12,), (3,), 9, 24, stride=2),
    # Both generations of tiles: enough threadgroups for each.
    "tile 64x64": make_geometry((6, 6), (9, 9), 8, 72, stride=8),
    "tile 32x64": make_geometry((5, 4), (9, 9), 8, 72, stride=8),
    "tile 64x32": make_geometry((7, 6), (13, 13), 8, 24, stride=12),
    "splits 64x64": make_geometry((16, 17), (2, 2), 40, 72, stride=2),
    "splits of the reduction": make_geometry((5, 5), (3, 3), 130, 20),
    "splits, gathered": make_geometry((3, 4), (16, 16), 40, 2, stride=2),
    "splits, bias and phases": make_geometry(
        (4, 5), (4, 3), 260, 12, batch=2, stride=(2, 1), padding=1
    ),
    # Attributes, one axis unlike another.
    "padding crops taps": make_geometry(
        (5, 4), (5, 6), 12, 20, stride=(3, 2), padding=((2, 1), (4, 3))
    ),
    "dilation": make_geometry(
        (6, 5), (3, 4), 12, 20, stride=(2, 1), dilation=(3, 2), padding=2
    ),
    "dilation shares a divisor": make_geometry(
        (6, 5), (3, 4), 8, 16, stride=(4, 6), dilation=(2, 4), padding=(1, 3)
    ),
    "dilation does not fold": make_geometry(
        (5, 6), (2, 4), 24, 8, stride=2, dilation=3
    ),
    "kernel below stride": make_geometry(
        (5, 4), (2, 1), 16, 24, stride=(4, 3), output_padding=(1, 2)
    ),
    "kernel equals stride": make_geometry((6, 7), (4, 2), 24, 8, stride=(4, 2)),
    "folded, over the edge": make_geometry(
        (5, 6), (4, 6), 16, 8, stride=(2, 3), padding=((1, 1), (2, 1))
    ),
    "folded and gathered": make_geometry(
        (9,), (16,), 3, 5, stride=8, padding=3
    ),
    "gathered phases": make_geometry(
        (6, 5), (5, 4), 3, 24, stride=3, padding=1
    ),
    "wide output padding": make_geometry(
        (4, 3), (2, 2), 8, 12, stride=5, output_padding=4
    ),
    "result smaller than stride": make_geometry(
        (1, 2), (3, 3), 8, 16, stride=(7, 2), padding=((0, 2), (1, 1))
    ),
    "no tap meets the result": make_geometry(
        (1, 2),
        (1, 2),
        16,
        24,
        batch=9,
        stride=(4, 2),
        padding=((1, 0), (0, 0)),
        output_padding=(3, 0),
    ),
    "no tap meets the one column": make_geometry(
        (2, 1),
        (1, 1),
        9,
        1,
        stride=(1, 2),
        padding=((0, 0), (1, 0)),
        output_padding=(0, 1),
    ),
    "folds only with zeros": make_geometry(
        (6, 5), (3, 3), 24, 8, stride=2, padding=1
    ),
    "three axes": make_geometry(
        (3, 2, 4), (3, 2, 3), 12, 20, stride=(2, 1, 2), padding=(1, 0, 1)
    ),
    "three axes, dilated": make_geometry(
        (3, 4, 3), (2, 3, 2), 12, 20, dilation=(3, 1, 2)
    ),
    "three axes, groups": make_geometry(
        (3, 2, 4), (3, 2, 2), 48, 40, stride=(2, 1, 2), groups=2
    ),
    "three axes folded": make_geometry((2, 3, 2), (2, 2, 2), 16, 4, stride=2),
    "tiles across images": make_geometry((9, 5), (3, 3), 16, 40, batch=3),
    "batch first": make_geometry(
        (3, 4), (4, 4), 16, 24, batch=33, stride=2, padding=1
    ),
    "one pixel, many images": make_geometry((1, 1), (4, 4), 20, 40, batch=24),
    # Few of something.
    "one row": make_geometry((1, 1), (4, 4), 40, 72, stride=2, padding=1),
    "one row at an edge": make_geometry((1,), (3,), 33, 34, padding=((1, 0),)),
    "eight rows": make_geometry((2, 2), (3, 3), 36, 40, batch=2, stride=2),
    "eight rows, unlike axes": make_geometry(
        (1, 2), (4, 7), 40, 36, stride=(2, 3)
    ),
    "few rows, three axes": make_geometry(
        (1, 1, 1), (2, 2, 2), 40, 36, stride=2
    ),
    "few rows, groups": make_geometry((2,), (3,), 66, 99, groups=3, stride=2),
    "one column": make_geometry((23, 12), (4, 4), 1, 1, stride=2, padding=1),
    "three columns": make_geometry((19, 8), (3, 3), 24, 3, padding=1),
    "twelve columns": make_geometry((9, 9), (4, 4), 20, 3, stride=2, padding=1),
    "twelve, unlike phases": make_geometry(
        (7, 9), (5, 3), 6, 3, stride=2, padding=2, output_padding=1
    ),
    "six, folded unlike": make_geometry(
        (7, 6), (4, 5), 6, 1, stride=(2, 3), padding=1
    ),
    "few columns, three axes": make_geometry(
        (5, 4, 3), (3, 3, 3), 9, 1, stride=2
    ),
    "few pixels": make_geometry((1, 3), (2, 2), 40, 48, stride=2),
    "depthwise": make_geometry(
        (9, 8), (4, 4), 24, 24, stride=2, padding=1, groups=24
    ),
    "depthwise, long": make_geometry(
        (150,), (12,), 64, 64, stride=2, groups=64
    ),
    "depthwise, unlike axes": make_geometry(
        (7, 5), (5, 3), 16, 16, stride=(3, 2), padding=(1, 0), groups=16
    ),
    "depthwise, dilated": make_geometry(
        (11, 9), (3, 3), 16, 16, padding=(5, 1), dilation=(5, 1), groups=16
    ),
    "small groups": make_geometry((7, 6), (3, 3), 12, 8, stride=2, groups=4),
    "groups of one tile": make_geometry(
        (6, 5), (3, 3), 48, 72, stride=2, padding=1, groups=3
    ),
    "groups off the tile": make_geometry((6, 5), (3, 2), 18, 34, groups=2),
}


def scaled_layers():
    """Layers of real networks with the same remainders and fewer of them."""

    def channels(count, groups):
        each = count // groups
        return (32 + each % 16 if each > 48 else each) * min(groups, 16)

    def sizes(layer):
        # As much of the map as leaves a result after its padding.
        for count, padding in zip(layer.spatial, layer.padding):
            yield min(count, 5 + count % 3 + 2 * padding)

    found = {}
    for layer in layers.load():
        geometry = make_geometry(
            tuple(sizes(layer)),
            layer.kernel,
            channels(layer.in_channels, layer.groups),
            channels(layer.out_channels, layer.groups),
            batch=min(layer.batch, 9),
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            output_padding=layer.output_padding,
            groups=min(layer.groups, 16),
        )
        found[layer.name] = geometry
    return found


def random_geometry(seed):
    """Any rank, stride, dilation, padding and group, about a million products."""
    rng = np.random.default_rng(seed)

    def draw(*choices):
        return int(rng.choice(choices))

    while True:
        rank = draw(1, 2, 2, 3)
        longest = (40, 12, 5)[rank - 1]

        def per_axis(*choices, rank=rank):
            return tuple(draw(*choices) for _ in range(rank))

        stride = per_axis(1, 1, 2, 2, 3, 4)
        dilation = per_axis(1, 1, 1, 2, 3)
        groups = draw(1, 1, 1, 2, 3, 8)
        channels = (1, 2, 3, 4, 5, 8, 12, 16, 17, 24, 33)
        geometry = make_geometry(
            per_axis(*range(1, longest)),
            per_axis(1, 2, 3, 4, 5) if rank < 3 else per_axis(1, 2, 3),
            draw(*channels) * groups,
            draw(*channels) * groups,
            batch=draw(1, 1, 2, 3, 9, 20),
            stride=stride,
            padding=tuple(
                (draw(0, 1, 2, 3), draw(0, 1, 2, 3)) for _ in range(rank)
            ),
            dilation=dilation,
            output_padding=tuple(
                draw(*range(max(pair))) for pair in zip(stride, dilation)
            ),
            groups=groups,
        )
        products = math.prod(
            (
                geometry.batch,
                *geometry.spatial,
                *geometry.kernel,
                geometry.c_in,
                geometry.c_out // groups,
            )
        )
        if min(geometry.output_spatial) > 0 and products < 1.5e6:
            return geometry
