"""Time of fits of 92 learning curves, beside the same fits by SciPy.

    python3 bench/laws/speed.py [--tool build/ramify] [--turns 5]

The curves and the split of ``curves.py``; one core. ``m4``: the same starts (seven floors, three tops,
three bends, a line through what is left), the same followed (the eight of least loss for 30
evaluations, the best two to the end, tolerance 1e-12), logarithms of parameters and analytic gradients
in both; SciPy's ``least_squares(method="lm")`` is MINPACK's lmder, as ours is. ``damped`` and ``auto`` are
computed by NumPy from the formulas in docs/laws.md. Ours is the time of the tool less that of
``last``, which reads the same table and fits nothing; SciPy's leaves reading out as well. Medians of
alternating turns.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"
if "avx512f" in pathlib.Path("/proc/cpuinfo").read_text():
    os.environ.setdefault("OPENBLAS_CORETYPE", "SkylakeX")

import curves  # noqa: E402
import intervals  # noqa: E402
import numpy as np  # noqa: E402
import scipy  # noqa: E402
from scipy.optimize import least_squares  # noqa: E402

FLOORS = (1e-6, 0.3, 0.6, 0.8, 0.9, 0.95, 0.99)
TOPS = (1.02, 1.2, 2.0)
BENDS = (0.3, 1.0, 3.0)
Points = tuple[np.ndarray, np.ndarray]


def m4_log(theta: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ln y and its gradient by (floor, gap, bend, b, c); Halley's steps on the logit."""
    floor, gap, a, b, c = theta
    t = np.log(b) - c * x - (1 - a) * np.log(gap)
    q = np.where(t < 0, t, t / a)
    for _ in range(100):
        e = np.exp(-np.abs(q))
        softplus = np.log1p(e)
        ln_p = np.where(q > 0, -softplus, q - softplus)
        rest = np.where(q > 0, e, 1.0) / (1 + e)
        off = a * q + (1 - a) * ln_p - t
        slope = a + (1 - a) * rest
        turn = 1 - 0.5 * (off / slope) * (a - 1) * rest * (1 - rest) / slope
        step = off / slope / np.where(turn > 0.5, turn, 1.0)
        q = q - step
        if np.all(np.abs(step) <= 1e-6 * (1 + np.abs(q))):
            break
    e = np.exp(-np.abs(q))
    softplus = np.log1p(e)
    power = gap * np.exp(np.where(q > 0, -softplus, q - softplus))
    rest = np.where(q > 0, e, 1.0) / (1 + e)
    ln_rest = np.where(q > 0, -q - softplus, -softplus)
    y = floor + power
    by_q = power * rest / y / (a + (1 - a) * rest)
    gradient = np.stack(
        [
            1 / y,
            (power / y - by_q * (1 - a)) / gap,
            by_q * (np.log(gap) + ln_rest),
            by_q / b,
            -by_q * x,
        ],
        axis=1,
    )
    return np.log(y), gradient


