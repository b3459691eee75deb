"""Plans that prune: density and error that were predicted, against those obtained.

    pruned.py [--tool build/ramify] [--sets letter ...] [--seeds 0 1] [--threads 2] --keep FOLDER

An expert of three layers of 96 units does not fit in the resident memory that is allowed, 48 KiB (Fashion-MNIST: 225
KiB, as its 784 columns take 190 KiB alone); so the plan prunes. Beside it: the best dense expert within the
same bound, which is what `train` makes of it. FOLDER keeps results; what is there is not made again.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
from forecasts import carry_out, choose, error_of, percent, run, table_of

SETS = ["letter", "california", "kin40k", "protein", "krkopt", "fashion"]


def measure(name: str, seed: int, chosen: argparse.Namespace) -> dict:
    """One set, planned, trained and pruned; and the dense training."""
    kept = chosen.keep / f"pruned-{name}-{seed}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    table = table_of(name, seed, chosen.keep)
    bound = "225KiB" if name == "fashion" else "48KiB"
    plan, said, sweep, training = carry_out(
        table, seed, chosen, "--resident", bound, "--hidden", "96,96,96"
    )
    model = chosen.keep / "model.ramify"
    words = [chosen.tool, "train", *table.train, *table.ask, "--seed", str(seed)]
    words += ["--resident", bound, *table.test, "--threads", str(chosen.threads)]
    dense, _ = run(*words, "-o", str(model), "--json", refused=True)
    model.unlink(missing_ok=True)
    found = {
        "set": name,
        "seed": seed,
        "bound": bound,
        "density": plan["prune"]["density"],
        "predicted": plan["predicted"],
        "obtained": plan["obtained"],
        "report": error_of(said),
        "dense": error_of(json.loads(dense)["test"]) if dense else None,
        "sweep": sweep,
        "training": training,
    }
    kept.write_text(json.dumps(found))
    return found


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
    chosen = choose(__doc__, SETS, [0, 1])
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
