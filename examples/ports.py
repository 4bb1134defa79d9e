"""What ports of PyTorch models do by hand, beside a call that does it.

MLX's transposed convolution cuts both ends alike, its layers have no groups,
and PyTorch's weights have another layout. So ports slice results, expand the
weights of groups to dense ones, convolve an input with zeros in between, or
permute weights in every call. port_cases.py has nine such workarounds, at the
sizes of the models that have them, each above one call of mlx_convt that takes
its place. Of two a part stays: BigVGAN's repeated edges and filters, and the axes
that FishSpeech swaps.

    python examples/ports.py            # about a minute
    python examples/ports.py --quick    # small sizes, a few seconds

Results and gradients of both must agree with float64 within float32's rounding,
or the script fails. It prints the times of the workaround with MLX's own
operation, of the same code under `mlx_convt.patch()`, and of the one call.
"""

import argparse
import math
import sys

import mlx.core as mx
from common import median_times
from port_cases import CASES

import mlx_convt


def draw(shapes, quick):
    """Operands of these shapes, with results of the order of 1."""
    if quick:
        shapes = [[n if n <= 16 else 17 + n % 7 for n in s] for s in shapes]
    x, *parameters = map(mx.random.normal, shapes)
    weight = max(parameters, key=lambda array: array.size)
    weight /= math.sqrt(weight.size / max(weight.shape))
    return x, *parameters


def results(function, operands, chosen, cotangent):
    """The result, and the gradient by each of the chosen operands."""

    def of_chosen(*values):
        every = dict(enumerate(operands)) | dict(
            zip(chosen, values, strict=True)
        )
        return function(*every.values())

    values = [operands[i] for i in chosen]
    outputs, gradients = mx.vjp(of_chosen, values, [cotangent])
    return *outputs, *gradients


def compare(case, operands):
    """The largest difference of the two results, and the largest error.

    The error, of either and of the gradients, is in units of its bound: that
    of a sum of n products grows like sqrt(n) times the roundoff of the sum of
    their magnitudes, and 8 times that has room for every order of summation.
    """

    def by_hand(x, *parameters):
        return case.by_hand(x, *case.load_by_hand(*parameters))

    def one_call(x, *parameters):
        return case.one_call(x, *case.load(*parameters))

    linear, cotangent = case.linear, mx.random.normal(one_call(*operands).shape)
    wide = [array.astype(mx.float64) for array in (*operands, cotangent)]
    truths = results(one_call, wide[:-1], linear, wide[-1])
    sizes = [mx.abs(array) for array in wide]
    sums = results(one_call, sizes[:-1], linear, sizes[-1])
    loaded = (operands[0], *case.load(*operands[1:]))
    ones = [mx.ones_like(array) for array in (*loaded, cotangent)]
    counts = results(case.one_call, ones[:-1], range(len(loaded)), ones[-1])

    errors, both = [], []
    for function in (by_hand, one_call):
        both.append(results(function, operands, linear, cotangent))
        every = zip(both[-1], truths, sums, counts, strict=True)
        for value, truth, size, count in every:
            bound = 8 * mx.sqrt(count.max()).astype(mx.float64) * 2**-24 * size
            errors.append(
                (mx.abs(value.astype(mx.float64) - truth) / bound).max()
            )
    difference = mx.abs(both[0][0] - both[1][0]).max()
    return difference.item(), mx.stack(errors).max().item()


def times(case, operands):
    """Milliseconds by hand, by hand under patch(), and of the one call."""
    x, *parameters = operands
    by_hand, loaded = case.load_by_hand(*parameters), case.load(*parameters)
    mx.eval(x, by_hand, loaded)

    def patched():
        with mlx_convt.patch():
            mx.eval(case.by_hand(x, *by_hand))

    calls = {
        "by hand": lambda: mx.eval(case.by_hand(x, *by_hand)),
        "patched": patched,
        "one call": lambda: mx.eval(case.one_call(x, *loaded)),
    }
    return median_times(calls, 5)


def short(value):
    """Three digits, or all in front of the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    mx.set_default_device(mx.cpu)
    mx.random.seed(options.seed)
    columns = ("by hand", "patched", "one call", "ratio", "difference")
    print(f"{'':15}", *(f"{column:>10}" for column in columns), " one call by")
    wrong = []
    for name, case in CASES.items():
        operands = draw(case.shapes, options.quick)
        difference, error = compare(case, operands)
        hand, patched, one = times(case, operands).values()
        cells = [short(hand), short(patched), short(one), short(hand / one)]
        cells.append(f"{difference:.1e}")
        line = "".join(f"{cell:>11}" for cell in cells)
        print(f"{name:15}{line}  {case.says}", flush=True)
        if not error <= 1:
            wrong.append(f"{name}, {error:.3g} times its bound")
    print("Times in ms. The ratio is of the first to the third.")
    if wrong:
        sys.exit("Not equal within rounding: " + "; ".join(wrong))
    print("Results and gradients of all pairs are equal within rounding.")


if __name__ == "__main__":
    main()
