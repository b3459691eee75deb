"""Plans from made-up runs, whose law is known: are intervals and choices right?

    python3 bench/plan/simulated.py [--tool build/ramify] [--plans 600]

Runs of two sizes, model and data, with noise of .3, 1 or 3 %, at random floors, coefficients and exponents; the sizes are a
grid, or five models around the best at each of five costs (isoFLOP). Ten times the dearest run is planned for.
`additive` is the law that is fitted; `joint` is half of it; the others are not: `interaction` (a large model needs fewer data, by a
product of powers), `curved` (in logarithms the loss bends away from the law by a square of ln cost), `break` (from some
cost on, which may lie beyond the runs, it falls by 3.4 % more per octave).

inside: the law's own error at the sizes that were answered lies within their 90 % interval. width: half of it. off: |ln predicted -
ln true| there. regret: how much higher that is than at the best sizes for the cost.
"""

from __future__ import annotations

import argparse
import json
import math
import pathlib
import random
import statistics
import subprocess
import tempfile

KINDS = ("additive", "joint", "interaction", "curved", "break")
MODEL, DATA = 3e7, 3e9  # sizes at which a term is as large as its coefficient
SEED = 1


class Law:
    """A law with random parameters: the loss of a model of m weights on n tokens."""

    def __init__(self, kind: str, draw: random.Random) -> None:
        self.kind = kind
        self.floor = draw.uniform(0.2, 2)
        self.model = draw.uniform(0.3, 2)
        self.data = draw.uniform(0.3, 2)
        self.alpha = draw.uniform(0.15, 0.5)
        self.beta = draw.uniform(0.15, 0.5)
        self.turn = 10 ** draw.uniform(17, 20)  # m n at which it breaks

    def loss(self, m: float, n: float) -> float:
        model = self.model * (MODEL / m) ** self.alpha
        data = self.data * (DATA / n) ** self.beta
        if self.kind == "joint":
            s = 0.1 + model + data
            return 4 * s / math.hypot(1, s)
        if self.kind == "interaction":
            return self.floor + model * (1 + (DATA / n) ** self.beta)
        loss = self.floor + model + data
        if self.kind == "break" and m * n > self.turn:
            loss *= (m * n / self.turn) ** -0.05
        if self.kind == "curved" and m * n > MODEL * 1e9:
            loss *= math.exp(-0.004 * math.log(m * n / (MODEL * 1e9)) ** 2)
        return loss

    def best(self, product: float) -> float:
        """The least loss for a product of sizes."""
        models = (10 ** (5 + 0.02 * i) for i in range(400))
        return min(self.loss(m, product / m) for m in models)


def sizes_of(design: str, draw: random.Random) -> list[tuple[float, float]]:
    if design == "grid":
        models, amounts = draw.choice([4, 5, 6]), draw.choice([3, 4, 5])
        return [(1e7 * 3**i, 1e9 * 3**j) for i in range(models) for j in range(amounts)]
    products = [10 ** (16 + 0.6 * k) for k in range(5)]
    return [
        (math.sqrt(c / 20) * 2**j, c / math.sqrt(c / 20) / 2**j)
        for c in products
        for j in range(-2, 3)
    ]


def plan(tool: str, folder: str, law: Law, design: str, draw: random.Random):
    """inside, width, off, regret; None where it is refused."""
    noise = draw.choice([0.003, 0.01, 0.03])
    path = pathlib.Path(folder) / "runs.csv"
    lines = ["m,n,y"]
    for m, n in sizes_of(design, draw):
        loss = law.loss(m, n) * math.exp(draw.gauss(0, noise))
        lines.append(f"{m!r},{n!r},{loss!r}")
    path.write_text("\n".join(lines) + "\n")
    words = [tool, "plan", "--runs", str(path), "--x", "m,n", "--y", "y", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return None
    answer = json.loads(done.stdout)["answer"]
    error = answer["error"]
    m, n = (answer["at"][x]["value"] for x in "mn")
    true = law.loss(m, n)
    return (
        error["low"] <= true <= error["high"],
        answer["width"],
        abs(math.log(error["value"] / true)),
        true / law.best(answer["cost"]["value"]) - 1,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default="build/ramify")
    parser.add_argument("--plans", type=int, default=600)
    wanted = parser.parse_args()
    draw = random.Random(SEED)
    cases = [(kind, design) for kind in KINDS for design in ("grid", "isoFLOP")]
    found: dict = {case: [] for case in cases}
    with tempfile.TemporaryDirectory() as folder:
        for i in range(wanted.plans):
            kind, design = case = cases[i % len(cases)]
            found[case].append(plan(wanted.tool, folder, Law(kind, draw), design, draw))
    print(
        "| law | sizes | plans | refused | inside 90 % | width | off | regret, mean |\n|"
        + "---|" * 8
    )
    for (kind, design), outcomes in found.items():
        told = [o for o in outcomes if o]
        inside, width, off, regret = (
            100 * statistics.fmean(o[k] for o in told) for k in range(4)
        )
        print(
            f"| {kind} | {design} | {len(outcomes)} | {len(outcomes) - len(told)} | {inside:.0f} % "
            f"| {width:.1f} % | {off:.1f} % | {regret:.2f} % |"
        )


if __name__ == "__main__":
    main()
