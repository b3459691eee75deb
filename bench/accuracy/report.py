"""Tables of the accuracy benchmark from ramify.csv and peers.csv, as Markdown.

    python3 bench/accuracy/report.py [--controls 32KiB] [--peers 128KiB]

Errors are means over seeds. Ratios are geometric means over sets with a bootstrap
interval over sets (10,000 resamples, seed 0).
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


def print_rows(header: list[str], rows: list[list[str]]) -> None:
    """Print a Markdown table."""
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def report_controls(ours: pd.DataFrame, resident: str) -> None:
    """The tree beside its controls."""
    table = ours[ours["resident"] == resident]
    table = table[
        table["seed"].isin(table.loc[table["model"] == CONTROLS[2], "seed"].unique())
    ]
    error, held = means(table, "error"), means(table, "resident_bytes")
    leaves = means(table, "modules")["pathways"]
    error = error.dropna()
    best = error[CONTROLS].min(axis=1)
    ratio = error["pathways"] / best
    share = held["pathways"] / held["equal total"]
    print(f"\n### The tree beside its controls, --resident {resident}\n")
    rows = [
        [
            name,
            *(f"{error.loc[name, model]:.4g}" for model in ["pathways", *CONTROLS]),
            f"{ratio[name]:.3f}",
            f"{leaves[name]:.1f}",
            f"1/{1 / share[name]:.1f}",
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
            "resident bytes against equal total",
        ],
        rows,
    )
    mean, low, high = interval(np.log(ratio.to_numpy()))
    print(
        f"\nGeometric mean of tree / best control over {len(ratio)} sets: "
        f"**{mean:.3f}**, 90 % interval {low:.3f} to {high:.3f}."
    )
    for control in CONTROLS:
        mean, low, high = interval(
            np.log((error["pathways"] / error[control]).to_numpy())
        )
        print(f"Against {control}: {mean:.3f} ({low:.3f} to {high:.3f}).")


def report_peers(ours: pd.DataFrame, peers: pd.DataFrame, resident: str) -> None:
    """The tree beside boosted trees and scikit-learn's MLP."""
    table = ours[(ours["resident"] == resident) & (ours["model"] == "pathways")]
    error = means(pd.concat([table, peers]), "error").dropna()
    spread = pd.concat([table, peers]).pivot_table(
        index="set", columns="model", values="error", aggfunc="std"
    )
    held = means(table, "resident_bytes")["pathways"]
    best = error[TREES].min(axis=1)
    ratio = error["pathways"] / best
    print(f"\n### Beside boosted trees and scikit-learn's MLP, --resident {resident}\n")
    columns = ["pathways", *TREES, "sklearn-mlp"]
    rows = [
        [
            name,
            *(f"{error.loc[name, m]:.4g} ± {spread.loc[name, m]:.2g}" for m in columns),
            f"{ratio[name]:.3f}",
            "boosted trees" if ratio[name] > 1 else "pathways",
            f"{held[name] / 1024:.0f} KiB",
        ]
        for name in error.index
    ]
    print_rows(
        ["set", *columns, "ratio to best boosted trees", "better", "resident"], rows
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
