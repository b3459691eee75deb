"""Band-limited targets with noise: error against the target without it, beside the formula.

    noise.py [--tool build/ramify] [--seeds 20] [--sigma 0.1] [--rows 164,174,..]
             [--default-seeds 3] [--keep FOLDER]

A target of period 1 and band 20 (K = 41 random Fourier coefficients, deviation 1) plus normal noise. Errors
are root mean squares over a grid of 4,096 points. Formulas, without a ridge: sigma sqrt(K / n) for
equispaced samples, sigma sqrt(K / (n - K - 1)) for uniform ones from n = 4 K on. n counts all rows that the
tool is given, though it holds 5 % out of its fit. A cell is the root mean square over seeds divided by the
formula; goal: .8 to 1.2.

- no ridge: `--ridge 0`, the band chosen; beside it the share of seeds whose band is 20.
- known band: `--ridge 0 --band 20`.
- default: the band and the weights chosen; over the first --default-seeds only, as it takes longer.
"""

from __future__ import annotations

import argparse
import pathlib

import numpy as np
from series_tool import Kept, Tool

BAND = 20
TERMS = 2 * BAND + 1
ROWS = (4 * TERMS, 174, 400, 1000, 4000, 16_000, 64_000, 164_000)
GRID = 4096
FITS = {
    "no ridge": ("--ridge", "0"),
    "known band": ("--ridge", "0", "--band", str(BAND)),
    "default": (),
}


def values(seed: int, x: np.ndarray) -> np.ndarray:
    """The target at x: coefficients drawn by the seed, deviation 1."""
    a, b = np.random.default_rng([seed, BAND]).normal(size=(2, BAND))
    size = np.sqrt(((a**2 + b**2) / 2).sum())
    y = np.zeros(len(x))
    for k in range(1, BAND + 1):
        y += (
            a[k - 1] * np.cos(2 * np.pi * k * x) + b[k - 1] * np.sin(2 * np.pi * k * x)
        ) / size
    return y


def formula(sigma: float, layout: str, rows: int) -> float:
    return sigma * np.sqrt(
        TERMS / (rows if layout == "equispaced" else rows - TERMS - 1)
    )


def measure(
    tool: Tool, layout: str, rows: int, seed: int, sigma: float, names: list[str]
) -> dict:
    random = np.random.default_rng([seed, rows])
    x = np.arange(rows) / rows if layout == "equispaced" else random.random(rows)
    y = values(seed, x) + sigma * random.normal(size=rows)
    grid = (np.arange(GRID) + 0.5) / GRID
    truth = values(seed, grid)
    result = {}
    for name in names:
        outcome = tool.learn(
            x[:, None],
            y,
            grid[:, None],
            "--kind",
            "nyquist",
            "--period",
            "1",
            *FITS[name],
        )
        result[name] = {
            "error": float(np.sqrt(np.mean((outcome.predicted - truth) ** 2))),
            "band": outcome.series["band"],
            "noise": outcome.series["noise"],
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default="build/ramify")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--default-seeds", type=int, default=3)
    parser.add_argument("--sigma", type=float, default=0.1)
    parser.add_argument("--rows", default=",".join(map(str, ROWS)))
    parser.add_argument("--keep", type=pathlib.Path)
    chosen = parser.parse_args()
    tool, kept = Tool(chosen.tool), Kept(chosen.keep)
    print(
        "| samples | rows | formula | no ridge | band found | known band | default "
        "| noise reported / sigma |\n|---|---|---|---|---|---|---|---|"
    )
    for layout in ("equispaced", "uniform"):
        for rows in map(int, chosen.rows.split(",")):
            runs = [
                kept.get(
                    f"{layout}-{rows}-{seed}-{chosen.sigma:g}",
                    lambda layout=layout, rows=rows, seed=seed: measure(
                        tool,
                        layout,
                        rows,
                        seed,
                        chosen.sigma,
                        list(FITS)[: 3 if seed < chosen.default_seeds else 2],
                    ),
                )
                for seed in range(chosen.seeds)
            ]
            expected = formula(chosen.sigma, layout, rows)
            ratio = {}
            for name in FITS:
                errors = [run[name]["error"] for run in runs if name in run]
                ratio[name] = float(np.linalg.norm(errors) / expected)
                ratio[name] /= max(1, len(errors)) ** 0.5
            found = np.mean([run["no ridge"]["band"] == BAND for run in runs])
            noise = np.mean([run["no ridge"]["noise"] for run in runs]) / chosen.sigma
            print(
                f"| {layout} | {rows:,} | {expected:.3g} | {ratio['no ridge']:.3f} "
                f"| {100 * found:.0f} % | {ratio['known band']:.3f} | {ratio['default']:.3f} "
                f"| {noise:.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
