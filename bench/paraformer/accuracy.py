"""How good Para-Formers are on Fashion-MNIST and letter, beside their relatives.

    accuracy.py [--part compare|longer|peers|ablations|pretrained|table ...] [--tool build/ramify]
                [--epochs 28] [--progressive-epochs 4] [--seeds 0 1 2] [--jobs 1]
                [--threads 2] [--minutes 15] [--results FILE] --keep FOLDER

Trains with the tool and prints Markdown tables. FILE, by default accuracy.json beside this program, keeps
what every run gave, and a run that is there is not made again; FOLDER keeps models and checkpoints. A
model has the same bits on any number of threads, so that --jobs 2
--threads 1 gives the same accuracies sooner.

Compute is counted in multiply-adds of products, three times those of a forward pass, of every row and
step. Plain training of 4 branches for --epochs passes sets the amount; the others get as many passes
as it pays for. Equal optimiser steps are those of --progressive-epochs passes of progressive training.

Settings were chosen on rows held out of the training images. Test images are looked at once, by the
tables.
"""

import argparse
import concurrent.futures
import gzip
import json
import pathlib
import subprocess
import sys
import threading
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "accuracy"))
import datasets  # noqa: E402
import report  # noqa: E402

SIDE, PATCH, WIDTH, HEADS = 28, 7, 64, 4
BRANCHES, DEPTH = 4, 2
TOKENS = (SIDE // PATCH) ** 2 + 1
COMMON = ["--patch", str(PATCH), "--width", str(WIDTH), "--heads", str(HEADS)]
COMMON += ["--rate", "0.001", "--validation", "0.05"]
LONGER = 85  # epochs: a quarter of an hour on 2 cores


def branch_cost(depth: int) -> float:
    """Multiply-adds of a forward pass of a branch over one image; the last layer is for one token."""
    full = TOKENS * (12 * WIDTH**2 + 2 * TOKENS * WIDTH)
    last = 12 * WIDTH**2 + 2 * HEADS * TOKENS * WIDTH
    return (depth - 1) * full + last


def pass_cost(kind: str, branches: int, depth: int) -> float:
    """Of one epoch, for one image."""
    embed = TOKENS * PATCH**2 * WIDTH
    prefixes = sum(k * branch_cost(depth) + embed for k in range(1, branches + 1))
    whole = branches * branch_cost(depth) + embed
    return {
        "plain": whole,
        "progressive": prefixes + whole,
        "prefixes": prefixes,
    }[kind]


class Runs:
    """Runs of the tool, of which each is made once."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self.chosen = chosen
        self.folder = chosen.keep
        self.folder.mkdir(parents=True, exist_ok=True)
        self.waiting: list[tuple[str, list[str]]] = []
        self.lock = threading.Lock()
        path = chosen.results
        self.found = json.loads(path.read_text()) if path.exists() else {}

    def note(self, name: str, **values: object) -> None:
        """Adds to what is known of a run."""
        with self.lock:
            self.found.setdefault(name, {}).update(values)
            text = json.dumps(self.found, indent=1, sort_keys=True)
            self.chosen.results.write_text(text + "\n")

    def ask(self, name: str, words: list[str]) -> str:
        if not any(name == other for other, _ in self.waiting):
            self.waiting.append((name, words))
        return name

    def make(self, name: str, words: list[str]) -> None:
        if name in self.found:
            return
        model = self.folder / f"{name}.ramify"
        words = [self.chosen.tool, "train", *words, "-o", str(model), "--json"]
        words += ["--threads", str(self.chosen.threads)]
        if "paraformer" in words:
            words += ["--resume", str(self.folder / f"{name}.checkpoint")]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{name}: {done.stderr}")
        summary = json.loads(done.stdout)
        self.note(
            name,
            accuracy=summary["test"]["accuracy"],
            parameters=summary["parameters"],
            seconds=summary["seconds"],
        )
        print(f"{name}: {summary['test']}", file=sys.stderr, flush=True)

    def make_all(self) -> None:
        with concurrent.futures.ThreadPoolExecutor(self.chosen.jobs) as pool:
            by_seed = sorted(self.waiting, key=lambda one: one[0].rsplit("-")[-1])
            for made in [pool.submit(self.make, *one) for one in by_seed]:
                made.result()
        self.waiting = []

    def result(self, name: str) -> dict:
        return self.found[name]

    def prefixes(self, name: str, test: list[str]) -> list[float]:
        """Test accuracy of every prefix."""
        if "prefixes" not in self.found[name]:
            found = []
            for k in range(1, BRANCHES + 1):
                words = [self.chosen.tool, "evaluate"]
                words += [str(self.folder / f"{name}.ramify"), *test]
                words += ["--branches", str(k), "--json"]
                done = subprocess.run(words, capture_output=True, text=True, check=True)
                found.append(json.loads(done.stdout)["accuracy"])
            self.note(name, prefixes=found)
        return self.found[name]["prefixes"]


def fashion(part: str) -> list[str]:
    """The table and the option of its labels."""
    images, labels = (
        str(datasets.data_path(f"images/fashion-{part}-{what}-ubyte"))
        for what in ("images-idx3", "labels-idx1")
    )
    return [images, "--labels", labels]


def fashion_words(seed: int, *more: str) -> list[str]:
    images, labels = fashion("t10k")[::2]
    words = [*fashion("train"), "--task", "classification", "--seed", str(seed)]
    return [*words, "--test", images, "--test-labels", labels, *more]


def shape_words(
    branches: int, depth: int, skip: str = "normalised", augment: str = "flip"
) -> list[str]:
    words = ["--kind", "paraformer", "--branches", str(branches), "--depth", str(depth)]
    return [*words, "--skip", skip, "--augment", augment, *COMMON]


def percent(values: list[float]) -> str:
    mean, spread = 100 * np.mean(values), 100 * np.std(values, ddof=len(values) > 1)
    return f"{mean:.2f} ± {spread:.2f}" if len(values) > 1 else f"{mean:.2f}"


def accuracies(runs: Runs, names: list[str]) -> list[float]:
    return [runs.result(name)["accuracy"] for name in names]


def equal_epochs(chosen: argparse.Namespace, cost: float) -> int:
    """Passes of this cost that take the compute of --epochs passes of plain training."""
    budget = chosen.epochs * pass_cost("plain", BRANCHES, DEPTH)
    return max(1, round(budget / cost))


def ask_seeds(
    runs: Runs, chosen: argparse.Namespace, tag: str, epochs: int, words: list[str]
) -> list[str]:
    """A run for every seed."""
    words = [*words, "--epochs", str(epochs)]
    return [
        runs.ask(f"{tag}-{epochs}-{seed}", fashion_words(seed, *words))
        for seed in chosen.seeds
    ]


def prefix_cells(runs: Runs, names: list[str]) -> list[str]:
    """Test accuracy of the first K branches, for every K."""
    found = [runs.prefixes(name, fashion("t10k")) for name in names]
    return [percent(list(column)) for column in zip(*found, strict=True)]


def compare(runs: Runs, chosen: argparse.Namespace) -> None:
    """Progressive, plain and serial training at equal compute and at equal steps."""
    steps = chosen.progressive_epochs * (BRANCHES + 1)
    branches = (BRANCHES, DEPTH)
    serial = (1, BRANCHES * DEPTH)
    lines = []
    for title, tag, kind, shape, skip, same_steps in (
        (
            *("Para-Former, progressive", "progressive", "progressive", branches),
            *("normalised", chosen.progressive_epochs),
        ),
        ("Para-Former, plain", "plain", "plain", branches, "normalised", steps),
        ("serial", "serial-plain", "plain", serial, "plain", steps),
    ):
        cost = pass_cost(kind, *shape)
        words = shape_words(*shape, skip)
        words += ["--progressive"] if kind == "progressive" else []
        for what, epochs in (
            ("compute", equal_epochs(chosen, cost)),
            ("steps", same_steps),
        ):
            share = epochs * cost / (chosen.epochs * pass_cost("plain", *branches))
            names = ask_seeds(runs, chosen, tag, epochs, words)
            lines.append((title, what, epochs, share, names))
    runs.make_all()
    report.print_rows(
        ["", "equal", "epochs", "compute", "weights", "test accuracy, %"],
        [
            [
                title,
                what,
                str(epochs),
                f"{share:.2f}",
                f"{runs.result(names[0])['parameters']:,}",
                percent(accuracies(runs, names)),
            ]
            for title, what, epochs, share, names in lines
        ],
    )
    print("\nTest accuracy of the first K branches, %:\n")
    report.print_rows(
        ["", "equal", *map(str, range(1, BRANCHES + 1))],
        [
            [title, what, *prefix_cells(runs, names)]
            for title, what, _, _, names in lines
            if title.startswith("Para-Former")
        ],
    )


def longer(runs: Runs, chosen: argparse.Namespace) -> None:
    """Plain training for as long as --minutes allow, of images that are shifted, too."""
    words = shape_words(BRANCHES, DEPTH, augment="crop,flip")
    names = ask_seeds(runs, chosen, "plain-crop", LONGER, words)
    runs.make_all()
    report.print_rows(
        ["", "epochs", "test accuracy, %"],
        [["Para-Former, plain", str(LONGER), percent(accuracies(runs, names))]],
    )


def ablations(runs: Runs, chosen: argparse.Namespace) -> None:
    """Skip, passes and freezing, at equal compute."""
    lines = []
    for title, tag, kind, skip, more in (
        ("A and B", "progressive", "progressive", "normalised", ["--progressive"]),
        ("A and B", "progressive-plain", "progressive", "plain", ["--progressive"]),
        (
            *("A and B, earlier frozen", "progressive-freeze", "progressive"),
            *("normalised", ["--progressive", "--freeze"]),
        ),
        ("A alone", "prefixes", "prefixes", "normalised", ["--prefixes-only"]),
        ("B alone (plain training)", "plain", "plain", "normalised", []),
        ("B alone (plain training)", "plain-plain", "plain", "plain", []),
    ):
        epochs = equal_epochs(chosen, pass_cost(kind, BRANCHES, DEPTH))
        words = [*shape_words(BRANCHES, DEPTH, skip), *more]
        names = ask_seeds(runs, chosen, tag, epochs, words)
        lines.append((title, skip, epochs, names))
    runs.make_all()
    report.print_rows(
        ["passes", "skip", "epochs", *(f"K = {k + 1}" for k in range(BRANCHES))],
        [
            [title, skip, str(epochs), *prefix_cells(runs, names)]
            for title, skip, epochs, names in lines
        ],
    )


def write_idx(path: pathlib.Path, array: np.ndarray) -> None:
    header = bytes([0, 0, 8, array.ndim])
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(header + sizes + array.tobytes())


def read_idx(path: str) -> np.ndarray:
    data = gzip.open(path).read()
    sizes = [int.from_bytes(data[4 + 4 * d : 8 + 4 * d], "big") for d in range(data[3])]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(sizes)


def pretrained(runs: Runs, chosen: argparse.Namespace) -> None:
    """From a serial transformer of 50,000 images: branches of its layers, tuned on few others."""
    images, labels = (read_idx(path) for path in fashion("train")[::2])
    parts = {"pre": slice(0, 50000)}
    for count in (1000, 5000):
        parts[f"{count}"] = slice(50000, 50000 + count)
    words = {}
    for part, rows in parts.items():
        paths = [runs.folder / f"{part}-{what}.idx" for what in ("images", "labels")]
        write_idx(paths[0], images[rows])
        write_idx(paths[1], labels[rows])
        words[part] = [str(paths[0]), "--labels", str(paths[1])]
        words[part] += ["--task", "classification"]
    test_images, test_labels = fashion("t10k")[::2]
    test = ["--test", test_images, "--test-labels", test_labels]
    serial = shape_words(1, BRANCHES * DEPTH, "plain")
    epochs = equal_epochs(chosen, pass_cost("plain", 1, BRANCHES * DEPTH))
    start = runs.ask(
        "pretrained", [*words["pre"], *test, *serial, "--epochs", str(epochs)]
    )
    runs.make_all()
    lines = []
    for count in (1000, 5000):
        few = ["--validation", "0.2"]
        for title, shape, more in (
            (
                "branches of its layers",
                shape_words(BRANCHES, DEPTH, "plain"),
                ["--weights-from", str(runs.folder / f"{start}.ramify")],
            ),
            ("branches from scratch", shape_words(BRANCHES, DEPTH, "plain"), []),
            (
                "the serial one itself, tuned",
                serial,
                ["--weights-from", str(runs.folder / f"{start}.ramify")],
            ),
            ("serial from scratch", serial, []),
        ):
            tag = f"few-{count}-{title.replace(' ', '-').replace(',', '')}"
            # What starts from trained weights is tuned gently.
            rate = ["--rate", "0.0003"] if more else []
            names = [
                runs.ask(
                    f"{tag}-{seed}",
                    [*words[f"{count}"], *test, *shape, *few, *more, *rate]
                    + ["--epochs", "60", "--seed", str(seed)],
                )
                for seed in chosen.seeds
            ]
            lines.append((count, title, names))
    runs.make_all()
    print(
        f"The serial one, {epochs} epochs of 50,000 images: "
        f"{percent(accuracies(runs, [start]))} %.\n"
    )
    report.print_rows(
        ["images", "", "test accuracy, %"],
        [
            [f"{count:,}", title, percent(accuracies(runs, names))]
            for count, title, names in lines
        ],
    )


def table(runs: Runs, chosen: argparse.Namespace) -> None:
    """letter, a token per column: 16,000 rows train, 4,000 test, as in the accuracy benchmark."""
    lines = []
    for title, branches, depth, more in (
        ("Para-Former, plain", BRANCHES, DEPTH, []),
        ("Para-Former, progressive", BRANCHES, DEPTH, ["--progressive"]),
        ("serial", 1, BRANCHES * DEPTH, []),
    ):
        names = []
        for seed in chosen.seeds:
            datasets.write_split("letter", seed, runs.folder)
            words = [str(runs.folder / f"letter-{seed}.train.csv")]
            words += ["--target", "target", "--task", "classification"]
            words += ["--test", str(runs.folder / f"letter-{seed}.test.csv")]
            words += ["--kind", "paraformer", "--branches", str(branches)]
            words += ["--depth", str(depth), "--width", "64", "--heads", "4"]
            words += ["--epochs", "60" if not more else "17", "--rate", "0.003"]
            words += [*more, "--seed", str(seed)]
            tag = title.replace(", ", "-")
            names.append(runs.ask(f"letter-{tag}-{seed}", words))
        lines.append((title, names))
    runs.make_all()
    report.print_rows(
        ["", "weights", "seconds", "wrong test rows, %"],
        [
            [
                title,
                f"{runs.result(names[0])['parameters']:,}",
                f"{np.median([runs.result(name)['seconds'] for name in names]):.0f}",
                percent([1 - one for one in accuracies(runs, names)]),
            ]
            for title, names in lines
        ],
    )


def peers(runs: Runs, chosen: argparse.Namespace) -> None:
    """The plain network of the same tool, and LightGBM, given as many minutes."""
    limit = ["--kind", "mlp", "--resident", "2MiB", "--validation", "0.05"]
    limit += ["--time-limit", f"{chosen.minutes}m"]
    names = [
        runs.ask(f"mlp-{chosen.minutes}-{seed}", fashion_words(seed, *limit))
        for seed in chosen.seeds[:1]
    ]
    runs.make_all()
    rows = [["mlp", percent(accuracies(runs, names))]]
    rows.append(["LightGBM", boosted_trees(runs, chosen)])
    report.print_rows(["", "test accuracy, %"], rows)


# Rate, leaves, and share of the pixels that a tree sees.
TUNINGS = [(0.1, 31, 1.0), (0.05, 63, 0.2)]


def boosted_trees(runs: Runs, chosen: argparse.Namespace) -> str:
    """LightGBM's test accuracy: of the tunings that fit into as many minutes the one, and of its trees so
    many, that are best on held-out rows."""
    name = f"lightgbm-{chosen.minutes}"
    if name not in runs.found:
        import lightgbm

        images, labels = (read_idx(path) for path in fashion("train")[::2])
        test_images, test_labels = (read_idx(path) for path in fashion("t10k")[::2])
        x, y = images.reshape(len(images), -1), labels.astype(int)
        ends = time.monotonic() + 60 * chosen.minutes
        held_out = np.random.default_rng(0).permutation(len(x)) < len(x) // 20

        def watch(state) -> None:
            if time.monotonic() > ends:
                raise lightgbm.callback.EarlyStopException(state.iteration, [])

        best, model = np.inf, None
        for rate, leaves, share in TUNINGS:
            if time.monotonic() > ends:
                break
            made = lightgbm.LGBMClassifier(
                n_estimators=100000,
                learning_rate=rate,
                num_leaves=leaves,
                colsample_bytree=share,
                n_jobs=chosen.threads * chosen.jobs,
                verbose=-1,
            )
            made.fit(
                x[~held_out],
                y[~held_out],
                eval_set=[(x[held_out], y[held_out])],
                callbacks=[lightgbm.early_stopping(50, verbose=False), watch],
            )
            chance = made.predict_proba(x[held_out])
            loss = -np.mean(np.log(chance[np.arange(len(chance)), y[held_out]]))
            best, model = (loss, made) if loss < best else (best, model)
        wrong = model.predict(test_images.reshape(len(test_images), -1)) != test_labels
        runs.note(name, accuracy=1 - float(np.mean(wrong)))
    return percent([runs.result(name)["accuracy"]])


PARTS = {
    "compare": compare,
    "longer": longer,
    "peers": peers,
    "ablations": ablations,
    "pretrained": pretrained,
    "table": table,
}


def main() -> None:
    """Make the parts asked for, one after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--tool", default="build/ramify")
    parser.add_argument("--epochs", type=int, default=28, help="of plain training")
    parser.add_argument(
        "--progressive-epochs", type=int, default=4, help="that make equal steps"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--minutes", type=int, default=15, help="of the peers")
    parser.add_argument("--threads", type=int, default=2, help="of each")
    here = pathlib.Path(__file__).resolve()
    parser.add_argument(
        "--results", type=pathlib.Path, default=here.with_suffix(".json")
    )
    parser.add_argument("--keep", type=pathlib.Path, required=True)
    chosen = parser.parse_args()
    runs = Runs(chosen)
    for part in chosen.part:
        print(f"\n{PARTS[part].__doc__}\n", flush=True)
        PARTS[part](runs, chosen)


if __name__ == "__main__":
    main()
