"""Do intervals hold what they say? Coverage on the test rows of the accuracy benchmark.

    python3 bench/accuracy/coverage.py [--tool build/ramify] [--resident 32KiB]
                                       [--set NAME ...] [--seed S ...] [--keep DIR]
                                       [--top-k K] [-- OPTION OF TRAIN ...]

trains a model on the training rows of every regression set and prints a Markdown table:
the share of test rows inside intervals of 50, 80, 90 and 95 %, and, in parentheses, the
mean width in standard deviations of the training rows' target. A dash: the model has
fewer report rows than the level needs. The last two columns are the shares of test rows
whose novelty is above 0.9 and 0.99; were they training rows, these would be 10 and 1 %.

``--keep DIR`` keeps models and tables there, and takes those that are there already.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import datasets
import numpy as np
import pandas as pd

LEVELS = (50, 80, 90, 95)
NOVEL = (0.9, 0.99)


def regressions() -> list[str]:
    return [
        name for name, source in datasets.SETS.items() if source.task == "regression"
    ]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False)


def make(
    chosen: argparse.Namespace, name: str, seed: int, folder: pathlib.Path
) -> pathlib.Path:
    """A model and its tables; those that are there are taken."""
    model = folder / f"{name}-{seed}.ramify"
    if model.exists():
        return model
    datasets.write_split(name, seed, folder)
    words = [chosen.tool, "train", str(folder / f"{name}-{seed}.train.csv")]
    words += ["--target", "target", "--task", "regression", "--seed", str(seed)]
    words += ["--resident", chosen.resident, "-o", str(model), *chosen.options]
    done = run(*words)
    if done.returncode != 0:
        raise SystemExit(f"{name}, seed {seed}: {done.stderr}")
    return model


def measure(
    chosen: argparse.Namespace, name: str, seed: int, folder: pathlib.Path
) -> dict:
    """What is printed of one model."""
    model = make(chosen, name, seed, folder)
    test = folder / f"{name}-{seed}.test.csv"
    info = json.loads(run(chosen.tool, "info", str(model), "--json").stdout)
    spread = float(np.std(datasets.load(name, seed).y_train))
    found = {
        "leaves": info["leaves"],
        "report": info["config"]["rows"]["report"],
        "test": len(datasets.load(name, seed).y_test),
    }
    held = ["--top-k", str(chosen.top_k)]
    for level in LEVELS:
        words = ["evaluate", str(model), str(test), "--interval", f"{level}%", "--json"]
        done = run(chosen.tool, *words, *held)
        if "needs more rows" in done.stderr:
            continue
        if done.returncode != 0:
            raise SystemExit(f"{name}, seed {seed}: {done.stderr}")
        interval = json.loads(done.stdout)["interval"]
        found[f"coverage {level}"] = 100 * interval["coverage"]
        found[f"width {level}"] = interval["width"] / spread
    rows = folder / f"{name}-{seed}.predicted.csv"
    run(chosen.tool, "predict", str(model), str(test), "--novelty", "-o", str(rows))
    novelty = pd.read_csv(rows)["novelty"]
    for limit in NOVEL:
        found[f"novel {limit}"] = 100 * float(np.mean(novelty > limit))
    return found


def line(name: str, found: list[dict]) -> str:
    """Means over seeds."""

    def mean(key: str) -> float | None:
        values = [one[key] for one in found if key in one]
        return float(np.mean(values)) if len(values) == len(found) else None

    cells = [name, *(f"{mean(key):.0f}" for key in ("leaves", "report", "test"))]
    for level in LEVELS:
        coverage, width = mean(f"coverage {level}"), mean(f"width {level}")
        cells.append(
            "-"
            if coverage is None or width is None
            else f"{coverage:.1f} ({width:.3g})"
        )
    cells += [f"{mean(f'novel {limit}'):.1f}" for limit in NOVEL]
    return "| " + " | ".join(cells) + " |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default="build/ramify")
    parser.add_argument("--resident", default="32KiB")
    parser.add_argument(
        "--set", nargs="+", choices=regressions(), default=regressions()
    )
    parser.add_argument("--seed", nargs="+", type=int, default=[0])
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("--top-k", type=int, default=1)
    parser.add_argument("options", nargs="*", help="further options of train, after --")
    chosen = parser.parse_args()
    head = ["set", "leaves", "report rows", "test rows"]
    head += [f"{level} % (width)" for level in LEVELS]
    head += [f"novelty > {limit} (%)" for limit in NOVEL]
    print("| " + " | ".join(head) + " |")
    print("|---" + "|---:" * (len(head) - 1) + "|")
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.keep or pathlib.Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for name in chosen.set:
            found = [measure(chosen, name, seed, folder) for seed in chosen.seed]
            print(line(name, found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
