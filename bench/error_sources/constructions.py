"""Whether `ramify diagnose` finds the source of error that was built into a table.

A construction is a target, rows, noise, a network's size and its training. What its four sources
truly are is found by simulation with `ramify train` itself:

    irreducible    the variance of the noise that was added
    approximation  the best of several long trainings of the size on BIG_ROWS rows without noise
    estimation     what the best longer training on so many rows as the construction has exceeds that by
    optimisation   what the training that is diagnosed exceeds the best longer one by

all as mean squared errors on rows without noise, means over DRAWS tables. The sources of a negative
size are 0. Targets are in two halves: constants in the library may be chosen on `tuning`, while
`held-out` only judges.

    python constructions.py --ramify build/ramify --half tuning -o tuning.jsonl
    python constructions.py --score tuning.jsonl
"""

from __future__ import annotations

import argparse
import concurrent.futures
import csv
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

SOURCES = ["irreducible", "approximation", "estimation", "optimisation"]
BIG_ROWS = 12000
TEST_ROWS = 4000
DRAWS = 2
# Steps and rates of longer trainings, and of those that approach what a size can hold.
LONGER = [(4000, 0.006), (15000, 0.006), (15000, 0.0015)]
BIG = [(20000, 0.006), (20000, 0.0015)]
RESTARTS = 2
BATCH = 64

Function = Callable[[np.ndarray], np.ndarray]


def teacher(inputs: int, width: int, seed: int, relu: bool) -> Function:
    source = np.random.default_rng(seed)
    first = source.normal(size=(inputs, width)) * 1.5 / np.sqrt(inputs)
    bias = source.normal(size=width) * 0.5
    last = source.normal(size=width)

    def function(x: np.ndarray) -> np.ndarray:
        z = (2 * x - 1) * 1.7 @ first + bias
        return (np.maximum(z, 0) if relu else np.tanh(z)) @ last

    return function


def friedman(x: np.ndarray) -> np.ndarray:
    waves = 10 * np.sin(np.pi * x[:, 0] * x[:, 1])
    return waves + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]


def waves(x: np.ndarray) -> np.ndarray:
    return np.sin(7 * x[:, 0]) + np.cos(5 * x[:, 1] + 2 * x[:, 0])


def products(x: np.ndarray) -> np.ndarray:
    z = 2 * x - 1
    return z[:, 0] * z[:, 1] + z[:, 2] ** 3 - 0.5 * z[:, 3] * z[:, 0] + z[:, 1]


def kinks(x: np.ndarray) -> np.ndarray:
    z = 2 * x - 1
    return np.abs(z[:, 0] - 0.2) + np.maximum(z[:, 1], -z[:, 2]) * 1.5


def branin(x: np.ndarray) -> np.ndarray:
    a, b = 15 * x[:, 0] - 5, 15 * x[:, 1]
    bowl = b - 5.1 / (4 * np.pi**2) * a**2 + 5 / np.pi * a - 6
    return bowl**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(a) + 10


def borehole_like(x: np.ndarray) -> np.ndarray:
    ratio = (0.5 + x[:, 0]) * (1 + x[:, 1]) / (1 + 2 * x[:, 2])
    return ratio / (0.5 + x[:, 3]) + np.log1p(3 * x[:, 4])


def bumps(x: np.ndarray) -> np.ndarray:
    total = np.zeros(len(x))
    for centre, height in (
        ((0.2, 0.3, 0.7), 1.0),
        ((0.7, 0.7, 0.3), -1.2),
        ((0.5, 0.1, 0.2), 0.8),
    ):
        total += height * np.exp(-8 * ((x[:, :3] - np.array(centre)) ** 2).sum(1))
    return total


def steps(x: np.ndarray) -> np.ndarray:
    return 1.0 * (x[:, 0] > 0.4) + x[:, 1] + 0.7 * (x[:, 1] + x[:, 2] > 1.1)


TARGETS: dict[str, dict[str, tuple[Function, int]]] = {
    "tuning": {
        "friedman": (friedman, 6),
        "waves": (waves, 2),
        "products": (products, 4),
        "tanh teacher": (teacher(6, 8, 3, relu=False), 6),
        "kinks": (kinks, 3),
    },
    "held-out": {
        "branin": (branin, 2),
        "borehole-like": (borehole_like, 5),
        "bumps": (bumps, 3),
        "relu teacher": (teacher(5, 10, 5, relu=True), 5),
        "steps": (steps, 3),
    },
}


@dataclass(frozen=True)
class Construction:
    target: str
    cause: str  # the source that it was built for, "mixed" or "null"
    strength: str
    rows: int
    noise: float  # standard deviation, in those of the target
    hidden: str
    epochs: int
    rate: float = 0.006
    scale: float = field(default=1.0)  # of the target; 0: noise alone

    @property
    def name(self) -> str:
        return f"{self.target}, {self.cause} {self.strength}"


