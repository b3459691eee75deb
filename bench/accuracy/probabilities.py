"""Probabilities of ramify and its peers on the test rows of classification tables.

    python3 bench/accuracy/probabilities.py [--tool build/ramify] [--resident 128KiB]
                                            [--set NAME ...] [--seed S ...]

prints a Markdown table: accuracy, log loss (nats), Brier score (mean over rows of the
sum over classes of squared differences, 0 to 2) and calibration error (of the likeliest
class, 15 equal bins of its probability, weighted by their rows), means over the seeds.
ramify is trained by its defaults. A peer is trained as ``peers.py`` does it, with the
tuning that won there on held-out training rows: ``peers.csv`` must hold it. The same
rows stop it early, by the log loss (scikit-learn: by the accuracy). No one's
probabilities are changed afterwards; ramify's own training fits one temperature.
"""

from __future__ import annotations

import argparse
import csv
import json
import pathlib
import subprocess
import sys
import tempfile
import warnings
from typing import Any

import peers  # isort: skip  # sets the environment, before NumPy is loaded

import datasets
import numpy as np

SETS = ["letter", "magic", "krkopt", "satimage", "grid-class"]
SCORES = ["accuracy", "log_loss", "brier", "calibration_error"]
THREADS = 1  # as in peers.py: two wait for each other on a busy machine
BINS = 15
LEAST = 1e-15  # probability; keeps a logarithm finite


def scores(truth: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """Scores of probabilities[rows x classes] of class numbers."""
    rows = np.arange(truth.size)
    p = probability / probability.sum(axis=1, keepdims=True)
    hot = np.zeros_like(p)
    hot[rows, truth] = 1
    sure, right = p.max(axis=1), p.argmax(axis=1) == truth
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = [
        abs(np.sum(sure[bins == b]) - np.sum(right[bins == b])) for b in range(BINS)
    ]
    return {
        "accuracy": float(right.mean()),
        "log_loss": float(-np.log(np.maximum(p[rows, truth], LEAST)).mean()),
        "brier": float(((p - hot) ** 2).sum(axis=1).mean()),
        "calibration_error": float(sum(gaps) / truth.size),
    }


def of_both(p: np.ndarray) -> np.ndarray:
    """Columns for both classes where only the second's is given."""
    return p if p.ndim == 2 else np.stack([1 - p, p], axis=1)


def lightgbm(problem: peers.Problem, tuning: dict[str, Any]) -> np.ndarray:
    import lightgbm

    classes = problem.classes.size
    common = {"objective": "binary", "metric": "binary_logloss"}
    if classes > 2:
        common = {"objective": "multiclass", "metric": "multi_logloss"}
        common["num_class"] = classes
    common |= {"num_threads": THREADS, "verbosity": -1, "seed": problem.seed}
    common |= {"deterministic": True, "force_col_wise": True}
    x, y = problem.split.x_train, problem.y
    fit = lightgbm.Dataset(x.iloc[problem.fit], y[problem.fit])
    valid = fit.create_valid(x.iloc[problem.valid], y[problem.valid])
    model = lightgbm.train(
        common | tuning,
        fit,
        peers.ROUNDS,
        valid_sets=[valid],
        callbacks=[lightgbm.early_stopping(peers.PATIENCE, verbose=False)],
    )
    return of_both(model.predict(problem.split.x_test))


def xgboost(problem: peers.Problem, tuning: dict[str, Any]) -> np.ndarray:
    import xgboost

    classes = problem.classes.size
    common = {"objective": "binary:logistic", "eval_metric": "logloss"}
    if classes > 2:
        common = {"objective": "multi:softprob", "eval_metric": "mlogloss"}
        common["num_class"] = classes
    common |= {"nthread": THREADS, "tree_method": "hist", "seed": problem.seed}
    x, y = problem.split.x_train, problem.y
    fit, valid = (
        xgboost.DMatrix(x.iloc[rows], y[rows], enable_categorical=True)
        for rows in (problem.fit, problem.valid)
    )
    model = xgboost.train(
        common | tuning,
        fit,
        peers.ROUNDS,
        evals=[(valid, "valid")],
        early_stopping_rounds=peers.PATIENCE,
        verbose_eval=False,
    )
    test = xgboost.DMatrix(problem.split.x_test, enable_categorical=True)
    best = (0, model.best_iteration + 1)
    return of_both(model.predict(test, iteration_range=best))


def sklearn_mlp(problem: peers.Problem, tuning: dict[str, Any]) -> np.ndarray:
    from sklearn.neural_network import MLPClassifier

    x_train, x_test = peers.mlp_inputs(problem)
    model = MLPClassifier(
        **tuning,
        solver="adam",
        early_stopping=True,
        validation_fraction=peers.VALIDATION_SHARE,
        random_state=problem.seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it reached its last epoch
        model.fit(x_train, problem.y)
    return model.predict_proba(x_test).astype(np.float64)


MODELS = {"lightgbm": lightgbm, "xgboost": xgboost, "sklearn-mlp": sklearn_mlp}


def peer(model: str, name: str, seed: int) -> dict[str, float] | None:
    """Scores of a peer; None if its package or its tuning is missing."""
    with peers.RESULTS.open(newline="") as file:
        found = [
            row
            for row in csv.DictReader(file)
            if (row["set"], row["seed"], row["model"]) == (name, str(seed), model)
        ]
    if not found or not found[0]["options"]:
        return None
    if peers.package_version(peers.MODELS[model][0]) is None:
        return None
    tuning = json.loads(found[0]["options"])["parameters"]
    problem = peers.make_problem(name, seed)
    truth = np.searchsorted(problem.classes, problem.split.y_test)
    return scores(truth, MODELS[model](problem, tuning).astype(np.float64))


def ramify(tool: str, resident: str, name: str, seed: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        datasets.write_split(name, seed, pathlib.Path(folder))
        prefix = f"{folder}/{name}-{seed}"
        words = [tool, "train", f"{prefix}.train.csv", "--target", "target", "--json"]
        words += ["--task", "classification", "--seed", str(seed), "-o"]
        words += [f"{prefix}.ramify", "--test", f"{prefix}.test.csv"]
        words += ["--resident", resident]
        run = subprocess.run(words, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise SystemExit(f"{name}, seed {seed}: {run.stderr}")
    test = json.loads(run.stdout)["test"]
    return {score: test[score] for score in SCORES}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default="build/ramify")
    parser.add_argument("--resident", default="128KiB")
    parser.add_argument("--set", dest="sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--seed", dest="seeds", nargs="+", type=int, default=[0])
    arguments = parser.parse_args()
    print("| set | model | accuracy (%) | log loss | Brier score | calibration error |")
    print("|---|---|---|---|---|---|")
    for name in arguments.sets:
        for model in ["ramify", *MODELS]:
            found = [
                ramify(arguments.tool, arguments.resident, name, seed)
                if model == "ramify"
                else peer(model, name, seed)
                for seed in arguments.seeds
            ]
            there = [one for one in found if one]
            if len(there) < len(found):
                print(f"| {name} | {model} | absent | | | |", flush=True)
                continue
            mean = {s: float(np.mean([one[s] for one in there])) for s in SCORES}
            print(
                f"| {name} | {model} | {100 * mean['accuracy']:.2f} "
                f"| {mean['log_loss']:.4f} | {mean['brier']:.4f} "
                f"| {mean['calibration_error']:.4f} |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
