"""Errors of other people's models on the data sets of the accuracy benchmark.

    python3 bench/accuracy/peers.py [--set NAME ...] [--seed S ...] [--model M ...]

fits LightGBM, XGBoost and scikit-learn's multi-layer perceptron on every set and seed
of ``datasets.py`` and appends one row per result to ``peers.csv`` beside this file.
Rows that are there already are skipped, so an interrupted run goes on where it stopped.
A package that is not installed gets a row that says ``absent``, replaced once it is.

Tuning never reads test rows. Each model chooses among its tunings by its error on a
tenth of the training rows, held out at random by the seed; the same rows stop the
training early. When two tunings err equally there, the first one wins. The winner is
tested as it is: **no refit** on all training rows, for any model, since a refit has no
rows left to stop it.

- LightGBM and XGBoost: at most 3,000 rounds, stopped after 75 without improvement of
  the library's own validation loss (RMSE or log loss). ``tunings()`` lists what is
  tried; the menu comes from LightGBM's validation errors on seed 0 and is translated
  to XGBoost. Large sets get two tunings instead of three, to keep the whole benchmark
  to about two hours of one processor. Categories and missing cells are left to the
  library.
- MLP: standardised inputs, one-hot categories, missing cells set to the column's mean;
  Adam, rate 1e-3, alpha 1e-4, 64-64 or 256-256 units, ``early_stopping=True``: here
  the library draws the tenth itself. Its R^2 is turned into an RMSE in units of the
  validation targets' own deviation. ``mlp_schedule()`` gives batch and epochs; it was
  better on validation rows than the library's defaults.

Columns of ``peers.csv``: set, seed, model, metric (``rmse`` of the standardised target
or ``error_percent``), error (test rows), valid_error (of the winner), seconds (CPU time
of one thread for all tunings together, without preparing the data), options (JSON:
library version, winner with its parameters, and for each tuning the validation error,
rounds or epochs, seconds).
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import fcntl
import importlib
import json
import os
import pathlib
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TextIO

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"  # one thread: results and times must not depend on load
with contextlib.suppress(OSError):
    if "avx512f" in pathlib.Path("/proc/cpuinfo").read_text():
        # OpenBLAS takes slow kernels on processors newer than itself unless told.
        os.environ.setdefault("OPENBLAS_CORETYPE", "SkylakeX")

# The environment above must be set before NumPy is loaded.
import datasets  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

RESULTS = pathlib.Path(__file__).with_name("peers.csv")
COLUMNS = "set seed model metric error valid_error seconds options".split()
ABSENT = "absent"

VALIDATION_SHARE = 0.1
ROUNDS = 3000
PATIENCE = 75  # rounds without improvement
# Training rows from which on small trees lose and cost time, and from which on only
# high rates come near their optimum within ROUNDS.
BIG = 20_000
HUGE = 100_000
MANY_CLASSES = 10  # with more, a round of one tree per class costs as on a big set


class Tuning(NamedTuple):
    """One setting of a boosted-tree library."""

    name: str
    rate: float
    leaves: int  # LightGBM
    leaf_rows: int  # LightGBM: least rows of a leaf
    depth: int  # XGBoost
    child_weight: float  # XGBoost: least weight of a leaf
    rows: float  # share of the rows each tree sees
    columns: float  # share of the columns each tree sees
    rounds: int = ROUNDS


FAST = Tuning("fast", 0.1, 63, 5, 7, 1, 0.8, 1.0)
SMALL = Tuning("small", 0.05, 15, 5, 4, 1, 0.8, 0.8)
MEDIUM = Tuning("medium", 0.05, 63, 20, 7, 1, 0.8, 1.0)
LARGE = Tuning("large", 0.03, 255, 20, 10, 5, 0.8, 0.8)
LARGE_05 = LARGE._replace(name="large-05", rate=0.05)
LARGE_10 = LARGE._replace(name="large-10", rate=0.1, rounds=ROUNDS // 2)


class Problem(NamedTuple):
    """One set and seed, with the tenth that is held out of the training rows."""

    name: str
    seed: int
    split: datasets.Split
    y: np.ndarray  # training targets: standardised (float64) or class numbers (int64)
    classes: np.ndarray  # class names in the order of their numbers; empty: regression
    fit: np.ndarray  # rows of `y` that are fitted
    valid: np.ndarray  # rows of `y` that are held out

    def error(self, predicted: np.ndarray) -> float:
        """Test error of predictions in the unit of `y`."""
        truth = self.split.y_test
        if self.classes.size:
            guess = self.classes[predicted]
        else:
            guess = predicted * self.split.y_train.std() + self.split.y_train.mean()
        return datasets.score(self.split.task, self.split.y_train, truth, guess)

    def valid_error(self, predicted: np.ndarray) -> float:
        """Validation error of predictions in the unit of `y`."""
        truth = self.y[self.valid]
        if self.classes.size:
            return float(100.0 * np.mean(predicted != truth))
        return float(np.sqrt(np.mean((predicted - truth) ** 2)))


class Trial(NamedTuple):
    """A fitted tuning. The test rows are predicted only for the winner."""

    tuning: str
    parameters: dict[str, Any]
    valid_error: float
    steps: int  # rounds or epochs of the model that is kept
    seconds: float
    predict_test: Callable[[], np.ndarray]
    model: Any  # the library's own, all steps of it


def make_problem(name: str, seed: int) -> Problem:
    """Load a set and hold out the validation rows."""
    split = datasets.load(name, seed)
    if split.task == "classification":
        classes, y = np.unique(split.y_train, return_inverse=True)
    else:
        classes = np.empty(0, dtype=object)
        y = (split.y_train - split.y_train.mean()) / split.y_train.std()
    # A stream of its own: `seed` alone drew the test rows of some sets.
    order = np.random.default_rng([seed, 1]).permutation(y.size)
    held = round(y.size * VALIDATION_SHARE)
    return Problem(name, seed, split, y, classes, order[held:], order[:held])


def tunings(rows: int, classes: int) -> list[Tuning]:
    """Boosted-tree tunings to try for a number of training rows and classes."""
    if rows >= HUGE:
        return [FAST, LARGE_10]
    if rows >= BIG or classes > MANY_CLASSES:
        return [MEDIUM, LARGE_05]
    return [SMALL, MEDIUM, LARGE]


def mlp_schedule(rows: int) -> tuple[int, int, int]:
    """Batch, most epochs, epochs without improvement for a number of training rows.

    Small sets need many epochs to make enough steps, large ones make them anyway.
    """
    if rows < 5_000:
        return 32, 1000, 50
    if rows < BIG:
        return 64, 300, 20
    if rows < HUGE:
        return 128, 200, 20
    return 256, 40, 10


def as_class_numbers(scores: np.ndarray) -> np.ndarray:
    """Most probable class: scores are rows x classes, or rows of the second of two."""
    if scores.ndim == 1:
        return (scores > 0.5).astype(np.int64)
    return scores.argmax(axis=1)


def run_lightgbm(problem: Problem) -> Iterator[Trial]:
    """LightGBM, leaf-wise trees."""
    import lightgbm

    x, y, classes = problem.split.x_train, problem.y, problem.classes.size
    common: dict[str, Any] = {
        "num_threads": 1,
        "deterministic": True,
        "force_col_wise": True,
        "feature_pre_filter": False,
        "verbosity": -1,
        "seed": problem.seed,
        "objective": "regression",
        "metric": "rmse",
    }
    if classes == 2:
        common |= {"objective": "binary", "metric": "binary_logloss"}
    elif classes:
        common |= {
            "objective": "multiclass",
            "metric": "multi_logloss",
            "num_class": classes,
        }

    fit_x, valid_x = x.iloc[problem.fit], x.iloc[problem.valid]
    fit = lightgbm.Dataset(fit_x, y[problem.fit], params=common, free_raw_data=False)
    valid = fit.create_valid(valid_x, y[problem.valid])
    for tuning in tunings(y.size, classes):
        parameters = {
            "learning_rate": tuning.rate,
            "num_leaves": tuning.leaves,
            "min_data_in_leaf": tuning.leaf_rows,
            "bagging_fraction": tuning.rows,
            "bagging_freq": 1,
            "feature_fraction": tuning.columns,
        }
        stop = lightgbm.early_stopping(PATIENCE, verbose=False)
        start = time.process_time()
        with warnings.catch_warnings():
            # Said when a tuning meets the binned rows that the last one made: intended.
            warnings.filterwarnings("ignore", "Overriding the parameters")
            model = lightgbm.train(
                common | parameters,
                fit,
                tuning.rounds,
                valid_sets=[valid],
                callbacks=[stop],
            )
        seconds = time.process_time() - start

        def predict(rows: pd.DataFrame, model: Any = model) -> np.ndarray:
            scores = model.predict(rows, num_iteration=model.best_iteration)
            return as_class_numbers(scores) if classes else scores

        yield Trial(
            tuning.name,
            parameters,
            problem.valid_error(predict(valid_x)),
            model.best_iteration,
            seconds,
            lambda predict=predict: predict(problem.split.x_test),
            model,
        )


def run_xgboost(problem: Problem) -> Iterator[Trial]:
    """XGBoost, histogram method, depth-wise trees."""
    import xgboost

    x, y, classes = problem.split.x_train, problem.y, problem.classes.size
    common: dict[str, Any] = {
        "nthread": 1,
        "tree_method": "hist",
        "seed": problem.seed,
        "objective": "reg:squarederror",
        "eval_metric": "rmse",
    }
    if classes == 2:
        common |= {"objective": "binary:logistic", "eval_metric": "logloss"}
    elif classes:
        common |= {
            "objective": "multi:softprob",
            "eval_metric": "mlogloss",
            "num_class": classes,
        }

    def matrix(rows: pd.DataFrame, labels: np.ndarray | None = None) -> Any:
        return xgboost.DMatrix(rows, labels, enable_categorical=True, nthread=1)

    fit = matrix(x.iloc[problem.fit], y[problem.fit])
    valid = matrix(x.iloc[problem.valid], y[problem.valid])
    for tuning in tunings(y.size, classes):
        parameters = {
            "eta": tuning.rate,
            "max_depth": tuning.depth,
            "min_child_weight": tuning.child_weight,
            "subsample": tuning.rows,
            "colsample_bytree": tuning.columns,
        }
        start = time.process_time()
        model = xgboost.train(
            common | parameters,
            fit,
            tuning.rounds,
            evals=[(valid, "valid")],
            early_stopping_rounds=PATIENCE,
            verbose_eval=False,
        )
        seconds = time.process_time() - start
        rounds = model.best_iteration + 1

        def predict(rows: Any, model: Any = model, rounds: int = rounds) -> np.ndarray:
            scores = model.predict(rows, iteration_range=(0, rounds))
            return as_class_numbers(scores) if classes else scores

        yield Trial(
            tuning.name,
            parameters,
            problem.valid_error(predict(valid)),
            rounds,
            seconds,
            lambda predict=predict: predict(matrix(problem.split.x_test)),
            model,
        )


def mlp_inputs(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Training and test inputs of the MLP: rows x inputs, float32, standardised."""
    train, test = problem.split.x_train, problem.split.x_test
    coded = pd.get_dummies(pd.concat([train, test], ignore_index=True), dtype=float)
    # Categories are those of the training rows, so test rows add no column.
    fitted = coded.iloc[: len(train)]
    mean, deviation = fitted.mean(), fitted.std(ddof=0)
    scaled = ((coded - mean) / deviation.where(deviation > 0, 1.0)).fillna(0.0)
    values = scaled.to_numpy(dtype=np.float32)
    return values[: len(train)], values[len(train) :]


