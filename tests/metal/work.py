"""The work that a plan's launches make, without running them.

Multiply-adds are exactly those executed: 512 for each product of 8x8 matrices,
one for each fma. Bytes are those of device memory in the simplest model:

- correlate, weight_grad: a threadgroup reads its rows and its columns once for
  each slice, padding pixels included, packed weights as they are padded;
- few_columns, few_rows, lanes: a threadgroup reads each source pixel that its
  results meet once, whichever taps meet it, and the weights of its taps once;
- weight_grad_direct: a threadgroup reads the pixels of its split once for each
  input channel that it has, and once for each pair of a tap and an output
  channel;
- pack_weights, sum_splits: each element is read once;
- results and temporaries are written once.

The bias and parameters are left out.
"""

from dataclasses import dataclass

import work_correlation
import work_reduction
from work_plan import launches_of

COUNTED = {
    "correlate": work_correlation.correlate,
    "few_columns": work_correlation.few_columns,
    "few_rows": work_correlation.few_rows,
    "lanes": work_correlation.lanes,
    "pack_weights": work_correlation.pack_weights,
    "weight_grad": work_reduction.weight_grad,
    "weight_grad_direct": work_reduction.weight_grad_direct,
    "sum_splits": work_reduction.sum_splits,
}


@dataclass(frozen=True)
class Work:
    """What one contraction makes the device do; see mlx_conv.Work."""

    kernel: str  # the one that multiplies, as the three below
    multiply_adds: int
    bytes_read: int
    bytes_written: int
    threadgroup_bytes: int
    threads_per_group: int
    groups: int
    launches: int


def work_of(plan, using):
    """The Work of a plan of library.Library `using`."""
    launches = launches_of(plan, using)
    costs = [COUNTED[launch.kernel](launch) for launch in launches]
    main, _ = max(zip(launches, costs), key=lambda pair: pair[1].multiply_adds)
    return Work(
        kernel=short_name(main),
        multiply_adds=sum(cost.multiply_adds for cost in costs),
        bytes_read=sum(cost.read for cost in costs),
        bytes_written=sum(cost.written for cost in costs),
        threadgroup_bytes=main.threadgroup_bytes,
        threads_per_group=main.threads,
        groups=main.groups,
        launches=len(launches),
    )


def short_name(launch):
    """`correlate 64x64`, without what all functions or types have."""
    suffix = {"float": "f32", "half": "f16", "bfloat": "bf16"}[launch.type]
    start = f"convt_{launch.kernel}_{suffix}"
    variant = launch.name.removeprefix(start).lstrip("_")
    return f"{launch.kernel} {variant}".strip()


def most_at_once(work):
    """Threadgroups that 32 KiB and 1024 threads of a core hold: a bound.

    Registers may allow fewer.
    """
    bound = 1024 // work.threads_per_group
    if work.threadgroup_bytes:
        bound = min(bound, 32 * 1024 // work.threadgroup_bytes)
    return bound
