"""Bytes that travel in a training, by phase: counted by the tool, by the kernel, and by the formulas of docs/cluster.md.

    volume.py [--ramify build/ramify] [--rows 100000] [--node-rows 10000] [--ranks 2 3 4] [--csv OUT.csv]
    volume.py --rows 3000000 --node-rows 100000 --ranks 2 4

One process alone trains first: its log says what the formulas need to know (how many large nodes and subtrees there are,
and of which sizes). Then for each number of ranks the same training on as many hosts, network namespaces with one
rank each: the "sent" lines against the formulas, phase by phase, and the bytes that the kernel counted at the hosts' network devices
against both in sum. From the kernel's, what a job that does nothing sends is subtracted; they hold the headers of Ethernet, IP and
TCP (66 of 1,514 bytes, and acknowledgements of as many) and of MPI, and sums as MPI adds them up.

Ends with status 1 unless the models are the same bytes, and unless every phase of more than 1 % of all bytes, and their sum, is
within 10 % of its formula. Root, iproute2, /dev/net/tun and Open MPI; numpy for generate.py.
"""

from __future__ import annotations

import subprocess
import sys

import formulas
import harness

NEAR = 0.1
NOTABLE = 0.01  # of all bytes; what is smaller may be further off


def main() -> None:
    parser = harness.parser_of(__doc__, 100_000)
    parser.add_argument("--node-rows", type=int, default=10_000)
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 3, 4])
    options = harness.prepared(parser.parse_args())
    table = harness.table(options.folder, options.rows)
    model = options.folder / "volume.ramify"
    words = [options.ramify, "train", table, "--target", "c9", "-o", model, "--verbose"]
    words += ["--node-rows", options.node_rows, *harness.SMALL]
    alone = harness.must(harness.here(0, words))
    digest = harness.digest(model)
    info = [options.ramify, "info", str(model), "--json"]
    told = subprocess.run(info, check=True, capture_output=True, text=True).stdout
    facts = formulas.read(alone.texts(), told, options.node_rows)
    # The name ends with the process and a number.
    facts = facts._replace(path=len(f"{model}.12345-0.tmp") + 1)
    print(
        f"{options.rows:,} rows of {facts.packed} bytes packed, --node-rows {options.node_rows:,}: "
        f"{sum(level.nodes for level in facts.levels)} large nodes in {len(facts.levels)} levels, "
        f"{len(facts.subtrees)} subtrees, {facts.experts} experts of {facts.expert:,} bytes\n"
    )
    rows, good = [], True
    for ranks in options.ranks:
        with harness.Hosts(ranks, options.folder) as hosts:
            begin = hosts.sent()
            harness.must(hosts.command(ranks, ["true"]))
            idle = hosts.sent() - begin
            result = harness.must(hosts.command(ranks, words))
            kernel = hosts.sent() - begin - 2 * idle
        same = harness.digest(model) == digest
        good = good and same
        counted = harness.sent(result.texts())
        expected = formulas.sent(facts, ranks)
        total = sum(phase.bytes for phase in counted.values())
        for name in [*expected, *(name for name in counted if name not in expected)]:
            bytes_ = counted[name].bytes if name in counted else 0
            formula = expected.get(name, 0.0)
            off = abs(bytes_ / formula - 1) if formula else 1.0
            good = good and (off <= NEAR or bytes_ < NOTABLE * total)
            rows.append(
                [
                    ranks,
                    name,
                    bytes_,
                    round(formula),
                    bytes_ / formula if formula else "-",
                    "",
                ]
            )
        formula = sum(expected.values())
        good = good and abs(total / formula - 1) <= NEAR
        rows.append([ranks, "**sum**", total, round(formula), total / formula, ""])
        rows.append(
            [
                ranks,
                "**kernel**",
                kernel,
                total,
                kernel / total,
                "yes" if same else "NO",
            ]
        )
    harness.show(
        ("ranks", "phase", "bytes", "formula (kernel: sent)", "ratio", "same model"),
        rows,
        options.csv,
    )
    print("All within bounds." if good else "NOT ALL WITHIN BOUNDS.")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
