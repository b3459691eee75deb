"""Plans from runs of language models: is the frontier's choice a good one, and the next run?

    python3 bench/plan/runs.py [--tool build/ramify]

mlfoundations/scaling (Gadre and others 2024, MIT), from ``$RAMIFY_DATA/scaling``: language models of 5.7 M to
6.7 G parameters (without embeddings) trained on up to 138 G tokens of three training sets; the error is the loss
on c4_val, the cost 6 x parameters x tokens.

First table: runs are put into bins of half a decade of cost, and bins with four configurations or more are taken.
`ramify plan --runs` is given runs outside of the bin, and the largest cost of the bin as budget. Its choice (frontier) is the
configuration with the model of the bin that is nearest to the one it names, and the most data that the bin has of that
model. Regret is how much higher the choice's loss is than the least of the bin. Beside it the regret of three other
readings of what to choose: the configuration nearest to both sizes that it names, in logarithms (both sizes); the one whose
loss its law says is least (law); by 20 tokens per parameter (Hoffmann and others 2022), which was learned from other runs,
the model being chosen as for the frontier (20:1). And of chance (the mean over the bin's configurations), and of the
configuration with the most compute. "lower":
the law has seen runs of less compute than the bin alone. "others": it has seen all runs outside of the bin, those of
more compute too, as no one who plans has. `error`: the frontier's error at the cost of the bin's best configuration
against that one's loss, and whether its 90 % interval holds it.

Second table: the same for bins that begin at every tenth of a decade, which overlap.

Third table: with the runs up to some cost, ten times that cost is planned for. Of the runs that were made beyond it for
less than that, the one nearest to the next run that was proposed is added, and the same is planned again: by how much
the interval narrows, against what was expected, and against the mean over all runs that could have been added.
Narrowing per cost is in units of the cost of the run that is planned.

Fourth table: with the runs up to some cost, the frontier's error and its 90 % interval at the cost of later records (runs
with a loss below that of all cheaper ones, which lie near the best for their cost) up to ten times as dear, against their
losses. Chinchilla is the table of kyo-takano/chinchilla (Apache 2.0), of 234 runs; of it every sixth run ends a set of
known ones.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import pathlib
import statistics
import subprocess
import tempfile

DATA = pathlib.Path(os.environ.get("RAMIFY_DATA", "../shared/data"))
SETS = ("c4_original", "rpj", "rw_original")
LEAST = 4  # configurations in a bin
WIDTH = 0.5  # of a bin, in decades
OFFSETS = 5  # places at which overlapping bins begin within that
FEWEST = 13  # runs that a next one is asked for
RATIO = 20  # tokens per parameter, Hoffmann and others 2022

Run = tuple[float, float, float]  # parameters, tokens, loss


def cost(run: Run) -> float:
    return 6 * run[0] * run[1]


def read_runs(name: str) -> list[Run]:
    """Runs of one training set, the cheapest first."""
    source = DATA / "scaling/mlfoundations_scaling/models_val_losses.csv"
    with source.open(newline="") as file:
        runs = [
            (float(row["params_no_embed"]), float(row["tokens"]), float(row["loss"]))
            for row in csv.DictReader(file)
            if row["dataset"] == name and "c4_val" in row["val_data"]
        ]
    return sorted(runs, key=cost)


class Tool:
    """The tool, with a folder for tables."""

    def __init__(self, path: str, folder: str) -> None:
        self.path = path
        self.folder = pathlib.Path(folder)

    def call(self, *words: str) -> dict | str:
        """What it prints as JSON, or the sentence with which it refuses."""
        done = subprocess.run(
            [self.path, *words, "--json"], capture_output=True, text=True, check=False
        )
        return json.loads(done.stdout) if done.returncode == 0 else done.stderr.strip()

    def table(self, runs: list[Run]) -> str:
        path = self.folder / "runs.csv"
        with path.open("w", newline="") as to:
            rows = [(m, n, 6 * m * n, y) for m, n, y in runs]
            csv.writer(to).writerows([("m", "n", "c", "y"), *rows])
        return str(path)

    def plan(self, runs: list[Run], budget: float) -> dict | str:
        words = ["plan", "--runs", self.table(runs), "--x", "m,n", "--y", "y"]
        return self.call(*words, "--cost", "c", "--budget", repr(budget))

    def least(self, runs: list[Run], choices: list[Run]) -> Run:
        """The choice whose loss the law of the runs says is least."""
        law = str(self.folder / "law.json")
        words = ["--x", "m,n", "--y", "y", "--bootstrap", "0", "-o", law]
        self.call("law", "fit", self.table(runs), "--form", "auto", *words)
        at = [w for m, n, _ in choices for w in ("--at", f"m={m!r},n={n!r}")]
        answers = self.call("law", "predict", law, *at)["predictions"]
        return min(zip(answers, choices, strict=True), key=lambda p: p[0]["value"])[1]


def with_model(choices: list[Run], m: float) -> Run:
    """The model nearest to m, with the most data."""
    return min(choices, key=lambda run: (abs(math.log(run[0] / m)), -run[1]))


def nearest(choices: list[Run], m: float, n: float) -> Run:
    def far(run: Run) -> float:
        return math.hypot(math.log(run[0] / m), math.log(run[1] / n))

    return min(choices, key=far)


def bins_of(runs: list[Run], offset: float) -> list[list[Run]]:
    """Those with enough configurations, the cheapest first."""
    found: dict[int, list[Run]] = {}
    for run in runs:
        place = math.floor((math.log10(cost(run)) - offset) / WIDTH)
        found.setdefault(place, []).append(run)
    return [found[k] for k in sorted(found) if len(found[k]) >= LEAST]


class Outcome:
    """What came of one bin."""

    def __init__(self, tool: Tool, fitted: list[Run], held: list[Run]) -> None:
        best = min(held, key=lambda r: r[2])
        dearest = max(held, key=cost)
        self.refusal = None
        self.runs = len(fitted)
        m = math.sqrt(cost(dearest) / 6 / RATIO)
        self.regret = {
            "chance": statistics.fmean(r[2] for r in held) / best[2] - 1,
            "most compute": dearest[2] / best[2] - 1,
            "20:1": with_model(held, m)[2] / best[2] - 1,
        }
        plan = tool.plan(fitted, cost(dearest))
        if isinstance(plan, str):
            self.refusal = plan
            return
        at = plan["answer"]["at"]
        choice = with_model(held, at["m"]["value"])
        self.regret["frontier"] = choice[2] / best[2] - 1
        choice = nearest(held, at["m"]["value"], at["n"]["value"])
        self.regret["both sizes"] = choice[2] / best[2] - 1
        self.regret["law"] = tool.least(fitted, held)[2] / best[2] - 1
        error = tool.plan(fitted, cost(best))["answer"]["error"]
        self.off = error["value"] / best[2] - 1
        self.inside = error["low"] <= best[2] <= error["high"]


COLUMNS = ("frontier", "chance", "both sizes", "law", "20:1", "most compute")


def percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def print_bins(tool: Tool) -> None:
    print(
        "| training set | cost | configurations | law of | runs | "
        + " | ".join(COLUMNS)
        + " | error | inside 90 % |\n|"
        + "---|" * (7 + len(COLUMNS))
    )
    for name in SETS:
        runs = read_runs(name)
        for held in bins_of(runs, 0):
            others = [r for r in runs if r not in held]
            lower = [r for r in others if cost(r) < min(map(cost, held))]
            for kind, fitted in (("lower", lower), ("others", others)):
                out = Outcome(tool, fitted, held)
                span = f"{min(map(cost, held)):.2g} to {max(map(cost, held)):.2g}"
                row = f"| {name} | {span} | {len(held)} | {kind} | {len(fitted)} | "
                row += " | ".join(
                    percent(out.regret[c]) if c in out.regret else "refused"
                    for c in COLUMNS
                )
                tail = (
                    f"{100 * out.off:+.1f} % | {'yes' if out.inside else 'no'}"
                    if not out.refusal
                    else " | "
                )
                print(f"{row} | {tail} |")


def print_sliding(tool: Tool) -> None:
    print(
        "\n| training set | law of | bins | refused | "
        + " | ".join(f"{c}, mean" for c in COLUMNS)
        + " | frontier at most | inside 90 % |\n|"
        + "---|" * (6 + len(COLUMNS))
    )
    for name in SETS:
        runs = read_runs(name)
        bins = [b for k in range(OFFSETS) for b in bins_of(runs, k * WIDTH / OFFSETS)]
        for kind in ("lower", "others"):
            outs = []
            for held in bins:
                fitted = [
                    r
                    for r in runs
                    if r not in held
                    and (kind == "others" or cost(r) < min(map(cost, held)))
                ]
                outs.append(Outcome(tool, fitted, held))
            told = [o for o in outs if not o.refusal]
            means = " | ".join(
                percent(statistics.fmean(o.regret[c] for o in told)) for c in COLUMNS
            )
            most = percent(max(o.regret["frontier"] for o in told))
            inside = 100 * statistics.fmean(o.inside for o in told)
            print(
                f"| {name} | {kind} | {len(outs)} | {len(outs) - len(told)} | {means} "
                f"| {most} | {inside:.0f} % |"
            )


def narrowings(tool: Tool, runs: list[Run]) -> list[dict[str, float]]:
    """Per set of first runs: what was expected of the next one, and what came of it and of others."""
    found = []
    for count in range(FEWEST, len(runs) - 1):
        known = runs[:count]
        budget = 10 * cost(known[-1])
        later = [r for r in runs[count:] if cost(r) < budget]
        plan = tool.plan(known, budget)
        if isinstance(plan, str) or not plan["next"] or len(later) < 2:
            continue

        def realised(run: Run, known=known, budget=budget, plan=plan) -> float:
            again = tool.plan([*known, run], budget)
            return 1 - again["answer"]["width"] / plan["answer"]["width"]

        at = plan["next"]["at"]
        made = nearest(later, at["m"], at["n"])
        gains = {run: realised(run) for run in later}
        found.append(
            {
                "expected": plan["next"]["narrowing"],
                "made": gains[made],
                "made per cost": gains[made] * budget / cost(made),
                "mean": statistics.fmean(gains.values()),
                "mean per cost": statistics.fmean(
                    gain * budget / cost(run) for run, gain in gains.items()
                ),
                "cost": cost(made) / budget,
                "mean cost": statistics.fmean(cost(r) / budget for r in later),
            }
        )
    return found


def read_chinchilla() -> list[Run]:
    source = DATA / "scaling/chinchilla/kyo_takano_llm_df.csv"
    with source.open(newline="") as file:
        rows = list(csv.DictReader(file))
    runs = [(float(r["N"]), float(r["D"]), float(r["loss"])) for r in rows]
    return sorted(runs, key=cost)


def print_records(tool: Tool) -> None:
    print(
        "\n| runs | sets | refused | records foretold | off, mean | off, deviation | half width, mean "
        "| inside 90 % |\n|" + "---|" * 8
    )
    tables = [(name, read_runs(name), 1) for name in SETS]
    for name, runs, step in [*tables, ("chinchilla", read_chinchilla(), 6)]:
        off, widths, inside, sets, refused = [], [], [], 0, 0
        for count in range(FEWEST, len(runs), step):
            known = runs[:count]
            sets += 1
            best = min(r[2] for r in known)
            for run in runs[count:]:
                if run[2] >= best or cost(run) > 10 * cost(known[-1]):
                    continue
                best = run[2]
                plan = tool.plan(known, cost(run))
                if isinstance(plan, str):
                    refused += 1
                    break
                error = plan["answer"]["error"]
                off.append(error["value"] / run[2] - 1)
                widths.append(plan["answer"]["width"])
                inside.append(error["low"] <= run[2] <= error["high"])
        print(
            f"| {name} | {sets} | {refused} | {len(off)} | {100 * statistics.fmean(off):+.1f} % "
            f"| {100 * statistics.pstdev(off):.1f} % | {100 * statistics.fmean(widths):.1f} % "
            f"| {100 * statistics.fmean(inside):.0f} % |"
        )


def print_next(tool: Tool) -> None:
    print(
        "\n| training set | plans | expected | narrowed by it | its cost | per cost "
        "| narrowed by any, mean | their cost | per cost |\n|" + "---|" * 9
    )
    for name in SETS:
        found = narrowings(tool, read_runs(name))
        means = {key: statistics.fmean(f[key] for f in found) for key in found[0]}
        print(
            f"| {name} | {len(found)} | {100 * means['expected']:.0f} % "
            f"| {100 * means['made']:.0f} % | {100 * means['cost']:.0f} % "
            f"| {means['made per cost']:.2f} | {100 * means['mean']:.0f} % "
            f"| {100 * means['mean cost']:.0f} % | {means['mean per cost']:.2f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default="build/ramify")
    with tempfile.TemporaryDirectory() as folder:
        tool = Tool(parser.parse_args().tool, folder)
        print_bins(tool)
        print_sliding(tool)
        print_next(tool)
        print_records(tool)


if __name__ == "__main__":
    main()
