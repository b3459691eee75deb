"""Fashion-MNIST's pixels: pathways beside its controls.

    python3 bench/accuracy/fashion.py [--tool build/ramify] [--resident 512KiB] [--seed 0]
                                      [-- OPTION OF TRAIN ...]

60,000 images of 28 x 28 pixels train, 10,000 test; the files are read as they come (IDX,
gzipped) from ``$RAMIFY_DATA/images``. Prints one Markdown table: accuracy on the test
images, weights in all and for one row, resident bytes, seconds of training. Nothing is
chosen on test images.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile

import datasets
import report


def main() -> None:
    """Train once and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default="build/ramify")
    parser.add_argument("--resident", default="512KiB")
    parser.add_argument("--seed", default="0")
    parser.add_argument("options", nargs="*", help="of train, after --")
    chosen = parser.parse_args()
    images, labels, test_images, test_labels = (
        str(datasets.data_path(f"images/fashion-{part}-ubyte"))
        for part in (
            "train-images-idx3",
            "train-labels-idx1",
            "t10k-images-idx3",
            "t10k-labels-idx1",
        )
    )
    with tempfile.TemporaryDirectory() as folder:
        words = [
            chosen.tool,
            "train",
            images,
            "--labels",
            labels,
            "--test",
            test_images,
        ]
        words += [
            "--test-labels",
            test_labels,
            "-o",
            f"{folder}/model.ramify",
            "--json",
        ]
        words += ["--task", "classification", "--controls"]
        words += ["--resident", chosen.resident, "--seed", chosen.seed]
        words += chosen.options
        run = subprocess.run(words, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise SystemExit(run.stderr)
    result = json.loads(run.stdout)
    lines = [{**result, **result["test"], "name": "pathways"}, *result["controls"][1:]]
    report.print_rows(
        ["", "accuracy", "weights", "for one row", "resident", "seconds"],
        [
            [
                line["name"],
                f"{100 * line['accuracy']:.2f} %",
                f"{line['parameters']:,}",
                f"{line['active_parameters']:,}",
                f"{line['resident_bytes'] / 1024:,.0f} KiB",
                f"{line['seconds']:.0f}",
            ]
            for line in lines
        ],
    )
    print(f"\n{result['leaves']} leaves, {result['modules']} experts.")


if __name__ == "__main__":
    main()
