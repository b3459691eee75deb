"""What a plan's choice loses against an exhaustive grid, and against searches that cost as much.

    regret.py [--tool build/ramify] [--sets kin8nm ...] [--seeds 0] [--threads 2] --keep FOLDER

The grid: 48 trainings under the bound on resident memory that is the default, of one expert or a tree, taught or
not, by a fourth of the usual passes or all, three widths, inputs with and without periodic features.
Each is trained and scored on the same validation rows (the half of them on which nothing else is chosen) and on
test rows. The best on validation rows is the grid's; regret is by how much more a way's test error is. Beside
the plan: random search, the expectation over the order in which the grid's trainings are drawn, until it has cost as
much as plan and training, twice, and four times; and scikit-learn's successive halving over the
grid's ways with passes as its resource, driving the same trainer, at what it costs. FOLDER keeps results; what is
there is not made again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import warnings

import numpy as np
from forecasts import carry_out, choose, error_of, percent, run, table_of
from sklearn.base import BaseEstimator
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingRandomSearchCV

SETS = ["power-plant", "kin8nm", "grid-class", "grid", "satimage", "magic", "letter"]
STAGES = {
    "one expert": ["--leaves", "1", "--distillation", "off"],
    "taught": ["--leaves", "1", "--distillation", "on"],
    "untaught tree": ["--distillation", "off"],
    "tree": ["--distillation", "on"],
}
WIDTHS = ["96,96,96", "64,64,64", "32,32,32"]
LENGTHS = [0.25, 1.0]
PERIODIC = ["off", "on"]
DRAWS = 4000
"""Orders in which random search may draw the grid."""


def usual_epochs(rows: int) -> int:
    """Passes of a root by the recipe (docs/recipe.md)."""
    steps = math.ceil(rows / 64)
    return round(min(max(60 * steps, 15000), 90000) / steps)


class Trainer(BaseEstimator):
    """`ramify train` as scikit-learn's searches want it; a run that was made is not made again."""

    def __init__(self, table=None, stage="tree", width="", periodic="off", epochs=0):
        """Take options; table: (its words, name, seed, what the command line chose)."""
        self.table = table
        self.stage = stage
        self.width = width
        self.periodic = periodic
        self.epochs = epochs

    def fit(self, x=None, y=None):  # noqa: ARG002
        """Train on all rows of the table: x and y only satisfy the interface."""
        table, name, seed, chosen = self.table
        key = f"{name}-{seed}-{self.stage}-{self.width}-{self.periodic}-{self.epochs}"
        kept = chosen.keep / "grid" / (key.replace(" ", "_") + ".json")
        if not kept.exists():
            kept.parent.mkdir(exist_ok=True)
            model = chosen.keep / "grid.ramify"
            words = [chosen.tool, "train", *table.train, *table.ask, *table.test]
            words += ["--json", "--seed", str(seed), "--threads", str(chosen.threads)]
            words += ["--members", "2", "--bins", "on", "--periodic", self.periodic]
            words += ["--epochs", str(self.epochs), "--hidden", self.width]
            printed, cost = run(
                *words, *STAGES[self.stage], "-o", str(model), refused=True
            )
            found = {"cost": cost, "report": math.inf, "test": math.inf}
            if printed is not None:  # else it does not fit in the bound
                said = json.loads(printed)
                found["report"], found["test"] = error_of(said), error_of(said["test"])
                model.unlink()
            kept.write_text(json.dumps(found))
        self.found_ = json.loads(kept.read_text())
        return self

    def score(self, x=None, y=None):  # noqa: ARG002
        """Minus the error on the validation rows."""
        return -self.found_["report"]


class Log(Trainer):
    """A trainer that notes what its runs cost."""

    made: list[dict] = []  # noqa: RUF012

    def fit(self, x=None, y=None):
        """Train, and note."""
        super().fit(x, y)
        Log.made.append(self.found_)
        return self


def exhaustive(table: tuple, rows: int) -> list[dict]:
    """The grid's runs."""
    found = []
    for stage, width, length, periodic in itertools.product(
        STAGES, WIDTHS, LENGTHS, PERIODIC
    ):
        epochs = round(length * usual_epochs(rows))
        one = Trainer(table, stage, width, periodic, epochs).fit().found_
        found.append(
            {**one, "way": f"{stage}, {width}, {length:g}, periodic {periodic}"}
        )
    return found


