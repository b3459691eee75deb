"""Prediction speed beside peers: prepare what is missing, measure, print the tables.

    python3 bench/predict/measure_prediction.py [--rounds N] [--set NAME ...] [--core N]

Builds ``bench_predict`` and runs prepare.py where the working folder has no models yet
(an hour or two, once). A round is, set by set, one turn of ``bench_predict`` and one of
``python_peers.py``, pinned to one core; of every figure the median over rounds counts.
Prints Markdown. Needs bench/requirements.txt; a peer that is not installed is ``absent``,
and neither beaten nor counted.

Ratios are the peer's time over ramify's, for single rows and for batches: above 1, ramify
is faster.
"""

from __future__ import annotations

import argparse
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
from typing import NamedTuple

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SETS = ["8-64-64-1", "kin40k", "protein", "letter"]
MICRO = 1e6

# What the tables are held against.
MOST_SECONDS = 0.5e-6  # a single row of 8-64-64-1
OVER_TREES = 5
OVER_NETWORKS = 1.5
SHARE_OF_PEAK = 0.6

TREES = ("lightgbm", "xgboost", "trees")


class Contender(NamedTuple):
    name: str
    kind: str
    error: float
    multiply_adds: float
    values: dict[str, float]  # medians by measure: seconds, or rows per second

    @property
    def ours(self) -> bool:
        return self.kind in ("ramify", "bounded")


class Set(NamedTuple):
    name: str
    unit: str
    contenders: list[Contender]  # ramify first
    absent: list[str]
    peak: float  # multiply-adds per second


def build_and_prepare(out: pathlib.Path, sets: list[str]) -> None:
    """Says on standard error what it does: the tables go to standard output."""

    def call(*words: object) -> None:
        subprocess.run([str(w) for w in words], cwd=ROOT, check=True, stdout=sys.stderr)

    if not (ROOT / "build" / "bench_predict").exists():
        call("cmake", "--preset", "bench", "--log-level=NOTICE")
        call("cmake", "--build", "build")
    missing = [name for name in sets if not (out / name / "manifest.tsv").exists()]
    if missing:
        call(sys.executable, HERE / "prepare.py", "--out", out, "--set", *missing)


def measure(out: pathlib.Path, sets: list[str], rounds: int) -> list[list[str]]:
    """Lines of set, contender, measure, value; of all rounds."""
    with tempfile.TemporaryDirectory() as folder:
        lines = pathlib.Path(folder) / "lines.tsv"
        for number in range(rounds):
            for name in sets:
                print(f"round {number + 1}, {name}", file=sys.stderr, flush=True)
                programs = (
                    [ROOT / "build" / "bench_predict"],
                    [sys.executable, HERE / "python_peers.py"],
                )
                for program in programs:
                    # What fails says so, and is missing in the table.
                    subprocess.run(
                        [*program, out / name, "--turns", "1", "--lines", lines],
                        cwd=ROOT,
                        check=False,
                        stdout=subprocess.DEVNULL,
                    )
        return [line.split("\t") for line in lines.read_text().splitlines()]


def collect(out: pathlib.Path, name: str, lines: list[list[str]]) -> Set:
    values: dict[tuple[str, str], list[float]] = {}
    failed: dict[str, str] = {}
    for where, contender, what, value in lines:
        if where != name or what == "note":
            continue
        if what == "failed":
            failed[contender] = value
        elif not math.isnan(float(value)):
            values.setdefault((contender, what), []).append(float(value))
    contenders, absent, unit = [], [], ""
    for line in (out / name / "manifest.tsv").read_text().splitlines():
        fields = line.split("\t")
        if fields[0] == "set":
            unit = fields[5]
        elif fields[0] == "absent":
            absent.append(f"{fields[1]}: {fields[2]}")
        else:
            title, kind = fields[1:3]
            medians = {
                what: statistics.median(several)
                for (of, what), several in values.items()
                if of == title
            }
            if medians:
                error, work = map(float, fields[8:10])
                contenders.append(Contender(title, kind, error, work, medians))
            else:
                reason = (
                    failed.get(title) or "cannot be run here, or predicts otherwise"
                )
                absent.append(f"{title}: {reason}")
    peak = statistics.median(values.get(("-", "peak"), [0.0]))
    return Set(name, unit, contenders, absent, peak)


