"""A Para-Former's prefixes beside the same model pruned by branches, by hidden units, by weights.

    branches.py [--tool build/ramify] [--speed build/bench_models] [--epochs 4] [--train-epochs 20,6]
                [--models PLAIN.ramify PROGRESSIVE.ramify] --keep FOLDER

Two Para-Formers of 4 branches of 2 layers (patches of 7 pixels, 64 wide) learn Fashion-MNIST, one plainly, one
progressively; --models takes such models from elsewhere. Prefixes are the first k branches as they are.
Pruned models lose, a branch after the other, the one without which validation rows are answered best, or
hidden units, or the smallest weights, and learn for --epochs passes in every round. Accuracy on the test rows, then
KiB of the file, microseconds of an image alone and images per second of batches, on one thread.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys

from grid import run
from models import IMAGES, datasets_images

TRAIN = [IMAGES["train-images"], "--labels", IMAGES["train-labels"]]
TEST = [IMAGES["t10k-images"], "--labels", IMAGES["t10k-labels"]]


class Bench:
    def __init__(self, chosen: argparse.Namespace) -> None:
        self.chosen, self.keep = chosen, chosen.keep
        self.lines: list[tuple[str, pathlib.Path]] = []

    def tool(self, *words: str) -> str:
        return run(self.chosen.tool, *words)

    def made(self, name: str, *words: str) -> pathlib.Path:
        path = self.keep / f"{name}.ramify"
        if not path.exists():
            self.tool(*words, "-o", str(path))
            print(path.name, file=sys.stderr, flush=True)
        return path

    def trained(self) -> dict[str, pathlib.Path]:
        if self.chosen.models:
            return dict(zip(("plain", "progressive"), self.chosen.models, strict=True))
        epochs = self.chosen.train_epochs.split(",")
        words = ["train", *TRAIN, "--task", "classification", "--kind", "paraformer"]
        words += ["--patch", "7"]
        return {
            "plain": self.made("plain", *words, "--epochs", epochs[0]),
            "progressive": self.made(
                "progressive", *words, "--progressive", "--epochs", epochs[1]
            ),
        }

    def gather(self) -> None:
        trained = self.trained()
        for name, model in trained.items():
            for k in (4, 3, 2, 1):
                path = self.made(
                    f"{name}-first-{k}", "prune", str(model), "--branches", str(k)
                )
                self.lines.append((f"{name}, first {k} branches", path))
        epochs = ["--epochs", str(self.chosen.epochs)]
        for name, model in trained.items():
            words = ["prune", str(model), *TRAIN, *epochs]
            before = str(model)
            for k in (3, 2, 1):
                share = str(k / (k + 1))
                words = ["prune", before, *TRAIN, *epochs, "--density", share]
                path = self.made(f"{name}-{k}", *words, "--first", "branches")
                self.lines.append((f"{name}, {k} best branches", path))
                before = str(path)
            for density in ("0.67", "0.5"):
                words = ["prune", str(model), *TRAIN, *epochs, "--density", density]
                path = self.made(
                    f"{name}-units-{density}", *words, "--first", "neurons"
                )
                self.lines.append((f"{name}, units, density {density}", path))
            words = ["prune", str(model), *TRAIN, *epochs, "--density", "0.2"]
            path = self.made(f"{name}-weights", *words, "--step", "0.42")
            self.lines.append((f"{name}, weights, density 0.2", path))

    def report(self) -> None:
        rows = self.keep / "rows.f64"
        datasets_images(IMAGES["t10k-images"])[:1000].tofile(rows)
        models = [str(path) for _, path in self.lines]
        done = subprocess.run(
            [self.chosen.speed, str(rows), "784", *models],
            capture_output=True,
            text=True,
            check=True,
        )
        print(
            "| model | accuracy % | KiB | alone, us | images/s |\n" + "|---" * 5 + "|"
        )
        for (name, path), speed in zip(
            self.lines, done.stdout.splitlines(), strict=True
        ):
            score = json.loads(self.tool("evaluate", str(path), *TEST, "--json"))
            alone, _, batch = (float(number) for number in speed.split()[1:])
            kib = path.stat().st_size / 1024
            print(
                f"| {name} | {100 * score['accuracy']:.2f} | {kib:,.0f} "
                f"| {alone / 1000:.0f} | {batch:,.0f} |"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default="build/ramify")
    parser.add_argument("--speed", default="build/bench_models")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--train-epochs", default="20,6", help="plain, progressive")
    parser.add_argument("--models", type=pathlib.Path, nargs=2)
    parser.add_argument("--keep", type=pathlib.Path, required=True)
    chosen = parser.parse_args()
    chosen.keep.mkdir(parents=True, exist_ok=True)
    bench = Bench(chosen)
    bench.gather()
    bench.report()


if __name__ == "__main__":
    main()
