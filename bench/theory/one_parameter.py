"""One parameter fits any labels: why super-expressive activations have infinite VC dimension.

    python3 bench/theory/one_parameter.py

The classifier is the sign of sin(w x), with the single parameter w. At the points x_j = 2^-j,
j = 1 .. m, and for labels b_j of 0 or 1,

    w = pi (1 + sum_i b_i 2^i)    gives    w x_j = pi (an even number + b_j + s),
                                           2^-j <= s <= 1 - 2^-j,

so sin(w x_j) is above 0 where b_j = 0 and below 0 where b_j = 1: every one of the 2^m labellings
is met, whatever m is, and the VC dimension is infinite. The labels are the binary digits of w:
in a computer there are as many points as w has digits, which the table shows.
"""

from __future__ import annotations

import itertools
import math
import random
import struct
from collections.abc import Iterable, Sequence

EXHAUSTIVE = 12
DRAWN = 2000


def to_float64(value: float) -> float:
    return value


def to_float32(value: float) -> float:
    return struct.unpack("f", struct.pack("f", value))[0]


def parameter(labels: Sequence[int]) -> float:
    """The w that meets the labels, as near as a double comes to it."""
    return math.pi * (1 + sum(b << i for i, b in enumerate(labels, start=1)))


def classify(w: float, points: int) -> list[int]:
    """Labels that sign(sin(w x)) gives to 2^-1 .. 2^-points. w 2^-j is exact."""
    return [int(math.sin(math.ldexp(w, -j)) < 0) for j in range(1, points + 1)]


def labellings(points: int) -> Iterable[tuple[int, ...]]:
    """All of them where they are few, else all alike, the two alternations and drawn ones."""
    if points <= EXHAUSTIVE:
        return itertools.product((0, 1), repeat=points)
    source = random.Random(points)
    fixed = [(0,) * points, (1,) * points]
    fixed += [tuple((i + k) % 2 for i in range(points)) for k in (0, 1)]
    drawn = (tuple(source.getrandbits(1) for _ in range(points)) for _ in range(DRAWN))
    return itertools.chain(fixed, drawn)


def met(points: int, keep=to_float64) -> tuple[int, int]:
    """How many labellings are met with w kept as `keep` rounds it, and of how many."""
    tried = right = 0
    for labels in labellings(points):
        tried += 1
        right += classify(keep(parameter(labels)), points) == list(labels)
    return right, tried


def main() -> None:
    print("| points | labellings tried | met, w in float64 | met, w in float32 |")
    print("|---|---|---|---|")
    for points in (
        1,
        4,
        8,
        12,
        16,
        20,
        21,
        22,
        23,
        24,
        28,
        40,
        48,
        49,
        50,
        51,
        52,
        53,
        54,
        60,
    ):
        wide, tried = met(points)
        narrow, _ = met(points, to_float32)
        print(f"| {points} | {tried:,} | {wide:,} | {narrow:,} |")


if __name__ == "__main__":
    main()