def halving(table: tuple, rows: int, candidates: int) -> dict:
    """scikit-learn's successive halving, each round of a third of the ways with thrice the passes."""
    epochs = usual_epochs(rows)
    Log.made = []
    search = HalvingRandomSearchCV(
        Log(table),
        {"stage": list(STAGES), "width": WIDTHS, "periodic": PERIODIC},
        n_candidates=candidates,
        factor=3,
        resource="epochs",
        max_resources=epochs,
        min_resources=max(1, epochs // candidates),
        cv=[(np.arange(2), np.arange(2))],
        refit=False,
        random_state=table[2],
        error_score="raise",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(np.zeros((2, 1)), np.zeros(2))
    best = Log(table, **search.best_params_).fit().found_
    return {"test": best["test"], "cost": sum(one["cost"] for one in Log.made[:-1])}


def random_search(grid: list[dict], budget: float) -> float:
    """Mean test error of the best on validation rows; the run during which the budget ends counts still."""
    random = np.random.default_rng(0)
    errors = []
    for _ in range(DRAWS):
        spent, best = 0.0, None
        for i in random.permutation(len(grid)):
            if spent >= budget and best and math.isfinite(best["report"]):
                break
            spent += grid[i]["cost"]
            if best is None or grid[i]["report"] < best["report"]:
                best = grid[i]
        errors.append(best["test"])
    return float(np.mean(errors))


def by_plan(table: tuple) -> dict:
    """What the plan chose, its test error, and seconds of processors of both."""
    words, name, seed, chosen = table
    kept = chosen.keep / "grid" / f"{name}-{seed}-plan.json"
    if kept.exists():
        return json.loads(kept.read_text())
    kept.parent.mkdir(exist_ok=True)
    made = carry_out(words, seed, chosen)
    plan, sweep, training = made.plan, made.sweep, made.training
    found = {
        "choice": plan["stage"],
        "rows": plan["rows"]["train"],
        "test": plan["obtained"]["error"],
        "cost": sweep + training,
        "sweep": sweep,
    }
    kept.write_text(json.dumps(found))
    return found


def measure(name: str, seed: int, chosen: argparse.Namespace) -> dict:
    """All ways on one set."""
    table = (table_of(name, seed, chosen.keep), name, seed, chosen)
    plan = by_plan(table)
    grid = exhaustive(table, plan["rows"])
    best = min(grid, key=lambda one: one["report"])
    cost = sum(one["cost"] for one in grid)
    found = {
        "set": name,
        "seed": seed,
        "grid": best["test"],
        "way": best["way"],
        "least": min(one["test"] for one in grid),
        "grid cost": cost,
        "plan": plan,
        "random": [random_search(grid, times * plan["cost"]) for times in (1, 2, 4)],
        "halving": [halving(table, plan["rows"], n) for n in (9, 27)],
    }
    (chosen.keep / f"regret-{name}-{seed}.json").write_text(json.dumps(found))
    return found


def line(one: dict) -> str:
    """A row of the table."""
    best, plan = one["grid"], one["plan"]
    cells = [one["set"], str(one["seed"]), f"{best:.4g}", one["way"]]
    cells += [
        percent(one["least"], best),
        f"{plan['choice']} {percent(plan['test'], best)}",
    ]
    cells += [f"{100 * plan['cost'] / one['grid cost']:.0f}"]
    cells += [", ".join(percent(value, best) for value in one["random"])]
    for way in one["halving"]:
        cells += [f"{percent(way['test'], best)} at {way['cost'] / plan['cost']:.1f}"]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print a table and its means."""
    chosen = choose(__doc__, SETS, [0])
    heads = "set | seed | grid's best | way | least test error | plan | cost of the grid's, %"
    heads += " | random at 1, 2, 4 | halving of 9 | halving of 27"
    print(f"| {heads} |\n" + "|---" * 10 + "|")
    found = []
    for seed in chosen.seeds:
        for name in chosen.sets:
            found.append(measure(name, seed, chosen))
            print(line(found[-1]), flush=True)
    ways = {
        "plan": lambda one: one["plan"]["test"],
        "random, as much": lambda one: one["random"][0],
        "random, twice": lambda one: one["random"][1],
        "random, four times": lambda one: one["random"][2],
        "halving of 9": lambda one: one["halving"][0]["test"],
        "halving of 27": lambda one: one["halving"][1]["test"],
    }
    for way, test in ways.items():
        off = [test(one) / one["grid"] - 1 for one in found]
        print(
            f"{way}: mean {100 * np.mean(off):+.1f} %, median {100 * np.median(off):+.1f} %, "
            f"at most {100 * max(off):+.1f} %"
        )


if __name__ == "__main__":
    main()
