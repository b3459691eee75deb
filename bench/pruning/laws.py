"""How well laws of pruning predict the runs of grid.py.

    laws.py --runs FOLDER/runs.csv [--tool build/ramify] [--plot docs/pruning-law.svg]

- single: a law per network (form pruning), fitted to the means over seeds, scored by 10 folds over
  densities.
- joint: one law of depth, width and density (form pruning-joint). Every network is predicted by a law of
  the others (all densities and seeds left out), with its own error without pruning.
- Beside them the noise of seeds (the deviation of one seed from the mean of all) and an interpolation: ln
  error over the same network's error without pruning, linear in ln density of the remaining networks,
  weighed by their distance in ln width and ln depth.
- smallest: for eight errors up to twice the least dense one, the smallest network by a law fitted to 40
  single networks (one density and seed each, drawn at random from networks of even places in the grid,
  20 draws), among networks that it did not see, against the smallest that was measured (ln error linear in
  ln density between runs). Laws are fitted to runs whose error is at most so many times their network's own
  without pruning.

Relative errors are (predicted - measured) / measured; means and standard deviations in percent.
"""

from __future__ import annotations

import argparse
import collections
import csv
import json
import math
import pathlib
import subprocess
import tempfile

import numpy as np

ENDS = 28 * 28 + 10  # inputs and outputs
DRAWS = 20
SINGLE_NETWORKS = 40

Key = tuple[int, int]  # depth, width


def weights(depth: int, width: int) -> int:
    """Weights of a network without pruning."""
    return ENDS * width + (depth - 1) * width * width


class Law:
    """The tool's law of some runs."""

    def __init__(self, tool: str, form: str, names: list[str], runs: list) -> None:
        self.tool, self.names = tool, names
        self.folder = tempfile.TemporaryDirectory()
        place = pathlib.Path(self.folder.name)
        with (place / "runs.csv").open("w", newline="") as to:
            csv.writer(to).writerows([[*names, "error"], *runs])
        self.path = str(place / "law.json")
        x = ",".join(names)
        words = ["law", "fit", str(place / "runs.csv"), "--form", form, "--x", x]
        self.found = self.ask(
            *words, "--y", "error", "--bootstrap", "0", "--json", "-o", self.path
        )["groups"][0]

    def ask(self, *words: str) -> dict:
        done = subprocess.run(
            [self.tool, *words], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(words)}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def predict(self, places: list) -> np.ndarray:
        at = []
        for place in places:
            named = zip(self.names, place, strict=True)
            at += ["--at", ",".join(f"{n}={v:.17g}" for n, v in named)]
        values = []
        for first in range(0, len(at), 32):
            some = at[first : first + 32]
            answer = self.ask("law", "predict", self.path, *some, "--json")
            values += [one["value"] for one in answer["predictions"]]
        return np.array(values)


def read(path: pathlib.Path) -> dict[Key, dict[int, list[tuple[float, float]]]]:
    """Density and error of every round, by network and seed."""
    runs: dict = collections.defaultdict(lambda: collections.defaultdict(list))
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            key = int(row["depth"]), int(row["width"])
            runs[key][int(row["seed"])].append(
                (float(row["density"]), float(row["error"]))
            )
    return runs


def means(network: dict[int, list[tuple[float, float]]]) -> list[tuple[float, float]]:
    """Geometric means over seeds."""
    rounds = zip(*network.values(), strict=True)
    return [
        (one[0][0], math.exp(np.mean([math.log(error) for _, error in one])))
        for one in rounds
    ]


def percent(values: list[float] | np.ndarray) -> tuple[float, float]:
    return 100 * float(np.mean(values)), 100 * float(np.std(values))


def line(name: str, misses: list[float], **more: str) -> None:
    mean, deviation = percent(misses)
    rest = " | ".join(more.values())
    print(f"| {name} | {mean:+.2f} | {deviation:.2f} | {len(misses)} | {rest} |")


