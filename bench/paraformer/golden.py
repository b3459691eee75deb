"""Logits of imported Para-Formers against those that the authors' formulas give in float64.

    golden.py [--tool build/ramify] [--data FOLDER]

FOLDER (default: $RAMIFY_DATA/paraformer_golden) holds pairs of NAME.txt, the order of the tensors,
and NAME.bin: sizes, weights, images and logits. Each pair is written as a safetensors file under the
released names, imported, and asked for the logits of its images with all branches and with the
first alone. Fails where a logit is off by more than 2e-5.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
from safetensors.numpy import save_file

MOST = 2e-5


def read(path):
    """Sizes, tensors by name, images (count, rows, columns, channels), and logits of both kinds."""
    data = path.with_suffix(".bin").read_bytes()
    names = (
        "magic",
        "size",
        "patch",
        "channels",
        "classes",
        "branches",
        "depth",
        "dim",
        "heads",
    )
    sizes = dict(
        zip(names, np.frombuffer(data, "<i4", len(names)).tolist(), strict=True)
    )
    at = 4 * len(names)
    tensors = {}
    for line in path.read_text().splitlines():
        found = re.fullmatch(r"(\S+) \(([\d, ]+)\)", line.strip())
        if not found:
            continue
        shape = [int(n) for n in found[2].split(",") if n.strip()]
        count = int(np.prod(shape))
        tensors[found[1]] = np.frombuffer(data, "<f4", count, at).reshape(shape)
        at += 4 * count
    shape = (2, sizes["channels"], sizes["size"], sizes["size"])
    images = np.frombuffer(data, "<f4", int(np.prod(shape)), at).reshape(shape)
    at += images.nbytes
    logits = np.frombuffer(data, "<f8", 2 * 2 * sizes["classes"], at).reshape(2, 2, -1)
    return sizes, tensors, images.transpose(0, 2, 3, 1), logits


def predict(tool, model, rows, folder, *options):
    out = folder / "out.csv"
    subprocess.run([tool, "predict", model, rows, "-o", out, *options], check=True)
    return np.loadtxt(out, delimiter=",", skiprows=1, ndmin=2)


def check(tool, path, folder):
    sizes, tensors, images, logits = read(path)
    weights, model, rows = (
        folder / "w.safetensors",
        folder / "m.ramify",
        folder / "x.npy",
    )
    save_file(
        {name: np.ascontiguousarray(value) for name, value in tensors.items()}, weights
    )
    np.save(rows, images.reshape(len(images), -1).copy())
    side = f"{sizes['size']}x{sizes['size']}x{sizes['channels']}"
    heads = str(sizes["heads"])
    subprocess.run(
        [tool, "import", weights, "-o", model, "--image", side, "--heads", heads]
        + ["--task", "regression"],
        check=True,
    )
    worst = 0.0
    for options, wanted, what in (
        ((), logits[0], "all"),
        (("--branches", "1"), logits[1], "one"),
    ):
        off = np.abs(predict(tool, model, rows, folder, *options) - wanted).max()
        print(f"{path.stem:20} {what:>4} branches: largest error {off:.2e}")
        worst = max(worst, off)
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = pathlib.Path(__file__).resolve().parents[2]
    data = pathlib.Path(os.environ.get("RAMIFY_DATA", root.parent / "shared" / "data"))
    parser.add_argument(
        "--tool", default=root / "build" / "ramify", help="default: build/ramify"
    )
    parser.add_argument("--data", type=pathlib.Path, default=data / "paraformer_golden")
    arguments = parser.parse_args()
    paths = sorted(arguments.data.glob("*.txt"))
    if not paths:
        sys.exit(
            f"{arguments.data}: no golden vectors there; set RAMIFY_DATA or --data"
        )
    with tempfile.TemporaryDirectory() as folder:
        worst = max(check(arguments.tool, path, pathlib.Path(folder)) for path in paths)
    if worst > MOST:
        sys.exit(f"the largest error is {worst:.2e}, at most {MOST:.0e} is allowed")


if __name__ == "__main__":
    main()
