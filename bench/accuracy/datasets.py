"""Prepare the data sets of the accuracy benchmark: training and test tables.

    python3 bench/accuracy/datasets.py --out DIR [--set NAME ...] [--seed S ...]

writes ``DIR/NAME-S.train.csv`` and ``DIR/NAME-S.test.csv``: a header, the features, the
column ``target`` last. Cells keep the text of the source (categories included, missing
cells empty); only the target of ``sgemm`` is computed. ``load(name, seed)`` returns the
same rows as numbers. The sources are read from ``$RAMIFY_DATA``, by default
``../shared/data`` seen from the project's root.

Splits, all reproducible:

- kin40k, protein: published mask, column 0 for every seed (the seed only seeds models);
- airfoil: published mask, column = seed;
- concrete, energy, kin8nm, power-plant, yacht: published split number = seed;
- satimage: the source's, first 4,435 rows train, the rest test, for every seed;
- letter, magic, krkopt, fried, california, sgemm, grid, grid-class: 20 % of the rows at
  random, ``numpy.random.default_rng(seed).permutation``.

Comparisons of recipes may not read test rows. With ``--held-out`` the training rows are
divided again, 15 % of them at random into the test table, and the test rows stay away.

Errors (``score``): RMSE of the target standardised by the mean and standard deviation
of the training rows, or the share of wrong classes in percent.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import io
import os
import pathlib
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

Task = Literal["regression", "classification"]
Rows = np.ndarray  # row numbers, int64

TARGET = "target"
TEST_SHARE = 0.2  # of the sets that publish no split
HELD_OUT_SHARE = 0.15  # of the training rows
HELD_OUT_SEED = 777  # plus the split's seed
SATIMAGE_TRAIN_ROWS = 4435  # the source's split
ROOT = pathlib.Path(__file__).resolve().parents[2]


class Split(NamedTuple):
    """Training and test rows of one set and seed."""

    x_train: pd.DataFrame
    y_train: np.ndarray  # float64, or class names as text
    x_test: pd.DataFrame
    y_test: np.ndarray
    task: Task


class Source(NamedTuple):
    """How one set is read and split."""

    task: Task
    read: Callable[[], pd.DataFrame]  # every cell as text, `target` last
    split: Callable[
        [int, int], tuple[Rows, Rows]
    ]  # (rows, seed) -> training rows, test rows
    categorical: tuple[str, ...] = ()


def data_path(relative: str) -> pathlib.Path:
    """Path of a file below the data folder; the file or its gzipped form must exist."""
    folder = pathlib.Path(
        os.environ.get("RAMIFY_DATA") or ROOT.parent / "shared" / "data"
    )
    path = folder / relative
    packed = path.with_name(path.name + ".gz")
    for candidate in (path, packed):
        if candidate.is_file():
            return candidate
    raise SystemExit(
        f"{path}: neither this file nor its .gz form exists "
        "(set RAMIFY_DATA to the data folder)"
    )


def read_text(relative: str) -> str:
    """Contents of a file, unpacked if it is gzipped."""
    path = data_path(relative)
    raw = path.read_bytes()
    return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")


def read_cells(relative: str, sep: str, *, header: bool) -> pd.DataFrame:
    """Table of text cells; without a header, c1, c2, ... and the target last."""
    table = pd.read_csv(
        io.StringIO(read_text(relative)),
        sep=sep,
        header=0 if header else None,
        dtype=str,
        keep_default_na=False,
        skipinitialspace=True,
    )
    if not header:
        table = table.loc[
            :, (table != "").any()
        ]  # blanks at line ends make an empty last column
        table.columns = [f"c{i + 1}" for i in range(table.shape[1] - 1)] + [TARGET]
    return table


def read_evans(name: str) -> pd.DataFrame:
    return read_cells(f"tabular/uci_evans/{name}.data.csv", ",", header=False)


def read_gal(name: str) -> pd.DataFrame:
    return read_cells(f"tabular/uci_gal/{name}/data.txt", r"\s+", header=False)


def read_pmlb(name: str) -> pd.DataFrame:
    return read_cells(f"tabular/pmlb/{name}.tsv", "\t", header=True)


def read_california() -> pd.DataFrame:
    table = read_cells("tabular/other/california_housing_geron.csv", ",", header=True)
    target = table.pop("median_house_value")
    return table.assign(**{TARGET: target})


def read_sgemm() -> pd.DataFrame:
    """The target is the logarithm of the mean of the four run times (ms)."""
    table = read_cells("tabular/other/sgemm_product.csv", ",", header=True)
    runs = table[[f"Run{i} (ms)" for i in range(1, 5)]]
    log_mean = np.log(runs.astype(float).mean(axis=1))
    return table.drop(columns=runs.columns).assign(
        **{TARGET: [f"{v:.17g}" for v in log_mean]}
    )


def read_grid(target: str) -> pd.DataFrame:
    """`stabf` is the sign of `stab`: neither may be a feature of the other."""
    table = read_cells("tabular/other/electrical_grid_stability.csv", ",", header=True)
    return table.drop(columns=["stab", "stabf"]).assign(**{TARGET: table[target]})


def split_mask(
    name: str, column: int | None
) -> Callable[[int, int], tuple[Rows, Rows]]:
    """Published folds: `column` of the mask, or the seed's own column."""

    def split(rows: int, seed: int) -> tuple[Rows, Rows]:
        mask = np.loadtxt(
            io.StringIO(read_text(f"tabular/uci_evans/{name}.test_mask.csv")),
            delimiter=",",
        )
        test = mask[:, seed if column is None else column] == 1
        if test.size != rows:
            raise SystemExit(f"{name}: the mask has {test.size} rows, the table {rows}")
        return np.flatnonzero(~test), np.flatnonzero(test)

    return split


