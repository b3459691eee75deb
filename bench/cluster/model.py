"""What more ranks bring, by a model of cost: checked against runs here, and carried on to 1,024 ranks on paper.

    model.py [--ramify build/ramify] [--rows 1000000] [--node-rows 50000] [--check 0 1 2 3 4] [--network]
             [--at 60000000 1000000000] [--latency 2e-5] [--rate 1.25e9] [--csv OUT.csv] [-- more options of train]

One process trains, and the times of its log lines (and of the files of --resume) say what each part of the work takes:

reading   reading, packing, drawing samples: each rank its rows
root      lists of fits, one after the other: each waits for the rank that has most of them, ceil(fits / P)
placing   prototypes of large nodes: ceil(nodes / P) of a level
routing   rows go down a level: each rank its rows
large     experts of large nodes: ceil(nodes / P) of a level, on samples of --node-rows
subtrees  dealt by their rows as ramify_cluster_deal does, in measured seconds: waits for the rank that has most
finish    scores and notes on a sample, by every rank alike
network   the transfers of formulas.py: latency in seconds, rate in bytes per second of each rank

Parts do not overlap; a rank that has nothing to do waits. On fewer processors than ranks a part takes at least its work on all ranks
divided by the processors: so runs of 3 and 4 ranks on two processors check sums of work, not scaling. The row "one process" repeats
what was measured: how far it is from 1 is what the machine's other work does. Seconds of the processor that the busiest rank had are compared too, which other
work changes less: what is predicted of them is the sum of the parts' longest, so the measured ones, in which a rank that is busiest in one part
may rest in another, are somewhat less; what a rank does while it waits is in them. --network also checks two ranks
on hosts whose network carries 20 MB/s with 1 ms of delay (wire.py; root).

Carried on to N rows (--at), what is per row grows with N and what is per node with the number of nodes; nodes are split
evenly, into as many as the arity says, down to --node-rows, and subtrees differ in size and seconds as measured. With the default number of leaves the tree has
three levels: 64 nodes, and no more work than that to share. So there are two tables: by default, and with as many --leaves as the rows
ask for. "held up by" is the part that is furthest from its P-th.

Seconds at --node-rows other than those measured are not in the model: measure with those that are meant. Needs numpy for generate.py.
"""

from __future__ import annotations

import math
import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

import formulas
import harness

RANKS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
TOGETHER = 0.05  # seconds between lines of one list of fits, which are logged when all have ended
USUAL_LEAVES = 64  # of a tree: recipe.c
EACH = 2e-6  # seconds of a processor for one message
# Ranks on one machine: shared memory.
HERE_LATENCY, HERE_RATE = 2e-6, 2e9
WIRE_DELAY, WIRE_RATE = 1e-3, 20e6


class Costs(NamedTuple):
    """Seconds of one process."""

    facts: formulas.Facts
    reading: float
    root: Sequence[tuple[int, float]]  # lists: fits, seconds
    place: float  # of one large node
    route: float  # of one row, one level
    fit: float  # of one large node's expert
    subtrees: Sequence[float]
    finish: float
    total: float
    share: float  # of a processor, that it had


class Part(NamedTuple):
    name: str
    longest: float  # of the rank that has most to do
    work: float  # of all ranks

    def seconds(self, processors: float) -> float:
        return max(self.longest, self.work / processors)


# ---- measuring ----


