"""What travels when ranks train one model: the formulas of docs/cluster.md, which volume.py and model.py share.

They count what the tool counts ("sent" lines): what leaves a rank for others, of all ranks together. Of X bytes that ranks have
together

- a gather sends (P - 1) X: everybody receives all;
- an exchange sends (1 - 1/P) X: by chance a P-th of it is where it should be;
- a broadcast sends (P - 1) X of one rank's;
- a sum counts P X, what every rank puts in; MPI adds up on the way, in about 2 (P - 1) X.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import NamedTuple

# Constants of the code, by where they are.
BLOCK = 4096  # rows: divided_rows.h
JUDGING = (
    131072,
    65536,
)  # rows of the sample that judges, training and others: divided_sample.h
CHECKS = 65536  # select and report rows of a large node's sample: divided_tree.c
PLACING = 32768  # rows that place prototypes: divided_tree.c
PARTS, PART_BYTES = 20, 1 << 26  # in which rows travel: divided_travel.c
# Sizes of structs: cluster.c, moments.h, root.c, divided_join.c.
INTRODUCTION, MOMENTS, ROOT_HEAD = 208, 64, 40
SUBTREE_HEAD, SUBTREE_NODE = 40, 56
COLUMN_REPORT = 51  # what a rank tells of a column of numbers, about: parts_report.c, summary_merge.c
COUNT = 8  # bytes of a number that is told

EPOCHS = re.compile(r"ramify: .* epochs of (\d+) rows: select loss")
LEVEL = re.compile(r"ramify: level \d+ of large nodes: (\d+) nodes below (\d+);")
SUBTREE = re.compile(
    r"ramify: subtree (\d+) of (\d+): (\d+) rows, .*, (\d+) of \d+ splits stand"
)
ROWS = re.compile(r"ramify: (\d+) rows train, (\d+) choose, (\d+) report")


class Level(NamedTuple):
    """Large nodes of one depth."""

    nodes: int
    rows: float  # training rows of all of them
    children: int  # 0: the tree may not be deeper, or have more leaves


class Facts(NamedTuple):
    """What the formulas need to know of a training."""

    train: int
    select: int
    report: int
    inputs: int  # columns, categories too
    targets: int
    weights: int  # 0 or 1
    node_rows: int
    arity: int
    levels: Sequence[Level]
    subtrees: Sequence[int]  # training rows of each
    subtree_nodes: int  # of all subtrees, their roots included
    experts: int  # in the model
    expert: int  # bytes of one
    root_fits: int
    routes: int  # numbers of a prototype
    path: int = 30  # bytes of the temporary file's name

    @property
    def rows(self) -> int:
        return self.train + self.select + self.report

    @property
    def packed(self) -> int:
        """Bytes of a packed row: inputs, targets, weight, tag."""
        return 4 * (self.inputs + max(1, self.targets) + self.weights + 1)


class Transfer(NamedTuple):
    kind: str  # gather, exchange, broadcast, sum
    calls: int
    bytes: float  # X above

    def sent(self, ranks: int) -> float:
        factor = {
            "gather": ranks - 1,
            "exchange": 1 - 1 / ranks,
            "broadcast": ranks - 1,
            "sum": ranks if ranks > 1 else 0,
        }
        return factor[self.kind] * self.bytes

    def seconds(self, ranks: int, latency: float, rate: float, each: float) -> float:
        """On a network that moves `rate` bytes per second to and from every rank at once. A gather goes round a ring; an exchange
        starts all messages at once, at `each` seconds of work for one; broadcasts and sums go over trees."""
        if ranks == 1:
            return 0
        others, depth = ranks - 1, math.ceil(math.log2(ranks))
        if self.kind == "gather":
            return self.calls * others * latency + self.bytes * others / ranks / rate
        if self.kind == "exchange":
            return (
                self.calls * (latency + others * each)
                + self.bytes * others / ranks**2 / rate
            )
        if self.kind == "broadcast":
            return self.calls * depth * latency + self.bytes / rate
        return self.calls * 2 * depth * latency + 2 * self.bytes / rate


def uneven(calls: int, bytes_: float, ranks: int) -> list[Transfer]:
    """A gather of what differs in size: the sizes go before."""
    return [
        Transfer("gather", calls, calls * COUNT * ranks),
        Transfer("gather", calls, bytes_),
    ]


def phases(f: Facts, ranks: int) -> dict[str, list[Transfer]]:
    """Transfers by the names that the tool gives to phases."""
    columns = f.inputs + f.targets
    row = f.packed
    blocks = math.ceil(f.rows / BLOCK)
    split = [level for level in f.levels if level.children]
    large = f.levels[1:]  # those below the root have experts of their own
    judging = (
        min(JUDGING[0], f.train) + min(JUDGING[1], f.select) + min(JUDGING[1], f.report)
    )
    root = min(f.node_rows, f.train) + min(CHECKS, f.select) + min(CHECKS, f.report)
    routing_report = min(CHECKS, f.report)
    placing = sum(min(PLACING * level.nodes, level.rows) for level in split)
    fitted, samples = 0, 0.0
    for level in large:
        share = level.rows / f.train
        fitted += level.nodes
        samples += min(f.node_rows * level.nodes, level.rows)
        samples += min(CHECKS * level.nodes, share * f.select)
        samples += min(CHECKS * level.nodes, share * f.report)
    batches = sum(math.ceil(level.nodes / ranks) for level in large)
    parts = max(PARTS, math.ceil(f.rows * row / ranks / PART_BYTES))
    moved = f.rows * row * sum(f.subtrees) / f.train  # large leaves stay where they are
    count = len(f.subtrees)
    told = SUBTREE_HEAD * count + SUBTREE_NODE * f.subtree_nodes
    told += 4 * pad(f.routes) * (f.subtree_nodes - count)
    results = f.root_fits * (ROOT_HEAD + f.expert) + fitted * (16 + f.expert)
    # Both routings are tried on the root's sample: children of one split, with two losses of every report row.
    results += 2 * (COUNT * (f.arity + 2 * routing_report) + f.arity * f.expert)
    named: dict[str, list[Transfer]] = {
        "joining": [Transfer("gather", 1, INTRODUCTION * ranks)],
        "reading": [
            Transfer("gather", 1, 2 * COUNT * ranks),
            Transfer("sum", 1, 3 * COUNT * ranks),
            *uneven(2, COLUMN_REPORT * columns * ranks, ranks),
            *uneven(2, blocks * (MOMENTS * columns + COUNT), ranks),
            Transfer("sum", 3, COUNT * (4 + f.inputs + 1)),
        ],
        "sample for judging": uneven(1, judging * 2 * row, ranks),
        "sample for the root": uneven(1, root * row, ranks),
        "results of fits": uneven(f.root_fits + 2 + batches, results, ranks),
        "samples for prototypes": [
            Transfer(
                "gather",
                len(split),
                COUNT * ranks * sum(x.nodes for x in split),
            ),
            Transfer("exchange", len(split), placing * row),
            Transfer(
                "sum",
                2 * len(split),
                COUNT * (1 + f.arity * pad(f.routes)) * sum(x.nodes for x in split),
            ),
        ],
        "sizes of nodes": [
            Transfer("sum", len(split), 3 * COUNT * sum(x.children for x in split))
        ],
        "samples of large nodes": [
            Transfer("gather", batches, COUNT * ranks * fitted),
            Transfer("exchange", batches, samples * row),
        ],
        "rows to their subtrees": [
            Transfer("gather", 1, COUNT * ranks),
            Transfer("exchange", parts + 1, (parts + 1) * COUNT * ranks * count),
            Transfer("exchange", parts, moved),
        ],
        "nodes and experts of subtrees": uneven(1, told, ranks),
        "writing the model": [
            Transfer("broadcast", 4, 2 * (COUNT + f.path)),
            Transfer("sum", 6, 2 * COUNT * (f.experts + 2)),
        ],
    }
    if count == 0:
        del named["rows to their subtrees"], named["nodes and experts of subtrees"]
    return named


def sent(f: Facts, ranks: int) -> dict[str, float]:
    """Bytes by phase."""
    return {
        name: sum(t.sent(ranks) for t in list_)
        for name, list_ in phases(f, ranks).items()
    }


def pad(numbers: int) -> int:
    return math.ceil(numbers / 16) * 16


def read(log: Sequence[str], info: str, node_rows: int) -> Facts:
    """Of the log of one process alone, which grows all subtrees, and of what `info --json` says of its model."""
    about = json.loads(info)
    config = about["config"]
    levels, subtrees, accepted, fits = [], [], 0, 0
    counts = (0, 0, 0)
    pairs = []
    for line in log:
        if match := ROWS.match(line):
            counts = tuple(map(int, match.groups()))
        elif match := LEVEL.match(line):
            pairs.append((int(match[1]), int(match[2])))
        elif match := SUBTREE.match(line):
            subtrees.append(int(match[3]))
            accepted += int(match[4])
        elif EPOCHS.match(line):
            fits += 1
    # Nodes are numbered level by level, and so are subtrees: those that are not large come next in the list.
    rows, next_, large = float(counts[0]), 0, 1
    for i, (children, parents) in enumerate(pairs):
        levels.append(Level(parents, rows, children))
        more = i + 1 < len(pairs)
        ended = children - pairs[i + 1][1] if more else len(subtrees) - next_
        rows -= sum(subtrees[next_ : next_ + ended])
        next_ += ended
        large = children - ended
    if large > 0:
        levels.append(Level(large, rows, 0))
    arity = max((children // parents for children, parents in pairs), default=0)
    return Facts(
        train=counts[0],
        select=counts[1],
        report=counts[2],
        inputs=len(config["schema"]["columns"]),
        targets=len(about.get("targets", [])),
        weights=0,
        node_rows=node_rows,
        arity=arity,
        levels=levels,
        subtrees=subtrees,
        subtree_nodes=len(subtrees) + arity * accepted,
        experts=about["modules"],
        expert=about["module_bytes"],
        root_fits=fits,
        routes=len(config["schema"]["columns"]),
    )
