"""Ways of pruning: rewinding against tuning on, one shot, chance, whole units.

    ways.py [--tool build/ramify] [--seeds 0,1,2] [--epochs 10] [--plot docs/pruning-ways.svg] --keep FOLDER

A plain network of two hidden layers of 128 units learns Fashion-MNIST as in grid.py, and is pruned to
densities of .75^k, k = 1 .. 20; errors are the share of wrong classes among 15,000 validation rows, mean
over seeds. Every round of every way has as many passes over the rows as the training had.

- rewind: the smallest weights of all layers, a quarter in a round; the others go back to where they were
  after the first pass.
- rates: the same, but weights stay and only the schedule of the rates begins anew.
- fine-tune: the same with a tenth of the rate.
- one shot: from the trained network to each density at once, with rewinding.
- random: as rewind, but chance says which weights go.
- units: as rewind, but whole hidden units go.
"""

from __future__ import annotations

import argparse
import csv
import math
import pathlib
import statistics

from grid import LABELS, PLAIN, ROUNDS, ROWS, STEP, run

HIDDEN = "128,128"
WAYS = {
    "rewind": [],
    "rates": [],
    "fine-tune": ["--fine-tune"],
    "random": ["--first", "random"],
    "units": ["--first", "neurons"],
}
REWINDS = ("rewind", "random", "units")


def rounds_of(path: pathlib.Path) -> list[tuple[float, float]]:
    with path.open(newline="") as file:
        return [
            (float(row["density"]), float(row["error"])) for row in csv.DictReader(file)
        ]


class Ways:
    """The runs of one seed."""

    def __init__(self, tool: str, keep: pathlib.Path, seed: int, epochs: int) -> None:
        self.tool, self.keep, self.seed, self.epochs = tool, keep, seed, epochs
        self.model = keep / f"{seed}.ramify"
        self.early = keep / f"{seed}.rewind.ramify"
        self.table = [ROWS, "--labels", LABELS]
        self.common = ["--epochs", str(epochs), "--seed", str(seed), "--threads", "1"]
        if not self.early.exists():
            run(
                *(tool, "train", *self.table, "--task", "classification"),
                *("--kind", "mlp", "--hidden", HIDDEN, *PLAIN.split()),
                *("--resident", "64MiB", "--validation", "25%", *self.common),
                *("-o", str(self.model), "--rewind", str(self.early)),
                *("--rewind-at", str(1 / epochs)),
            )

    def prune(self, name: str, density: float, *words: str) -> pathlib.Path:
        """The rounds down to a density."""
        runs = self.keep / f"{self.seed}-{name}.csv"
        if not runs.exists():
            part = runs.with_suffix(".part")
            run(
                *(self.tool, "prune", str(self.model), *self.table, *self.common),
                *("--density", f"{density:.17g}", "--step", str(STEP), *words),
                *("--runs", str(part), "-o", str(self.keep / "last.ramify")),
            )
            part.rename(runs)
            print(runs.name, flush=True)
        return runs

    def of(self, way: str) -> list[tuple[float, float]]:
        lowest = (1 - STEP) ** ROUNDS
        rewind = ["--rewind", str(self.early)]
        if way != "one shot":
            words = WAYS[way] + (rewind if way in REWINDS else [])
            if (
                way == "units"
            ):  # one of the first layer has more weights than the lowest leaves
                lowest = (1 - STEP) ** 12
            return rounds_of(self.prune(way, lowest, *words))
        found = []
        for k in range(1, ROUNDS + 1, 2):
            density = (1 - STEP) ** k
            runs = self.prune(f"one-shot-{k}", density, "--one-shot", *rewind)
            found += rounds_of(runs)[-1:]
        return found


def main() -> None:
    """Make the runs that are not there; print a table and draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default="build/ramify")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--plot", type=pathlib.Path)
    parser.add_argument("--keep", type=pathlib.Path, required=True)
    chosen = parser.parse_args()
    chosen.keep.mkdir(parents=True, exist_ok=True)
    seeds = [int(seed) for seed in chosen.seeds.split(",")]
    errors: dict[str, dict[int, list[float]]] = {}
    for way in ("rewind", "rates", "one shot", "fine-tune", "random", "units"):
        errors[way] = {}
        for seed in seeds:
            ways = Ways(chosen.tool, chosen.keep, seed, chosen.epochs)
            for density, error in ways.of(way):
                k = round(math.log(density) / math.log(1 - STEP))
                errors[way].setdefault(k, []).append(error)
    print("| density | " + " | ".join(errors) + " |")
    print("|---" * (len(errors) + 1) + "|")
    for k in range(0, ROUNDS + 1):
        cells = [
            f"{100 * statistics.mean(found[k]):.2f}" if k in found else ""
            for found in errors.values()
        ]
        if sum(cell != "" for cell in cells) > 3:
            print(f"| {(1 - STEP) ** k:.4f} | " + " | ".join(cells) + " |")
    if chosen.plot:
        draw(errors, chosen.plot)


def draw(errors: dict[str, dict[int, list[float]]], path: pathlib.Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "ramify"
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.5, 4), layout="tight")
    for way, found in errors.items():
        density = [(1 - STEP) ** k for k in sorted(found)]
        values = [statistics.mean(found[k]) for k in sorted(found)]
        axes.loglog(density, values, "o-", ms=3, label=way)
    axes.set_xlabel("density")
    axes.set_ylabel("error, Fashion-MNIST")
    axes.legend()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