def run_mlp(problem: Problem) -> Iterator[Trial]:
    """scikit-learn's multi-layer perceptron."""
    import sklearn.exceptions
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    regression = problem.classes.size == 0
    x_train, x_test = mlp_inputs(problem)
    y = problem.y.astype(np.float32) if regression else problem.y
    batch, epochs, patience = mlp_schedule(y.size)
    for units in (64, 256):
        parameters = {
            "hidden_layer_sizes": (units, units),
            "alpha": 1e-4,
            "batch_size": batch,
            "max_iter": epochs,
            "n_iter_no_change": patience,
            "tol": 1e-5,
        }
        model = (MLPRegressor if regression else MLPClassifier)(
            **parameters,
            solver="adam",
            early_stopping=True,
            validation_fraction=VALIDATION_SHARE,
            random_state=problem.seed,
        )
        start = time.process_time()
        with warnings.catch_warnings():
            # Reaching the last epoch is an outcome here, not a mistake.
            warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)
            model.fit(x_train, y)
        seconds = time.process_time() - start
        best = float(model.best_validation_score_)
        yield Trial(
            f"{units}-{units}",
            parameters,
            max(0.0, 1.0 - best) ** 0.5 if regression else 100.0 * (1.0 - best),
            int(model.n_iter_),
            seconds,
            lambda model=model: model.predict(x_test),
            model,
        )


