"""Pruning networks of many sizes: the runs that laws of pruning are fitted to.

    grid.py [--tool build/ramify] [--widths 16,32,64,128,256] [--depths 1,2,3] [--seeds 0,1,2]
            [--epochs 10] [--workers 2] --keep FOLDER

Plain networks (ReLU, no bins, no teachers) of `depth` hidden layers of `width` learn Fashion-MNIST: 45,000
training rows, 10 passes; 15,000 other rows tell errors. Each is pruned by `ramify prune`: in rounds, a
quarter of the weights that are left each, the smallest of all layers together, and what is left rewinds
to the first pass and learns for 10 passes again. FOLDER keeps every network's rounds, which are not made
again, and all of them as ``runs.csv``: depth, width, seed, density, error (the share of wrong classes).
"""

from __future__ import annotations

import argparse
import concurrent.futures
import csv
import os
import pathlib
import subprocess
import time

DATA = pathlib.Path(os.environ.get("RAMIFY_DATA", "../shared/data")) / "images"
ROWS = str(DATA / "fashion-train-images-idx3-ubyte.gz")
LABELS = str(DATA / "fashion-train-labels-idx1-ubyte.gz")
STEP = 0.25
ROUNDS = 20
PLAIN = "--bins off --periodic off --distillation off --members 1 --activation relu"


def run(*words: str) -> str:
    """What a call of the tool prints, or its sentence."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def measure(
    tool: str, keep: pathlib.Path, depth: int, width: int, seed: int, epochs: int
) -> None:
    """One network: trained, and pruned until a few thousandths are left."""
    name = f"{depth}-{width}-{seed}"
    runs = keep / f"{name}.csv"
    if runs.exists():
        return
    model, rewind = str(keep / f"{name}.ramify"), str(keep / f"{name}.rewind.ramify")
    table = [ROWS, "--labels", LABELS]
    common = ["--epochs", str(epochs), "--seed", str(seed), "--threads", "1"]
    began = time.monotonic()
    run(
        *(tool, "train", *table, "--task", "classification", "--kind", "mlp"),
        *("--hidden", ",".join([str(width)] * depth), *PLAIN.split()),
        *("--resident", "64MiB", "--validation", "25%", *common),
        *("-o", model, "--rewind", rewind, "--rewind-at", str(1 / epochs)),
    )
    lowest = (1 - STEP) ** ROUNDS
    part = runs.with_suffix(".part")
    run(
        *(tool, "prune", model, *table, "--rewind", rewind, "--step", str(STEP)),
        *("--density", f"{lowest:.17g}", "--runs", str(part), *common),
        *("-o", str(keep / f"{name}.pruned.ramify")),
    )
    part.rename(runs)
    print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)


def main() -> None:
    """Make the runs that are not there yet, and gather all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default="build/ramify")
    parser.add_argument("--widths", default="16,32,64,128,256")
    parser.add_argument("--depths", default="1,2,3")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=pathlib.Path, required=True)
    chosen = parser.parse_args()
    chosen.keep.mkdir(parents=True, exist_ok=True)
    numbers = [
        [int(part) for part in text.split(",")]
        for text in (chosen.seeds, chosen.widths, chosen.depths)
    ]
    networks = [(d, w, s) for s in numbers[0] for w in numbers[1] for d in numbers[2]]
    with concurrent.futures.ThreadPoolExecutor(chosen.workers) as pool:
        jobs = [
            pool.submit(measure, chosen.tool, chosen.keep, d, w, s, chosen.epochs)
            for d, w, s in networks
        ]
        for job in jobs:
            job.result()
    with (chosen.keep / "runs.csv").open("w", newline="") as to:
        out = csv.writer(to)
        out.writerow(["depth", "width", "seed", "density", "error"])
        for d, w, s in networks:
            with (chosen.keep / f"{d}-{w}-{s}.csv").open(newline="") as file:
                for row in csv.DictReader(file):
                    out.writerow([d, w, s, row["density"], row["error"]])


if __name__ == "__main__":
    main()
