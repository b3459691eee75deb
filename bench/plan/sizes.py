"""Small runs predict large ones: laws of weights and rows, from a corner of a full grid of own runs.

    sizes.py [--tool build/ramify] [--sets kin40k kin40k-steps fashion] [--seeds 0 1] [--threads 2] --keep FOLDER

The experiment of Rosenfeld and others (2020): m weights and n rows, the law is fitted to runs with m <= M/16 and
n <= N/8, M and N being the largest, and foretells all others.

kin40k: the published 36,000 training rows, of which the largest runs learn 32,000; errors are in deviations of the target, so
that of guessing is 1. Fashion-MNIST: 54,400 of 60,000; shares of wrong classes, .9 by guessing. A seed draws an order of the
training rows. The last of it, 4,000 or 5,600, are validation rows in every run, the same for any n and not counted in it; half
of them choose among 15 snapshots. The first n train: the smaller sets lie within the larger ones. A run is `train --kind mlp`
with three hidden layers, no bins, periodic features, members or teachers; rate and decay are the recipe's, passes too: 60, or
as many as make 15,000 steps. In kin40k-steps every run makes the 30,000 of the largest. Errors are those of the test rows.

Printed: the errors of the grid; how well laws of all runs fit, in 10 folds too; how far off laws of the corner are where there
are more rows, more weights, or both (mean, deviation; median and 90 % of the sizes of the relative difference, in percent), beside
a plane in logarithms, the error of the corner's run nearest to the one that is foretold, and of its largest run; of all runs
beyond the corner, the share inside 90 % intervals and the median of half of these. joint knows the error of guessing; `joint,
level free` and `auto` don't. `--parts 8 16` makes the corner m <= M/8, n <= N/16; `--least-rows` leaves out runs with fewer.
FOLDER keeps the runs, which are not made again.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import math
import pathlib
import subprocess
import tempfile
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from forecasts import datasets

AT_ONCE = 16  # places that the tool takes in one call
PLAIN = "--kind mlp --bins off --periodic off --members 1 --distillation off"
FORMS = ("additive", "joint", "joint, level free", "auto")
HEAD = ("m", "n", "y", "seed", "width", "passes", "seconds")
LAYERS = 3  # hidden
RISE = 0.02  # of the error, with more weights, that counts as one
FOLDS = 10
CLASSES = 10  # of Fashion-MNIST


class Tables(NamedTuple):
    """Features and target of training and test rows; the target is the last column."""

    train: np.ndarray
    test: np.ndarray


class Design(NamedTuple):
    """The grid of one set."""

    read: Callable[[], Tables]
    classes: bool
    most: int  # rows of the largest runs
    validation: int
    widths: tuple[int, ...]
    passes: int
    steps: int  # at least
    level: float  # the error of guessing


class Run(NamedTuple):
    """One run: weights, rows, error, seed."""

    m: int
    n: int
    y: float
    seed: int


def read_kin40k() -> Tables:
    split = datasets.load("kin40k", 0)
    mean, deviation = np.mean(split.y_train), np.std(split.y_train)
    return Tables(
        *(
            np.column_stack([x.to_numpy(), (y - mean) / deviation])
            for x, y in ((split.x_train, split.y_train), (split.x_test, split.y_test))
        )
    )


def read_fashion() -> Tables:
    def part(name: str) -> np.ndarray:
        def idx(kind: str, header: int) -> np.ndarray:
            path = datasets.data_path(f"images/fashion-{name}-{kind}-ubyte")
            return np.frombuffer(gzip.decompress(path.read_bytes())[header:], np.uint8)

        labels = idx("labels-idx1", 8)
        return np.column_stack(
            [idx("images-idx3", 16).reshape(len(labels), -1), labels]
        )

    return Tables(part("train"), part("t10k"))


KIN40K = Design(
    *(read_kin40k, False, 32000, 4000),
    *((6, 9, 13, 19, 28, 42, 62, 90, 128), 60, 15000, 1.0),
)
FASHION = Design(
    *(read_fashion, True, 54400, 5600),
    *((6, 11, 22, 42, 78, 139, 238, 384), 60, 15000, 0.9),
)
DESIGNS = {
    "kin40k": KIN40K,
    "kin40k-steps": KIN40K._replace(steps=30000),
    "fashion": FASHION,
}
OCTAVES = 7  # of rows, below the largest runs


def run(*words: str) -> dict:
    """What the tool prints as JSON."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)}: {done.stderr}")
    return json.loads(done.stdout)