def epochs_of(steps_wanted: int, rows: int) -> int:
    return max(1, round(steps_wanted / np.ceil(rows / BATCH)))


def constructions(half: str) -> list[Construction]:
    made = []
    for target in TARGETS[half]:

        def add(
            cause: str,
            strength: str,
            rows: int,
            noise: float,
            hidden: str,
            steps: int,
            rate: float = 0.006,
            scale: float = 1.0,
            target: str = target,
        ) -> None:
            epochs = epochs_of(steps, rows)
            made.append(
                Construction(
                    target, cause, strength, rows, noise, hidden, epochs, rate, scale
                )
            )

        for strength, noise in (("weak", 0.35), ("middle", 0.7), ("strong", 1.4)):
            add("irreducible", strength, 1200, noise, "24,24", 3000)
        for strength, hidden in (("weak", "3"), ("middle", "2"), ("strong", "1")):
            add("approximation", strength, 1200, 0.03, hidden, 8000)
        for strength, rows in (("weak", 240), ("middle", 120), ("strong", 60)):
            add("estimation", strength, rows, 0.02, "24,24", 6000)
        for strength, count, rate in (
            ("weak", 300, 0.006),
            ("middle", 80, 0.006),
            ("strong", 2000, 1e-5),
        ):
            add("optimisation", strength, 1200, 0.03, "24,24", count, rate)
        add("mixed", "noise and training", 1200, 0.4, "24,24", 120)
        add("mixed", "noise and size", 800, 0.5, "2", 8000)
        add("null", "noise alone", 600, 1.0, "24,24", 3000, scale=0.0)
    return made


class Work:
    """Tables and runs of the tool in a folder of their own."""

    def __init__(self, tool: pathlib.Path, folder: pathlib.Path, half: str) -> None:
        self.tool, self.folder, self.half = tool, folder, half

    def table(
        self, c: Construction, rows: int, noise: float, seed: int
    ) -> pathlib.Path:
        function, inputs = TARGETS[self.half][c.target]
        key = f"{c.target}/{rows}/{noise}/{c.scale}/{seed}"
        path = self.folder / (hashlib.sha256(key.encode()).hexdigest()[:16] + ".npy")
        if not path.exists():
            deviation = function(
                np.random.default_rng(0).uniform(size=(20000, inputs))
            ).std()
            source = np.random.default_rng([seed, rows])
            x = source.uniform(size=(rows, inputs))
            y = c.scale * function(x) / deviation + noise * source.normal(size=rows)
            temporary = path.with_suffix(
                f".{np.random.default_rng().integers(1 << 40)}.npy"
            )
            np.save(temporary, np.column_stack([x, y]))
            temporary.rename(path)
        return path

    def run(self, *words: object) -> dict:
        done = subprocess.run(
            [str(self.tool), *map(str, words), "--json", "--threads", "1"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout)

    def error(
        self,
        c: Construction,
        table: pathlib.Path,
        rows: int,
        steps: int,
        rate: float,
        seed: int,
    ) -> float:
        """Mean squared error on rows without noise."""
        test = self.table(c, TEST_ROWS, 0.0, 999)
        model = self.folder / f"{np.random.default_rng().integers(1 << 60)}.ramify"
        inputs = TARGETS[self.half][c.target][1]
        result = self.run(
            "train", table, "--target", f"c{inputs + 1}", "-o", model, "--test", test,
            "--kind", "mlp", "--hidden", c.hidden, "--members", 1, "--bins", "off",
            "--periodic", "off", "--distillation", "off", "--resident", "none",
            "--epochs", epochs_of(steps, rows), "--rate", rate, "--seed", seed,
        )  # fmt: skip
        model.unlink()
        return result["test"]["rmse"] ** 2

    def truth(self, c: Construction, cache: dict) -> dict[str, float]:
        reference, longer = [], {}
        for draw in range(DRAWS):
            table = self.table(c, c.rows, c.noise, 100 + draw)
            steps = round(c.epochs * np.ceil(c.rows / BATCH))
            reference.append(self.error(c, table, c.rows, steps, c.rate, draw))
            for count, rate in LONGER:
                if count > steps or c.rate < 0.0015:
                    key = (
                        c.target,
                        c.rows,
                        c.noise,
                        c.scale,
                        c.hidden,
                        count,
                        rate,
                        draw,
                    )
                    if key not in cache:
                        cache[key] = self.error(c, table, c.rows, count, rate, draw)
                    longer.setdefault((count, rate), []).append(cache[key])
        base = float(np.mean(reference))
        best = min([base, *(float(np.mean(errors)) for errors in longer.values())])
        key = (c.target, c.scale, c.hidden)
        if c.scale == 0:
            cache[key] = 0.0
        if key not in cache:
            table = self.table(c, BIG_ROWS, 0.0, 50)
            cache[key] = min(
                self.error(c, table, BIG_ROWS, count, rate, seed)
                for count, rate in BIG for seed in range(RESTARTS)
            )  # fmt: skip
        size = min(cache[key], best)
        parts = {
            "irreducible": c.noise**2,
            "approximation": size,
            "estimation": best - size,
            "optimisation": base - best,
        }
        total = sum(parts.values())
        return {source: part / total for source, part in parts.items()}

    def diagnose(self, c: Construction) -> dict:
        table = self.table(c, c.rows, c.noise, 7)
        inputs = TARGETS[self.half][c.target][1]
        return self.run("diagnose", table, "--target", f"c{inputs + 1}", "--hidden", c.hidden,
                        "--epochs", c.epochs, "--rate", c.rate)  # fmt: skip


def lines_of(path: pathlib.Path, half: str) -> list[dict]:
    """What was found: JSON lines, or a half of the table beside this program."""
    if path.suffix != ".csv":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["half"] == half]
    return [
        {
            "name": row["construction"],
            "truth": {s: float(row[f"true_{s}"]) for s in SOURCES},
            "diagnosis": {
                "dominant": row["dominant"],
                "shares": {
                    s: {
                        "share": float(row[f"found_{s}"]),
                        "low": float(row[f"low_{s}"]),
                        "high": float(row[f"high_{s}"]),
                    }
                    for s in SOURCES
                },
            },
        }
        for row in rows
    ]


