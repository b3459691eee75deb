"""Error against active weights: trees of experts and single networks on Lipschitz functions.

    python3 bench/theory/lipschitz.py [--tool build/ramify] [--seed S ...] [--csv FILE]
                                      [--print-only]

The function is the lower envelope of 64 cones, f(x) = min_i (v_i + |x - p_i|), with p_i and
v_i drawn at random: McShane's extension of random values. Its Lipschitz constant is 1 on the
unit cube, so errors are in the units of ``ramify info --theory``. 196,000 rows train, 2,000
select, 2,000 report, 20,000 test; there is no noise. A seed draws another function, other rows
and other initial weights.

Trees are dyadic, without the parts of the recipe that are not in the theory (no bins, no
periodic inputs, no teachers, no members, no tests of splits). Everything is trained twice, with
the recipe's weight decay and with none, and the one with the better report rows is kept: test
rows choose nothing. Every run is one row of ``bench/theory/lipschitz.csv``; rows that are there
are not run again.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import pathlib
import statistics
import subprocess
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
CONES = 64
TRAIN, TEST = 200_000, 20_000
DIMENSIONS = (2, 4, 8)
DECAYS = ("recipe", "0")
SAME_TOTAL = 70_000
FIELDS = [
    *("dimension", "seed", "table", "model", "leaves", "width", "epochs", "decay"),
    *("experts", "active", "total", "report_rmse", "rmse", "largest"),
]
PLAIN = [
    *("--bins", "off", "--periodic", "off", "--gradient-routing", "off"),
    *("--distillation", "off", "--members", "1", "--split-test", "off"),
    *("--resident", "none", "--validation", "0.02", "--tree", "dyadic", "--json"),
]


def make_rows(dimension: int, seed: int) -> np.ndarray:
    """Uniform points of the cube and the function's values: (TRAIN + TEST) x (dimension + 1)."""
    source = np.random.default_rng([seed, dimension])
    centres = source.uniform(0, 1, (CONES, dimension))
    values = source.uniform(0, 0.1, CONES)
    x = source.uniform(0, 1, (TRAIN + TEST, dimension))
    y = np.full(len(x), np.inf)
    for centre, value in zip(centres, values, strict=True):
        y = np.minimum(y, value + np.sqrt(((x - centre) ** 2).sum(axis=1)))
    return np.column_stack([x, y])


def weights_of(dimension: int, width: int) -> int:
    """Of one PReLU network with two hidden layers."""
    return dimension * width + width * width + width + 2 * (2 * width) + 1


def width_for(dimension: int, leaves: int) -> int:
    """The widest experts of which `leaves` have at most SAME_TOTAL weights."""
    width = 1
    while leaves * weights_of(dimension, width + 1) <= SAME_TOTAL:
        width += 1
    return width


def plans(dimension: int) -> list[dict]:
    trees = [("trees", leaves, 16, "") for leaves in (1, 4, 16, 64, 256)]
    trees += [("longer", 1, 16, "300")]
    single = [("single", 1, width, "") for width in (32, 64, 128, 256)]
    same = [
        ("same total", leaves, width_for(dimension, leaves), "")
        for leaves in (1, 4, 16, 64, 256)
    ]
    return [
        {
            "dimension": dimension,
            "table": table,
            "model": "tree" if leaves > 1 else "network",
            "leaves": leaves,
            "width": width,
            "epochs": epochs,
            "decay": decay,
        }
        for table, leaves, width, epochs in trees + single + same
        for decay in DECAYS
    ]


def run(
    tool: str, folder: pathlib.Path, plan: dict, seed: int, test: np.ndarray
) -> dict:
    options = ["--hidden", f"{plan['width']},{plan['width']}", "--seed", str(seed)]
    if plan["leaves"] > 1:
        options += ["--leaves", str(plan["leaves"])]
    else:
        options += ["--kind", "mlp"]
    if plan["epochs"]:
        options += ["--epochs", plan["epochs"]]
    if plan["decay"] != "recipe":
        options += ["--decay", plan["decay"]]
    model, out = folder / "model", folder / "out.csv"
    target = f"c{plan['dimension'] + 1}"
    words = [tool, "train", folder / "train.npy", "--target", target, "-o", model]
    done = subprocess.run([*words, *PLAIN, *options], capture_output=True, check=True)
    told = json.loads(done.stdout)
    words = [tool, "predict", model, folder / "test.npy", "-o", out]
    subprocess.run(words, capture_output=True, check=True)
    error = np.loadtxt(out, skiprows=1) - test[:, -1]
    return plan | {
        "seed": seed,
        "experts": told["modules"],
        "active": told["active_parameters"],
        "total": told["parameters"],
        "report_rmse": f"{told['rmse']:.6g}",
        "rmse": f"{math.sqrt(float(np.mean(error**2))):.6g}",
        "largest": f"{float(np.abs(error).max()):.6g}",
    }


def key_of(row: dict) -> tuple[str, ...]:
    names = ("dimension", "seed", "table", "leaves", "width", "epochs", "decay")
    return tuple(str(row[name]) for name in names)


