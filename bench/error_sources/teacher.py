"""Learning from a teacher without noise: where does the error come from, if not from noise?

    teacher.py [--tool build/ramify] [--seeds 0,1,2] [--rows 100,300,..] [--plot docs/error-sources.svg]
               [--keep FOLDER]

Two panels; errors are root mean squares on 20,000 other rows in standard deviations of the target, geometric
means over seeds; every seed draws a teacher and rows.

- network: the teacher is a ReLU network with random weights, 4 -> 16 -> 16 -> 1, over the cube [-1, 1]^4. The
  students are ReLU networks of two layers of 64 (the teacher is one of them), without the rest of the recipe
  (bins, periodic inputs, teachers of their own, members). Each learns for 10 million row visits (20,000 passes
  at most), once with the recipe's weight decay and once without; the better one on the other rows counts.
- band: the teacher is band-limited in two columns of period 1, |k1| + |k2| <= 5: 61 random coefficients. The
  same students, given cos and sin of both angles.

Nyquist learners stand beside them: `--kind nyquist`, with `--period 1` in the second. The laws are fitted by
`ramify law fit`: m2 (error = floor + b x^-c) over all rows, and m1 (floor 0).
"""

from __future__ import annotations

import argparse
import csv
import os
import pathlib
import statistics
import sys
import tempfile

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import numpy as np  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "nyquist"))
from series_tool import Kept, Tool  # noqa: E402

VISITS, MOST_PASSES = 10_000_000, 20_000
ROWS = (60, 70, 80, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 100_000)
TEST_ROWS = 20_000
COLUMNS, WIDTH, BAND = 4, 16, 5
MOST_SERIES_ROWS = 5_000  # in the first panel; more take minutes each
STUDENT = (
    "--kind",
    "mlp",
    "--hidden",
    "64,64",
    "--activation",
    "relu",
    "--bins",
    "off",
)
STUDENT += (
    "--periodic",
    "off",
    "--distillation",
    "off",
    "--members",
    "1",
    "--resident",
    "1MiB",
)
PANELS = {"network": "a network teaches", "band": "a band-limited function teaches"}
STUDENTS = {"mlp": "network", "nyquist": "Nyquist learner"}


def network(seed: int):
    """A ReLU network with random weights."""
    random = np.random.default_rng([seed, 5])
    sizes = (COLUMNS, WIDTH, WIDTH, 1)
    layers = [
        (random.normal(size=(m, n)) * np.sqrt(2 / m), random.normal(size=n) * 0.5)
        for m, n in zip(sizes, sizes[1:], strict=False)
    ]

    def call(x: np.ndarray) -> np.ndarray:
        for i, (weight, bias) in enumerate(layers):
            x = x @ weight + bias
            if i + 1 < len(layers):
                x = np.maximum(x, 0)
        return x[:, 0]

    return call


def band_limited(seed: int):
    """|k1| + |k2| <= BAND, random coefficients."""
    random = np.random.default_rng([seed, 6])
    half = [
        (p, q)
        for p in range(BAND + 1)
        for q in range(-BAND, BAND + 1)
        if p + abs(q) <= BAND and (p > 0 or q > 0)
    ]
    sizes = random.normal(size=(len(half), 2))
    constant = random.normal()

    def call(x: np.ndarray) -> np.ndarray:
        y = np.full(len(x), constant)
        for (p, q), (a, b) in zip(half, sizes, strict=True):
            angle = 2 * np.pi * (p * x[:, 0] + q * x[:, 1])
            y += a * np.cos(angle) + b * np.sin(angle)
        return y

    return call


def circles(x: np.ndarray) -> np.ndarray:
    return np.column_stack([np.cos(2 * np.pi * x), np.sin(2 * np.pi * x)])


