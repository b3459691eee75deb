"""What the tests of the tool share: running it, and small models that are trained once."""

from __future__ import annotations

import math
import os
import pathlib
import random
import subprocess
from collections.abc import Callable

import pytest

BUILD = pathlib.Path(os.environ.get("RAMIFY_BUILD", "build")).resolve()
SOURCE = pathlib.Path(os.environ.get("RAMIFY_SOURCE", ".")).resolve()

# Options with which a model is made in a blink: for tests that ask what the tool does, not how
# well it learns.
QUICK = ["--hidden", "8", "--epochs", "3", "--child-epochs", "1", "--members", "1"]


class Result:
    """What one run of the tool left behind."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.status = done.returncode
        self.out = done.stdout
        self.err = done.stderr


def run_tool(
    *words: str | pathlib.Path,
    cwd: pathlib.Path | None = None,
    stdin: str | None = None,
) -> Result:
    return Result(
        subprocess.run(
            [str(BUILD / "ramify"), *map(str, words)],
            capture_output=True,
            text=True,
            cwd=cwd,
            input=stdin,
            timeout=300,
            check=False,
        )
    )


@pytest.fixture
def tool(tmp_path: pathlib.Path) -> Callable[..., Result]:
    """Runs the tool in an empty folder."""

    def run(*words: str | pathlib.Path, stdin: str | None = None) -> Result:
        return run_tool(*words, cwd=tmp_path, stdin=stdin)

    return run


def write_wave(path: pathlib.Path, rows: int, seed: int, classes: bool = False) -> None:
    """A table with two numbers, a word, and a target that follows from them."""
    source = random.Random(seed)
    lines = ["x,y,colour,target"]
    for _ in range(rows):
        x, y = source.uniform(-2, 2), source.uniform(-2, 2)
        colour = source.choice(["red", "green", "blue"])
        value = math.sin(2 * x) * y + {"red": 1.0, "green": 0.0, "blue": -1.0}[colour]
        target = ("high" if value > 0 else "low") if classes else f"{value:.6f}"
        lines.append(f"{x:.6f},{y:.6f},{colour},{target}")
    path.write_text("\n".join(lines) + "\n")


class Made:
    """A folder with tables and models: wave (a number) and side (a class)."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.train = folder / "wave.csv"
        self.test = folder / "wave-test.csv"
        self.side_train = folder / "side.csv"
        self.side_test = folder / "side-test.csv"
        self.wave = folder / "wave.ramify"
        self.side = folder / "side.ramify"
        write_wave(self.train, 2000, 1)
        write_wave(self.test, 300, 2)
        write_wave(self.side_train, 2000, 3, classes=True)
        write_wave(self.side_test, 300, 4, classes=True)
        for data, model in ((self.train, self.wave), (self.side_train, self.side)):
            done = run_tool("train", data, "--target", "target", "-o", model, *QUICK)
            assert done.status == 0, done.err


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("made"))
