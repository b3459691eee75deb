"""Known functions without noise, learned from uniform rows: series beside networks and other peers.

    surrogates.py [--tool build/ramify] [--targets franke,branin,kink,park,hartmann] [--rows 1000,10000,100000]
                  [--seeds 0] [--models nyquist,pathways,...] [--limit 60] [--table] --keep FOLDER

Prints Markdown tables: errors on 10,000 other rows (root mean square, in standard deviations of the target),
then KiB of the model and seconds of training. In the box: over those test rows only that lie within the range
of the training rows; series take the others to its border. FOLDER keeps every result; what is there is not measured again;
--table prints what is there and measures nothing.

- nyquist: `--kind nyquist`, all else by default.
- pathways, mlp: `--resident 32KiB` in two columns and 40KiB in four, which is more than any of the series
  need there, `--time-limit` as --limit says.
- lbfgs: a tanh network of two layers, as many float32 weights as fit in those bytes, trained by L-BFGS in
  float64 on at most 2,500 rows (with more it gets less far in the same time), 5,000 steps or half of
  --limit seconds.
- lightgbm: three tunings, stopped on a tenth of the rows.
- gp: a Gaussian process on at most 5,000 rows, squared exponential or Matern 5/2 with a length per column,
  maximising the marginal likelihood on 500 of them.
- kernel: kernel ridge with a Gaussian kernel on at most 5,000 rows, length and ridge by a held-out fifth.
- sparse: products of Chebyshev polynomials up to a total degree, chosen by orthogonal matching pursuit; how
  many, and the degree, by a held-out fifth; least squares for those chosen.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import statistics
import time
import warnings
from collections.abc import Callable

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # times must not depend on load

import numpy as np  # noqa: E402
from lbfgs_network import Network  # noqa: E402
from series_tool import Kept, Tool  # noqa: E402

TEST_ROWS = 10_000
MOST_KERNEL_ROWS = 5_000
MOST_LBFGS_ROWS = 2_500
NETWORK_BYTES = {2: 32 << 10, 4: 40 << 10}  # by columns; no Nyquist learner has more


def franke(x: np.ndarray) -> np.ndarray:
    """Franke 1979."""
    a, b = 9 * x[:, 0], 9 * x[:, 1]
    return (
        0.75 * np.exp(-((a - 2) ** 2) / 4 - (b - 2) ** 2 / 4)
        + 0.75 * np.exp(-((a + 1) ** 2) / 49 - (b + 1) / 10)
        + 0.5 * np.exp(-((a - 7) ** 2) / 4 - (b - 3) ** 2 / 4)
        - 0.2 * np.exp(-((a - 4) ** 2) - (b - 7) ** 2)
    )


def branin(x: np.ndarray) -> np.ndarray:
    """Branin 1972, on its usual box."""
    a, b = 15 * x[:, 0] - 5, 15 * x[:, 1]
    bend = b - 5.1 / (4 * np.pi**2) * a**2 + 5 / np.pi * a - 6
    return bend**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(a) + 10


def kink(x: np.ndarray) -> np.ndarray:
    """A hinge aslant across the box, on a smooth function."""
    hinge = np.maximum(0, x[:, 0] + 0.5 * x[:, 1] - 0.7)
    return hinge + 0.3 * np.sin(2 * np.pi * x[:, 0]) * x[:, 1]


def park(x: np.ndarray) -> np.ndarray:
    """Park 1991 (1)."""
    first = np.maximum(x[:, 0], 1e-12)  # the limit at 0 is finite
    root = np.sqrt(1 + (x[:, 1] + x[:, 2] ** 2) * x[:, 3] / first**2)
    return first / 2 * (root - 1) + (first + 3 * x[:, 3]) * np.exp(1 + np.sin(x[:, 2]))


def hartmann(x: np.ndarray) -> np.ndarray:
    """Hartmann's in four dimensions (Picheny, Wagner, Ginsbourger 2013)."""
    alpha = np.array([1.0, 1.2, 3.0, 3.2])
    a = np.array(
        [[10, 3, 17, 3.5], [0.05, 10, 17, 0.1], [3, 3.5, 1.7, 10], [17, 8, 0.05, 10]]
    )
    p = 1e-4 * np.array(
        [
            [1312, 1696, 5569, 124],
            [2329, 4135, 8307, 3736],
            [2348, 1451, 3522, 2883],
            [4047, 8828, 8732, 5743],
        ]
    )
    inner = ((x[:, None, :] - p) ** 2 * a).sum(axis=2)
    return (1.1 - np.exp(-inner) @ alpha) / 0.839


