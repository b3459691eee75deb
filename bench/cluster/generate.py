"""Makes the table of the measurements in docs/cluster.md: NPY, float32, eight inputs and a target.

    generate.py ROWS OUT.npy

The inputs are uniform on [-1, 1]; the target is a ridge of sines whose frequency changes with two of
them, which one small network cannot follow and a tree of them can, with a little noise. The same rows come out
on every machine; memory is bounded, whatever ROWS is.
"""

import sys

import numpy

BLOCK = 1 << 18
COLUMNS = 9


def rows_of(block: int, count: int) -> numpy.ndarray:
    random = numpy.random.Generator(numpy.random.Philox(key=[7, block]))
    table = numpy.empty((count, COLUMNS), dtype="<f4")
    x = random.random((count, COLUMNS - 1), dtype=numpy.float32) * 2 - 1
    phase = 4 * x[:, 0] + (3 + 2 * x[:, 1]) * x[:, 2] * x[:, 3]
    target = (
        numpy.sin(phase)
        + x[:, 4] * numpy.abs(x[:, 5])
        + 0.5 * numpy.cos(6 * x[:, 6] * x[:, 7])
    )
    table[:, :-1] = x
    table[:, -1] = target + 0.05 * random.standard_normal(count, dtype=numpy.float32)
    return table


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    rows, path = int(sys.argv[1]), sys.argv[2]
    with open(path, "wb") as out:
        header = {"descr": "<f4", "fortran_order": False, "shape": (rows, COLUMNS)}
        numpy.lib.format.write_array_header_1_0(out, header)
        for block in range((rows + BLOCK - 1) // BLOCK):
            rows_of(block, min(BLOCK, rows - block * BLOCK)).tofile(out)


if __name__ == "__main__":
    main()