def two_costs(rows: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """x and y, neither negative, of the least squares of a x + b y = c."""
    aa = sum(a * a for a, _, _ in rows)
    ab = sum(a * b for a, b, _ in rows)
    bb = sum(b * b for _, b, _ in rows)
    ac = sum(a * c for a, _, c in rows)
    bc = sum(b * c for _, b, c in rows)
    determinant = aa * bb - ab * ab
    if determinant > 1e-9 * aa * bb:
        x, y = (ac * bb - bc * ab) / determinant, (aa * bc - ab * ac) / determinant
        if x >= 0 and y >= 0:
            return x, y
    # One level, or one that hides the other: half of it each.
    x, y = ac / aa / 2, bc / bb / 2
    return x, y


class Measuring:
    def __init__(self, options, more: list[str]):
        self.options, self.more = options, more
        self.table = harness.table(options.folder, options.rows)
        self.model = options.folder / "model.ramify"
        self.peak = options.folder / "model.peak"

    def words(self, *extra: object) -> list[object]:
        words = harness.training(self.options.ramify, self.table, self.model)
        words += ["--node-rows", self.options.node_rows, "--verbose", "--threads", "1"]
        return [*words, *self.more, *extra]

    def costs(self) -> Costs:
        with harness.emptied(self.options.folder / "model-fits") as folder:
            began = time.time()
            words = harness.measured(self.peak, self.words("--resume", folder))
            result = harness.must(harness.here(0, words))
            kept = sorted(file.stat().st_mtime - began for file in folder.glob("*.fit"))
        info = [self.options.ramify, "info", str(self.model), "--json"]
        told = subprocess.run(info, check=True, capture_output=True, text=True).stdout
        facts = formulas.read(result.texts(), told, self.options.node_rows)
        root: list[tuple[int, float]] = []
        levels: list[float] = []
        subtrees: list[float] = []
        last, reading, fits, ended = 0.0, 0.0, [], result.seconds
        spans: list[tuple[float, float]] = []
        for when, line in result.lines:
            if formulas.ROWS.match(line):
                reading = when
            elif formulas.EPOCHS.match(line):
                if root and when - last < TOGETHER:
                    root[-1] = (root[-1][0] + 1, root[-1][1])
                    continue
                root.append((1, when - last))
            elif line.startswith("ramify: routing by"):
                root.append((facts.arity, when - last))
            elif formulas.LEVEL.match(line):
                levels.append(when - last)
                spans.append((last, when))
            elif formulas.SUBTREE.match(line):
                subtrees.append(when - last)
            elif " splits stand: " in line:
                ended = when
            elif " of the tree: " in line:
                continue  # within a subtree
            last = when
        # Large nodes' experts end one after the other; before the first of a level come placing and routing.
        large = facts.levels[1:]
        rest = []
        for i, (begin, end) in enumerate(spans):
            files = [at for at in kept if begin < at < end]
            fits += [b - a for a, b in zip(files, files[1:], strict=False)]
            count = large[i].nodes if i < len(large) else 0
            each = statistics.mean(fits) if fits else 0.0
            rest.append(
                (facts.levels[i].nodes, facts.rows, max(0.0, levels[i] - count * each))
            )
        place, route = two_costs(rest) if rest else (0.0, 0.0)
        return Costs(
            facts=facts,
            reading=reading,
            root=root,
            place=place,
            route=route,
            fit=statistics.mean(fits) if fits else 0.0,
            subtrees=subtrees,
            finish=result.seconds - ended,
            total=result.seconds,
            share=harness.taken(self.peak, 0)[0]["processor"] / result.seconds,
        )

    def start(self, ranks: int) -> float:
        """What the launcher and MPI take, with nothing to do in between."""
        small = harness.table(self.options.folder, 100)
        words = [self.options.ramify, "evaluate", self.model, small, "--threads", "1"]
        alone = harness.must(harness.here(0, words)).seconds
        return max(0.0, harness.must(harness.here(ranks, words)).seconds - alone)


# ---- the model ----


def deal(cost: Sequence[float], ranks: int) -> list[int]:
    """As ramify_cluster_deal: the dearest first, each to the rank that has least to do."""
    load = [0.0] * ranks
    rank = [0] * len(cost)
    for i in sorted(range(len(cost)), key=lambda i: (-cost[i], i)):
        least = min(range(ranks), key=load.__getitem__)
        load[least] += cost[i]
        rank[i] = least
    return rank


def parts(c: Costs, ranks: int) -> list[Part]:
    f = c.facts
    split = [level for level in f.levels if level.children]
    placing = c.place * sum(math.ceil(level.nodes / ranks) for level in split)
    routing = c.route * f.rows * len(split)
    root = sum(seconds * math.ceil(fits / ranks) / fits for fits, seconds in c.root)
    large = sum(math.ceil(level.nodes / ranks) for level in f.levels[1:])
    load = [0.0] * ranks
    for rank, seconds in zip(deal(f.subtrees, ranks), c.subtrees, strict=True):
        load[rank] += seconds
    return [
        Part("reading", c.reading / ranks, c.reading),
        Part("root", root, sum(seconds for _, seconds in c.root)),
        Part("placing", placing, c.place * sum(level.nodes for level in split)),
        Part("routing", routing / ranks, routing),
        Part(
            "large", c.fit * large, c.fit * sum(level.nodes for level in f.levels[1:])
        ),
        Part("subtrees", max(load), sum(load)),
        Part("finish", c.finish, c.finish * ranks),
    ]


def network(c: Costs, ranks: int, latency: float, rate: float) -> float:
    transfers = formulas.phases(c.facts, ranks).values()
    return sum(
        t.seconds(ranks, latency, rate, EACH) for list_ in transfers for t in list_
    )


def carried(c: Costs, rows: int, leaves: int) -> Costs:
    """The same training of more rows, in a tree of at most so many leaves; 0: as many as there are nodes."""
    f = c.facts
    times = rows / f.rows
    depth = math.ceil(math.log(leaves, f.arity) - 1e-9) if leaves else 12
    train, levels, nodes = f.train * times, [], 1
    while train / nodes > f.node_rows and len(levels) < depth:
        levels.append(formulas.Level(nodes, train, nodes * f.arity))
        nodes *= f.arity
    sizes, seconds = [], []
    if train / nodes > f.node_rows:
        levels.append(formulas.Level(nodes, train, 0))
    else:
        # Rates of subtrees in the order in which they were measured, again and again.
        mean = sum(f.subtrees) / len(f.subtrees)
        each = sum(c.subtrees) / sum(f.subtrees)
        ratio = [f.subtrees[i % len(f.subtrees)] / mean for i in range(nodes)]
        slow = [s / (n * each) for s, n in zip(c.subtrees, f.subtrees, strict=True)]
        whole = sum(ratio)
        sizes = [round(train * x / whole) for x in ratio]
        seconds = [n * each * slow[i % len(slow)] for i, n in enumerate(sizes)]
    per = f.subtree_nodes / max(1, len(f.subtrees))
    facts = f._replace(
        train=round(train),
        select=round(f.select * times),
        report=round(f.report * times),
        levels=levels,
        subtrees=sizes,
        subtree_nodes=round(per * len(sizes)),
        experts=nodes,
    )
    return c._replace(facts=facts, reading=c.reading * times, subtrees=seconds)


# ---- showing ----


def check(measuring: Measuring, c: Costs) -> list[list[object]]:
    options, rows = measuring.options, []
    digest = harness.digest(measuring.model)
    processors = os.cpu_count() or 1

    def compare(
        name: str, ranks: int, seconds: float, start: float, wire: float
    ) -> None:
        taken = harness.taken(measuring.peak, ranks)
        busiest = max(rank["processor"] for rank in taken)
        longest = c.share * sum(part.longest for part in parts(c, ranks))
        work = sum(part.seconds(processors) for part in parts(c, ranks))
        predicted = start + work + wire
        same = "yes" if harness.digest(measuring.model) == digest else "NO"
        crowded = ", oversubscribed" if ranks > processors else ""
        rows.append(
            [
                name + crowded,
                start,
                work,
                wire,
                predicted,
                seconds,
                seconds / predicted,
                longest,
                busiest,
                busiest / longest,
                same,
            ]
        )

    for ranks in options.check:
        start = measuring.start(ranks) if ranks else 0.0
        taken = []
        words = harness.measured(measuring.peak, measuring.words())
        for _ in range(options.repeats):
            taken.append(harness.must(harness.here(ranks, words)).seconds)
        wire = network(c, max(1, ranks), HERE_LATENCY, HERE_RATE)
        compare(
            str(ranks) if ranks else "one process",
            max(1, ranks),
            statistics.median(taken),
            start,
            wire,
        )
    if options.network:
        with harness.Hosts(2, options.folder) as hosts:
            start = harness.must(hosts.command(2, ["true"])).seconds
            hosts.shape(delay=WIRE_DELAY, rate=WIRE_RATE)
            words = harness.measured(measuring.peak, measuring.words())
            result = harness.must(hosts.command(2, words))
        name = f"2, {WIRE_RATE / 1e6:.0f} MB/s and {WIRE_DELAY * 1e3:.0f} ms"
        wire = network(c, 2, WIRE_DELAY, WIRE_RATE)
        compare(name, 2, result.seconds, start, wire)
    return rows


def extend(c: Costs, options, rows: int, leaves: int) -> list[list[object]]:
    """For every number of ranks: seconds by parts."""
    grown = carried(c, rows, leaves)
    table = []
    alone = 0.0
    for ranks in RANKS:
        list_ = parts(grown, ranks)
        wire = network(grown, ranks, options.latency, options.rate)
        total = sum(part.longest for part in list_) + wire
        alone = alone or total
        excess = {
            part.name: part.longest - part.work_alone(ranks)
            for part in shares(list_, ranks)
        }
        excess["network"] = wire
        worst = max(excess, key=excess.__getitem__) if ranks > 1 else "-"
        table.append(
            [
                f"{rows:,}",
                leaves or "as asked for",
                ranks,
                total,
                alone / total,
                alone / total / ranks,
            ]
            + [part.longest for part in list_]
            + [wire, worst]
        )
    return table


class Share(NamedTuple):
    name: str
    longest: float
    alone: float

    def work_alone(self, ranks: int) -> float:
        return self.alone / ranks


def shares(list_: Sequence[Part], ranks: int) -> list[Share]:
    """Parts with what one process would take for them."""
    everybodys = ("finish",)
    return [
        Share(p.name, p.longest, p.longest if p.name in everybodys else p.work)
        for p in list_
    ]


def main() -> None:
    parser = harness.parser_of(__doc__, 1_000_000)
    parser.add_argument("--node-rows", type=int, default=50_000)
    parser.add_argument("--check", type=int, nargs="*", default=[0, 1, 2, 3, 4])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--network", action="store_true")
    parser.add_argument(
        "--at", type=int, nargs="+", default=[60_000_000, 1_000_000_000]
    )
    parser.add_argument("--latency", type=float, default=2e-5)
    parser.add_argument("--rate", type=float, default=1.25e9)
    words = sys.argv[1:]
    at = words.index("--") if "--" in words else len(words)
    options = harness.prepared(parser.parse_args(words[:at]))
    measuring = Measuring(options, words[at + 1 :])
    c = measuring.costs()
    f = c.facts
    lists = ", ".join(f"{fits} in {seconds:.2f} s" for fits, seconds in c.root)
    spread = max(f.subtrees, default=0) / max(1, statistics.mean(f.subtrees or [1]))
    print(
        f"{options.rows:,} rows, --node-rows {options.node_rows:,}, one process: {c.total:.1f} s\n\n"
        f"- reading {c.reading:.2f} s; lists of fits for the root: {lists}\n"
        f"- a large node: {c.place:.3f} s to place prototypes, {c.fit:.3f} s to fit its expert; "
        f"{1e9 * c.route:.0f} ns to send a row down a level\n"
        f"- {len(f.subtrees)} subtrees: {sum(c.subtrees):.2f} s, the largest {spread:.2f} times the mean\n"
        f"- finish {c.finish:.2f} s\n"
    )
    if options.check:
        harness.show(
            (
                "ranks",
                "start, s",
                "work, s",
                "network, s",
                "predicted, s",
                "measured, s",
            )
            + (
                "measured / predicted",
                "busiest rank predicted, s",
                "measured, s",
                "ratio",
            )
            + ("same bytes",),
            check(measuring, c),
            csv_of(options.csv, "check"),
        )
    names = [part.name for part in parts(c, 1)]
    table = []
    for rows in options.at:
        for leaves in (USUAL_LEAVES, 0):
            table += extend(c, options, rows, leaves)
    print(
        f"On paper, {1e6 * options.latency:.0f} us and {options.rate / 1e9:.2f} GB/s:\n"
    )
    harness.show(
        ("rows", "leaves", "ranks", "seconds", "times as fast", "efficiency")
        + (*names, "network", "held up by"),
        table,
        csv_of(options.csv, "paper"),
    )


def csv_of(path: str | None, part: str) -> str | None:
    return str(pathlib.Path(path).with_suffix(f".{part}.csv")) if path else None


if __name__ == "__main__":
    main()
