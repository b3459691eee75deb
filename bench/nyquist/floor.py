"""Targets with energy outside the band: the floor that was measured beside the one that was predicted.

    floor.py [--tool build/ramify] [--seeds 5] [--rows 100,300,1000,10000] [--keep FOLDER]

In the band (frequencies to 20, period 1) random coefficients of deviation 1; outside it, by kind,

- tail: frequencies 21 to 400 whose size falls like k^-2;
- lines: ten frequencies between 2,000 and 4,000, far above what the rows carry;

scaled to a deviation of --outside times the band's. Samples are uniform; `--band 20` is given, or the band is
chosen. Measured: root mean square error on 20,000 other points, over seeds. Predicted: the model's report
(`info --json`), its error and its noise (-: none is told of a fit
for smoothness). Goal: within a factor of 2. outside: the deviation of what lies
beyond frequency 20, the least that any fit with that band can leave.
"""

from __future__ import annotations

import argparse
import pathlib

import numpy as np
from series_tool import Kept, Tool

BAND = 20
TEST_POINTS = 20_000
OUTSIDE = (1e-1, 1e-6)


def series(
    k: np.ndarray, size: np.ndarray, random: np.random.Generator, deviation: float
):
    """A random function of these frequencies with this deviation."""
    a, b = random.normal(size=(2, len(k))) * size
    scale = deviation / np.sqrt(((a**2 + b**2) / 2).sum())

    def call(x: np.ndarray) -> np.ndarray:
        y = np.zeros(len(x))
        for i, frequency in enumerate(k):
            angle = 2 * np.pi * frequency * x
            y += scale * (a[i] * np.cos(angle) + b[i] * np.sin(angle))
        return y

    return call


def measure(
    tool: Tool, kind: str, outside: float, rows: int, seed: int, given: bool
) -> dict:
    random = np.random.default_rng([seed, 3])
    k = np.arange(1, BAND + 1)
    inner = series(k, np.ones(BAND), random, 1.0)
    if kind == "tail":
        k = np.arange(BAND + 1, 401)
        outer = series(k, k**-2.0, random, outside)
    else:
        k = random.choice(np.arange(2000, 4001), 10, replace=False)
        outer = series(k, np.ones(10), random, outside)
    at = random.random(TEST_POINTS)
    x = np.random.default_rng([seed, rows]).random(rows)
    y, truth = inner(x) + outer(x), inner(at) + outer(at)
    words = ("--band", str(BAND)) if given else ()
    outcome = tool.learn(
        x[:, None], y, at[:, None], "--kind", "nyquist", "--period", "1", *words
    )
    report = outcome.series
    return {
        "measured": float(np.sqrt(np.mean((outcome.predicted - truth) ** 2))),
        "error": report["error"],
        "noise": report["noise"] or float("nan"),  # none of a smooth fit
        "band": report["band"],
        "ridge": report["ridge"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default="build/ramify")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", default="100,300,1000,10000")
    parser.add_argument("--keep", type=pathlib.Path)
    chosen = parser.parse_args()
    tool, kept = Tool(chosen.tool), Kept(chosen.keep)
    print(
        "| kind | outside | band | rows | bands | measured | error reported | noise reported "
        "| measured / error | worst seed |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    for kind in ("tail", "lines"):
        for outside in OUTSIDE:
            for given in (True, False):
                for rows in map(int, chosen.rows.split(",")):
                    name = f"{kind}-{outside:g}-{'given' if given else 'chosen'}-{rows}"
                    runs = [
                        kept.get(
                            f"{name}-{seed}",
                            lambda kind=kind, outside=outside, rows=rows, seed=seed, given=given: (
                                measure(tool, kind, outside, rows, seed, given)
                            ),
                        )
                        for seed in range(chosen.seeds)
                    ]

                    def mean(key: str, runs: list[dict] = runs) -> float:
                        return float(np.sqrt(np.mean([run[key] ** 2 for run in runs])))

                    ratios = [run["measured"] / run["error"] for run in runs]
                    worst = max(ratios, key=lambda r: abs(np.log(r)))
                    bands = [run["band"] for run in runs]
                    noise = mean("noise")
                    told = "-" if np.isnan(noise) else f"{noise:.2e}"
                    print(
                        f"| {kind} | {outside:g} | {'given' if given else 'chosen'} | {rows:,} "
                        f"| {min(bands)} to {max(bands)} | {mean('measured'):.2e} | {mean('error'):.2e} "
                        f"| {told} | {mean('measured') / mean('error'):.2f} | {worst:.2f} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