def table(heads: list[str], rows: list[list[str]]) -> None:
    print("| " + " | ".join(heads) + " |")
    print("|" + "---|" * len(heads))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def number(value: float) -> str:
    """Three digits that count, with commas."""
    if math.isnan(value):
        return ""
    if value >= 1000:
        digits = 10 ** (len(str(int(value))) - 3)
        return f"{round(value / digits) * digits:,}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def print_set(one: Set) -> None:
    first = one.contenders[0].values
    print(f"### {one.name}\n")
    rows = []
    for c in one.contenders:
        v = c.values
        row = [c.name, f"{c.error:.4g}"]
        row += [number(MICRO * v[m]) for m in ("single_p50", "single_p99", "grouped")]
        row.append(number(v["single_p50"] / first["single_p50"]))
        row.append(number(MICRO * v["cold_p50"]))
        row.append(number(v["cold_p50"] / first["cold_p50"]))
        rows.append(row)
    heads = ["single rows, us", one.unit, "p50", "p99", "one of 32", "ratio of p50"]
    table([*heads, "cold caches, p50", "ratio"], rows)
    rows = []
    for c in one.contenders:
        row = [c.name, f"{c.error:.4g}"]
        for m in ("rows_1000", "rows_100000"):
            value = c.values.get(m, math.nan)
            row += [number(value), number(first[m] / value)]
        rows.append(row)
    heads = [
        "batches, rows/s",
        one.unit,
        "1,000 rows",
        "ratio",
        "100,000 rows",
        "ratio",
    ]
    table(heads, rows)
    if one.absent:
        print("Absent: " + "; ".join(one.absent) + ".\n")


def share(one: Set, c: Contender, measure_name: str) -> float:
    rate = c.values.get(measure_name, math.nan)
    return rate * c.multiply_adds / one.peak if one.peak > 0 else math.nan


def print_peak(sets: list[Set]) -> None:
    print("### Share of peak\n")
    rows = []
    for one in sets:
        for c in one.contenders:
            if c.multiply_adds > 0 and c.kind in ("ramify", "onnxruntime", "torch"):
                shares = (share(one, c, m) for m in ("rows_1000", "rows_100000"))
                rows.append([one.name, c.name, f"{c.multiply_adds:,.0f}"])
                rows[-1] += [f"{100 * s:.0f} %" for s in shares]
    table(
        ["set", "contender", "multiply-adds per row", "1,000 rows", "100,000 rows"],
        rows,
    )


def verdict(met: bool) -> str:
    return "met" if met else "missed"


def fastest(several: list[Contender], name: str) -> Contender | None:
    return max(several, key=lambda c: c.values.get(name, 0), default=None)


def print_goals(sets: list[Set]) -> None:
    print("### Goals\n")
    for one in sets:
        ours, peers = one.contenders[0], [c for c in one.contenders if not c.ours]
        p50 = ours.values["single_p50"]
        if one.name == SETS[0]:
            print(
                f"- {one.name}: p50 below 0.5 us: {verdict(p50 < MOST_SECONDS)}, ",
                end="",
            )
            print(f"{MICRO * p50:.3f} us.")
        faster = [c for c in peers if c.values["single_p50"] < p50]
        names = "; ".join(
            f"{c.name} ({c.values['single_p50'] / p50:.2f})" for c in faster
        )
        print(
            f"- {one.name}: single rows ahead of every peer: {verdict(not faster)}",
            end="",
        )
        print(f"; faster, but for their errors: {names}." if faster else ".")
        groups = {
            "boosted trees": (OVER_TREES, [c for c in peers if c.kind in TREES]),
            "network of equal error": (
                OVER_NETWORKS,
                [c for c in peers if "equal error" in c.name],
            ),
        }
        for title, (wanted, group) in groups.items():
            for name, rows in (("rows_1000", "1,000"), ("rows_100000", "100,000")):
                best = fastest(group, name)
                if best is None:
                    continue
                times = ours.values[name] / best.values[name]
                print(
                    f"- {one.name}: batches of {rows}, {wanted:g} times the fastest ",
                    end="",
                )
                print(
                    f"{title}: {verdict(times >= wanted)}, {times:.3g} ({best.name})."
                )
        parts = [share(one, ours, m) for m in ("rows_1000", "rows_100000")]
        met = verdict(min(parts) >= SHARE_OF_PEAK)
        percents = " and ".join(f"{100 * part:.0f} %" for part in parts)
        print(f"- {one.name}: 60 % of peak, both batches: {met}, {percents}.")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--out", type=pathlib.Path, default=ROOT / "build" / "bench-predict"
    )
    parser.add_argument("--set", dest="sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--core", type=int, help="default: the last that may be used")
    chosen = parser.parse_args()
    chosen.out = chosen.out.resolve()
    build_and_prepare(chosen.out, chosen.sets)
    if hasattr(os, "sched_setaffinity"):
        core = max(os.sched_getaffinity(0)) if chosen.core is None else chosen.core
        os.sched_setaffinity(0, {core})
    lines = measure(chosen.out, chosen.sets, chosen.rounds)
    sets = [collect(chosen.out, name, lines) for name in chosen.sets]
    for one in sets:
        if not one.contenders or one.contenders[0].kind != "ramify":
            print(f"{one.name}: ramify itself was not timed", file=sys.stderr)
            return 1
    peak = sets[0].peak
    print(
        f"Peak of this core: {1e-9 * peak:.0f} G multiply-adds of float32 per second.\n"
    )
    for one in sets:
        print_set(one)
    print_peak(sets)
    print_goals(sets)
    return 0


if __name__ == "__main__":
    sys.exit(main())
