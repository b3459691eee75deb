"""Ranks that are killed at random times: does the job end, is it said why, and does it go on from there?

    faults.py [--ramify build/ramify] [--runs 20] [--ranks 2] [--rows 200000] [--node-rows 10000] [--csv OUT.csv]

Every run trains with --resume in a new folder; one rank, drawn at random, is killed with SIGKILL at a time drawn
uniformly from the duration of an undisturbed run. Then the same command is given again, every third time with one
rank more. The program ends with status 1 unless all of this holds in every run:

- the job has ended by itself within 60 s of the kill, and all of its processes are gone;
- exactly one line of what it printed is a sentence of the tool about it (lines that begin with "ramify" and that an
  undisturbed run does not print). A rank may also be killed before the ranks have met; then the launcher alone
  knows, and its own message is what there is; or once the model is there and ranks are about to leave, which none of
  them takes for a failure any more;
- what goes on from there writes the bytes that the undisturbed run wrote;
- of the ranks that were not killed no temporary file is left. The killed one can remove nothing: what it was writing stays
  (NAME.PROCESS-N.tmp), and is counted.

Columns: when the rank was killed, and after which line of the log; seconds from the kill until the launcher has
returned; sentences; temporary files; experts kept in the folder at the kill, and how many the run that went on added
to them, beside what an undisturbed run keeps.
Needs numpy for generate.py. Open MPI's launcher.
"""

from __future__ import annotations

import os
import pathlib
import random
import signal
import statistics
import sys
import time

import harness

LIMIT = 60  # seconds from the kill to the end of the job
HEAD = (
    "run",
    "killed rank",
    "at, s",
    "stage",
    "ended after, s",
    "sentences",
    "temporary files left",
    "experts kept",
    "made on resuming",
    "resumed on",
    "seconds",
    "same bytes",
)


def stage_of(lines: list[tuple[float, str]], at: float) -> str:
    """How the last line that was logged before a time begins."""
    said = [text for when, text in lines if when <= at and text.startswith("ramify: ")]
    if not said:
        return "starting, reading"
    text = said[-1].removeprefix("ramify: ")
    return "after: " + text.split(":")[0].split(";")[0][:40]


def files(folder: pathlib.Path, pattern: str) -> int:
    return sum(1 for _ in folder.rglob(pattern))


def wait_until(job: harness.Job, at: float) -> bool:
    """False: the job was over before."""
    while job.seconds() < at and not job.is_over():
        time.sleep(harness.POLL)
    return not job.is_over()


class Trial:
    """What is the same in all runs."""

    def __init__(self, options):
        self.options = options
        self.table = harness.table(options.folder, options.rows)
        self.random = random.Random(options.seed)

    def command(self, ranks: int, model: pathlib.Path, keep: pathlib.Path) -> list[str]:
        words = harness.training(self.options.ramify, self.table, model)
        words += ["--node-rows", self.options.node_rows, "--verbose", "--resume", keep]
        return harness.here(ranks, words + harness.SMALL)

    def undisturbed(self, folder: pathlib.Path) -> None:
        model = folder / "model.ramify"
        result = harness.must(self.command(self.options.ranks, model, folder / "keep"))
        self.seconds = result.seconds
        self.logged = result.texts()
        self.digest = harness.digest(model)
        self.experts = files(folder / "keep", "*.fit")

    def once(self, number: int, folder: pathlib.Path) -> tuple[list[object], bool]:
        ranks = self.options.ranks
        model, keep = folder / "model.ramify", folder / "keep"
        while True:  # a run may be over before its time has come
            victim, at = (
                self.random.randrange(ranks),
                self.random.uniform(0, self.seconds),
            )
            job = harness.Job(self.command(ranks, model, keep))
            processes: dict[int, int] = {}
            there = wait_until(job, at)
            while there and victim not in processes and not job.is_over():
                processes = job.ranks()
            if victim in processes and not job.is_over():
                break
            job.wait(harness.POLL)
            harness.shutil.rmtree(folder)
            folder.mkdir()
        os.kill(processes[victim], signal.SIGKILL)
        killed = job.seconds()
        ended = job.wait(killed + LIMIT)
        after = job.seconds() - killed
        _, left = job.left_after(killed + LIMIT)
        said = harness.sentences([text for _, text in job.lines], self.logged)
        stage = stage_of(job.lines, killed)
        names = [path.name for path in folder.rglob("*.tmp")]
        others = [name for name in names if f".{processes[victim]}-" not in name]
        kept = files(keep, "*.fit")
        whole = harness.digest(model) == self.digest
        again = ranks + (number % 3 == 2)
        resumed = harness.must(self.command(again, model, keep))
        added = files(keep, "*.fit") - kept
        same = harness.digest(model) == self.digest
        # Before the ranks have met nobody knows; and after their last meeting nothing is amiss.
        silent = not said and (stage == "starting, reading" or whole)
        good = ended and not left and not others and same and (len(said) == 1 or silent)
        if not good:
            print(
                f"run {number + 1}: ended {ended}, left {left}, said {said}",
                file=sys.stderr,
            )
            print("\n".join(text for _, text in job.lines), file=sys.stderr)
        row = [
            number + 1,
            victim,
            killed,
            stage,
            after,
            len(said),
            len(names),
            kept,
            added,
        ]
        return [*row, f"{again} ranks", resumed.seconds, "yes" if same else "NO"], good


def main() -> None:
    parser = harness.parser_of(__doc__, 200_000)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--node-rows", type=int, default=10_000)
    options = harness.prepared(parser.parse_args())
    trial = Trial(options)
    with harness.emptied(options.folder / "undisturbed") as folder:
        trial.undisturbed(folder)
    print(
        f"{options.rows:,} rows, {options.ranks} ranks; undisturbed {trial.seconds:.1f} s, {trial.experts} experts kept\n"
    )
    rows, good = [], True
    for number in range(options.runs):
        with harness.emptied(options.folder / "killed") as folder:
            row, held = trial.once(number, folder)
        rows.append(row)
        good = good and held
    harness.show(HEAD, rows, options.csv)
    after = [row[4] for row in rows]
    print(
        f"Ended after {statistics.median(after):.2f} s in the median, {max(after):.2f} s at most."
    )
    print("All held." if good else "NOT ALL HELD: see standard error.")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
