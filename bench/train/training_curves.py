"""Held-out error against seconds of training, two threads each.

    python3 bench/train/training_curves.py [--tool build/ramify] [--set NAME ...] [--csv FILE]

trains on 85 % of the training rows of seed 0 and scores the other 15 %
(``datasets.py --held-out``); test rows are not read. Points go to ``training_curves.csv`` beside
this file: set, contender, setting, seconds, error (standardised RMSE or percent wrong).
What is there is not run again, so an interrupted run goes on where it stopped. Then two
Markdown tables are printed.

- ramify, 32 and 128 KiB: by its defaults, with ``--time-limit``, and by short recipes
  without teachers (``SETTINGS``); one run of the tool per point. The seconds are those
  of the whole process, reading the CSV and writing the model included; of all others
  only training counts, from arrays in memory.
- LightGBM and XGBoost: the tuning that won in ``bench/accuracy/peers.csv``, scored
  every few rounds (outside the clock), until the error has not fallen for 300 rounds or
  3,000 are done. Their binning of the rows counts. Of one thread and two the faster in
  the first rounds.
- scikit-learn's MLP and PyTorch: 256-256 units, as won in ``peers.csv``; batches of 64,
  256 and 1,024 rows run for some seconds, the best goes on. Adam at 1e-3, and AdamW at
  3e-3 by a cosine to zero at the end of the time; of one thread and two the faster.

The same held-out rows pick the best point of every curve, a favour to the contenders
with many points.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "accuracy"))

import peers  # noqa: E402  # sets the environment, before NumPy is loaded

import datasets  # noqa: E402  # isort: skip
import numpy as np  # noqa: E402  # isort: skip

FIELDS = ["set", "contender", "setting", "seconds", "error"]
SETS = ["kin40k", "protein", "letter"]
THREADS = 2
QUICK = "--distillation off --epochs"
SETTINGS = {
    "32KiB": [
        f"{QUICK} 1 --leaves 1",
        f"{QUICK} 3 --leaves 1",
        f"{QUICK} 3",
        f"{QUICK} 10",
        "--distillation off",
        "--time-limit 4s",
        "",
    ],
    "128KiB": [
        f"{QUICK} 1 --leaves 1",
        f"{QUICK} 3 --leaves 1",
        f"{QUICK} 10",
        "--time-limit 5s",
        "--time-limit 12s",
        "",
    ],
}
ROUNDS = 3000
PATIENCE = 300  # rounds without a lower error
EVERY = 10  # rounds between scores
TRIAL_SCORES = 4
BATCHES = (64, 256, 1024)
TRIAL_SECONDS = 5.0  # of each batch size
NETWORK_SECONDS = 30.0
UNITS = 256
THINNED = 1.15  # a kept point lies so much later than the one before, or is the best

Points = Iterator[tuple[float, float]]  # seconds so far, error


class Problem:
    """Fitted rows and held-out rows of one set."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.split = datasets.load(name, 0, held_out=True)
        y = self.split.y_train
        self.classes = np.empty(0, dtype=object)
        if self.split.task == "classification":
            self.classes, self.y = np.unique(y, return_inverse=True)
        else:
            self.y = (y - y.mean()) / y.std()

    def error(self, scores: np.ndarray) -> float:
        """Error of outputs: rows, or rows x classes."""
        y = self.split.y_train
        if self.classes.size:
            guess = self.classes[scores.argmax(axis=1)]
        else:
            guess = scores.ravel() * y.std() + y.mean()
        return datasets.score(self.split.task, y, self.split.y_test, guess)

    def tuning(self, model: str) -> dict[str, Any]:
        """Parameters that won in peers.csv."""
        with peers.RESULTS.open(newline="") as file:
            for row in csv.DictReader(file):
                if (row["set"], row["seed"], row["model"]) == (self.name, "0", model):
                    return json.loads(row["options"])["parameters"]
        raise SystemExit(f"{peers.RESULTS}: no tuning of {model} for {self.name}")

    def inputs(self) -> tuple[np.ndarray, np.ndarray]:
        """Standardised inputs of the networks; these sets have no gaps or categories."""
        train = self.split.x_train.to_numpy(np.float64)
        test = self.split.x_test.to_numpy(np.float64)
        mean, deviation = train.mean(axis=0), train.std(axis=0)
        deviation[deviation == 0] = 1
        return tuple(((x - mean) / deviation).astype(np.float32) for x in (train, test))


