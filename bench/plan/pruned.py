"""Plans that prune: density and error that were predicted, against those obtained.

    pruned.py [--tool build/ramify] [--sets letter ...] [--seeds 0 1] [--threads 2] --keep FOLDER

An expert of three layers of 96 units does not fit in the resident memory that is allowed, 48 KiB (Fashion-MNIST: 225
KiB, as its 784 columns take 190 KiB alone); so the plan prunes. Beside it: the best dense expert within the
same bound, which is what `train` makes of it. FOLDER keeps results; what is there is not made again.
"""

from __future__ import annotations

import argparse
import json
import pathlib

import numpy as np
from forecasts import run, table_of

SETS = ["letter", "california", "kin40k", "protein", "krkopt", "fashion"]


def measure(name: str, seed: int, chosen: argparse.Namespace) -> dict:
    """One set, planned, trained and pruned; and the dense training."""
    kept = chosen.keep / f"pruned-{name}-{seed}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    table = table_of(name, seed, chosen.keep)
    asked = [*table.ask, "--seed", str(seed)]
    bound = "225KiB" if name == "fashion" else "48KiB"
    path, model = chosen.keep / "pruned-plan.json", chosen.keep / "pruned.ramify"
    common = ["--threads", str(chosen.threads)]
    words = [chosen.tool, "plan", *table.train, *asked, "--resident", bound]
    _, sweep = run(*words, "--hidden", "96,96,96", "-o", str(path), *common)
    words = [chosen.tool, "train", *table.train, *table.test, "--json", *common]
    words += ["-o", str(model)]
    said, training = run(*words, "--plan", str(path))
    dense, _ = run(*words, *asked, "--resident", bound, refused=True)
    plan = json.loads(path.read_text())
    found = {
        "set": name,
        "seed": seed,
        "bound": bound,
        "density": plan["prune"]["density"],
        "predicted": plan["predicted"],
        "obtained": plan["obtained"],
        "report": error_of(json.loads(said)),
        "dense": error_of(json.loads(dense)["test"]) if dense else None,
        "sweep": sweep,
        "training": training,
    }
    kept.write_text(json.dumps(found))
    return found


def error_of(score: dict) -> float:
    """RMSE or the share of wrong classes."""
    return score["rmse"] if "rmse" in score else 1 - score["accuracy"]


def percent(value: float, of: float) -> str:
    """A difference in percent."""
    return f"{100 * (value / of - 1):+.1f}"


def line(one: dict) -> str:
    """A row of the table."""
    said, got = one["predicted"], one["obtained"]
    cells = [
        one["set"],
        str(one["seed"]),
        f"{one['density']:.3f}",
        f"{got['density']:.3f}",
    ]
    cells += [
        f"{said['value']:.4g}",
        f"{got['error']:.4g}",
        percent(said["value"], got["error"]),
    ]
    cells += [percent(said["value"], one["report"])]
    cells += ["yes" if said["low"] <= got["error"] <= said["high"] else "no"]
    cells += [f"{one['dense']:.4g}" if one["dense"] else "does not fit"]
    cells += [f"{100 * one['sweep'] / one['training']:.0f} %", f"{one['training']:.0f}"]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print a table and what it comes to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default="build/ramify")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep", type=pathlib.Path, required=True)
    chosen = parser.parse_args()
    chosen.keep.mkdir(parents=True, exist_ok=True)
    heads = "set | seed | density predicted | obtained | error predicted | obtained | off, %"
    heads += " | off on report rows, % | inside | `train` | cost of runs | training s"
    print(f"| {heads} |\n" + "|---" * 12 + "|")
    found = []
    for seed in chosen.seeds:
        for name in chosen.sets:
            found.append(measure(name, seed, chosen))
            print(line(found[-1]), flush=True)
    for key, of in (
        ("density", lambda one: one["density"] / one["obtained"]["density"]),
        ("error", lambda one: one["predicted"]["value"] / one["obtained"]["error"]),
    ):
        off = [abs(of(one) - 1) for one in found]
        print(
            f"{key}: median {100 * np.median(off):.1f} %, at most {100 * max(off):.1f} %"
        )


if __name__ == "__main__":
    main()