def run_missing(tool: str, seeds: list[int], path: pathlib.Path) -> None:
    rows = read(path)
    done = {key_of(row) for row in rows}
    for dimension in DIMENSIONS:
        for seed in seeds:
            todo = [
                p for p in plans(dimension) if key_of(p | {"seed": seed}) not in done
            ]
            if not todo:
                continue
            data = make_rows(dimension, seed)
            with tempfile.TemporaryDirectory() as name:
                folder = pathlib.Path(name)
                np.save(folder / "train.npy", data[:TRAIN])
                np.save(folder / "test.npy", data[TRAIN:])
                for plan in todo:
                    row = run(tool, folder, plan, seed, data[TRAIN:])
                    new = not path.exists()
                    with path.open("a", newline="") as file:
                        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
                        if new:
                            writer.writeheader()
                        writer.writerow(row)


def read(path: pathlib.Path) -> list[dict]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def best_by_report(rows: list[dict]) -> list[dict]:
    """Of the runs that differ in decay alone, the one with the better report rows."""
    best: dict[tuple[str, ...], dict] = {}
    for row in rows:
        key = key_of(row | {"decay": ""})
        if key not in best or float(row["report_rmse"]) < float(
            best[key]["report_rmse"]
        ):
            best[key] = row
    return list(best.values())


def cell(rows: list[dict], field: str) -> str:
    """Geometric mean over seeds."""
    return f"{statistics.geometric_mean(float(row[field]) for row in rows):.4f}"


def count(rows: list[dict], field: str) -> str:
    return f"{round(statistics.mean(int(row[field]) for row in rows)):,}"


def exponent(groups: list[list[dict]], by: str, field: str) -> float:
    """Least-squares slope of ln error in ln `by`."""
    x = [math.log(float(rows[0][by])) for rows in groups]
    y = [
        math.log(statistics.geometric_mean(float(r[field]) for r in g)) for g in groups
    ]
    return float(np.polyfit(x, y, 1)[0])


def groups_of(rows: list[dict], dimension: int, table: str) -> list[list[dict]]:
    found: dict[tuple[int, int], list[dict]] = {}
    for row in rows:
        if int(row["dimension"]) == dimension and row["table"] == table:
            found.setdefault((int(row["leaves"]), int(row["width"])), []).append(row)
    return [found[key] for key in sorted(found)]


def print_rows(dimension: int, name: str, group: list[dict]) -> None:
    first = group[0]
    print(
        f"| {dimension} | {name} | {first['leaves']} | {first['width']} "
        f"| {count(group, 'active')} | {count(group, 'total')} "
        f"| {cell(group, 'rmse')} | {cell(group, 'largest')} |"
    )


def print_tables(rows: list[dict]) -> None:
    rows = best_by_report(rows)
    head = (
        "| n | | leaves | width | numbers for one row | in all | rmse | largest error |"
    )
    rule = "|---|---|---|---|---|---|---|---|"
    print(f"{len({row['seed'] for row in rows})} seeds, geometric means\n")
    print(head, rule, sep="\n")
    for n in DIMENSIONS:
        for group in groups_of(rows, n, "trees"):
            leaves = int(group[0]["leaves"])
            print_rows(n, "tree" if leaves > 1 else "one network", group)
        for group in groups_of(rows, n, "longer"):
            print_rows(n, f"one network, {group[0]['epochs']} passes", group)
        for group in groups_of(rows, n, "single"):
            print_rows(n, "one network", group)
    print("\nAbout the same total, shared out among ever more experts:\n")
    print(head, rule, sep="\n")
    for n in DIMENSIONS:
        for group in groups_of(rows, n, "same total"):
            leaves = int(group[0]["leaves"])
            print_rows(n, "tree" if leaves > 1 else "one network", group)
    print("\nExponents of the largest error (of rmse), by least squares:\n")
    print("| n | by leaves | -1/n | by weights of one network | -2/n | -1/n |")
    print("|---|---|---|---|---|---|")
    for n in DIMENSIONS:
        trees = groups_of(rows, n, "trees")
        single = trees[:1] + groups_of(rows, n, "single")
        a, b = (exponent(trees, "leaves", field) for field in ("largest", "rmse"))
        c, d = (exponent(single, "total", field) for field in ("largest", "rmse"))
        print(
            f"| {n} | {a:.2f} ({b:.2f}) | {-1 / n:.2f} "
            f"| {c:.2f} ({d:.2f}) | {-2 / n:.2f} | {-1 / n:.2f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default="build/ramify")
    parser.add_argument("--seed", type=int, action="append")
    parser.add_argument("--csv", type=pathlib.Path, default=HERE / "lipschitz.csv")
    parser.add_argument("--print-only", action="store_true")
    wanted = parser.parse_args()
    if not wanted.print_only:
        run_missing(wanted.tool, wanted.seed or [0, 1, 2], wanted.csv)
    print_tables(read(wanted.csv))


if __name__ == "__main__":
    main()
