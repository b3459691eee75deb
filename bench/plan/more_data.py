"""How much more data brings: from an eighth of the training rows, the error with all of them.

    more_data.py [--tool build/ramify] [--sets power-plant ...] [--seeds 0 1 2] --keep FOLDER

FOLDER is that of forecasts.py, whose obtained errors are what is foretold here. `ramify plan` sees an eighth of the
rows and is asked for eight times as many; beside it stand laws of its long runs, by form, and the error of
the largest of them. The way of training need not be the same: what is foretold is how good a model of
all rows will be.
"""

from __future__ import annotations

import argparse
import json
import math

import numpy as np
from forecasts import SETS, by_law, choose, datasets, largest_run, measure, run

FORMS = ["damped", "auto", "m2", "m4"]


def ask(name: str, seed: int, chosen: argparse.Namespace) -> dict[str, float] | None:
    """Errors foretold over the one obtained, minus 1, by way; None where the plan is refused."""
    obtained = measure(name, seed, chosen)["obtained"]["error"]
    lines = (chosen.keep / f"{name}-{seed}.train.csv").read_text().splitlines()
    order = np.random.default_rng(seed).permutation(len(lines) - 1)
    part, path = chosen.keep / "part.csv", chosen.keep / "part.json"
    picked = [lines[1 + i] for i in order[: len(order) // 8]]
    part.write_text("\n".join([lines[0], *picked]) + "\n")
    words = [chosen.tool, "plan", str(part), "--target", "target", "--seed", str(seed)]
    words += ["--task", datasets.SETS[name].task, "--threads", str(chosen.threads)]
    if run(*words, "-o", str(path), refused=True)[0] is None:
        return None
    plan = json.loads(path.read_text())
    ahead = plan["ahead"][3]
    found = {
        "plan": ahead["value"] / obtained - 1,
        "largest run": largest_run(plan)["error"] / obtained - 1,
        "inside": float(ahead["low"] <= obtained <= ahead["high"]),
    }
    for form in FORMS:
        value = by_law(chosen.tool, plan, chosen.keep, form, ahead["rows"])
        found[form] = value / obtained - 1
    return found


def main() -> None:
    """Print a table and medians."""
    chosen = choose(__doc__, SETS, [0, 1, 2])
    ways = ["plan", *FORMS, "largest run"]
    print(f"| set | seed | {' | '.join(ways)} |\n" + "|---" * (len(ways) + 2) + "|")
    all_found = []
    for name in chosen.sets:
        for seed in chosen.seeds:
            found = ask(name, seed, chosen)
            if found is None:
                print(f"| {name} | {seed} | refused" + " |" * len(ways), flush=True)
                continue
            all_found.append(found)
            cells = [f"{100 * found[way]:+.1f} %" for way in ways]
            print(f"| {name} | {seed} | {' | '.join(cells)} |", flush=True)
    for way in ways:
        off = [abs(f[way]) for f in all_found if not math.isnan(f[way])]
        print(
            f"{way}: median {100 * np.median(off):.1f} %, 90 % of {len(off)} within "
            f"{100 * np.quantile(off, 0.9):.1f} %"
        )
    print(
        f"inside the interval: {100 * np.mean([f['inside'] for f in all_found]):.0f} %"
    )


if __name__ == "__main__":
    main()
