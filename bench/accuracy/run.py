"""Train and score ramify on the sets of the accuracy benchmark.

    python3 bench/accuracy/run.py [--tool build/ramify] [--resident 128KiB] [--controls]
                                  [--set NAME ...] [--seed S ...] [--csv FILE]
                                  [--held-out] [-- OPTION OF TRAIN ...]

Every model is one row of ``bench/accuracy/ramify.csv``; rows that are there are not run
again, so an interrupted run goes on where it stopped. Nothing is chosen on test rows:
they are read by ``--test``, which only scores. To compare recipes, ``--held-out`` scores on
a part of the training rows; it needs a ``--csv`` of its own, and so do further options.
"""

from __future__ import annotations

import argparse
import csv
import json
import pathlib
import subprocess
import sys
import tempfile

import datasets
import numpy as np

FIELDS = [
    "set",
    "seed",
    "resident",
    "model",
    "metric",
    "error",
    "parameters",
    "active_parameters",
    "resident_bytes",
    "leaves",
    "modules",
    "seconds",
    "version",
]
HERE = pathlib.Path(__file__).resolve().parent


def read_done(path: pathlib.Path) -> set[tuple[str, int, str, bool]]:
    """Which (set, seed, resident, controls) are there."""
    if not path.exists():
        return set()
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    done = {(r["set"], int(r["seed"]), r["resident"], False) for r in rows}
    return done | {
        (r["set"], int(r["seed"]), r["resident"], True)
        for r in rows
        if r["model"] == "random partition"
    }


def standardised(score: dict, y_train: np.ndarray, task: str) -> float:
    """RMSE of the standardised target, or wrong classes in percent."""
    if task == "classification":
        return 100 * (1 - score["accuracy"])
    return score["rmse"] / float(np.std(y_train))  # as in datasets.score


def train(chosen: argparse.Namespace, name: str, seed: int) -> tuple[dict, str]:
    """Run the tool on one split and return its JSON and the version."""
    tool = chosen.tool
    with tempfile.TemporaryDirectory() as folder:
        datasets.write_split(name, seed, pathlib.Path(folder), held_out=chosen.held_out)
        prefix = f"{folder}/{name}-{seed}"
        words = [tool, "train", f"{prefix}.train.csv", "--target", "target"]
        words += ["-o", f"{prefix}.ramify", "--test", f"{prefix}.test.csv", "--json"]
        words += ["--task", datasets.SETS[name].task, "--seed", str(seed)]
        words += ["--resident", chosen.resident]
        words += ["--controls"] if chosen.controls else []
        words += chosen.options
        run = subprocess.run(words, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise SystemExit(f"{name}, seed {seed}: {run.stderr}")
    version = subprocess.run(
        [tool, "--version"], capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout), version.stdout.split()[-1]


def main() -> int:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default="build/ramify")
    parser.add_argument("--resident", default="128KiB")
    parser.add_argument("--controls", action="store_true")
    parser.add_argument(
        "--set", nargs="+", choices=sorted(datasets.SETS), default=sorted(datasets.SETS)
    )
    parser.add_argument("--seed", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--csv", type=pathlib.Path, default=HERE / "ramify.csv")
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("options", nargs="*", help="further options of train, after --")
    chosen = parser.parse_args()
    if (chosen.held_out or chosen.options) and chosen.csv == HERE / "ramify.csv":
        parser.error("--held-out and further options need a --csv of their own")
    done = read_done(chosen.csv)
    for seed in chosen.seed:
        for name in chosen.set:
            key = (name, seed, chosen.resident)
            if (*key, True) in done or (not chosen.controls and (*key, False) in done):
                continue
            result, version = train(chosen, name, seed)
            split = datasets.load(name, seed, held_out=chosen.held_out)
            whole = {
                **result,
                **result["test"],
                "name": "pathways",
                "seconds": result["seconds"],
            }
            lines = [whole, *result.get("controls", [])[1:]]
            if (*key, False) in done:  # the model itself is there, without controls
                del lines[0]
            new = not chosen.csv.exists()
            with chosen.csv.open("a", newline="") as file:
                writer = csv.DictWriter(file, FIELDS)
                if new:
                    writer.writeheader()
                for line in lines:
                    error = standardised(line, split.y_train, split.task)
                    writer.writerow(
                        {
                            **{field: line.get(field, "") for field in FIELDS},
                            "set": name,
                            "seed": seed,
                            "resident": chosen.resident,
                            "model": line["name"],
                            "metric": "rmse"
                            if split.task == "regression"
                            else "percent",
                            "error": f"{error:.6g}",
                            "seconds": f"{line['seconds']:.2f}",
                            "version": version,
                        }
                    )
            print(
                name,
                seed,
                *(
                    f"{line['name']}: {standardised(line, split.y_train, split.task):.4f}"
                    for line in lines
                ),
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
