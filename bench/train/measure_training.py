"""Both benchmarks of training speed: about ten minutes on two cores.

    python3 bench/train/measure_training.py [--build build]

prints the tables of steps.py and of training_curves.py. Curves that are in ``training_curves.csv`` beside
this file are not run again: remove it to measure anew.
"""

from __future__ import annotations

import argparse
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build")
    build = parser.parse_args().build
    commands = [
        ["steps.py", "--program", f"{build}/bench_train_step"],
        ["training_curves.py", "--tool", f"{build}/ramify"],
    ]
    for script, *options in commands:
        words = [sys.executable, str(HERE / script), *options]
        code = subprocess.run(words, check=False).returncode
        if code:
            return code
        print(flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