MODELS: dict[str, tuple[str, Callable[[Problem], Iterator[Trial]]]] = {
    "lightgbm": ("lightgbm", run_lightgbm),
    "xgboost": ("xgboost", run_xgboost),
    "sklearn-mlp": ("sklearn", run_mlp),
}
"""Model: its package and its runner."""


def package_version(package: str) -> str | None:
    """Version of an installed package, None if it is absent."""
    try:
        return str(importlib.import_module(package).__version__)
    except ImportError:
        return None


def result_row(name: str, seed: int, model: str, version: str | None) -> dict[str, Any]:
    """Fit every tuning of one model on one set and seed, and test the winner."""
    metric = "rmse" if datasets.SETS[name].task == "regression" else "error_percent"
    row: dict[str, Any] = {"set": name, "seed": seed, "model": model, "metric": metric}
    if version is None:
        return row | {"error": ABSENT, "valid_error": "", "seconds": "", "options": ""}
    problem = make_problem(name, seed)
    trials = list(MODELS[model][1](problem))
    winner = min(trials, key=lambda trial: trial.valid_error)
    options = {
        "version": version,
        "tuning": winner.tuning,
        "parameters": winner.parameters,
        "tried": {
            trial.tuning: {
                "valid_error": float(f"{trial.valid_error:.6g}"),
                "steps": trial.steps,
                "seconds": round(trial.seconds, 2),
            }
            for trial in trials
        },
    }
    return row | {
        "error": f"{problem.error(winner.predict_test()):.6g}",
        "valid_error": f"{winner.valid_error:.6g}",
        "seconds": f"{sum(trial.seconds for trial in trials):.2f}",
        "options": json.dumps(options),
    }


