"""Ranks on hosts whose network is slow, loses packets, or is cut: hosts are network namespaces of this machine.

    network.py [--ramify build/ramify] [--part slow cut back] [--runs 9] [--rows 100000] [--node-rows 10000]
               [--delays 0 1 10 50] [--losses 0 1 5] [--csv OUT.csv]

Two hosts with a rank each, joined by cables that wire.py makes late, lossy or dead. Parts:

slow  every delay (ms, one way; a round trip takes twice that) with every loss (percent of packets): must end with
      the bytes that one process writes. Columns: seconds of the job, of that what rank 0 spent in transfers, waiting for the
      other included.
cut   the cable of the second host is cut at a random time, and stays so: unplugged (no carrier), silent (packets
      vanish both ways) or deaf (those to it vanish). On the first host, which has the launcher, exactly one sentence
      of the tool must be printed, and the tool's processes on both hosts must be gone within 30 s. Columns: seconds from the cut until
      the sentence, until no process of the tool is left, and until the launcher has returned. That is Open MPI's: it waits for
      its daemon on the other host until TCP gives up, which takes a quarter of an hour by default (net.ipv4.tcp_retries2
      = 15) and half a minute with the 6 that hosts are given here (--retries). What is left of it after 120 s is
      listed, and killed.
back  the same for 3 seconds, after which all is as new: must end with the bytes that one process writes.

Ends with status 1 unless all this holds. Root, iproute2, /dev/net/tun and Open MPI; numpy for generate.py.
--csv writes OUT.csv with the part's name before its end.
"""

from __future__ import annotations

import pathlib
import random
import sys
import time

import harness
from faults import stage_of, wait_until

PARTS = ("slow", "cut", "back")
WAYS = ("unplugged", "silent", "deaf")
GONE = 30  # seconds in which the tool must have ended on all hosts
HARD = 120  # seconds in which the launcher should have
AWAY = 3  # seconds of a cut that is mended