def score(path: pathlib.Path, half: str) -> None:
    lines = lines_of(path, half)
    right, inside, misses, judged = 0, 0, [], 0
    print(f"{'construction':44} {'truth':>24}   {'found':>24}")
    for line in lines:
        truth = [line["truth"][s] for s in SOURCES]
        found = [line["diagnosis"]["shares"][s]["share"] for s in SOURCES]
        misses.append(np.abs(np.array(truth) - found).mean())
        inside += sum(
            line["diagnosis"]["shares"][s]["low"] - 1e-9 <= line["truth"][s]
            and line["truth"][s] <= line["diagnosis"]["shares"][s]["high"] + 1e-9
            for s in SOURCES
        )
        order = np.argsort(truth)[::-1]
        told = line["diagnosis"]["dominant"]
        # Where the truth itself is near a tie, either is right, and so is "undetermined".
        tie = truth[order[0]] - truth[order[1]] < 0.1
        fine = {SOURCES[order[0]]} | (
            {SOURCES[order[1]], "undetermined"} if tie else set()
        )
        right += told in fine
        judged += 1
        show = [
            "/".join(f"{100 * v:3.0f}" for v in values) for values in (truth, found)
        ]
        print(
            f"{line['name']:44} {show[0]:>24}   {show[1]:>24} {'' if told in fine else told}"
        )
    print(f"{judged} constructions: dominant source right in {100 * right / judged:.1f} %, "
          f"mean absolute error of shares {np.mean(misses):.3f}, "
          f"90 % intervals hold {100 * inside / (4 * judged):.1f} %")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--ramify", type=pathlib.Path, default=pathlib.Path("build/ramify")
    )
    parser.add_argument("--half", choices=list(TARGETS), default="tuning")
    parser.add_argument("--target", action="append", help="only these targets")
    parser.add_argument("--strength", action="append", help="only these strengths")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("-o", "--output", type=pathlib.Path, help="JSON lines")
    parser.add_argument(
        "--truth-from", type=pathlib.Path, help="an earlier output's truths"
    )
    parser.add_argument(
        "--score", type=pathlib.Path, help="score an output, and run nothing"
    )
    options = parser.parse_args()
    if options.score:
        score(options.score, options.half)
        return
    if not options.output:
        parser.error("name an output")
    known = {}
    if options.truth_from:
        for line in options.truth_from.read_text().splitlines():
            known[json.loads(line)["name"]] = json.loads(line)["truth"]
    with tempfile.TemporaryDirectory() as folder, options.output.open("w") as output:
        work = Work(options.ramify.resolve(), pathlib.Path(folder), options.half)
        cache: dict = {}

        def one(c: Construction) -> str:
            diagnosis = work.diagnose(c)
            truth = known.get(c.name) or work.truth(c, cache)
            return json.dumps(
                {
                    "name": c.name,
                    "cause": c.cause,
                    "rows": c.rows,
                    "truth": truth,
                    "diagnosis": diagnosis,
                }
            )

        chosen = [c for c in constructions(options.half)
                  if (not options.target or c.target in options.target)
                  and (not options.strength or c.strength in options.strength)]  # fmt: skip
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for line in pool.map(one, chosen):
                output.write(line + "\n")
                output.flush()
                print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    score(options.output, options.half)


if __name__ == "__main__":
    main()
