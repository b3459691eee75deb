"""Predicted against obtained: plans of trainings, carried out, and scored on test rows.

    forecasts.py [--tool build/ramify] [--sets power-plant ...] [--seeds 0 1 2] [--threads 2] --keep FOLDER

Of every set and seed: `ramify plan` on the training rows, `ramify train --plan` with the test rows, and
what both cost in seconds of processors. A line says what was predicted, what was obtained, by how much that is more,
whether it lies in the 90 % interval, once as it stands and once widened by what the test rows leave open, and
how far off two simpler answers are: the error of the largest small run, and the law engine's form `damped` on the
same runs. FOLDER keeps results; what is there is not made again.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import pathlib
import resource
import subprocess
import sys
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "accuracy"))
import datasets  # noqa: E402

SETS = [
    *("power-plant", "kin8nm", "grid", "grid-class", "satimage", "magic"),
    *("california", "letter", "krkopt", "fried", "kin40k", "protein"),
]
"""All with at least 5,000 rows but sgemm, whose training takes long; add it by name."""

SMALL = ["airfoil", "concrete", "mnist1d"]
"""Of the others those that have rows enough for a plan; `--sets small` are these, with ten seeds."""

DATA = pathlib.Path(os.environ.get("RAMIFY_DATA", datasets.ROOT / "../shared/data"))
FASHION_RESIDENT = "1MiB"
"""No expert for 784 columns fits in the usual 128 KiB."""


class Table(NamedTuple):
    """Words of the tool that read a set: training rows, what is asked of them, test rows."""

    train: list[str]
    ask: list[str]
    test: list[str]


def table_of(name: str, seed: int, keep: pathlib.Path) -> Table:
    """A set's words; what of it is made anew lies in a folder."""
    images = DATA / "images"
    if name == "fashion":
        part = {
            (p, k): str(images / f"fashion-{p}-{k}-ubyte.gz")
            for p in ("train", "t10k")
            for k in ("images-idx3", "labels-idx1")
        }
        train = [part["train", "images-idx3"], "--labels", part["train", "labels-idx1"]]
        test = ["--test", part["t10k", "images-idx3"]]
        test += ["--test-labels", part["t10k", "labels-idx1"]]
        ask = ["--target", "label", "--task", "classification"]
        return Table(train, ask, test)
    if name == "mnist1d":
        x, y = (
            {p: str(images / "mnist1d" / f"{k}_{p}.npy") for p in ("train", "test")}
            for k in "xy"
        )
        ask = ["--target", "label", "--task", "classification"]
        test = ["--test", x["test"], "--test-labels", y["test"]]
        return Table([x["train"], "--labels", y["train"]], ask, test)
    datasets.write_split(name, seed, keep)
    train, test = (
        str(keep / f"{name}-{seed}.{part}.csv") for part in ("train", "test")
    )
    ask = ["--target", "target", "--task", datasets.SETS[name].task]
    return Table([train], ask, ["--test", test])


def run(*words: str, refused: bool = False) -> tuple[str | None, float]:
    """What a program prints, and the seconds of processors that it took; None where it may fail and does."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0 and not refused:
        raise SystemExit(f"{' '.join(words)}: {done.stderr}")
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout if done.returncode == 0 else None, spent


def largest_run(plan: dict) -> dict:
    """The longest of the small runs with the most rows."""
    return max(plan["runs"], key=lambda r: (r["rows"], r["length"], -r["repeat"]))


def by_law(tool: str, plan: dict, keep: pathlib.Path, form: str, rows: int) -> float:
    """What a law of the long runs says of so many rows; NaN where it refuses."""
    long = max(r["length"] for r in plan["runs"])
    width = largest_run(plan)["width"]
    lines = ["rows,error"]
    lines += [
        f"{r['rows']},{r['error']}"
        for r in plan["runs"]
        if r["length"] > 0.95 * long and r["width"] == width
    ]
    runs, law = keep / "runs.csv", keep / "law.json"
    runs.write_text("\n".join(lines) + "\n")
    words = [tool, "law", "fit", str(runs), "--form", form]
    words += ["--x", "rows", "--y", "error", "-o", str(law)]
    if subprocess.run(words, capture_output=True, check=False).returncode != 0:
        return math.nan
    words = [tool, "law", "predict", str(law), "--at", f"rows={rows}", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return math.nan
    return json.loads(done.stdout)["predictions"][0]["value"]


class Carried(NamedTuple):
    """A plan that was made and carried out, with the seconds of processors of both."""

    plan: dict
    trained: dict  # what the training says of itself
    sweep: float
    training: float


def carry_out(
    table: Table, seed: int, chosen: argparse.Namespace, *asked: str
) -> Carried:
    """Plans the training of a set with what else is asked for, and makes it."""
    path, model = chosen.keep / "plan.json", chosen.keep / "model.ramify"
    common = ["--threads", str(chosen.threads)]
    words = [chosen.tool, "plan", *table.train, *table.ask, "--seed", str(seed)]
    _, sweep = run(*words, *asked, "-o", str(path), *common)
    words = [chosen.tool, "train", *table.train, "--plan", str(path), *table.test]
    said, training = run(*words, "-o", str(model), "--json", *common)
    model.unlink()
    return Carried(json.loads(path.read_text()), json.loads(said), sweep, training)


def error_of(score: dict) -> float:
    """RMSE or the share of wrong classes."""
    return score["rmse"] if "rmse" in score else 1 - score["accuracy"]


def percent(value: float, of: float) -> str:
    """A difference in percent."""
    return f"{100 * (value / of - 1):+.1f}"


def measure(name: str, seed: int, chosen: argparse.Namespace) -> dict:
    """Plans and trains one set, or takes what was measured before."""
    kept = chosen.keep / f"{name}-{seed}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    table = table_of(name, seed, chosen.keep)
    asked = ["--resident", FASHION_RESIDENT] if name == "fashion" else []
    plan, _, sweep, training = carry_out(table, seed, chosen, *asked)
    damped = by_law(chosen.tool, plan, chosen.keep, "damped", plan["rows"]["train"])
    found = {
        "set": name,
        "seed": seed,
        "predicted": plan["predicted"],
        "obtained": plan["obtained"],
        "stage": plan["stage"],
        "choice": plan["choice"],
        "sweep": sweep,
        "training": training,
        "sweep_wall": plan["sweep_seconds"],
        "largest": largest_run(plan)["error"],
        "damped": damped,
    }
    kept.write_text(json.dumps(found))
    return found


def inside(one: dict, widened: bool) -> bool:
    """Whether the obtained error lies in the interval, with or without the test rows' own."""
    said, got = one["predicted"], one["obtained"]
    half = math.log(said["high"] / said["low"]) / 2
    if widened and got["low"] > 0:
        half = math.hypot(half, math.log(got["high"] / got["low"]) / 2)
    return abs(math.log(got["error"] / said["value"])) <= half