class Grid:
    """Runs of one set; what was made before is read."""

    def __init__(self, name: str, chosen: argparse.Namespace) -> None:
        self.design, self.chosen = DESIGNS[name], chosen
        self.path = chosen.keep / f"{name}.csv"
        self.made: dict[tuple[int, int, int], Run] = {}
        if self.path.exists():
            with self.path.open(newline="") as file:
                for row in csv.DictReader(file):
                    one = Run(
                        *(int(row[k]) for k in "mn"), float(row["y"]), int(row["seed"])
                    )
                    self.made[one.seed, one.n, int(row["width"])] = one
        else:
            self.path.write_text(",".join(HEAD) + "\n")

    def make(self, seed: int) -> None:
        """The runs of a seed that are not there yet."""
        design = self.design
        sizes = [design.most >> k for k in range(OCTAVES, -1, -1)]
        todo = [
            (n, w)
            for n in sizes
            for w in design.widths
            if (seed, n, w) not in self.made
        ]
        if not todo:
            return
        tables = design.read()
        order = np.random.default_rng(seed).permutation(len(tables.train))
        with tempfile.TemporaryDirectory() as folder:
            test = f"{folder}/test.npy"
            np.save(test, with_time(tables.test, 0))
            for n in sorted({n for n, _ in todo}):
                train = f"{folder}/train.npy"
                rows = np.concatenate([order[:n], order[-design.validation :]])
                np.save(train, with_time(tables.train[rows], design.validation))
                for width in (w for k, w in todo if k == n):
                    self.add(seed, n, width, train, test)

    def add(self, seed: int, n: int, width: int, train: str, test: str) -> None:
        design = self.design
        columns = np.load(train, mmap_mode="r").shape[1]
        passes = max(design.passes, math.ceil(design.steps / math.ceil(n / 64)))
        share = design.validation / (n + design.validation)
        words = ["train", train, "--test", test, "--json", *PLAIN.split()]
        words += ["--target", f"c{columns}", "--time", f"c{columns - 1}"]
        words += ["--task", "classification" if design.classes else "regression"]
        words += ["--hidden", ",".join([str(width)] * LAYERS), "--resident", "none"]
        words += ["--validation", repr(share), "--epochs", str(passes)]
        words += ["--seed", str(seed), "--threads", str(self.chosen.threads)]
        found = run(self.chosen.tool, *words, "-o", f"{train}.ramify")
        if found["train_rows"] != n:
            raise SystemExit(f"{found['train_rows']} rows trained, not {n}")
        of_test = found["test"]
        error = 1 - of_test["accuracy"] if design.classes else of_test["rmse"]
        outputs = CLASSES if design.classes else 1
        one = Run(weights_of(columns - 2, width, outputs), n, error, seed)
        self.made[seed, n, width] = one
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerow([*one, width, passes, found["seconds"]])
        print(f"{self.path.stem} {one} {found['seconds']:.1f} s", flush=True)


def weights_of(columns: int, width: int, outputs: int) -> int:
    """What a network learns: with biases and slopes, without how columns are scaled, which `parameters` counts too."""
    inside = (LAYERS - 1) * (width + 1) * width + LAYERS * width
    return (columns + 1) * width + inside + (width + 1) * outputs


