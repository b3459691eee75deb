"""Time of one training step beside PyTorch and scikit-learn.

    python3 bench/train/steps.py [--program build/bench_train_step] [--turns N] [--compile]

prints a Markdown table: the median over turns, taken one after the other by ramify and
each peer, of the microseconds of one step of mini-batch training, and the ratios. A step
draws the batch's rows, goes forward and back, and lets the optimiser step; 4,096
made-up rows lie in memory as 32-bit floats. ramify uses one thread, as it does for an
expert. Each peer is given what is fastest for the shape, in a trial before the turns:

- PyTorch: eager, one thread or two, AdamW with ``foreach`` or ``fused``; with
  ``--compile`` also ``torch.compile`` of forward pass and loss.
- scikit-learn: ``fit`` of MLPRegressor or MLPClassifier (Adam), one thread or two.

Both are spared what ramify does: their activation is ReLU, ours learns a slope per
neuron.
"""

from __future__ import annotations

import argparse
import math
import pathlib
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "accuracy"))

import peers  # noqa: E402, F401  # sets the environment, before NumPy is loaded

import numpy as np  # noqa: E402  # isort: skip

ROWS = 4096
TRIAL_SECONDS = 0.3
TURN_SECONDS = 0.15
TURNS = 9


class Shape(NamedTuple):
    """One network and batch."""

    task: str
    inputs: int
    hidden: tuple[int, ...]
    outputs: int
    batch: int

    def words(self) -> str:
        """As bench_train_step reads it."""
        hidden = ",".join(map(str, self.hidden))
        return f"{self.task} {self.inputs} {hidden} {self.outputs} {self.batch}"


SHAPES = [
    Shape("regression", 8, (64, 64), 1, 64),
    Shape("regression", 8, (64, 64), 1, 256),
    Shape("regression", 8, (64, 64, 64), 1, 64),
    Shape("regression", 8, (32, 32), 1, 64),
    Shape("classification", 16, (64, 64), 26, 64),
    Shape("classification", 16, (64, 64), 26, 256),
]

Epochs = Callable[[int], None]  # trains for so many epochs


