"""Laws of model size and data: small runs predict large ones.

    python3 bench/laws/models.py [--tool build/ramify]

mlfoundations/scaling (Gadre and others 2024, MIT), from ``$RAMIFY_DATA/scaling``: language models of 5.7 M to
6.7 G parameters (without embeddings) trained on up to 138 G tokens of three training sets; the error is the
loss on c4_val. Per training set, first the deviation of (predicted - true) / true when all runs are
fitted, then mean and deviation on the large runs when the small ones are (at most 1/16 of the
largest model and 1/8 of the most tokens), with how many of them lie inside their 90 % intervals, and
the share of 10,000 resamples of the held-out runs in which `auto` has the smaller root mean square
error of logarithms than the form. `last` predicts the loss of the small run with the largest
model times data.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import pathlib
import random
import statistics
import subprocess
import tempfile

DATA = pathlib.Path(os.environ.get("RAMIFY_DATA", "../shared/data"))
FORMS = ("additive", "joint", "auto")
SETS = ("c4_original", "rpj", "rw_original")
RESAMPLES = 10_000

Run = tuple[float, float, float]  # parameters, tokens, loss


def read_runs(name: str) -> list[Run]:
    """Runs of one training set."""
    source = DATA / "scaling/mlfoundations_scaling/models_val_losses.csv"
    with source.open(newline="") as file:
        return [
            (float(row["params_no_embed"]), float(row["tokens"]), float(row["loss"]))
            for row in csv.DictReader(file)
            if row["dataset"] == name and "c4_val" in row["val_data"]
        ]


def call(tool: str, *words: str) -> dict:
    """What the tool prints as JSON."""
    done = subprocess.run(
        [tool, "law", *words, "--json"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def errors_of(tool: str, law: str, runs: list[Run]) -> list[float]:
    """ln predicted - ln true of runs, by a law file."""
    places = [f"m={m!r},n={n!r}" for m, n, _ in runs]
    answers = []
    for begin in range(0, len(places), 16):  # as many as the tool takes at once
        words = [w for at in places[begin : begin + 16] for w in ("--at", at)]
        answers += call(tool, "predict", law, *words)["predictions"]
    return [
        math.log(answer["value"] / loss)
        for answer, (_, _, loss) in zip(answers, runs, strict=True)
    ]


def rms(values: list[float]) -> float:
    return math.sqrt(statistics.fmean(v * v for v in values))


def wins(ours: list[float], theirs: list[float]) -> float:
    """Share of resamples of the runs in which ours has the smaller root mean square."""
    draw = random.Random(0)
    places = range(len(ours))
    count = 0
    for _ in range(RESAMPLES):
        chosen = draw.choices(places, k=len(ours))
        count += rms([ours[i] for i in chosen]) < rms([theirs[i] for i in chosen])
    return count / RESAMPLES


def main() -> None:
    """One line per training set and form."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default="build/ramify")
    tool = parser.parse_args().tool
    print(
        "| training set | form | fit all: deviation | held-out runs | mean | deviation "
        "| inside 90 % | `auto` better |\n|---|---|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name in SETS:
            runs = read_runs(name)
            most_m, most_n = max(r[0] for r in runs), max(r[1] for r in runs)
            small = [r for r in runs if r[0] <= most_m / 16 and r[1] <= most_n / 8]
            large = [r for r in runs if r not in small]
            table = pathlib.Path(folder) / f"{name}.csv"
            with table.open("w", newline="") as to:
                csv.writer(to).writerows([("m", "n", "y"), *runs])
            where = ["--fit-where", f"m<={most_m / 16!r}"]
            where += ["--fit-where", f"n<={most_n / 8!r}"]
            found, errors = {}, {}
            for form in FORMS:
                words = ["fit", str(table), "--form", form, "--loss", "relative"]
                words += ["--x", "m,n", "--y", "y"]
                law = str(pathlib.Path(folder) / f"{form}.json")
                whole = call(tool, *words, "--bootstrap", "0")["groups"][0]["fit"]
                part = call(tool, *words, *where, "-o", law)["groups"][0]["heldout"]
                found[form] = (whole["relative_error_sd"], part)
                errors[form] = errors_of(tool, law, large)
            last = max(small, key=lambda r: r[0] * r[1])[2]
            errors["last"] = [math.log(last / loss) for _, _, loss in large]
            for form in (*FORMS, "last"):
                relative = [math.expm1(e) for e in errors[form]]
                fitted = f"{100 * found[form][0]:.2f} %" if form in found else ""
                inside = (
                    f"{100 * found[form][1]['coverage']:.0f} %" if form in found else ""
                )
                share = (
                    f"{100 * wins(errors['auto'], errors[form]):.0f} %"
                    if form != "auto"
                    else ""
                )
                print(
                    f"| {name} ({len(runs)}) | {form} | {fitted} | {len(large)} "
                    f"| {100 * statistics.fmean(relative):+.2f} % "
                    f"| {100 * statistics.pstdev(relative):.2f} % | {inside} | {share} |"
                )


if __name__ == "__main__":
    main()
