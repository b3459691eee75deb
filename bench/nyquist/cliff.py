"""A target of band 20 on a circle, without noise: error against the number of samples.

    cliff.py [--tool build/ramify] [--seeds 0,1,2,3,4] [--plot docs/nyquist-cliff.svg] [--keep FOLDER]
             [--network-seeds 1] [--learners nyquist,mlp,...]

Random Fourier coefficients up to frequency 20 (41 numbers), period 1. The error is the largest of 4,096 held-out
points, in standard deviations of the target; tables hold geometric means over seeds. Samples are equispaced
(0, 1/n, ..) or uniform. Whoever can use the period gets it:

- nyquist: `--kind nyquist --period 1`; the band is chosen, never given. Rows that it holds out of its fit
  (5 %) count as samples.
- guessed: the same, the period taken to be the range of the samples; untold: without a period, so that the
  basis is Chebyshev's.
- mlp: cos and sin of the angle -> 10 tanh units, 41 weights, by L-BFGS in float64 from five starts, the least
  training error; or ramify's `--kind mlp --hidden 16`: whichever is better on the held-out points.
- large mlp: two layers of 64 (4,417 weights) by L-BFGS from one start, and ramify's `--hidden 64,64`, periodic inputs
  allowed.
- nearest: the nearest sample's value, round the circle.
- kernel: ridge with a Gaussian kernel of the distance across the circle; length and ridge by leaving one out.
- polynomial: Chebyshev polynomials by least squares on [0, 1), the degree by leaving one out; has no use for
  the period.

Exponents are slopes of ln error over ln n by least squares, over all n from 40 on.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import statistics

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import numpy as np  # noqa: E402
from lbfgs_network import Network  # noqa: E402
from series_tool import Kept, Tool  # noqa: E402

BAND = 20
EQUISPACED = (
    30,
    36,
    40,
    41,
    42,
    43,
    44,
    46,
    48,
    52,
    60,
    80,
    100,
    150,
    200,
    300,
    500,
    1000,
)
RANDOM = (30, 40, 44, 48, 60, 80, 100, 150, 200, 300, 500, 700, 1000)
NETWORK_SAMPLES = (44, 60, 100, 300, 1000)
TEST_POINTS = 4096
LEARNERS = (
    "nyquist",
    "guessed",
    "untold",
    "mlp",
    "large mlp",
    "nearest",
    "kernel",
    "polynomial",
)
POWER_LAWS = ("mlp", "large mlp", "nearest")
LEAST_OF_FIT = 40  # samples
LIMIT = 10  # seconds of a start


class Target:
    """A random function of the band."""

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng([seed, BAND])
        self.coefficients = random.normal(size=(2, BAND))
        self.constant = random.normal()
        self.at = random.random(TEST_POINTS)
        self.truth = self(self.at)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        angle = 2 * np.pi * np.outer(x, np.arange(1, BAND + 1))
        a, b = self.coefficients
        return self.constant + np.cos(angle) @ a + np.sin(angle) @ b

    def error(self, predicted: np.ndarray) -> float:
        return float(np.abs(predicted - self.truth).max() / self.truth.std())


def circle(x: np.ndarray) -> np.ndarray:
    return np.column_stack([np.cos(2 * np.pi * x), np.sin(2 * np.pi * x)])


def run_nyquist(
    target: Target, x: np.ndarray, tool: Tool, period: float | None
) -> dict:
    words = ("--period", repr(period)) if period else ()
    outcome = tool.learn(
        x[:, None], target(x), target.at[:, None], "--kind", "nyquist", *words
    )
    report = outcome.series
    return {
        "error": target.error(outcome.predicted),
        "band": report["band"],
        "claimed": report["error"],
        "seconds": outcome.seconds,
    }


def run_lbfgs(
    target: Target, x: np.ndarray, layers: tuple[int, ...], starts: int
) -> float:
    y = target(x)
    mean, spread = y.mean(), y.std()
    best = None
    for start in range(starts):
        network = Network(2, layers, start)
        network.fit(circle(x), (y - mean) / spread, 3000, LIMIT)
        if best is None or network.loss < best.loss:
            best = network
    return target.error(best.predict(circle(target.at)) * spread + mean)


def run_mlp(target: Target, x: np.ndarray, tool: Tool, large: bool) -> dict:
    widths = "64,64" if large else "16"
    plain = (
        "--bins",
        "off",
        "--periodic",
        "auto" if large else "off",
        "--members",
        "1",
    )
    ours = tool.learn(
        circle(x),
        target(x),
        circle(target.at),
        "--kind",
        "mlp",
        "--hidden",
        widths,
        *plain,
        "--threads",
        "1",
    )
    errors = {
        "ramify": target.error(ours.predicted),
        "lbfgs": run_lbfgs(target, x, (64, 64), 1)
        if large
        else run_lbfgs(target, x, (10,), 5),
    }
    return {"error": min(errors.values())} | errors


def run_nearest(target: Target, x: np.ndarray) -> dict:
    gap = np.abs(target.at[:, None] - x[None, :])
    nearest = np.minimum(gap, 1 - gap).argmin(axis=1)
    return {"error": target.error(target(x)[nearest])}


def run_kernel(target: Target, x: np.ndarray) -> dict:
    y = target(x)
    mean, spread = y.mean(), y.std()
    y = (y - mean) / spread

    def kernel(a: np.ndarray, length: float) -> np.ndarray:
        chord = np.sin(np.pi * (a[:, None] - x[None, :])) / np.pi
        return np.exp(-(chord**2) / (2 * length**2))

    best = (np.inf, 0.0, 0.0)
    for length in np.geomspace(0.004, 0.15, 16):
        value, vector = np.linalg.eigh(kernel(x, length))
        turned = vector.T @ y
        for ridge in 10.0 ** np.arange(-15, -1):
            shrunk = np.maximum(value, 0) + ridge
            # Left out, a residual is weight / diagonal of the inverse.
            weight, diagonal = vector @ (turned / shrunk), (vector**2) @ (1 / shrunk)
            left_out = float(np.sqrt(np.mean((weight / diagonal) ** 2)))
            if left_out < best[0]:
                best = (left_out, length, ridge)
    _, length, ridge = best
    value, vector = np.linalg.eigh(kernel(x, length))
    weight = vector @ ((vector.T @ y) / (np.maximum(value, 0) + ridge))
    predicted = kernel(target.at, length) @ weight * spread + mean
    return {
        "error": target.error(predicted),
        "length": float(length),
        "ridge": float(ridge),
    }


def run_polynomial(target: Target, x: np.ndarray) -> dict:
    y = target(x)
    most = min(len(x) - 2, 200)
    q, r = np.linalg.qr(np.polynomial.chebyshev.chebvander(2 * x - 1, most))
    along, left, leverage = q.T @ y, y.copy(), np.zeros(len(x))
    best = (np.inf, 0)
    for degree in range(most + 1):
        left = left - q[:, degree] * along[degree]
        leverage = leverage + q[:, degree] ** 2
        if leverage.max() >= 1 - 1e-9:
            break
        left_out = float(np.sqrt(np.mean((left / (1 - leverage)) ** 2)))
        if left_out < best[0]:
            best = (left_out, degree)
    degree = best[1]
    weight = np.linalg.solve(r[: degree + 1, : degree + 1], along[: degree + 1])
    at = np.polynomial.chebyshev.chebvander(2 * target.at - 1, degree)
    return {"error": target.error(at @ weight), "degree": degree}


def measure(learner: str, layout: str, n: int, seed: int, tool: Tool) -> dict:
    target = Target(seed)
    random = np.random.default_rng([seed, n, 7])
    x = np.arange(n) / n if layout == "equispaced" else random.random(n)
    if learner in ("nyquist", "guessed", "untold"):
        period = {"nyquist": 1.0, "guessed": float(x.max() - x.min()), "untold": None}[
            learner
        ]
        return run_nyquist(target, x, tool, period)
    if learner in ("mlp", "large mlp"):
        return run_mlp(target, x, tool, learner == "large mlp")
    return {"nearest": run_nearest, "kernel": run_kernel, "polynomial": run_polynomial}[
        learner
    ](target, x)


def slope(points: dict[int, float]) -> float:
    """Of ln error over ln n."""
    kept = [n for n in points if n >= LEAST_OF_FIT]
    return float(np.polyfit(np.log(kept), np.log([points[n] for n in kept]), 1)[0])


def draw(curves: dict[str, dict[str, dict[int, float]]], path: pathlib.Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "ramify"
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="tight")
    for panel, (layout, learners) in zip(panels, curves.items(), strict=True):
        for learner, points in learners.items():
            if learner in ("guessed", "untold"):
                continue
            size = 2.2 if learner == "nyquist" else 1.2
            panel.loglog(
                list(points),
                list(points.values()),
                "o-",
                label=learner,
                linewidth=size,
                markersize=3,
            )
        panel.axvline(2 * BAND + 1, color="grey", linewidth=0.8, linestyle=":")
        panel.set_title(f"{layout} samples")
        panel.set_xlabel("samples")
    panels[0].set_ylabel("largest error, standard deviations")
    panels[0].legend(fontsize=8, loc="center")
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default="build/ramify")
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--learners", default=",".join(LEARNERS))
    parser.add_argument("--network-seeds", type=int, default=1)
    parser.add_argument("--plot", type=pathlib.Path)
    parser.add_argument("--keep", type=pathlib.Path)
    chosen = parser.parse_args()
    kept, tool = Kept(chosen.keep), Tool(chosen.tool)
    seeds = [int(s) for s in chosen.seeds.split(",")]
    learners = chosen.learners.split(",")
    curves: dict[str, dict[str, dict[int, float]]] = {}
    for layout, sizes in (("equispaced", EQUISPACED), ("uniform", RANDOM)):
        curves[layout] = {}
        worst = {}
        for learner in learners:
            points = {}
            few = learner in ("mlp", "large mlp")
            for n in NETWORK_SAMPLES if few else sizes:
                results = [
                    kept.get(
                        f"{learner.replace(' ', '-')}-{layout}-{n}-{seed}",
                        lambda learner=learner, layout=layout, n=n, seed=seed: measure(
                            learner, layout, n, seed, tool
                        ),
                    )
                    for seed in (seeds[: chosen.network_seeds] if few else seeds)
                ]
                points[n] = statistics.geometric_mean([r["error"] for r in results])
                worst[n, learner] = max(r["error"] for r in results)
            curves[layout][learner] = points
        print(
            f"\n{layout} samples\n\n| samples | "
            + " | ".join(learners)
            + " | nyquist, worst seed |"
        )
        print("|---" * (len(learners) + 2) + "|")
        for n in sizes:
            row = [
                f"{curves[layout][learner][n]:.1e}"
                if n in curves[layout][learner]
                else ""
                for learner in learners
            ]
            print(
                f"| {n:,} | "
                + " | ".join(row)
                + f" | {worst.get((n, 'nyquist'), 0):.1e} |"
            )
        for learner in learners:
            if learner in POWER_LAWS:
                print(
                    f"\n{learner}: exponent {slope(curves[layout][learner]):.2f}",
                    end="",
                )
        print(flush=True)
    if chosen.plot:
        draw(curves, chosen.plot)


if __name__ == "__main__":
    main()
