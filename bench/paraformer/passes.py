"""The program that times passes, asked line by line; for latency.py and branches.py."""

import pathlib
import subprocess

# The widths of ViT-Ti, and patches of 16 pixels.
PATCH, WIDTH, HEADS, CLASSES = 16, 192, 3, 10


class Passes:
    """bench_paraformer, for images of `side` pixels. The first run writes the file `weights`."""

    def __init__(self, program: pathlib.Path, side: int, weights: pathlib.Path) -> None:
        words = [program, side, PATCH, WIDTH, HEADS, CLASSES, weights]
        self.process = subprocess.Popen(
            [str(word) for word in words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self, branches: int, depth: int, whole: bool, threads: int, passes: int
    ) -> tuple[float, float]:
        """Milliseconds: of a pass, and of its longest path."""
        assert self.process.stdin and self.process.stdout
        words = (branches, depth, int(whole), threads, passes)
        print(*words, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        found, slowest, before, after = map(float, line.split())
        return found, before + slowest + after