class Network:
    def __init__(self, options, hosts: harness.Hosts):
        self.options, self.hosts = options, hosts
        self.table = harness.table(options.folder, options.rows)
        self.model = options.folder / "network.ramify"
        self.random = random.Random(options.seed)
        self.good = True
        harness.must(harness.here(0, self.words()))
        self.digest = harness.digest(self.model)
        self.plain = harness.must(hosts.command(2, self.words()))
        self.check(
            harness.digest(self.model) == self.digest, "two ranks wrote other bytes"
        )

    def words(self) -> list[object]:
        words = harness.training(self.options.ramify, self.table, self.model)
        return [
            *words,
            "--node-rows",
            self.options.node_rows,
            "--verbose",
            *harness.SMALL,
        ]

    def check(self, holds: bool, what: str) -> bool:
        if not holds:
            print(f"network.py: {what}", file=sys.stderr)
            self.good = False
        return holds

    def same_bytes(self, result_code: int, what: str) -> str:
        same = result_code == 0 and harness.digest(self.model) == self.digest
        return (
            "yes"
            if self.check(same, f"{what}: status {result_code}, other bytes")
            else "NO"
        )

    def show(self, part: str, head: tuple[str, ...], rows: list[list[object]]) -> None:
        path = self.options.csv
        if path:
            path = str(pathlib.Path(path).with_suffix(f".{part}.csv"))
        harness.show(head, rows, path)

    # ---- parts ----

    def slow(self) -> None:
        rows = []
        for delay in self.options.delays:
            for loss in self.options.losses:
                self.model.unlink(missing_ok=True)
                self.hosts.shape(delay / 1000, loss / 100)
                result = harness.run(self.hosts.command(2, self.words()), 1800)
                self.hosts.shape()
                sent = harness.sent(result.texts())
                spent = sum(phase.seconds for phase in sent.values())
                same = self.same_bytes(result.code, f"delay {delay} ms, loss {loss} %")
                rows.append([delay, loss, result.seconds, spent, same])
        head = ("delay, ms", "loss, %", "seconds", "in transfers, s", "same bytes")
        self.show("slow", head, rows)

    def begin(self, number: int) -> tuple[harness.Job, str, float, str]:
        """A job, whose cable is cut at a random time of it: how, when and in which stage."""
        how = WAYS[number % len(WAYS)]
        self.model.unlink(missing_ok=True)
        while True:
            at = self.random.uniform(0.1, 0.95) * self.plain.seconds
            job = harness.Job(self.hosts.command(2, self.words()))
            # Before the daemons have started there is no job that could be cut in two.
            while len(job.ranks()) < 2 and not job.is_over():
                time.sleep(harness.POLL)
            if wait_until(job, at):
                self.hosts.cut(1, how)
                cut = job.seconds()
                return job, how, cut, stage_of(job.lines, cut)
            job.wait(HARD)

    def cut(self) -> None:
        rows = []
        for number in range(self.options.runs):
            job, how, cut, stage = self.begin(number)
            spoken = ranks_gone = launcher = None
            while job.seconds() < cut + HARD and (
                launcher is None or ranks_gone is None
            ):
                time.sleep(harness.POLL * 5)
                now = job.seconds()
                if ranks_gone is None and not self.tools(job):
                    ranks_gone = now - cut
                if launcher is None and job.is_over():
                    launcher = now - cut
            said = harness.sentences(
                [text for _, text in job.lines], self.plain.texts()
            )
            for when, text in job.lines:
                if spoken is None and text in said:
                    spoken = when - cut
            _, left = job.left_after(job.seconds() + 1)
            job.kill()
            self.hosts.cut(1, "")
            what = f"cut {number + 1} ({how}, {cut:.1f} s, {stage})"
            # Who hears nothing of a host that still is heard has as much reason to speak as that host.
            most = 2 if how == "deaf" else 1
            self.check(1 <= len(said) <= most, f"{what}: said {said}")
            self.check(
                ranks_gone is not None and ranks_gone < GONE,
                f"{what}: the tool has not ended",
            )
            none = f"not in {HARD}"
            rows.append(
                [
                    number + 1,
                    how,
                    cut,
                    stage,
                    *(none if x is None else x for x in (spoken, ranks_gone)),
                ]
                + [
                    none if launcher is None else launcher,
                    " ".join(left) or "none",
                    " / ".join(said),
                ]
            )
        self.show(
            "cut",
            ("run", "how", "at, s", "stage", "sentence after, s", "tool gone after, s")
            + ("launcher back after, s", "left then", "sentence"),
            rows,
        )

    @staticmethod
    def tools(job: harness.Job) -> bool:
        return bool(job.ranks())

    def back(self) -> None:
        rows = []
        for number in range(self.options.runs):
            job, how, cut, stage = self.begin(number)
            time.sleep(AWAY)
            self.hosts.cut(1, "")
            over = job.wait(cut + HARD)
            took = job.seconds()
            code = job.process.returncode if over else -1
            same = self.same_bytes(
                code, f"back {number + 1} ({how}, {cut:.1f} s, {stage})"
            )
            if same == "NO":
                print("\n".join(text for _, text in job.lines), file=sys.stderr)
            rows.append([number + 1, how, cut, stage, took, self.plain.seconds, same])
        self.show(
            "back",
            ("run", "how", "at, s", "stage", "seconds", "undisturbed, s", "same bytes"),
            rows,
        )


def main() -> None:
    parser = harness.parser_of(__doc__, 100_000)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--node-rows", type=int, default=10_000)
    parser.add_argument("--delays", nargs="+", type=float, default=[0, 1, 10, 50])
    parser.add_argument("--losses", nargs="+", type=float, default=[0, 1, 5])
    parser.add_argument(
        "--retries",
        type=int,
        default=6,
        help="of TCP (net.ipv4.tcp_retries2); 0: the system's",
    )
    options = harness.prepared(parser.parse_args())
    with harness.Hosts(2, options.folder, options.retries) as hosts:
        network = Network(options, hosts)
        print(
            f"{options.rows:,} rows; undisturbed {network.plain.seconds:.1f} s\n",
            flush=True,
        )
        for part in options.part:
            getattr(network, part)()
    sys.exit(0 if network.good else 1)


if __name__ == "__main__":
    main()