def make_rows(shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets: a smooth function of the inputs, a class one of its ranges."""
    random = np.random.default_rng(1)
    x = random.uniform(-1, 1, (ROWS, shape.inputs)).astype(np.float32)
    sums = (x**2).sum(axis=1)
    if shape.task == "classification":
        return x, (sums * 8).astype(np.int64) % shape.outputs
    return x, sums - np.float32(shape.inputs / 3)


def seconds_per_step(epochs: Epochs, shape: Shape, seconds: float) -> float:
    """Seconds of a step of a fit of about so many seconds."""
    steps = math.ceil(ROWS / shape.batch)
    count = 1
    while True:
        start = time.perf_counter()
        epochs(count)
        spent = time.perf_counter() - start
        if spent >= seconds:
            return spent / (count * steps)
        count = max(count + 1, math.ceil(1.1 * count * seconds / spent))


def torch_variants(shape: Shape, *, compiled: bool) -> dict[str, Epochs]:
    """PyTorch's ways to train the shape."""
    import torch

    x, y = map(torch.from_numpy, make_rows(shape))
    if shape.task == "regression":
        y = y[:, None]

    def variant(threads: int, optimiser: str, compiling: bool) -> Epochs:
        layers: list[Any] = []
        width = shape.inputs
        for units in shape.hidden:
            layers += [torch.nn.Linear(width, units), torch.nn.ReLU()]
            width = units
        net = torch.nn.Sequential(*layers, torch.nn.Linear(width, shape.outputs))
        criterion = (
            torch.nn.functional.cross_entropy
            if shape.task == "classification"
            else torch.nn.functional.mse_loss
        )
        adamw = torch.optim.AdamW(
            net.parameters(), lr=1e-3, weight_decay=0.1, **{optimiser: True}
        )

        def loss(rows: Any, targets: Any) -> Any:
            return criterion(net(rows), targets)

        loss = torch.compile(loss) if compiling else loss

        def epochs(count: int) -> None:
            torch.set_num_threads(threads)
            for _ in range(count):
                for rows in torch.randperm(ROWS).split(shape.batch):
                    adamw.zero_grad(set_to_none=True)
                    loss(x[rows], y[rows]).backward()
                    adamw.step()

        return epochs

    found = {}
    for threads in (1, 2):
        for optimiser in ("foreach", "fused"):
            for compiling in (False, True) if compiled else (False,):
                label = f"{threads} thread{'s' if threads > 1 else ''}, {optimiser}"
                label += ", compiled" if compiling else ""
                found[label] = variant(threads, optimiser, compiling)
    return found


def sklearn_variants(shape: Shape) -> dict[str, Epochs]:
    """scikit-learn's ways to train the shape."""
    import threadpoolctl
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    x, y = make_rows(shape)
    kind = MLPClassifier if shape.task == "classification" else MLPRegressor

    def variant(threads: int) -> Epochs:
        def epochs(count: int) -> None:
            model = kind(
                hidden_layer_sizes=shape.hidden,
                batch_size=shape.batch,
                max_iter=count,
                n_iter_no_change=count + 1,
                random_state=1,
            )
            with (
                threadpoolctl.threadpool_limits(threads),
                warnings.catch_warnings(),
            ):
                warnings.simplefilter("ignore")  # that it reached its last epoch
                model.fit(x, y)

        return epochs

    return {"1 thread": variant(1), "2 threads": variant(2)}


def quickest(variants: dict[str, Epochs], shape: Shape) -> str:
    """The variant with the least time in a trial, after a first epoch that warms up."""
    times = {}
    for label, epochs in variants.items():
        epochs(1)
        times[label] = seconds_per_step(epochs, shape, TRIAL_SECONDS)
    return min(times, key=lambda label: times[label])


class Ramify:
    """The program, answering turns."""

    def __init__(self, program: str) -> None:
        self.process = subprocess.Popen(
            [program, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def seconds_per_step(self, shape: Shape) -> float:
        assert self.process.stdin and self.process.stdout
        print(shape.words(), file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


def report(program: str, turns: int, *, compiled: bool) -> None:
    """Measure and print the table."""
    available = {"PyTorch": "torch", "scikit-learn": "sklearn"}
    versions = {name: peers.package_version(p) for name, p in available.items()}
    for name, version in versions.items():
        print(f"{name}: {version or 'absent'}")
    ramify = Ramify(program)
    names = [name for name, version in versions.items() if version]
    header = ["task", "inputs", "hidden", "outputs", "batch", "ramify"]
    for name in names:
        header += [name, "its best way", "ratio"]
    print("\n| " + " | ".join(header) + " |\n" + "|---" * len(header) + "|")
    for shape in SHAPES:
        chosen: dict[str, tuple[str, Epochs]] = {}
        for name in names:
            variants = (
                torch_variants(shape, compiled=compiled)
                if name == "PyTorch"
                else sklearn_variants(shape)
            )
            label = quickest(variants, shape)
            chosen[name] = (label, variants[label])
        times: dict[str, list[float]] = {name: [] for name in ["ramify", *names]}
        for _ in range(turns):
            times["ramify"].append(ramify.seconds_per_step(shape))
            for name, (_, epochs) in chosen.items():
                times[name].append(seconds_per_step(epochs, shape, TURN_SECONDS))
        ours = statistics.median(times["ramify"])
        hidden = "-".join(map(str, shape.hidden))
        row = [shape.task, str(shape.inputs), hidden, str(shape.outputs)]
        row += [str(shape.batch), f"{1e6 * ours:.1f} µs"]
        for name in names:
            peer = statistics.median(times[name])
            row += [f"{1e6 * peer:.0f} µs", chosen[name][0], f"{peer / ours:.1f}"]
        print("| " + " | ".join(row) + " |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default="build/bench_train_step")
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--compile", action="store_true")
    arguments = parser.parse_args()
    report(arguments.program, arguments.turns, compiled=arguments.compile)
    return 0


if __name__ == "__main__":
    sys.exit(main())