def read_done(file: TextIO, available: set[str]) -> set[tuple[str, int, str]]:
    """Results already in the file, which is open for reading and appending, and locked.

    Drops the rows that call a package absent which is available now; writes the header
    of a new file.
    """
    file.seek(0)
    rows = list(csv.DictReader(file))
    kept = [r for r in rows if r["error"] != ABSENT or r["model"] not in available]
    if len(kept) < len(rows) or file.tell() == 0:
        file.truncate(0)
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
        file.flush()
    return {(r["set"], int(r["seed"]), r["model"]) for r in kept}


def main() -> int:
    parser = argparse.ArgumentParser(
        description="errors of LightGBM, XGBoost and scikit-learn's MLP"
    )
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS, metavar="CSV")
    parser.add_argument("--set", dest="sets", nargs="+", choices=datasets.SETS)
    parser.add_argument(
        "--seed", dest="seeds", nargs="+", type=int, choices=datasets.SEEDS
    )
    parser.add_argument("--model", dest="models", nargs="+", choices=MODELS)
    arguments = parser.parse_args()
    models = arguments.models or list(MODELS)
    versions = {model: package_version(MODELS[model][0]) for model in MODELS}

    failures = 0
    with arguments.out.open("a+", newline="") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            parser.error(f"{arguments.out}: another run is writing this file")
        done = read_done(file, {m for m, v in versions.items() if v is not None})
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        for seed in arguments.seeds or datasets.SEEDS:
            for name in arguments.sets or datasets.SETS:
                for model in models:
                    if (name, seed, model) in done:
                        continue
                    try:
                        row = result_row(name, seed, model, versions[model])
                    except Exception:  # one failure must not end a run of hours
                        failures += 1
                        print(f"{name} {seed} {model}: failed", file=sys.stderr)
                        traceback.print_exc()
                        continue
                    writer.writerow(row)
                    file.flush()
                    print(*(row[c] for c in COLUMNS[:-1]), flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