TARGETS: dict[str, tuple[int, Callable[[np.ndarray], np.ndarray]]] = {
    "franke": (2, franke),
    "branin": (2, branin),
    "kink": (2, kink),
    "park": (4, park),
    "hartmann": (4, hartmann),
}


class Problem:
    """Rows of one target."""

    def __init__(self, name: str, rows: int, seed: int) -> None:
        columns, self.truth = TARGETS[name]
        random = np.random.default_rng([seed, rows])
        self.x = random.random((rows, columns))
        self.y = self.truth(self.x)
        self.test = np.random.default_rng([seed, 1]).random((TEST_ROWS, columns))
        self.test_y = self.truth(self.test)
        self.rows, self.columns, self.seed = rows, columns, seed

    def error(self, predicted: np.ndarray, where: np.ndarray | None = None) -> float:
        """Root mean square on test rows, in standard deviations."""
        miss = (predicted - self.test_y) / self.test_y.std()
        if where is not None:
            miss = miss[where]
        return float(np.sqrt(np.mean(miss**2)))


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def by_tool(problem: Problem, tool: Tool, *words: str) -> dict:
    outcome = tool.learn(
        problem.x,
        problem.y,
        problem.test,
        "--threads",
        "1",
        "--seed",
        str(problem.seed),
        *words,
    )
    low, high = problem.x.min(axis=0), problem.x.max(axis=0)
    inside = ((problem.test >= low) & (problem.test <= high)).all(axis=1)
    result = {
        "error": problem.error(outcome.predicted),
        "inside": problem.error(outcome.predicted, inside),
        "median": float(
            np.median(np.abs(outcome.predicted - problem.test_y)) / problem.test_y.std()
        ),
        "bytes": outcome.info["resident_bytes"],
        "file": outcome.info["file_bytes"],
        "leaves": outcome.info["leaves"],
        "seconds": outcome.seconds,
    }
    if "nyquist" in outcome.info["config"]:
        report = outcome.series
        keys = ("set", "band", "terms", "noise", "ridge", "growth")
        result |= {key: report.get(key) for key in keys}
        result["claimed"] = report["leaves"]["error"] / float(problem.y.std())
    return result


def run_lbfgs(problem: Problem, limit: float) -> dict:
    d, width = problem.columns, 1
    while (
        4 * ((d + 1) * (width + 1) + (width + 2) * (width + 1) + width + 2)
        <= NETWORK_BYTES[d]
    ):
        width += 1
    x, y = problem.x[:MOST_LBFGS_ROWS], problem.y[:MOST_LBFGS_ROWS]
    mean, spread = y.mean(), y.std()
    network = Network(d, (width, width), problem.seed)
    network.fit(4 * x - 2, (y - mean) / spread, 5000, limit / 2)
    return {
        "error": problem.error(network.predict(4 * problem.test - 2) * spread + mean),
        "bytes": 4 * network.weights.size,
        "seconds": network.seconds,
        "steps": network.steps,
        "width": width,
    }


def run_lightgbm(problem: Problem) -> dict:
    import lightgbm

    held = problem.rows // 10
    began, best = time.monotonic(), None
    for rate, leaves, least in ((0.1, 31, 5), (0.05, 127, 10), (0.1, 255, 20)):
        model = lightgbm.train(
            {
                "objective": "regression",
                "learning_rate": rate,
                "num_leaves": leaves,
                "min_data_in_leaf": least,
                "verbosity": -1,
                "num_threads": 1,
                "seed": problem.seed,
            },
            lightgbm.Dataset(problem.x[held:], problem.y[held:]),
            3000,
            valid_sets=[lightgbm.Dataset(problem.x[:held], problem.y[:held])],
            callbacks=[lightgbm.early_stopping(50, verbose=False)],
        )
        score = rms(model.predict(problem.x[:held]) - problem.y[:held])
        if best is None or score < best[0]:
            best = (score, model)
    return {
        "error": problem.error(best[1].predict(problem.test)),
        "bytes": len(best[1].model_to_string()),
        "seconds": time.monotonic() - began,
    }