def measure(tool: Tool, panel: str, student: str, rows: int, seed: int) -> dict:
    random, other = (
        np.random.default_rng([seed, rows]),
        np.random.default_rng([seed, 9]),
    )
    if panel == "network":
        truth = network(seed)
        x, test = (
            random.uniform(-1, 1, (rows, COLUMNS)),
            other.uniform(-1, 1, (TEST_ROWS, COLUMNS)),
        )
    else:
        truth = band_limited(seed)
        x, test = random.random((rows, 2)), other.random((TEST_ROWS, 2))
    y, expected = truth(x), truth(test)
    words = ["--threads", "1", "--seed", str(seed)]
    if student == "nyquist":
        words += ["--kind", "nyquist"] + (["--period", "1"] if panel == "band" else [])
        trials = [words]
    else:
        words += [*STUDENT, "--epochs", str(min(VISITS // rows, MOST_PASSES))]
        trials = [words, [*words, "--decay", "0"]]
        if panel == "band":
            x, test = circles(x), circles(test)
    outcomes = [tool.learn(x, y, test, *trial) for trial in trials]
    errors = [
        float(np.sqrt(np.mean((outcome.predicted - expected) ** 2)) / expected.std())
        for outcome in outcomes
    ]
    return {
        "error": min(errors),
        "errors": errors,
        "seconds": sum(outcome.seconds for outcome in outcomes),
        "leaves": outcomes[0].info["leaves"],
    }


def fit_law(tool: Tool, points: dict[int, float], form: str) -> dict:
    """The fit of `ramify law fit`."""
    with tempfile.TemporaryDirectory() as folder:
        table = pathlib.Path(folder) / "runs.csv"
        with table.open("w", newline="") as to:
            csv.writer(to).writerows([("n", "error"), *points.items()])
        words = ("law", "fit", str(table), "--form", form, "--x", "n", "--y", "error")
        return tool.ask(*words, "--bootstrap", "200")["groups"][0]


def draw(curves: dict[tuple[str, str], dict[int, float]], path: pathlib.Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "ramify"
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(9, 4), layout="tight")
    for axes, (panel, title) in zip(panels, PANELS.items(), strict=True):
        for student, name in STUDENTS.items():
            points = curves[panel, student]
            axes.loglog(
                list(points), list(points.values()), "o-", label=name, markersize=4
            )
        axes.set_title(title)
        axes.set_xlabel("rows, without noise")
        axes.legend()
    panels[0].set_ylabel("error, standard deviations")
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default="build/ramify")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--rows", default=",".join(map(str, ROWS)))
    parser.add_argument("--plot", type=pathlib.Path)
    parser.add_argument("--keep", type=pathlib.Path)
    chosen = parser.parse_args()
    tool, kept = Tool(chosen.tool), Kept(chosen.keep)
    seeds, sizes = (
        [int(s) for s in chosen.seeds.split(",")],
        [int(n) for n in chosen.rows.split(",")],
    )
    curves: dict[tuple[str, str], dict[int, float]] = {}
    for panel in PANELS:
        for student in STUDENTS:
            curves[panel, student] = {
                n: statistics.geometric_mean(
                    kept.get(
                        f"{panel}-{student}-{n}-{seed}",
                        lambda p=panel, s=student, n=n, seed=seed: measure(
                            tool, p, s, n, seed
                        ),
                    )["error"]
                    for seed in seeds
                )
                for n in sizes
                if (panel, student) != ("network", "nyquist") or n <= MOST_SERIES_ROWS
            }
    heads = [f"{PANELS[p]}: {STUDENTS[s]}" for p, s in curves]
    print("| rows | " + " | ".join(heads) + " |\n" + "|---" * (len(heads) + 1) + "|")
    for n in sizes:
        cells = [
            f"{points[n]:.2e}" if n in points else "" for points in curves.values()
        ]
        print(f"| {n:,} | " + " | ".join(cells) + " |")
    print("\n| teacher, student | c without a floor | c | 90 % | floor | 90 % |")
    print("|---|---|---|---|---|---|")
    for (panel, student), points in curves.items():
        if (panel, student) == ("band", "nyquist"):
            continue  # no law: a cliff
        plain, law = fit_law(tool, points, "m1"), fit_law(tool, points, "m2")
        cells = [f"{plain['parameters']['exponent']:.2f}"]
        for name, style in (("exponent", ".2f"), ("floor", ".1e")):
            low, high = law["intervals"][name]
            cells.append(f"{law['parameters'][name]:{style}}")
            known = low is not None and high is not None
            cells.append(f"{low:{style}} to {high:{style}}" if known else "not told")
        print(f"| {panel}, {STUDENTS[student]} | " + " | ".join(cells) + " |")
    if chosen.plot:
        draw(curves, chosen.plot)


if __name__ == "__main__":
    main()