def split_published(name: str) -> Callable[[int, int], tuple[Rows, Rows]]:
    """Published 90/10 splits, one pair of row lists per number."""

    def split(rows: int, seed: int) -> tuple[Rows, Rows]:
        del rows
        train, test = (
            np.loadtxt(
                io.StringIO(
                    read_text(f"tabular/uci_gal/{name}/index_{part}_{seed}.txt")
                )
            ).astype(np.int64)
            for part in ("train", "test")
        )
        return train, test

    return split


def split_random(rows: int, seed: int) -> tuple[Rows, Rows]:
    order = np.random.default_rng(seed).permutation(rows)
    tests = round(rows * TEST_SHARE)
    return order[tests:], order[:tests]


def split_satimage(rows: int, seed: int) -> tuple[Rows, Rows]:
    del seed
    return np.arange(SATIMAGE_TRAIN_ROWS), np.arange(SATIMAGE_TRAIN_ROWS, rows)


def _evans(name: str, column: int | None) -> Source:
    return Source(
        "regression", functools.partial(read_evans, name), split_mask(name, column)
    )


def _gal(name: str) -> Source:
    return Source(
        "regression", functools.partial(read_gal, name), split_published(name)
    )


def _pmlb(
    task: Task, name: str, split: Callable[[int, int], tuple[Rows, Rows]] = split_random
) -> Source:
    return Source(task, functools.partial(read_pmlb, name), split)


SETS: dict[str, Source] = {
    "yacht": _gal("yacht"),
    "energy": _gal("energy"),
    "concrete": _gal("concrete"),
    "airfoil": _evans("airfoil", None),
    "power-plant": _gal("power-plant"),
    "kin8nm": _gal("kin8nm"),
    "grid": Source("regression", functools.partial(read_grid, "stab"), split_random),
    "grid-class": Source(
        "classification", functools.partial(read_grid, "stabf"), split_random
    ),
    "satimage": _pmlb("classification", "satimage", split_satimage),
    "magic": _pmlb("classification", "magic"),
    "california": Source(
        "regression", read_california, split_random, ("ocean_proximity",)
    ),
    "fried": _pmlb("regression", "564_fried"),
    "letter": _pmlb("classification", "letter"),
    "krkopt": _pmlb("classification", "krkopt"),
    "kin40k": _evans("kin40k", 0),
    "protein": _evans("protein", 0),
    "sgemm": Source("regression", read_sgemm, split_random),
}
"""Every set, cheap ones first."""

SEEDS = range(5)