def m4_starts(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Logarithms of parameters that fits begin from."""
    starts = []
    for bend in BENDS:
        for top in TOPS:
            for share in FLOORS:
                floor, high = share * y.min(), top * y.max()
                left = np.log(y - floor) - bend * np.log(high - y)
                slope, intercept = np.polyfit(x, left, 1)
                slope = min(slope, -1e-3)
                intercept = left.mean() - slope * x.mean()
                starts.append(
                    np.array(
                        [np.log(floor), np.log(high - floor), np.log(bend), intercept]
                        + [np.log(-slope)]
                    )
                )
    return starts


def fit_m4(points: Points) -> None:
    """One curve by SciPy."""
    x, ln_y = points

    def residuals(u: np.ndarray) -> np.ndarray:
        value = m4_log(np.exp(np.clip(u, -600, 600)), x)[0] - ln_y
        return np.where(np.isfinite(value), value, 1e8)

    def jacobian(u: np.ndarray) -> np.ndarray:
        theta = np.exp(np.clip(u, -600, 600))
        gradient = m4_log(theta, x)[1] * theta
        return np.where(np.isfinite(gradient), gradient, 0.0)

    def descend(u: np.ndarray, evaluations: int) -> tuple[float, np.ndarray]:
        found = least_squares(
            residuals, u, jacobian, method="lm", xtol=1e-12, ftol=1e-12,
            max_nfev=evaluations,
        )  # fmt: skip
        return found.cost, found.x

    starts = sorted(
        m4_starts(x, np.exp(ln_y)), key=lambda u: float((residuals(u) ** 2).sum())
    )
    short = sorted((descend(u, 30) for u in starts[:8]), key=lambda f: f[0])
    min((descend(u, 400) for _, u in short[:2]), key=lambda f: f[0])


def line(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> tuple[float, float, float]:
    """Weighted line: mean, slope, centre."""
    total = w.sum()
    centre, mean = (w * x).sum() / total, (w * y).sum() / total
    spread = (w * (x - centre) ** 2).sum()
    return mean, (w * (x - centre) * (y - mean)).sum() / spread, centre


def fit_damped(points: Points) -> None:
    """One curve by NumPy."""
    u = points[0] - points[0][-1]
    line(-np.expm1(-0.35 * u) / 0.35, points[1], np.exp(u / 0.3))


def auto_once(x: np.ndarray, ln_y: np.ndarray) -> None:
    """Steps 1 to 4 and the interval's sums of docs/laws.md."""
    u, y = x - x[-1], np.exp(ln_y)
    total = np.exp((np.unique(x) - x[-1]) / 0.3).sum()
    gap = 2.0 if total - 1 < 1e-15 else min(-0.3 * np.log1p(-1 / total), 2.0)
    w = np.exp(u / np.hypot(0.3, 0.3 * gap))
    z = -np.expm1(-0.35 * u) / 0.35
    mean, slope, centre = line(z, ln_y, w)
    residual = ln_y - mean - slope * (z - centre)
    v = (w * (z - centre) ** 2).sum()
    used = (w * w).sum() / w.sum() + (w * w * (z - centre) ** 2).sum() / v
    _ = np.sqrt((w * residual**2).sum() / max(w.sum() - used, 1e-12))
    w = np.exp(u / 0.5)
    for floor in np.arange(20) / 20 * y.min():
        mean, slope, centre = line(u, np.log(y - floor), w * ((y - floor) / y) ** 2)
        d = np.log(floor + np.exp(mean + min(slope, 0.0) * (u - centre))) - ln_y
        _ = (
            w.sum() ** 2
            / (w * w).sum()
            / 2
            * np.log((w * d * d).sum() / w.sum() + 2.5e-5)
        )


def fit_auto(points: Points) -> None:
    """One curve by NumPy: the rule, and at four earlier ends for the interval."""
    x, ln_y = points
    auto_once(x, ln_y)
    for cut in (1, 1.5, 2, 2.5):
        kept = x <= x[-1] - cut * np.log(2)
        if kept.sum() > 3:
            auto_once(x[kept], ln_y[kept])


def time_tool(tool: str, table: str, form: str, rolling: str) -> float:
    """Seconds of one run of the tool."""
    words = [
        tool,
        "law",
        "fit",
        table,
        "--form",
        form,
        "--x",
        "examples",
        "--y",
        "loss",
    ]
    words += ["--by", "domain,task,model", "--categorical", "model"]
    words += ["--fit-where", "training=1", "--bootstrap", "0", "--rolling", rolling]
    words += ["--threads", "1", "--json"]
    began = time.perf_counter()
    subprocess.run(words, capture_output=True, check=True)
    return time.perf_counter() - began


def main() -> None:
    """One line per form."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default="build/ramify")
    parser.add_argument("--turns", type=int, default=5)
    chosen = parser.parse_args()
    peers: dict[str, Callable[[Points], None]] = {
        "m4": fit_m4,
        "damped": fit_damped,
        "auto": fit_auto,
    }
    with tempfile.TemporaryDirectory() as folder:
        table = pathlib.Path(folder) / "curves.csv"
        curves.write_table(table)
        points = []
        for rows in intervals.read_curves(training_only=True).values():
            points.append((np.log([x for x, _ in rows]), np.log([y for _, y in rows])))
        print(f"92 curves, seconds; SciPy {scipy.__version__}, Python "
              f"{sys.version.split()[0]}\n\n| form | ramify | SciPy / NumPy | ratio |\n"
              "|---|---|---|---|")  # fmt: skip
        for form, peer in peers.items():
            rolling = "on" if form == "auto" else "off"
            ours, theirs = [], []
            for _ in range(chosen.turns):
                whole = time_tool(chosen.tool, str(table), form, rolling)
                ours.append(whole - time_tool(chosen.tool, str(table), "last", "off"))
                began = time.perf_counter()
                with np.errstate(all="ignore"):
                    for one in points:
                        peer(one)
                theirs.append(time.perf_counter() - began)
            mine, other = statistics.median(ours), statistics.median(theirs)
            print(f"| {form} | {mine:.4f} | {other:.3f} | {other / mine:.0f} |")


if __name__ == "__main__":
    main()