class Clock:
    """Seconds between start and stop, summed."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> None:
        self.start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self.start


def boosted(clock: Clock, step: Callable[[], None], error: Callable) -> Points:
    """Points of a booster: step is one round, error(first, end) scores with new rounds."""
    best, best_round = math.inf, 0
    for done in range(EVERY, ROUNDS + 1, EVERY):
        with clock:
            for _ in range(EVERY):
                step()
        now = error(done - EVERY, done)
        yield clock.seconds, now
        if now < best:
            best, best_round = now, done
        elif done - best_round >= PATIENCE:
            return


def better_threads(runner: Callable[[Problem, int], Points], problem: Problem) -> int:
    """The number of threads with which the first rounds take less time."""
    times = {}
    for threads in (1, THREADS):
        first, *_, last = itertools.islice(runner(problem, threads), TRIAL_SCORES)
        times[threads] = last[0] - first[0]
    return min(times, key=lambda threads: times[threads])


def run_boosted(
    runner: Callable[[Problem, int], Points], problem: Problem
) -> dict[str, list[tuple[float, float]]]:
    """The curve, named after its threads."""
    threads = better_threads(runner, problem)
    label = "1 thread" if threads == 1 else f"{threads} threads"
    return {label: list(runner(problem, threads))}


def run_lightgbm(problem: Problem, threads: int) -> Points:
    import lightgbm

    x, held, classes = problem.split.x_train, problem.split.x_test, problem.classes.size
    parameters = {"num_threads": threads, "verbosity": -1, "seed": 0}
    parameters |= {"objective": "multiclass" if classes else "regression"}
    parameters |= {"num_class": classes} if classes else {}
    parameters |= problem.tuning("lightgbm")
    clock = Clock()
    with clock:
        data = lightgbm.Dataset(x, problem.y, params=parameters).construct()
        model = lightgbm.Booster(parameters, data)
    total = np.zeros((len(held), classes) if classes else len(held))

    def error(first: int, end: int) -> float:
        nonlocal total
        total = total + model.predict(
            held, start_iteration=first, num_iteration=end - first, raw_score=True
        )
        return problem.error(total)

    yield from boosted(clock, model.update, error)


def run_xgboost(problem: Problem, threads: int) -> Points:
    import xgboost

    held, classes = problem.split.x_test, problem.classes.size
    parameters = {"nthread": threads, "tree_method": "hist", "seed": 0}
    parameters |= {"objective": "multi:softprob" if classes else "reg:squarederror"}
    parameters |= {"num_class": classes} if classes else {}
    parameters |= problem.tuning("xgboost")
    clock = Clock()
    with clock:
        data = xgboost.QuantileDMatrix(
            problem.split.x_train, problem.y, nthread=threads
        )
        model = xgboost.Booster(parameters, [data])
    margin: np.ndarray | None = None
    rounds = iter(range(ROUNDS))

    def error(first: int, end: int) -> float:
        nonlocal margin
        rows = xgboost.DMatrix(held)
        if margin is not None:
            rows.set_base_margin(margin)
        margin = model.predict(rows, output_margin=True, iteration_range=(first, end))
        return problem.error(margin)

    yield from boosted(clock, lambda: model.update(data, next(rounds)), error)


class Perceptron:
    """scikit-learn's, epoch by epoch."""

    def __init__(self, problem: Problem, batch: int) -> None:
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        self.problem, (self.x, self.held) = problem, problem.inputs()
        kind = MLPClassifier if problem.classes.size else MLPRegressor
        units = (UNITS, UNITS)
        self.model = kind(
            hidden_layer_sizes=units, batch_size=batch, alpha=1e-4, random_state=0
        )
        self.y = problem.y
        self.known: dict[str, Any] = {}
        if problem.classes.size:
            self.known["classes"] = np.arange(problem.classes.size)
        else:
            self.y = self.y.astype(np.float32)

    def epoch(self, threads: int, _progress: float) -> None:
        import threadpoolctl

        with threadpoolctl.threadpool_limits(threads):
            self.model.partial_fit(self.x, self.y, **self.known)

    def outputs(self) -> np.ndarray:
        if self.problem.classes.size:
            return self.model.predict_proba(self.held)
        return self.model.predict(self.held)


