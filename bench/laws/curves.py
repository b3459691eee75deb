"""Laws on 92 learning curves: fitted on the small half, scored on the large one.

    python3 bench/laws/curves.py [--tool build/ramify] [--forms m1,m2,m3,m4,damped,last]
                                 [--loss log|relative|huber]

The curves are those of Alabdulmohsin, Neyshabur, Zhai 2022 (Apache-2.0), read from
``$RAMIFY_DATA/scaling/nslpfn``; runs with Training = 1 are fitted, the others are held out. Prints
the mean and the median over curves of the root mean square of ln predicted - ln true, by
domain, and the seconds that all fits of a form took (reading the table included).
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator

DATA = pathlib.Path(os.environ.get("RAMIFY_DATA", "../shared/data"))
DOMAINS = {
    "IC": "image classification",
    "NMT": "translation",
    "LM": "language modelling",
    "BB": "BIG-Bench",
}


def read_rows() -> Iterator[dict[str, str]]:
    """Rows of both files of the benchmark."""
    for name in ("vision", "lang"):
        source = DATA / f"scaling/nslpfn/benchmark.{name}.csv"
        with source.open(newline="") as file:
            yield from csv.DictReader(file)


def write_table(path: pathlib.Path) -> None:
    """Both files of the benchmark as one table."""
    with path.open("w", newline="") as to:
        out = csv.writer(to)
        out.writerow(["domain", "task", "model", "examples", "loss", "training"])
        for row in read_rows():
            keys = ("Domain", "Task", "Model", "Seen Examples", "Loss", "Training")
            out.writerow([row[key] for key in keys])


def main() -> None:
    """One line per form."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default="build/ramify")
    parser.add_argument("--forms", default="m1,m2,m3,m4,bnsl1,damped,last")
    parser.add_argument("--loss", default="log")
    chosen = parser.parse_args()
    print("| form | " + " | ".join(DOMAINS.values()) + " | all | seconds |")
    print("|---" * (len(DOMAINS) + 3) + "|")
    with tempfile.TemporaryDirectory() as folder:
        table = pathlib.Path(folder) / "curves.csv"
        write_table(table)
        for form in chosen.forms.split(","):
            words = [
                chosen.tool,
                "law",
                "fit",
                str(table),
                "--form",
                form,
                "--x",
                "examples",
            ]
            words += ["--y", "loss", "--by", "domain,task,model"]
            words += ["--categorical", "model"]
            words += ["--fit-where", "training=1", "--loss", chosen.loss]
            words += [
                "--bootstrap",
                "0",
                "--rolling",
                "off",
                "--threads",
                "1",
                "--json",
            ]
            began = time.monotonic()
            run = subprocess.run(words, capture_output=True, text=True, check=False)
            seconds = time.monotonic() - began
            if run.returncode != 0:
                raise SystemExit(run.stderr)
            errors: dict[str, list[float]] = {}
            for group in json.loads(run.stdout)["groups"]:
                error = group["heldout"]["rmse_log"]
                errors.setdefault(group["by"]["domain"], []).append(error)
            cells = [errors[domain] for domain in DOMAINS]
            cells.append([error for cell in cells for error in cell])
            print(
                f"| {form} | "
                + " | ".join(
                    f"{statistics.mean(c):.4f} / {statistics.median(c):.4f}"
                    for c in cells
                )
                + f" | {seconds:.2f} |"
            )


if __name__ == "__main__":
    main()
