"""Choosing modules by validation rows: `--module auto` beside networks alone and series alone.

    modules.py [--sets airfoil power-plant kin8nm kin40k] [--seeds 0 1 2] [--tool build/ramify]
               [--threads 2] --keep FOLDER

Test RMSE in standard deviations of the training targets, splits as in the accuracy benchmark, default
options but for `--module`. FOLDER keeps each run's summary, and a run that is there is not made again.
"""

import argparse
import json
import pathlib
import subprocess
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "accuracy"))
import datasets  # noqa: E402
import report  # noqa: E402

WAYS = {
    "pathways": ["--kind", "pathways"],
    "module auto": ["--kind", "pathways", "--module", "auto"],
    "nyquist": ["--kind", "nyquist"],
}


def run(chosen: argparse.Namespace, name: str, seed: int, way: str) -> dict:
    """One training's summary."""
    kept = chosen.keep / f"{name}-{seed}-{way.replace(' ', '-')}.json"
    if not kept.exists():
        datasets.write_split(name, seed, chosen.keep)
        words = [chosen.tool, "train", str(chosen.keep / f"{name}-{seed}.train.csv")]
        words += ["--target", "target", "--seed", str(seed), "--json", *WAYS[way]]
        words += ["--test", str(chosen.keep / f"{name}-{seed}.test.csv")]
        words += ["-o", str(kept.with_suffix(".ramify"))]
        words += ["--threads", str(chosen.threads)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{name} {seed} {way}: {done.stderr}")
        summary = json.loads(done.stdout)
        info = [chosen.tool, "info", str(kept.with_suffix(".ramify")), "--json"]
        about = json.loads(subprocess.run(info, capture_output=True, check=True).stdout)
        groups = about["config"]["groups"]
        summary["series"] = sum(g["count"] for g in groups if "bytes" in g)
        summary["leaves"] = about["leaves"]
        kept.write_text(json.dumps(summary))
        print(kept.name, summary["test"]["rmse"], file=sys.stderr, flush=True)
    return json.loads(kept.read_text())


def main() -> None:
    """Make the runs and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ["airfoil", "power-plant", "kin8nm", "kin40k"]
    parser.add_argument("--sets", nargs="+", default=names)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--tool", default="build/ramify")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep", type=pathlib.Path, required=True)
    chosen = parser.parse_args()
    chosen.keep.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in chosen.sets:
        found = {way: [] for way in WAYS}
        series = []
        for seed in chosen.seeds:
            scale = float(np.std(datasets.load(name, seed).y_train))
            for way, errors in found.items():
                summary = run(chosen, name, seed, way)
                errors.append(summary["test"]["rmse"] / scale)
                if way == "module auto":
                    series.append(f"{summary['series']}/{summary['leaves']}")
        ratios = np.divide(found["module auto"], found["pathways"])
        cells = [f"{np.mean(errors):.4f}" for errors in found.values()]
        cells += [f"{ratios.mean():.3f} ({ratios.max():.3f})", ", ".join(series)]
        rows.append([name, *cells])
    header = ["set", *WAYS, "auto / pathways, mean (most)", "leaves with series"]
    report.print_rows(header, rows)


if __name__ == "__main__":
    main()
