"""Tables of the accuracy benchmark from ramify.csv and peers.csv, as Markdown.

    python3 bench/accuracy/report.py [--controls 32KiB] [--peers 128KiB]

Errors are means over the seeds that all models of a table have. Ratios are geometric
means over sets with a bootstrap interval over sets (10,000 resamples, seed 0). The best
control of a set is the one with the least error on its test rows: a favour to the
controls.
"""

from __future__ import annotations

import argparse
import pathlib

import numpy as np
import pandas as pd

HERE = pathlib.Path(__file__).resolve().parent
CONTROLS = ["one expert", "equal total", "random partition"]
TREES = ["lightgbm", "xgboost"]


def interval(logs: np.ndarray, level: float = 0.9) -> tuple[float, float, float]:
    """Geometric mean and its bootstrap interval."""
    random = np.random.default_rng(0)
    means = logs[random.integers(0, len(logs), (10_000, len(logs)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(np.exp(logs.mean())), float(np.exp(low)), float(np.exp(high))


def means(table: pd.DataFrame, value: str) -> pd.DataFrame:
    """Set x model, mean over seeds."""
    return table.pivot_table(index="set", columns="model", values=value)


def shared_seeds(table: pd.DataFrame, models: list[str]) -> pd.DataFrame:
    """Rows of the sets and seeds for which all these models are there."""
    table = table[table["model"].isin(models)]
    count = table.groupby(["set", "seed"])["model"].transform("nunique")
    return table[count == len(models)]


def seeds_text(table: pd.DataFrame) -> str:
    """How many seeds the means are over."""
    counts = table.groupby("set")["seed"].nunique()
    low, high = counts.min(), counts.max()
    if low == high:
        return "1 seed" if low == 1 else f"{low} seeds"
    return f"{low} to {high} seeds"


def print_rows(header: list[str], rows: list[list[str]]) -> None:
    """Print a Markdown table."""
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def report_controls(ours: pd.DataFrame, resident: str) -> None:
    """The tree beside its controls."""
    table = ours[ours["resident"] == resident]
    table = shared_seeds(table, ["pathways", *CONTROLS])
    error, held = means(table, "error"), means(table, "resident_bytes")
    leaves = means(table, "modules")["pathways"]
    seconds = means(table, "seconds")
    best = error[CONTROLS].min(axis=1)
    ratio = error["pathways"] / best
    share = held["pathways"] / held["equal total"]
    print(f"\n### The tree beside its controls, --resident {resident}\n")
    print(f"Means over {seeds_text(table)}.\n")
    rows = [
        [
            name,
            *(f"{error.loc[name, model]:.4g}" for model in ["pathways", *CONTROLS]),
            f"{ratio[name]:.3f}",
            f"{leaves[name]:.1f}",
            f"{held.loc[name, 'pathways'] / 1024:.1f} KiB",
            f"1/{1 / share[name]:.1f}" if leaves[name] > 1 else "the same",
            f"{seconds.loc[name, 'pathways']:.0f}",
        ]
        for name in error.index
    ]
    print_rows(
        [
            "set",
            "tree",
            *CONTROLS,
            "tree / best control",
            "experts",
            "resident bytes",
            "of equal total's",
            "seconds",
        ],
        rows,
    )
    mean, low, high = interval(np.log(ratio.to_numpy()))
    print(
        f"\nGeometric mean of tree / best control over {len(ratio)} sets: "
        f"**{mean:.3f}**, 90 % interval {low:.3f} to {high:.3f}."
    )
    several = leaves[leaves > 1].index
    if len(several) > 1:
        mean, low, high = interval(np.log(ratio[several].to_numpy()))
        print(
            f"Over the {len(several)} sets where splits stood: {mean:.3f} "
            f"({low:.3f} to {high:.3f}); elsewhere the model is one expert, and "
            "equal total is that same expert."
        )
    for control in CONTROLS:
        mean, low, high = interval(
            np.log((error["pathways"] / error[control]).to_numpy())
        )
        print(f"Against {control}: {mean:.3f} ({low:.3f} to {high:.3f}).")


def report_peers(ours: pd.DataFrame, peers: pd.DataFrame, resident: str) -> None:
    """The tree beside boosted trees and scikit-learn's MLP."""
    table = ours[(ours["resident"] == resident) & (ours["model"] == "pathways")]
    columns = ["pathways", *TREES, "sklearn-mlp"]
    both = shared_seeds(pd.concat([table, peers]), columns)
    error, held = means(both, "error"), means(both, "resident_bytes")["pathways"]
    seconds = means(both, "seconds")["pathways"]
    spread = both.groupby(["set", "model"])["error"].std().unstack()
    best = error[TREES].min(axis=1)
    ratio = error["pathways"] / best
    print(f"\n### Beside boosted trees and scikit-learn's MLP, --resident {resident}\n")
    print(f"Means over {seeds_text(both)}, ± the deviation between them.\n")
    rows = [
        [
            name,
            *(f"{error.loc[name, m]:.4g} ± {spread.loc[name, m]:.2g}" for m in columns),
            f"{ratio[name]:.3f}",
            "boosted trees" if ratio[name] > 1 else "pathways",
            f"{held[name] / 1024:.0f} KiB",
            f"{seconds[name]:.0f}",
        ]
        for name in error.index
    ]
    print_rows(
        [
            "set",
            *columns,
            "ratio to best boosted trees",
            "better",
            "resident",
            "seconds",
        ],
        rows,
    )
    mean, low, high = interval(np.log(ratio.to_numpy()))
    print(
        f"\nGeometric mean of the ratio to the best boosted trees over {len(ratio)} "
        f"sets: **{mean:.3f}**, 90 % interval {low:.3f} to {high:.3f}; "
        f"{int((ratio < 1).sum())} sets won, {int((ratio >= 1).sum())} lost."
    )


def main() -> None:
    """Print the tables that there are rows for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--controls", default="32KiB")
    parser.add_argument("--peers", default="128KiB")
    chosen = parser.parse_args()
    ours = pd.read_csv(HERE / "ramify.csv")
    if (ours["model"] == CONTROLS[2]).any():
        report_controls(ours, chosen.controls)
    path = HERE / "peers.csv"
    if path.exists() and (ours["resident"] == chosen.peers).any():
        peers = pd.read_csv(path)
        peers["error"] = pd.to_numeric(peers["error"], errors="coerce")
        report_peers(ours, peers.dropna(subset=["error"]), chosen.peers)


if __name__ == "__main__":
    main()