@functools.lru_cache(maxsize=2)
def cells(name: str) -> pd.DataFrame:
    """All rows of a set as text, `target` last; shared, so do not modify."""
    return SETS[name].read()


def split_rows(name: str, seed: int, *, held_out: bool = False) -> tuple[Rows, Rows]:
    """Training and test rows of one set and seed; together every row once.

    With `held_out`, a division of the training rows alone.
    """
    rows = len(cells(name))
    train, test = SETS[name].split(rows, seed)
    if not np.array_equal(np.sort(np.concatenate([train, test])), np.arange(rows)):
        raise SystemExit(
            f"{name}, seed {seed}: the split does not hold every row exactly once"
        )
    if held_out:
        order = np.random.default_rng(HELD_OUT_SEED + seed).permutation(len(train))
        count = round(len(train) * HELD_OUT_SHARE)
        train, test = train[order[count:]], train[order[:count]]
    return train, test


def load(name: str, seed: int, *, held_out: bool = False) -> Split:
    """Rows of one set and seed as numbers.

    Features are float64 with NaN where a cell is missing; categorical ones have the
    categories of the training rows, any other category is missing. The target is
    float64, or text for classification.
    """
    source = SETS[name]
    table = cells(name)
    train, test = split_rows(name, seed, held_out=held_out)
    features = table.drop(columns=TARGET)
    numeric = (
        features.drop(columns=list(source.categorical))
        .replace("", np.nan)
        .astype(np.float64)
    )
    columns = {c: numeric[c] for c in numeric}
    for column in source.categorical:
        seen = sorted(set(features[column].iloc[train]) - {""})
        columns[column] = pd.Series(
            pd.Categorical(features[column], categories=seen), index=features.index
        )
    x = pd.DataFrame({c: columns[c] for c in features.columns})
    y = table[TARGET].to_numpy(
        dtype=np.float64 if source.task == "regression" else object
    )
    x_train, x_test = (x.iloc[part].reset_index(drop=True) for part in (train, test))
    return Split(x_train, y[train], x_test, y[test], source.task)


def score(
    task: Task, y_train: np.ndarray, truth: np.ndarray, predicted: np.ndarray
) -> float:
    """Error of predictions in the benchmark's unit.

    Regression: root mean square error over the standard deviation of `y_train`.
    Classification: percent wrong.
    """
    if task == "classification":
        return float(100.0 * np.mean(truth != predicted))
    return float(np.sqrt(np.mean((truth - predicted) ** 2)) / np.std(y_train))


def write_split(
    name: str, seed: int, folder: pathlib.Path, *, held_out: bool = False
) -> tuple[int, int]:
    """Write both tables of one set and seed; returns their numbers of rows.

    A reader never sees half a file.
    """
    table = cells(name)
    parts = split_rows(name, seed, held_out=held_out)
    for part, rows in zip(("train", "test"), parts, strict=True):
        path = folder / f"{name}-{seed}.{part}.csv"
        unfinished = path.with_suffix(".partial")
        table.iloc[rows].to_csv(unfinished, index=False, lineterminator="\n")
        unfinished.replace(path)
    return len(parts[0]), len(parts[1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description="write the training and test tables of the accuracy benchmark"
    )
    parser.add_argument(
        "--out",
        type=pathlib.Path,
        required=True,
        metavar="DIR",
        help="folder for the tables",
    )
    parser.add_argument(
        "--set",
        dest="sets",
        nargs="+",
        choices=SETS,
        default=list(SETS),
        help="default: all",
    )
    parser.add_argument(
        "--seed", dest="seeds", nargs="+", type=int, choices=SEEDS, default=list(SEEDS)
    )
    parser.add_argument(
        "--held-out", action="store_true", help="divide the training rows instead"
    )
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    print("set seed task rows_train rows_test features")
    for name in arguments.sets:
        for seed in arguments.seeds:
            train, test = write_split(
                name, seed, arguments.out, held_out=arguments.held_out
            )
            print(
                name,
                seed,
                SETS[name].task,
                train,
                test,
                cells(name).shape[1] - 1,
                flush=True,
            )


if __name__ == "__main__":
    main()