def line(one: dict) -> str:
    """A row of the table."""
    said, got = one["predicted"], one["obtained"]
    own = math.log(got["high"] / got["low"]) / 2 if got["low"] > 0 else math.nan
    cells = [one["set"], str(one["seed"]), one["stage"]]
    cells += [f"{said['value']:.4g}", f"{said['low']:.4g} to {said['high']:.4g}"]
    cells += [f"{got['error']:.4g}", f"{100 * own:.0f} %"]
    for value in (said["value"], one["largest"], one["damped"]):
        cells.append(f"{100 * (value / got['error'] - 1):+.1f} %")
    cells += ["yes" if inside(one, widened=False) else "no"]
    cells += [f"{100 * one['sweep'] / one['training']:.1f} %"]
    cells += [f"{one['sweep_wall']:.1f}", f"{one['training']:.0f}"]
    return "| " + " | ".join(cells) + " |"


def choose(about: str, sets: list[str], seeds: list[int]) -> argparse.Namespace:
    """The options that all of bench/plan that measures sets has."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--tool", default="build/ramify")
    parser.add_argument("--sets", nargs="+", default=sets)
    parser.add_argument("--seeds", nargs="+", type=int, default=seeds)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep", type=pathlib.Path, required=True)
    chosen = parser.parse_args()
    chosen.keep.mkdir(parents=True, exist_ok=True)
    return chosen


def main() -> None:
    """Print a table and what it comes to."""
    chosen = choose(__doc__, SETS, [0, 1, 2])
    if chosen.sets == ["small"]:
        chosen.sets, chosen.seeds = SMALL, list(range(10))
    heads = (
        "set | seed | stage | predicted | 90 % | obtained | of test rows | predicted | "
    )
    heads += "largest run | damped | inside | cost of runs | s | training s"
    print(f"| {heads} |\n" + "|---" * 14 + "|")
    found = []
    for seed in chosen.seeds:
        for name in chosen.sets:
            found.append(measure(name, seed, chosen))
            print(line(found[-1]), flush=True)
    for key, of in (
        ("predicted", lambda one: one["predicted"]["value"]),
        ("largest run", lambda one: one["largest"]),
        ("damped", lambda one: one["damped"]),
    ):
        off = [abs(of(one) / one["obtained"]["error"] - 1) for one in found]
        off = [value for value in off if not math.isnan(value)]
        print(
            f"{key}: median {100 * np.median(off):.1f} %, 90 % of {len(off)} within "
            f"{100 * np.quantile(off, 0.9):.1f} %"
        )
    for widened in (False, True):
        share = np.mean([inside(one, widened) for one in found])
        print(
            f"inside the interval{', test rows allowed for' * widened}: {100 * share:.0f} %"
        )
    shares = [one["sweep"] / one["training"] for one in found]
    print(
        f"cost of small runs: median {100 * np.median(shares):.1f} %, "
        f"at most {100 * max(shares):.1f} %"
    )


if __name__ == "__main__":
    main()