def score_single(tool: str, runs: dict) -> list[float]:
    """Misses of laws per network, each round predicted without it and a tenth of the others."""
    misses = []
    for network in runs.values():
        rounds = means(network)
        order = np.random.default_rng(1).permutation(len(rounds))
        for fold in range(10):
            held = {int(i) for i in order[fold::10]}
            law = Law(
                tool,
                "pruning",
                ["density"],
                [r for i, r in enumerate(rounds) if i not in held],
            )
            found = law.predict([[rounds[i][0]] for i in sorted(held)])
            misses += [
                value / rounds[i][1] - 1
                for value, i in zip(found, sorted(held), strict=True)
            ]
    return misses


def score_noise(runs: dict) -> list[float]:
    """How far one seed is from the mean of the seeds, made up for the mean's own noise."""
    misses = []
    for network in runs.values():
        count = len(network)
        factor = math.sqrt(count / (count - 1))
        for rounds in network.values():
            for (_, error), (_, mean) in zip(rounds, means(network), strict=True):
                misses.append(factor * (error / mean - 1))
    return misses


def joint_law(tool: str, runs: dict, but: Key | None) -> Law:
    rows = []
    for (depth, width), network in runs.items():
        if (depth, width) == but:
            continue
        rounds = means(network)
        rows += [[depth, width, d, rounds[0][1], e] for d, e in rounds]
    return Law(tool, "pruning-joint", ["depth", "width", "density", "dense"], rows)


def interpolate(runs: dict, held: Key) -> np.ndarray:
    """From the other networks, nearer ones more."""
    target = means(runs[held])
    total, weight = np.zeros(len(target)), 0.0
    at = np.log([d for d, _ in target])
    for key, network in runs.items():
        if key == held:
            continue
        rounds = means(network)
        gap = sum(math.log(a / b) ** 2 for a, b in zip(key, held, strict=True))
        rise = [math.log(e / rounds[0][1]) for _, e in rounds]
        share = 1 / gap**1.5
        total += share * np.interp(
            at, np.log([d for d, _ in rounds])[::-1], np.array(rise)[::-1]
        )
        weight += share
    return target[0][1] * np.exp(total / weight)


def score_joint(tool: str, runs: dict) -> tuple[list[float], list[float]]:
    misses, plain = [], []
    for held, network in runs.items():
        rounds = means(network)
        law = joint_law(tool, runs, held)
        found = law.predict([[*held, d, rounds[0][1]] for d, _ in rounds])
        true = np.array([e for _, e in rounds])
        misses += list(found / true - 1)
        plain += list(interpolate(runs, held) / true - 1)
    return misses, plain


def needed(rounds: list[tuple[float, float]], error: float) -> float:
    """The least density at which a network's measured rounds have at most this error; inf: none."""
    least = math.inf
    for (d0, e0), (d1, e1) in zip(rounds, rounds[1:], strict=False):
        if e0 <= error:
            least = d0
        if e0 <= error < e1:
            share = math.log(error / e0) / math.log(e1 / e0)
            least = math.exp(math.log(d0) + share * math.log(d1 / d0))
    return least