def run_gp(problem: Problem) -> dict:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern

    rows = min(problem.rows, MOST_KERNEL_ROWS)
    x, mean, spread = problem.x[:rows], problem.y.mean(), problem.y.std()
    y = (problem.y[:rows] - mean) / spread
    some, began, best = min(500, rows * 4 // 5), time.monotonic(), None
    check = slice(some, min(rows, 3 * some))
    for shape in (RBF, Matern):
        extra = {"nu": 2.5} if shape is Matern else {}
        kernel = ConstantKernel(1.0, (1e-3, 1e6)) * shape(
            np.full(problem.columns, 0.3), (1e-2, 1e2), **extra
        )
        process = GaussianProcessRegressor(
            kernel, alpha=1e-10, n_restarts_optimizer=1, random_state=problem.seed
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            process.fit(x[:some], y[:some])
        score = rms(process.predict(x[check]) - y[check])
        if best is None or score < best[0]:
            best = (score, process.kernel_)
    for alpha in (1e-12, 1e-10, 1e-8):  # the least that can be factorised
        try:
            process = GaussianProcessRegressor(
                best[1], alpha=alpha, optimizer=None
            ).fit(x, y)
            break
        except np.linalg.LinAlgError:
            continue
    return {
        "error": problem.error(process.predict(problem.test) * spread + mean),
        "bytes": 8 * rows * (problem.columns + 1),
        "seconds": time.monotonic() - began,
        "kernel": str(best[1]),
        "alpha": alpha,
    }


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared, all pairs."""
    return np.maximum(
        0, (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2 * a @ b.T
    )


def run_kernel(problem: Problem) -> dict:
    import scipy.linalg

    rows = min(problem.rows, MOST_KERNEL_ROWS)
    x, y = problem.x[:rows], problem.y[:rows]
    mean, spread = y.mean(), y.std()
    y = (y - mean) / spread
    began = time.monotonic()

    def solve(
        known: slice, length: float, ridge: float, at: np.ndarray
    ) -> np.ndarray | None:
        gram = np.exp(-distances(x[known], x[known]) / (2 * length**2))
        gram[np.diag_indices_from(gram)] += ridge
        try:
            factor = scipy.linalg.cho_factor(gram, overwrite_a=True, check_finite=False)
        except np.linalg.LinAlgError:
            return None
        weights = scipy.linalg.cho_solve(factor, y[known])
        return np.exp(-distances(at, x[known]) / (2 * length**2)) @ weights

    held = rows // 5
    best = (np.inf, 0.0, 0.0)
    for length in (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0):
        for ridge in (1e-14, 1e-12, 1e-10, 1e-8):
            # Of 5,000 rows, lengths that are right for 2,500 are nearly so.
            part = slice(held, min(rows, held + 2500))
            guess = solve(part, length, ridge, x[:held])
            if guess is not None and rms(guess - y[:held]) < best[0]:
                best = (rms(guess - y[:held]), length, ridge)
    found, ridge = None, best[2]
    while found is None:
        found = solve(slice(0, rows), best[1], ridge, problem.test)
        ridge *= 10
    return {
        "error": problem.error(found * spread + mean),
        "bytes": 8 * rows * (problem.columns + 1),
        "seconds": time.monotonic() - began,
        "length": best[1],
        "ridge": best[2],
    }


def polynomials(x: np.ndarray, degree: int) -> np.ndarray:
    """Products of Chebyshev polynomials up to a total degree: rows x terms."""
    one = [
        np.polynomial.chebyshev.chebvander(2 * x[:, a] - 1, degree)
        for a in range(x.shape[1])
    ]
    parts = [(one[0][:, k], k) for k in range(degree + 1)]
    for more in one[1:]:
        parts = [
            (part * more[:, k], order + k)
            for part, order in parts
            for k in range(degree + 1 - order)
        ]
    return np.column_stack([part for part, _ in parts])


def run_sparse(problem: Problem) -> dict:
    import scipy.linalg
    from sklearn.linear_model import orthogonal_mp_gram

    began = time.monotonic()
    held = problem.rows // 5
    most = min(problem.rows, 20_000)  # rows that choose the terms
    mean, spread = problem.y.mean(), problem.y.std()
    y = (problem.y - mean) / spread
    best = None
    for degree in (10, 20, 30, 43) if problem.columns == 2 else (4, 6, 8, 10):
        terms = polynomials(problem.x[:most], degree)
        held_part = min(held, most // 5)
        fit, check = terms[held_part:], terms[:held_part]
        scale = np.sqrt((fit**2).mean(axis=0))
        fit = fit / scale
        count = min(fit.shape[1], len(fit) // 2, 600)
        path = orthogonal_mp_gram(
            fit.T @ fit,
            fit.T @ y[held_part:most],
            n_nonzero_coefs=count,
            return_path=True,
        )
        path = path / scale[:, None]
        misses = check @ path - y[:held_part, None]
        scores = np.sqrt((misses**2).mean(axis=0))
        at = int(np.argmin(scores))
        if best is None or scores[at] < best[0]:
            best = (float(scores[at]), degree, np.flatnonzero(path[:, at]))
    _, degree, chosen = best
    known = polynomials(problem.x, degree)[:, chosen]
    solution = scipy.linalg.lstsq(known, y, lapack_driver="gelsy")[0]
    predicted = polynomials(problem.test, degree)[:, chosen] @ solution
    return {
        "error": problem.error(predicted * spread + mean),
        "bytes": 8 * len(chosen),
        "seconds": time.monotonic() - began,
        "degree": degree,
        "terms": len(chosen),
    }


MODELS = (
    "nyquist",
    "sparse",
    "kernel",
    "gp",
    "lightgbm",
    "mlp",
    "pathways",
    "lbfgs",
)
NETWORKS = ("mlp", "pathways", "lbfgs")


def measure(
    kept: Kept, tool: Tool, name: str, rows: int, seed: int, model: str, limit: float
) -> dict | None:
    """One cell; None where the peer is not run."""

    def file(of: str) -> str:
        return f"{name}-{rows}-{seed}-{of}"

    def problem() -> Problem:
        return Problem(name, rows, seed)

    if model == "nyquist":
        return kept.get(file(model), lambda: by_tool(problem(), tool, "--kind", model))
    if model in ("mlp", "pathways"):
        words = (
            "--kind",
            model,
            "--resident",
            str(NETWORK_BYTES[TARGETS[name][0]]),
            "--time-limit",
            f"{limit:g}s",
        )
        return kept.get(file(model), lambda: by_tool(problem(), tool, *words))
    if model == "lbfgs" and rows > 10_000:
        return None
    if model == "lbfgs":
        return kept.get(file(model), lambda: run_lbfgs(problem(), limit))
    if model in ("gp", "kernel") and rows > MOST_KERNEL_ROWS * 2:
        return None  # would be the same 5,000 rows again
    run = {
        "gp": run_gp,
        "kernel": run_kernel,
        "sparse": run_sparse,
        "lightgbm": run_lightgbm,
    }
    return kept.get(file(model), lambda: run[model](problem()))


def print_tables(cells: dict[tuple[str, int, str], list[dict]]) -> None:
    """Errors, then bytes and seconds: geometric means over seeds, a line per target and number of rows."""

    def mean(place: tuple[str, int, str], key: str) -> float:
        return statistics.geometric_mean(result[key] for result in cells[place])

    places = sorted({(list(TARGETS).index(n), n, r) for n, r, _ in cells})
    heads = ["target", "rows", "nyquist, in the box", *MODELS, "best network / nyquist"]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for _, name, rows in places:
        # What lbfgs reaches on fewer rows counts, too: its time is bounded.
        networks = [
            mean((name, n, model), "error")
            for model in NETWORKS
            for n in (rows, 10_000, 1000)
            if (n == rows or (model == "lbfgs" and n < rows))
            and (name, n, model) in cells
        ]
        row = [name, f"{rows:,}"]
        for model, key in (
            ("nyquist", "inside"),
            *((model, "error") for model in MODELS),
        ):
            known = (name, rows, model) in cells
            row.append(f"{mean((name, rows, model), key):.1e}" if known else "")
        known = networks and (name, rows, "nyquist") in cells
        row.append(
            f"{min(networks) / mean((name, rows, 'nyquist'), 'error'):.2g}"
            if known
            else ""
        )
        print("| " + " | ".join(row) + " |")
    print(
        "\n| target | rows | "
        + " | ".join(MODELS)
        + " |\n"
        + "|---" * (len(MODELS) + 2)
        + "|"
    )
    for _, name, rows in places:
        row = [name, f"{rows:,}"]
        for model in MODELS:
            place = (name, rows, model)
            row.append(
                f"{mean(place, 'bytes') / 1024:,.1f}, {mean(place, 'seconds'):.2g}"
                if place in cells
                else ""
            )
        print("| " + " | ".join(row) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default="build/ramify")
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--rows", default="1000,10000,100000")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--limit", type=float, default=60, help="seconds of a network")
    parser.add_argument("--table", action="store_true", help="measure nothing")
    parser.add_argument("--keep", type=pathlib.Path, required=True)
    chosen = parser.parse_args()
    kept, tool = Kept(chosen.keep), Tool(chosen.tool)
    cells: dict[tuple[str, int, str], list[dict]] = {}
    for rows in map(int, chosen.rows.split(",")):
        for seed in map(int, chosen.seeds.split(",")):
            for name in chosen.targets.split(","):
                for model in chosen.models.split(","):
                    if (
                        chosen.table
                        and not (
                            chosen.keep / f"{name}-{rows}-{seed}-{model}.json"
                        ).exists()
                    ):
                        continue
                    result = measure(kept, tool, name, rows, seed, model, chosen.limit)
                    if result is None:
                        continue
                    cells.setdefault((name, rows, model), []).append(result)
                    if not chosen.table:
                        print(name, rows, seed, model, result, flush=True)
    print_tables(cells)


if __name__ == "__main__":
    main()