def with_time(rows: np.ndarray, last: int) -> np.ndarray:
    """A column before the target that tells the last rows, which are held out."""
    late = np.arange(len(rows)) >= len(rows) - last
    return np.column_stack([rows[:, :-1], late.astype(rows.dtype), rows[:, -1]])


def plane(small: list[Run], places: list[Run]) -> np.ndarray:
    """Errors by a plane through the logarithms of the runs."""

    def ones(runs: list[Run]) -> np.ndarray:
        return np.log([[math.e, r.m, r.n] for r in runs])

    solved = np.linalg.lstsq(ones(small), np.log([r.y for r in small]), rcond=None)[0]
    return np.exp(ones(places) @ solved)


def nearest(small: list[Run], places: list[Run]) -> np.ndarray:
    """Errors of the runs that are nearest in logarithms, of all seeds."""

    def mean_near(at: Run) -> float:
        far = [math.hypot(math.log(r.m / at.m), math.log(r.n / at.n)) for r in small]
        near = [r.y for r, f in zip(small, far, strict=True) if f < min(far) + 1e-9]
        return math.exp(np.mean(np.log(near)))

    return np.array([mean_near(at) for at in places])


class Laws:
    """Laws of the runs of one set."""

    def __init__(self, tool: str, runs: list[Run], level: float, folder: str) -> None:
        self.tool, self.runs, self.level, self.folder = tool, runs, level, folder
        self.table = f"{folder}/runs.csv"
        with open(self.table, "w", newline="") as file:
            csv.writer(file).writerows([("m", "n", "y"), *(r[:3] for r in runs)])

    def fit(self, form: str, *words: str) -> dict:
        if form == "joint":
            words += ("--fix", f"level={self.level!r}")
        words += ("--loss", "relative", "--x", "m,n", "--y", "y", "--json")
        words = ("law", "fit", self.table, "--form", form.partition(",")[0], *words)
        return run(self.tool, *words)["groups"][0]

    def beyond(
        self, form: str, small: list[Run], places: list[Run]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Errors foretold by a way that has seen the small runs, and where there are some, intervals."""
        if form == "plane":
            return plane(small, places), None
        if form == "nearest":
            return nearest(small, places), None
        if form == "largest":
            most = max(small, key=lambda r: r.m * r.n)
            return nearest(small, [most] * len(places)), None
        law = f"{self.folder}/law.json"
        most_m, most_n = (max(r[k] for r in small) for k in range(2))
        where = ("--fit-where", f"m<={most_m}", "--fit-where", f"n<={most_n}")
        self.fit(form, *where, "-o", law)
        words = [w for r in places for w in ("--at", f"m={r.m},n={r.n}")]
        told = []
        for begin in range(0, len(words), 2 * AT_ONCE):
            at = words[begin : begin + 2 * AT_ONCE]
            told += run(self.tool, "law", "predict", law, *at, "--json")["predictions"]
        ends = np.array([[one["low"], one["high"]] for one in told], dtype=float)
        return np.array([one["value"] for one in told]), ends


def percent(value: float, sign: str = "") -> str:
    return f"{100 * value:{sign}.1f} %"


def off_by(off: np.ndarray) -> str:
    """Mean, deviation; median and 90 % of the sizes; in percent."""
    sizes = [100 * np.quantile(abs(off), share) for share in (0.5, 0.9)]
    return f"{100 * off.mean():+.1f}, {100 * off.std():.1f}; {sizes[0]:.1f}, {sizes[1]:.1f}"


def print_errors(name: str, runs: list[Run]) -> None:
    """The grid, geometric means of seeds, and how smooth it is."""
    weights, rows = (sorted({r[k] for r in runs}) for k in range(2))
    seeds = len({r.seed for r in runs})
    logs = np.array(
        [
            [[math.log(r.y) for r in runs if r[:2] == (m, n)] for m in weights]
            for n in rows
        ]
    )
    means = logs.mean(axis=2)
    print(f"\n| {name}: rows | " + " | ".join(f"{m:,}" for m in weights) + " |")
    print("|---" * (len(weights) + 1) + "|")
    for n, line in zip(rows, means, strict=True):
        print(f"| {n:,} | " + " | ".join(f"{math.exp(v):.4f}" for v in line) + " |")
    steps = np.diff(means, axis=1)
    print(f"\nseeds {seeds}", end="")
    if seeds > 1:
        print(
            f", deviation {percent(np.sqrt(np.mean(np.var(logs, axis=2, ddof=1))))}",
            end="",
        )
    print(
        f"; error rises by {percent(RISE)} or more with the next more weights {np.sum(steps > RISE)}"
        f" times of {steps.size}, at most {percent(math.expm1(max(0, steps.max())))}, "
        f"with twice the rows {np.sum(np.diff(means, axis=0) > RISE)}"
    )


def print_laws(name: str, laws: Laws, parts: list[float]) -> None:
    """How well laws of all runs fit, and how far off those of the corner are."""
    print("\n| set | form | fit: mean | deviation | 10 folds: mean | deviation |")
    print("|---" * 6 + "|")
    for form in FORMS:
        whole = laws.fit(
            form, "--bootstrap", "0", "--rolling", "off", "--folds", str(FOLDS)
        )
        cells = [
            percent(whole[part][f"relative_error_{what}"], sign)
            for part in ("fit", "folds")
            for what, sign in (("mean", "+"), ("sd", ""))
        ]
        print(f"| {name} | {form} | {' | '.join(cells)} |")
    wide, long = (max(r[k] for r in laws.runs) / parts[k] for k in range(2))
    small = [r for r in laws.runs if r.m <= wide and r.n <= long]
    counts = [len({r[k] for r in small}) for k in range(2)]
    print(
        f"\n{name}: {len(small)} runs, {counts[0]} networks x {counts[1]} sets of rows"
    )
    zones = {
        "rows": [r for r in laws.runs if r.m <= wide and r.n > long],
        "weights": [r for r in laws.runs if r.m > wide and r.n <= long],
        "both": [r for r in laws.runs if r.m > wide and r.n > long],
    }
    zones["any"] = [r for zone in zones.values() for r in zone]
    heads = [f"{zone}: {len(places)}" for zone, places in zones.items()]
    print(f"\n| set | way | {' | '.join(heads)} | inside | half width |")
    print("|---" * (len(zones) + 4) + "|")
    for form in (*FORMS, "plane", "nearest", "largest"):
        cells = []
        for places in zones.values():
            true = np.array([r.y for r in places])
            value, ends = laws.beyond(form, small, places)
            cells.append(off_by(value / true - 1))
        if ends is not None and not np.isnan(ends).any():
            inside = np.mean((ends[:, 0] <= true) & (true <= ends[:, 1]))
            half = np.median((ends[:, 1] - ends[:, 0]) / (2 * value))
            cells += [f"{100 * inside:.0f} %", f"{100 * half:.0f} %"]
        else:
            cells += ["", ""]
        print(f"| {name} | {form} | {' | '.join(cells)} |")


def main() -> None:
    """Make the runs that are not there, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default="build/ramify")
    parser.add_argument("--sets", nargs="+", choices=DESIGNS, default=list(DESIGNS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--parts", nargs=2, type=float, default=[16, 8])
    parser.add_argument("--least-rows", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep", type=pathlib.Path, required=True)
    chosen = parser.parse_args()
    chosen.keep.mkdir(parents=True, exist_ok=True)
    for name in chosen.sets:
        grid = Grid(name, chosen)
        for seed in chosen.seeds:
            grid.make(seed)
        runs = [
            run
            for run in grid.made.values()
            if run.seed in chosen.seeds and run.n >= chosen.least_rows
        ]
        print_errors(name, runs)
        with tempfile.TemporaryDirectory() as folder:
            laws = Laws(chosen.tool, runs, DESIGNS[name].level, folder)
            print_laws(name, laws, chosen.parts)


if __name__ == "__main__":
    main()