def score_smallest(
    tool: str, runs: dict, reach: float
) -> tuple[list[float], list[float]]:
    """The smallest network by a law, over the smallest that was measured: in weights as the law has them,
    and in those that the network that it picks really takes."""
    keys = sorted(runs)
    depths, widths = sorted({k[0] for k in keys}), sorted({k[1] for k in keys})
    known = [k for k in keys if (depths.index(k[0]) + widths.index(k[1])) % 2 == 0]
    unseen = [k for k in keys if k not in known]
    curves = {k: means(runs[k]) for k in keys}
    least = max(min(e for _, e in curves[k]) for k in unseen)
    most = min(curves[k][0][1] for k in unseen) * min(reach, 2)
    errors = np.geomspace(1.02 * least, most, 8)
    said, real = [], []
    for draw in range(DRAWS):
        random = np.random.default_rng([draw, 4])
        rows = []
        for i in range(SINGLE_NETWORKS):
            key = known[i % len(known)]
            rounds = runs[key][int(random.choice(sorted(runs[key])))]
            near = [r for r in rounds if r[1] <= reach * rounds[0][1]]
            d, e = near[int(random.integers(len(near)))]
            rows.append([*key, d, rounds[0][1], e])
        law = Law(tool, "pruning-joint", ["depth", "width", "density", "dense"], rows)
        networks = []
        for key in unseen:
            networks += ["--network", f"{key[0]},{key[1]},{curves[key][0][1]:.17g}"]
        for error in errors:
            answer = law.ask(
                *("law", "optimum", law.path, "--error", f"{error:.17g}", "--json"),
                *("--ends", str(ENDS), *networks),
            )["networks"][0]
            picked = int(answer["depth"]), int(answer["width"])
            truth = min(weights(*k) * needed(curves[k], error) for k in unseen)
            said.append(answer["weights"] / truth)
            real.append(weights(*picked) * needed(curves[picked], error) / truth)
    return said, real


def draw(tool: str, runs: dict, path: pathlib.Path) -> None:
    """Errors against densities, measured and by the joint law of all runs."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "ramify"
    import matplotlib.pyplot as plt

    depths = sorted({key[0] for key in runs})
    law = joint_law(tool, runs, None)
    figure, panels = plt.subplots(
        1, len(depths), figsize=(10, 3.6), sharey=True, layout="tight"
    )
    for axes, depth in zip(panels, depths, strict=True):
        for i, key in enumerate(sorted(k for k in runs if k[0] == depth)):
            rounds = means(runs[key])
            found = law.predict([[*key, d, rounds[0][1]] for d, _ in rounds])
            density = [d for d, _ in rounds]
            axes.loglog(
                density, [e for _, e in rounds], "o", ms=3, color=f"C{i}",
                label=f"width {key[1]}",
            )  # fmt: skip
            axes.loglog(density, found, "-", lw=1, color=f"C{i}")
        axes.set_title(f"{depth} hidden layer{'s' if depth > 1 else ''}")
        axes.set_xlabel("density")
    panels[0].set_ylabel("error")
    panels[0].legend(fontsize=7)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Print a table, and what the law of all runs is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default="build/ramify")
    parser.add_argument("--runs", type=pathlib.Path, required=True)
    parser.add_argument("--plot", type=pathlib.Path)
    chosen = parser.parse_args()
    runs = read(chosen.runs)
    print("| prediction | mean % | deviation % | runs | |\n|---|---|---|---|---|")
    line("single law, 10 folds over densities", score_single(chosen.tool, runs), _="")
    joint, plain = score_joint(chosen.tool, runs)
    line("joint law, network left out", joint, _="")
    line("interpolation, network left out", plain, _="")
    line("noise of seeds", score_noise(runs), _="")
    heads = (
        "smallest network, law of errors up to | weights said, median | 10 % | 90 % | "
    )
    heads += "within 25 % | weights really, median | 90 %"
    print(f"\n| {heads} |\n" + "|---" * 7 + "|")
    for reach in (1.6, 2, 3, math.inf):
        said, real = map(np.array, score_smallest(chosen.tool, runs, reach))
        within = 100 * np.mean((said < 1.25) & (said > 0.8))
        numbers = [np.median(said), *np.quantile(said, (0.1, 0.9))]
        cells = [f"{reach:g} dense", *(f"{number:.2f}" for number in numbers)]
        cells += [f"{within:.0f} % of {len(said)}"]
        cells += [f"{np.median(real):.2f}", f"{np.quantile(real, 0.9):.2f}"]
        print("| " + " | ".join(cells) + " |")
    print(json.dumps(joint_law(chosen.tool, runs, None).found["parameters"]))
    if chosen.plot:
        draw(chosen.tool, runs, chosen.plot)


if __name__ == "__main__":
    main()
