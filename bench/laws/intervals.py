"""Prediction intervals of laws on 92 learning curves: what they cover, what they cost.

    python3 bench/laws/intervals.py [--tool build/ramify] [--forms auto,m4,...]

The curves of ``curves.py``. Runs up to x_max / H of a curve are fitted, H = 2, 4, 8, the others are
held out. Prints per form and horizon, over the curves that keep four sizes or more: mean over
curves of the root mean square of ln predicted - ln true; mean over curves of the share of
held-out runs inside their 90 % intervals, with the 90 % bootstrap interval over curves (10,000
resamples); mean interval score in ln y; and that of ``last`` with the one width for all curves that
makes its mean score least, chosen with hindsight. `other half` are the tasks on which no rule of
``auto`` was chosen (docs/laws.md).
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import pathlib
import random
import statistics
import subprocess
import tempfile

import curves

CHOSEN_HALF = ("bird", "cal", "date", "ling", "qa", "mult")  # parts of tasks' names
LEVEL = 0.9
RESAMPLES = 10_000

Curve = tuple[str, str, str]


def read_curves(
    *, training_only: bool = False
) -> dict[Curve, list[tuple[float, float]]]:
    """Size and loss of every curve, exact repeats left out, by size; all runs, or those that the
    benchmark fits (Training = 1)."""
    found: dict[Curve, set[tuple[float, float]]] = {}
    for row in curves.read_rows():
        if row["Training"] == "1" or not training_only:
            key = (row["Domain"], row["Task"], row["Model"])
            point = (float(row["Seen Examples"]), float(row["Loss"]))
            found.setdefault(key, set()).add(point)
    return {key: sorted(points) for key, points in found.items()}


def is_chosen(curve: Curve) -> bool:
    """Whether rules were chosen on the curve's task."""
    return any(name in curve[1] for name in CHOSEN_HALF)


def truncated(
    whole: dict[Curve, list[tuple[float, float]]], horizon: float
) -> dict[Curve, list[tuple[float, float, int]]]:
    """Points with a mark of those to fit; curves with fewer than four such sizes left out."""
    made = {}
    for key, points in whole.items():
        # The point nearest to the end of what is fitted stays in, as in the benchmark.
        end = points[-1][0] / horizon * (1 + 1e-9)
        marked = [(x, y, int(x <= end)) for x, y in points]
        if len({x for x, _, fits in marked if fits}) >= 4:
            made[key] = marked
    return made


def run_tool(
    tool: str, form: str, points: dict[Curve, list[tuple[float, float, int]]]
) -> dict[Curve, dict]:
    """Held-out score of every curve, as the tool prints it."""
    with tempfile.TemporaryDirectory() as folder:
        table = pathlib.Path(folder) / "curves.csv"
        with table.open("w", newline="") as to:
            out = csv.writer(to)
            out.writerow(["domain", "task", "model", "examples", "loss", "fits"])
            for key, rows in points.items():
                out.writerows([*key, repr(x), repr(y), fits] for x, y, fits in rows)
        words = [tool, "law", "fit", str(table), "--form", form, "--x", "examples"]
        words += ["--y", "loss", "--by", "domain,task,model", "--categorical", "model"]
        words += ["--fit-where", "fits=1", "--bootstrap", "0", "--level", str(LEVEL)]
        words += ["--threads", "1", "--json"]
        run = subprocess.run(words, capture_output=True, text=True, check=False)
        if run.returncode != 0:
            raise SystemExit(run.stderr)
    scores = {}
    for group in json.loads(run.stdout)["groups"]:
        by = group["by"]
        if "refusal" not in group:
            scores[by["domain"], by["task"], by["model"]] = group["heldout"]
    return scores


def bootstrap(values: list[float]) -> tuple[float, float]:
    """Ends of the 90 % interval of the mean."""
    draw = random.Random(0)
    means = sorted(
        statistics.fmean(draw.choices(values, k=len(values))) for _ in range(RESAMPLES)
    )
    return means[RESAMPLES // 20], means[-RESAMPLES // 20]


def last_score(points: dict[Curve, list[tuple[float, float, int]]]) -> float:
    """Mean interval score of the last fitted loss with the best constant width."""
    offs = []
    for rows in points.values():
        last = math.log([y for _, y, fits in rows if fits][-1])
        offs.append([abs(math.log(y) - last) for _, y, fits in rows if not fits])

    def score(width: float) -> float:
        return statistics.fmean(
            statistics.fmean(
                2 * width + 2 / (1 - LEVEL) * max(0.0, off - width) for off in curve
            )
            for curve in offs
        )

    every = sorted(off for curve in offs for off in curve)
    return min(score(width) for width in every[:: max(1, len(every) // 400)])


def main() -> None:
    """One line per form, horizon and set of curves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default="build/ramify")
    parser.add_argument("--forms", default="auto,damped,m2,m3,m4,bnsl1")
    parser.add_argument("--horizons", default="2,4,8")
    parser.add_argument("--chosen", action="store_true", help="the chosen half, too")
    chosen = parser.parse_args()
    whole = read_curves()
    print(
        "| form | curves | up to | rmse | 90 % intervals hold | interval score "
        "| of `last` |\n|---|---|---|---|---|---|---|"
    )
    halves = [("other half", lambda key: not is_chosen(key)), ("all", lambda _: True)]
    if chosen.chosen:
        halves.insert(0, ("chosen half", is_chosen))
    for form in chosen.forms.split(","):
        for horizon in map(float, chosen.horizons.split(",")):
            points = truncated(whole, horizon)
            scores = run_tool(chosen.tool, form, points)
            for title, belongs in halves:
                mine = [key for key in scores if belongs(key)]
                told = [key for key in mine if "coverage" in scores[key]]
                covered = [100 * scores[key]["coverage"] for key in told]
                low, high = bootstrap(covered)
                cost = statistics.fmean(scores[key]["interval_score"] for key in told)
                print(
                    f"| {form} | {title}, {len(told)} of {len(mine)} | {horizon:g}x "
                    f"| {statistics.fmean(scores[k]['rmse_log'] for k in mine):.4f} "
                    f"| {statistics.fmean(covered):.0f} % ({low:.0f} to {high:.0f}) "
                    f"| {cost:.4f} | {last_score({k: points[k] for k in told}):.4f} |"
                )


if __name__ == "__main__":
    main()
