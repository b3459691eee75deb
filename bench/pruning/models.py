"""Models of three sets, dense, pruned and quantised: error, bytes, latency.

    models.py [--tool build/ramify] [--speed build/bench_models] [--sets kin40k letter fashion]
              [--threads 2] --keep FOLDER

Trains a model of kind pathways with default options (kin40k, letter; of Fashion-MNIST one network of 784, 256,
256 and 10 units without teachers, and its rewind point; of letter and Fashion-MNIST a quarter of the rows
validates), prunes it until validation errors are 1 and 5 percent larger, and quantises what comes out. Errors are
those of the test rows: the root mean square in standard deviations of the training targets, or the share of wrong
classes; then KiB of the file, KiB that a row needs, nanoseconds of a row alone, of one that nothing of the model is
in a core's caches for, and rows per second of batches, on one thread. FOLDER keeps models; what is there is not
made again.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "accuracy"))
import datasets  # noqa: E402
from grid import DATA, run  # noqa: E402

IMAGES = {
    part: str(DATA / f"fashion-{part}-idx{kind}-ubyte.gz")
    for part, kind in (
        ("train-images", 3),
        ("train-labels", 1),
        ("t10k-images", 3),
        ("t10k-labels", 1),
    )
}
ONE_NETWORK = ["--kind", "mlp", "--hidden", "256,256", "--resident", "4MiB"]
ONE_NETWORK += ["--distillation", "off", "--members", "1", "--validation", "25%"]


class Set:
    """Tables and words of one set."""

    def __init__(self, name: str, keep: pathlib.Path) -> None:
        self.name, self.scale = name, 1.0
        self.rewinds = name == "fashion"  # experts of trees do worse
        if name == "fashion":
            self.train = [IMAGES["train-images"], "--labels", IMAGES["train-labels"]]
            self.test = [IMAGES["t10k-images"], "--labels", IMAGES["t10k-labels"]]
            self.words = ["--task", "classification", *ONE_NETWORK]
            self.rows = datasets_images(IMAGES["t10k-images"])
            return
        datasets.write_split(name, 0, keep)
        self.train = [str(keep / f"{name}-0.train.csv")]
        self.test = [str(keep / f"{name}-0.test.csv")]
        split = datasets.load(name, 0)
        self.words = ["--target", "target", "--task", split.task]
        if split.task == "classification":  # a tenth of the rows has too few errors
            self.words += ["--validation", "25%"]
        self.rows = np.ascontiguousarray(split.x_test.to_numpy(), dtype=np.float64)
        if split.task == "regression":
            self.scale = float(np.std(split.y_train))


def datasets_images(path: str) -> np.ndarray:
    """Pixels of an IDX file, divided by 255 as the tool does."""
    import gzip

    with gzip.open(path) as file:
        content = file.read()
    pixels = np.frombuffer(content, dtype=np.uint8, offset=16)
    return (pixels.reshape(-1, 784) / 255.0).astype(np.float64)


class Bench:
    """Making models and asking about them."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self.chosen, self.keep = chosen, chosen.keep

    def tool(self, *words: str) -> str:
        return run(self.chosen.tool, *words)

    def made(self, path: pathlib.Path, *words: str) -> None:
        """Runs the tool unless the file is there."""
        if path.exists():
            return
        threads = ["--threads", str(self.chosen.threads)]
        self.tool(*words, "-o", str(path), *threads)
        print(path.name, file=sys.stderr, flush=True)

    def models(self, of: Set) -> dict[str, pathlib.Path]:
        """Every way of storing the set's model."""
        place = {"dense": self.keep / f"{of.name}.ramify"}
        early = []
        if of.rewinds:
            early = ["--rewind", str(self.keep / f"{of.name}.rewind.ramify")]
        self.made(place["dense"], "train", *of.train, *of.words, *early)
        dense = str(place["dense"])
        rewind = ["--resume", str(self.keep / f"{of.name}.rounds"), *early]
        for percent in (1, 5):
            limit = ["--max-error-increase", f"{percent}%"]
            for store in ("smallest", "fastest"):
                way = f"+{percent} %, {store}"
                place[way] = self.keep / f"{of.name}.{percent}.{store}.ramify"
                words = [dense, *of.train, *limit, "--store", store, *rewind]
                self.made(place[way], "prune", *words)
        place["density .1"] = self.keep / f"{of.name}.tenth.ramify"
        words = [dense, *of.train, "--density", "0.1", "--store", "smallest", *rewind]
        self.made(place["density .1"], "prune", *words)
        for kind in ("int8", "bf16"):
            place[kind] = self.keep / f"{of.name}.{kind}.ramify"
            self.made(place[kind], "quantize", dense, *of.train, "--type", kind)
        way = "+5 %, smallest, int8"
        place[way] = self.keep / f"{of.name}.5.int8.ramify"
        pruned = str(place["+5 %, smallest"])
        self.made(place[way], "quantize", pruned, *of.train, "--type", "int8")
        return place

    def error(self, of: Set, path: pathlib.Path) -> float:
        score = json.loads(self.tool("evaluate", str(path), *of.test, "--json"))
        return score["rmse"] / of.scale if "rmse" in score else 1 - score["accuracy"]

    def speeds(self, of: Set, models: list[pathlib.Path]) -> list[list[float]]:
        rows = self.keep / f"{of.name}.f64"
        of.rows.tofile(rows)
        words = [str(rows), str(of.rows.shape[1]), *map(str, models)]
        done = subprocess.run(
            [self.chosen.speed, *words], capture_output=True, text=True, check=True
        )
        return [
            [float(number) for number in line.split()[1:]]
            for line in done.stdout.splitlines()
        ]

    def report(self, of: Set) -> None:
        models = self.models(of)
        speeds = self.speeds(of, list(models.values()))
        dense = None
        for (way, path), speed in zip(models.items(), speeds, strict=True):
            info = json.loads(self.tool("info", str(path), "--json"))
            error = self.error(of, path)
            dense = error if dense is None else dense
            density = info["config"].get("pruning", {}).get("density", 1)
            cells = [of.name, way, f"{density:.3f}", f"{error:.4f}"]
            cells += [f"{100 * (error / dense - 1):+.1f} %"]
            cells += [
                f"{info[key] / 1024:.1f}" for key in ("file_bytes", "resident_bytes")
            ]
            cells += [f"{number:,.0f}" for number in speed]
            print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default="build/ramify")
    parser.add_argument("--speed", default="build/bench_models")
    parser.add_argument("--sets", nargs="+", default=["kin40k", "letter", "fashion"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep", type=pathlib.Path, required=True)
    chosen = parser.parse_args()
    chosen.keep.mkdir(parents=True, exist_ok=True)
    heads = "set | model | density | error | change | file | resident | alone | cold | rows/s"
    print(f"| {heads} |\n" + "|---" * 10 + "|")
    bench = Bench(chosen)
    for name in chosen.sets:
        bench.report(Set(name, chosen.keep))


if __name__ == "__main__":
    main()