class Torch:
    """PyTorch, eager, fused AdamW by a cosine."""

    RATE = 3e-3

    def __init__(self, problem: Problem, batch: int) -> None:
        import torch

        torch.manual_seed(0)
        self.batch = batch
        self.x, self.held = map(torch.from_numpy, problem.inputs())
        classes = problem.classes.size
        if classes:
            self.y = torch.from_numpy(problem.y)
            self.loss = torch.nn.functional.cross_entropy
        else:
            self.y = torch.from_numpy(problem.y.astype(np.float32))[:, None]
            self.loss = torch.nn.functional.mse_loss
        self.net = torch.nn.Sequential(
            torch.nn.Linear(self.x.shape[1], UNITS),
            torch.nn.ReLU(),
            torch.nn.Linear(UNITS, UNITS),
            torch.nn.ReLU(),
            torch.nn.Linear(UNITS, classes or 1),
        )
        self.adamw = torch.optim.AdamW(self.net.parameters(), lr=self.RATE, fused=True)

    def epoch(self, threads: int, progress: float) -> None:
        """One pass at the rate of this part, 0 to 1, of the time."""
        import torch

        torch.set_num_threads(threads)
        for group in self.adamw.param_groups:
            group["lr"] = self.RATE * 0.5 * (1 + math.cos(math.pi * min(progress, 1)))
        for rows in torch.randperm(len(self.x)).split(self.batch):
            self.adamw.zero_grad(set_to_none=True)
            self.loss(self.net(self.x[rows]), self.y[rows]).backward()
            self.adamw.step()

    def outputs(self) -> np.ndarray:
        import torch

        with torch.no_grad():
            return self.net(self.held).numpy()


def network_points(
    network: Any, problem: Problem, threads: int, seconds: float
) -> Points:
    clock = Clock()
    while clock.seconds < seconds:
        with clock:
            network.epoch(threads, clock.seconds / seconds)
        yield clock.seconds, problem.error(network.outputs())


def run_network(kind: Any, problem: Problem) -> dict[str, list[tuple[float, float]]]:
    """Curves of all batches for a short time and of the best for a long one."""
    curves: dict[str, list[tuple[float, float]]] = {}
    threads: dict[int, int] = {}
    least: dict[int, float] = {}
    for batch in BATCHES:
        times = {}
        for count in (1, 2):
            network, clock = kind(problem, batch), Clock()
            network.epoch(count, 0.0)
            with clock:
                network.epoch(count, 0.0)
            times[count] = clock.seconds
        threads[batch] = min(times, key=lambda count: times[count])
        points = list(
            network_points(kind(problem, batch), problem, threads[batch], TRIAL_SECONDS)
        )
        curves[f"batch {batch}, {TRIAL_SECONDS:.0f} s"] = points
        least[batch] = min(error for _, error in points)
    best = min(least, key=lambda batch: least[batch])
    curves[f"batch {best}, {NETWORK_SECONDS:.0f} s"] = list(
        network_points(kind(problem, best), problem, threads[best], NETWORK_SECONDS)
    )
    return curves


def run_ramify(tool: str, problem: Problem, resident: str, setting: str) -> Points:
    """One point."""
    with tempfile.TemporaryDirectory() as folder:
        datasets.write_split(problem.name, 0, pathlib.Path(folder), held_out=True)
        table = f"{folder}/{problem.name}-0"
        model = f"{table}.ramify"
        words = [tool, "train", f"{table}.train.csv", "--target", "target", "-o", model]
        words += ["--task", problem.split.task, "--threads", str(THREADS)]
        words += ["--resident", resident, *setting.split()]
        start = time.perf_counter()
        subprocess.run(words, capture_output=True, check=True)
        seconds = time.perf_counter() - start
        words = [tool, "evaluate", model, f"{table}.test.csv", "--json"]
        run = subprocess.run(words, capture_output=True, text=True, check=True)
    score = json.loads(run.stdout)
    if problem.classes.size:
        yield seconds, 100 * (1 - score["accuracy"])
    else:
        yield seconds, score["rmse"] / float(np.std(problem.split.y_train))


def thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Enough points to draw the curve: those a factor of time apart, and the lowest."""
    best = min(error for _, error in points)
    kept, last, done = [], 0.0, False
    for seconds, error in points:
        first_best = error == best and not done
        done = done or first_best
        if first_best or seconds >= last * THINNED:
            kept.append((seconds, error))
            last = seconds
    return kept


def read(path: pathlib.Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def run(tool: str, names: list[str], path: pathlib.Path) -> None:
    """Run what is missing."""
    done = {(row["set"], row["contender"], row["setting"]) for row in read(path)}
    contenders = {(row["set"], row["contender"]) for row in read(path)}

    def keep(name: str, contender: str, curves: dict[str, list]) -> None:
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if new:
                writer.writerow(FIELDS)
            for setting, points in curves.items():
                for seconds, error in thinned(points):
                    writer.writerow(
                        [name, contender, setting, f"{seconds:.3f}", f"{error:.5g}"]
                    )
        print(name, contender, *curves, file=sys.stderr, flush=True)

    models: dict[str, tuple[str, Callable[[Problem], Any]]] = {
        "LightGBM": ("lightgbm", lambda p: run_boosted(run_lightgbm, p)),
        "XGBoost": ("xgboost", lambda p: run_boosted(run_xgboost, p)),
        "scikit-learn": ("sklearn", lambda p: run_network(Perceptron, p)),
        "PyTorch": ("torch", lambda p: run_network(Torch, p)),
    }
    for name in names:
        problem = Problem(name)
        for resident, settings in SETTINGS.items():
            for setting in settings:
                contender, label = f"ramify {resident}", setting or "default"
                if (name, contender, label) not in done:
                    points = list(run_ramify(tool, problem, resident, setting))
                    keep(name, contender, {label: points})
        for contender, (package, runner) in models.items():
            if (name, contender) in contenders:
                continue
            if peers.package_version(package) is None:
                print(f"{contender}: absent", file=sys.stderr)
                continue
            keep(name, contender, runner(problem))


def report(path: pathlib.Path) -> None:
    """Print the tables."""
    curves: dict[str, dict[str, list[tuple[float, float, str]]]] = {}
    for row in read(path):
        point = (float(row["seconds"]), float(row["error"]), row["setting"])
        curves.setdefault(row["set"], {}).setdefault(row["contender"], []).append(point)
    trees = ["LightGBM", "XGBoost"]
    others = [f"ramify {resident}" for resident in SETTINGS] + [
        "scikit-learn",
        "PyTorch",
    ]
    print("Seconds to the boosted trees' own best error:\n")
    print("| set | trees | best error | seconds | " + " | ".join(others) + " |")
    print("|---" * (4 + len(others)) + "|")
    for name, contenders in curves.items():
        for tree in (tree for tree in trees if tree in contenders):
            seconds, error, _ = min(contenders[tree], key=lambda p: (p[1], p[0]))
            cells = [name, tree, f"{error:.4g}", f"{seconds:.1f}"]
            for other in others:
                reached = [p[0] for p in contenders.get(other, []) if p[1] <= error]
                cells.append(f"{min(reached):.1f}" if reached else "never")
            print("| " + " | ".join(cells) + " |")
    print("\nOwn best errors:\n")
    print("| set | contender | best error | seconds | setting |\n|---|---|---|---|---|")
    for name, contenders in curves.items():
        for contender, points in contenders.items():
            seconds, error, setting = min(points, key=lambda p: (p[1], p[0]))
            print(f"| {name} | {contender} | {error:.4g} | {seconds:.1f} | {setting} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default="build/ramify")
    parser.add_argument("--set", dest="sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument(
        "--csv", type=pathlib.Path, default=HERE / "training_curves.csv"
    )
    arguments = parser.parse_args()
    run(arguments.tool, arguments.sets, arguments.csv)
    report(arguments.csv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
