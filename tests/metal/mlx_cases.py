"""Geometries for the tests of the model of MLX's Metal backend."""

from mlx_dispatch import dispatch, useful

# An upsampling by two with four taps: every phase has two of them.
DOUBLING = {"kernel": 4, "stride": 2, "padding": 1}


def geometry(rank=2, **changes):
    """Batch 1 and no padding; numbers stand for every axis."""
    sizes = {
        "batch": 1,
        "spatial": 8,
        "kernel": 3,
        "c_in": 16,
        "c_out": 32,
        "stride": 1,
        "padding": 0,
        "dilation": 1,
        "output_padding": 0,
        "groups": 1,
    } | changes
    for name in ("spatial", "kernel", "stride", "dilation", "output_padding"):
        if isinstance(sizes[name], int):
            sizes[name] = (sizes[name],) * rank
    sizes["padding"] = [(sizes["padding"],) * 2] * rank
    return sizes


def work(contraction, rank=2, **changes):
    return dispatch(rank, contraction, **geometry(rank, **changes))


def count(sizes):
    names = ("batch", "spatial", "kernel", "c_in", "c_out", "groups")
    return useful(**{name: sizes[name] for name in names})
