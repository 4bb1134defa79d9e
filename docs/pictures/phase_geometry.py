"""One axis of a transposed convolution: what the pictures show.

Only the formula, in Python's integers; tests/test_site.py holds it against
the operation's own Jacobian.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    length: int
    kernel: int
    stride: int = 1
    low: int = 0
    high: int = 0
    dilation: int = 1
    output_padding: int = 0

    @property
    def spread(self):
        """The cells that the copies of the kernel cover, before any cut."""
        reach = self.dilation * (self.kernel - 1) + 1
        return (self.length - 1) * self.stride + reach

    @property
    def size(self):
        return self.spread - self.low - self.high + self.output_padding

    def contributions(self):
        """Every (input, tap, output); outputs that are cut off lie outside."""
        return [
            (i, k, i * self.stride - self.low + k * self.dilation)
            for i in range(self.length)
            for k in range(self.kernel)
        ]

    def phase(self, output):
        return output % self.stride

    def terms(self, phase):
        """The (tap, offset) of a phase.

        Output q*stride + phase is the sum of w[tap] * x[q + offset].
        """
        distances = [
            (k, phase + self.low - k * self.dilation)
            for k in range(self.kernel)
        ]
        return [
            (k, distance // self.stride)
            for k, distance in distances
            if distance % self.stride == 0
        ]


# The pictures of phases, by name.
PHASES = {
    "equal": Axis(length=4, kernel=4, stride=2, low=1, high=1),
    "unequal": Axis(length=4, kernel=5, stride=3, low=1, high=1),
    "dilated": Axis(length=4, kernel=3, stride=2, dilation=2),
}

# The picture of sizes: the arguments of a call beside stride=2, for an input
# of 4 and a kernel of 5, and what they come to.
SIZES = [
    ({}, Axis(4, 5, 2)),
    ({"padding": 1}, Axis(4, 5, 2, 1, 1)),
    ({"padding": [(2, 0)]}, Axis(4, 5, 2, 2, 0)),
    ({"padding": "same"}, Axis(4, 5, 2, 1, 2)),
    ({"padding": 1, "output_padding": 1}, Axis(4, 5, 2, 1, 1, 1, 1)),
    ({"padding": 2, "output_size": 8}, Axis(4, 5, 2, 2, 2, 1, 1)),
    ({"output_padding": 1}, Axis(4, 5, 2, 0, 0, 1, 1)),
]
