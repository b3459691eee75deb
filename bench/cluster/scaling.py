"""Several ranks against one process: seconds, memory, the same bytes.

    scaling.py [--ramify build/ramify] [--rows 2000000] [--ranks 0 2] [--repeats 3] [--verbs train predict evaluate]
               [--node-rows N] [--csv OUT.csv] [-- more options of train]
    scaling.py --rows 60000000 --ranks 0 2 --repeats 1

0 ranks is one process that no launcher started. One thread each; runs alternate, so that what disturbs the machine disturbs
all alike. 60 million rows of nine float32 are 2.0 GiB. Columns: median seconds by the clock, launcher included, and their range; how
many times as fast as the first of --ranks, and that as a share of what as many ranks could be; the largest peak of resident memory
of a rank, and the sum of all (pages of the file that ranks share are counted in each); seconds of processors. Where there are more
ranks than processors the row says so: ranks then wait for one another's turn, and seconds say nothing about scaling.

Ends with status 1 unless the models, the predictions and the printed scores are the same bytes for any number of ranks. Training is
by the recipe but for --node-rows and what follows `--`. Open MPI; numpy for generate.py.
"""

from __future__ import annotations

import os
import pathlib
import statistics
import sys
from typing import NamedTuple

import harness

VERBS = ("train", "predict", "evaluate")
MIB = 1 << 20


class Run(NamedTuple):
    seconds: float
    peak: int  # bytes of the rank that has most
    peaks: int  # of all ranks
    processor: float


class Scaling:
    def __init__(self, options, more: list[str]):
        self.options = options
        self.table = harness.table(options.folder, options.rows)
        self.more = more

    def path(self, name: str, ranks: int) -> pathlib.Path:
        return self.options.folder / f"scaling-{ranks}.{name}"

    def result(self, verb: str, ranks: int) -> pathlib.Path:
        ends = {"train": "ramify", "predict": "csv", "evaluate": "txt"}
        return self.path(ends[verb], ranks)

    def told(self, verb: str, ranks: int) -> str:
        """What must be the same for any number of ranks: the file, or the scores without the speed."""
        path = self.result(verb, ranks)
        if verb != "evaluate":
            return harness.digest(path)
        lines = path.read_text().splitlines()
        return "\n".join(line for line in lines if "rows per second" not in line)

    def words(self, verb: str, ranks: int) -> list[object]:
        tool, result = self.options.ramify, self.result(verb, ranks)
        if verb == "train":
            words = [tool, verb, self.table, "--target", "c9", "-o", result, *self.more]
            if self.options.node_rows:
                words += ["--node-rows", self.options.node_rows]
        else:
            words = [tool, verb, self.path("ramify", self.options.ranks[0]), self.table]
            if verb == "predict":
                words += ["-o", result]
        return [*words, "--threads", "1"]

    def once(self, verb: str, ranks: int) -> Run:
        peak = self.path("peak", ranks)
        words = harness.measured(peak, self.words(verb, ranks))
        # Printed scores are to be compared, too.
        output = self.result(verb, ranks) if verb == "evaluate" else None
        result = harness.must(harness.here(ranks, words), 86400, output)
        taken = harness.taken(peak, ranks)
        peaks = [rank["peak"] for rank in taken]
        processor = sum(rank["processor"] for rank in taken)
        return Run(result.seconds, max(peaks), sum(peaks), processor)

    def verb(self, verb: str) -> tuple[list[list[object]], bool]:
        runs: dict[int, list[Run]] = {ranks: [] for ranks in self.options.ranks}
        for _ in range(self.options.repeats):
            for ranks in self.options.ranks:
                runs[ranks].append(self.once(verb, ranks))
        first = self.options.ranks[0]
        told = self.told(verb, first)
        base = statistics.median(run.seconds for run in runs[first])
        rows, good = [], True
        for ranks, taken in runs.items():
            seconds = [run.seconds for run in taken]
            median = statistics.median(seconds)
            count = max(1, ranks)
            same = self.told(verb, ranks) == told
            good = good and same
            crowded = count > (os.cpu_count() or 1)
            times = base / median
            rows.append(
                [
                    verb,
                    f"{ranks}{', oversubscribed' if crowded else ''}"
                    if ranks
                    else "one process",
                    round(median, 2),
                    f"{min(seconds):.2f} to {max(seconds):.2f}",
                    times,
                    times * max(1, first) / count,
                    round(max(run.peak for run in taken) / MIB),
                    round(max(run.peaks for run in taken) / MIB),
                    round(statistics.median(run.processor for run in taken), 1),
                    "yes" if same else "NO",
                ]
            )
        return rows, good


def main() -> None:
    parser = harness.parser_of(__doc__, 2_000_000)
    parser.add_argument("--ranks", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--verbs", nargs="+", choices=VERBS, default=VERBS)
    parser.add_argument("--node-rows", type=int, help="of train; its own default")
    words = sys.argv[1:]
    at = words.index("--") if "--" in words else len(words)
    options = harness.prepared(parser.parse_args(words[:at]))
    scaling = Scaling(options, words[at + 1 :])
    size = scaling.table.stat().st_size / 2**30
    print(
        f"{options.rows:,} rows, {size:.2f} GiB; {options.repeats} runs each\n",
        flush=True,
    )
    rows, good = [], True
    for verb in options.verbs:
        made, same = scaling.verb(verb)
        rows += made
        good = good and same
    harness.show(
        ("verb", "ranks", "seconds", "range", "times as fast", "efficiency")
        + ("peak of a rank, MiB", "peaks, MiB", "processor, s", "same bytes"),
        rows,
        options.csv,
    )
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
