"""Time of a pass against the number of branches, with as many layers in all.

    branches.py [--build build] [--side 224] [--layers 16] [--rounds 15] [--passes 8]
                [--threads 1 2] [--plot FILE.svg]

The widths of ViT-Ti, batch 1, float32, the last layer of every branch for the class token alone.
Measured: a pass on each number of threads. Modelled, "a processor per branch": what comes before
and after the branches on one thread, and the slowest branch, timed alone on one thread. The plot
needs Matplotlib.
"""

import argparse
import pathlib
import statistics
import tempfile

from passes import Passes


def divisors(layers: int) -> list[int]:
    return [n for n in range(1, layers + 1) if layers % n == 0]


def measure(chosen: argparse.Namespace) -> list[dict[str, float]]:
    """A row per number of branches: medians over rounds in which all take turns."""
    counts = divisors(chosen.layers)
    times: dict[tuple[int, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        weights = pathlib.Path(folder) / "weights.bin"
        program = Passes(chosen.build / "bench_paraformer", chosen.side, weights)
        for _ in range(chosen.rounds):
            for branches in counts:
                depth = chosen.layers // branches
                for threads in sorted({1, *chosen.threads}):
                    found, path = program.run(
                        branches, depth, False, threads, chosen.passes
                    )
                    times.setdefault((branches, f"{threads}"), []).append(found)
                    if threads == 1:
                        times.setdefault((branches, "path"), []).append(path)
    return [
        {
            "branches": branches,
            "depth": chosen.layers // branches,
            **{
                name: statistics.median(values)
                for (count, name), values in times.items()
                if count == branches
            },
        }
        for branches in counts
    ]


def plot(rows: list[dict[str, float]], threads: list[int], file: pathlib.Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot, ticker

    matplotlib.rcParams["svg.hashsalt"] = "ramify"
    figure, axes = pyplot.subplots(figsize=(6.4, 4), layout="constrained")
    counts = [row["branches"] for row in rows]
    for number in threads:
        name = f"{number} thread{'s' if number > 1 else ''}, measured"
        axes.plot(counts, [row[f"{number}"] for row in rows], "o-", label=name)
    axes.plot(
        counts,
        [row["path"] for row in rows],
        "s--",
        color="black",
        label="a processor per branch, modelled",
    )
    axes.axhline(rows[0]["1"], color="grey", lw=0.8, label="serial, 1 thread")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(counts, [f"{r['branches']}x{r['depth']}" for r in rows])
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    axes.yaxis.set_minor_formatter(ticker.NullFormatter())
    axes.set_xlabel("branches x layers of each")
    axes.set_ylabel("milliseconds of a pass")
    axes.legend(frameon=False)
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    """Measure, print the table, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--build", type=pathlib.Path, default=root / "build")
    parser.add_argument("--side", type=int, default=224, help="pixels (default 224)")
    parser.add_argument("--layers", type=int, default=16, help="in all (default 16)")
    parser.add_argument("--rounds", type=int, default=15, help="turns (default 15)")
    parser.add_argument("--passes", type=int, default=8, help="of a turn (default 8)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--plot", type=pathlib.Path, help="an SVG file to write")
    chosen = parser.parse_args()
    rows = measure(chosen)
    names = [f"{n} thread{'s' if n > 1 else ''}" for n in chosen.threads]
    print(
        f"| branches x layers | {' | '.join(names)} | a processor per branch (modelled) |"
    )
    print("|---|" + "---|" * (len(names) + 1))
    for row in rows:
        cells = [f"{row[str(n)]:.2f}" for n in chosen.threads]
        print(
            f"| {row['branches']}x{row['depth']} | {' | '.join(cells)} | {row['path']:.2f} |"
        )
    if chosen.plot:
        plot(rows, chosen.threads, chosen.plot)


if __name__ == "__main__":
    main()
