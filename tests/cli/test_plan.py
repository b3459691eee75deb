"""`ramify plan DATA` and `train --plan`: what is promised, what comes of it, and what is refused."""

from __future__ import annotations

import csv
import html.parser
import json
import math
import pathlib
import random
import re
import signal
import subprocess
import time

import pytest
from conftest import BUILD, run_tool, write_wave

QUICK = ["--hidden", "16,16,16", "--epochs", "100", "--distillation", "off"]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> pathlib.Path:
    """A table, one of classes, a plan, its runs and its page."""
    folder = tmp_path_factory.mktemp("plan")
    write_wave(folder / "wave.csv", 3000, 1)
    write_wave(folder / "side.csv", 2000, 2, classes=True)
    done = plan(
        folder, "-o", "plan.json", "--report", "plan.html", "--sweep", "runs.csv"
    )
    assert done.status == 0, done.err
    assert "predicted   rmse" in done.out
    return folder


def plan(folder: pathlib.Path, *words: str, data: str = "wave.csv"):
    return run_tool("plan", data, "--target", "target", *QUICK, *words, cwd=folder)


def start(folder: pathlib.Path, *words: str, **pipes: int) -> subprocess.Popen:
    """The tool, running; its errors can be read."""
    return subprocess.Popen(
        [BUILD / "ramify", *words],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        **pipes,
    )


def load(path: pathlib.Path) -> dict:
    return json.loads(path.read_text())


def test_keys(made):
    found = load(made / "plan.json")
    for key in ("choice", "sweep_seconds", "training_seconds", "resident_bytes"):
        assert key in found
    said = found["predicted"]
    assert 0 < said["low"] < said["value"] < said["high"]
    assert said["level"] == 0.9
    assert found["choice"]["target"] == "target"
    assert found["error"] == "rmse"
    assert found["rows"] == {"train": 2700, "validation": 300}
    assert "obtained" not in found
    assert found["met"] is True
    twice = found["twice"]["rows"]
    assert twice["value"] <= said["value"]
    assert found["twice"]["beyond_scatter"] is True


def test_runs_are_of_nested_rows_within_the_share(made):
    runs = load(made / "plan.json")["runs"]
    rows = sorted({run["rows"] for run in runs}, reverse=True)
    assert rows[0] == 1350
    for more, fewer in zip(rows, rows[1:], strict=False):
        assert abs(more - 2 * fewer) <= 1
    assert min(rows) >= 100
    errors = {run["rows"]: run["error"] for run in runs if run["length"] > 0.15}
    assert errors[1350] < errors[rows[-1]]


@pytest.mark.parametrize(
    ("words", "stage", "text"),
    [
        ([], "untaught tree", "an untaught tree, if its splits are earned, --"),
        (["--leaves", "1"], "one expert", "one expert, --"),
    ],
)
def test_a_tree_is_no_promise(made, tmp_path, words, stage, text):
    """A training that earns no split ends with one expert: the choice says so."""
    path, page = tmp_path / "plan.json", tmp_path / "page.html"
    done = plan(made, *words, "-o", path, "--report", page)
    assert done.status == 0, done.err
    assert load(path)["stage"] == stage
    assert f"choice      {text}" in done.out
    assert f">{text.removesuffix(', --')}: rmse" in page.read_text()


def test_repeats_are_numbered(made):
    """Runs that are alike in all else have other repeats, in the plan, its table and its page."""
    runs = load(made / "plan.json")["runs"]
    keys = ("rows", "length", "width", "bins", "periodic", "repeat")
    assert len({tuple(run[key] for key in keys) for run in runs}) == len(runs)
    assert {run["repeat"] for run in runs} == {0, 1}
    assert not any("seed" in run for run in runs)
    with open(made / "runs.csv", newline="") as file:
        written = [int(row["repeat"]) for row in csv.DictReader(file)]
    assert written == [run["repeat"] for run in runs]
    assert ">repeat</th>" in (made / "plan.html").read_text()


def test_a_law_reads_the_runs(made):
    done = run_tool(
        *("law", "fit", "runs.csv", "--form", "auto", "--x", "rows", "--y", "error"),
        *("--fit-where", "width=16", "-o", "law.json"),
        cwd=made,
    )
    assert done.status == 0, done.err
    with open(made / "runs.csv", newline="") as file:
        written = list(csv.DictReader(file))
    assert len(written) == len(load(made / "plan.json")["runs"])


class Page(html.parser.HTMLParser):
    """Tags that are open, and what a page loads from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.loads: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.add(tag)
        self.loads += [v for k, v in attributes if k in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        assert tag in self.open, tag
        while self.open.pop() != tag:
            pass


def test_the_page_stands_alone(made):
    text = (made / "plan.html").read_text()
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.loads == []
    assert "script" not in page.seen
    assert text.count("<svg") == text.count("</svg>") == 2
    value = load(made / "plan.json")["predicted"]["value"]
    assert f"{value:.4g}" in text
    assert "nan" not in text and "inf " not in text


def test_the_training_is_the_plans(made, tmp_path):
    (tmp_path / "plan.json").write_text((made / "plan.json").read_text())
    done = run_tool(
        *("train", made / "wave.csv", "--plan", "plan.json", "-o", "m.ramify"),
        *("--report", "page.html", "--json"),
        cwd=tmp_path,
    )
    assert done.status == 0, done.err
    result, kept = json.loads(done.out), load(tmp_path / "plan.json")
    before = load(made / "plan.json")
    assert kept["obtained"]["error"] == pytest.approx(result["rmse"], rel=1e-6)
    assert result["plan"] == {
        "predicted": before["predicted"],
        "obtained": kept["obtained"],
    }
    del kept["obtained"]
    assert kept == before
    assert "Obtained" in (tmp_path / "page.html").read_text()
    # The same model as by the options in the plan.
    choice = before["choice"]
    words = []
    for name, value in choice.items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    again = run_tool("train", made / "wave.csv", *words, "-o", "n.ramify", cwd=tmp_path)
    assert again.status == 0, again.err
    assert (tmp_path / "m.ramify").read_bytes() == (tmp_path / "n.ramify").read_bytes()
    # What it brings is what was said, give or take what 150 report rows tell.
    assert 0.5 < result["rmse"] / before["predicted"]["value"] < 2


def test_test_rows_are_what_is_obtained(made, tmp_path):
    (tmp_path / "plan.json").write_text((made / "plan.json").read_text())
    write_wave(tmp_path / "test.csv", 500, 9)
    done = run_tool(
        *("train", made / "wave.csv", "--plan", "plan.json", "-o", "m.ramify"),
        *("--test", "test.csv"),
        cwd=tmp_path,
    )
    assert done.status == 0, done.err
    assert "obtained" in done.out
    assert load(tmp_path / "plan.json")["obtained"]["rows"] == 500


def test_other_rows_are_told(made, tmp_path):
    (tmp_path / "plan.json").write_text((made / "plan.json").read_text())
    write_wave(tmp_path / "few.csv", 900, 5)
    done = run_tool(
        "train", "few.csv", "--plan", "plan.json", "-o", "m.ramify", cwd=tmp_path
    )
    assert done.status == 0, done.err
    assert "made for 2700 training rows, and these are 810" in done.err
    # As many, of other values; and the plan's own, with its order.
    lines = (made / "wave.csv").read_text().splitlines()
    (tmp_path / "other.csv").write_text("\n".join([lines[0], *lines[:0:-1]]) + "\n")
    for data, warned in (("other.csv", True), (made / "wave.csv", False)):
        words = ["train", data, "--plan", "plan.json", "-o", "m.ramify"]
        done = run_tool(*words, cwd=tmp_path)
        assert done.status == 0, done.err
        assert ("plan.json was made for other rows" in done.err) == warned
        assert done.err.count("warning") == warned


def test_the_same_plan_for_any_number_of_threads(made):
    found = []
    for threads in ("1", "2"):
        done = plan(made, "--json", "--threads", threads)
        assert done.status == 0, done.err
        one = json.loads(done.out)
        found.append([(run["rows"], run["error"]) for run in one["runs"]])
        found[-1].append(one["predicted"])
    assert found[0] == found[1]


def test_classes(made):
    done = plan(made, "--json", data="side.csv")
    assert done.status == 0, done.err
    found = json.loads(done.out)
    assert found["error"] == "error"
    assert 0 < found["predicted"]["value"] < 0.5


@pytest.mark.parametrize("level", ["0.999999999", "0.9999999999"])
def test_a_level_near_one_is_not_one(made, tmp_path, level):
    """Neither where it is printed nor in the file, which is read back."""
    path, page = tmp_path / "plan.json", tmp_path / "page.html"
    done = plan(made, "--level", level, "-o", path, "--report", page)
    assert done.status == 0, done.err
    percent = "99." + level[4:]
    assert f"({percent} %: " in done.out and "100 %" not in done.out
    assert f"({percent}&nbsp;%: " in page.read_text()
    assert load(path)["predicted"]["level"] == float(level)
    words = ["train", made / "wave.csv", "--plan", path, "-o", tmp_path / "m.ramify"]
    done = run_tool(*words)
    assert done.status == 0, done.err
    assert f"({percent} %: " in done.out


BOUND = 48 << 10
WIDE = ["--target", "target", "--hidden", "96,96,96", "--epochs", "60"]
WIDE += ["--resident", str(BOUND), "-o", "p.json"]


@pytest.fixture(scope="module")
def pruned(made, tmp_path_factory) -> pathlib.Path:
    """A plan that prunes, p.json."""
    folder = tmp_path_factory.mktemp("pruned")
    done = run_tool("plan", str(made / "wave.csv"), *WIDE, cwd=folder)
    assert done.status == 0, done.err
    return folder


def test_experts_that_do_not_fit_are_pruned(made, tmp_path):
    """Into a bound that dense ones of these widths do not fit in; the model is held to it."""
    table, bound = str(made / "wave.csv"), BOUND
    words = [*WIDE, "--report", "p.html"]
    refused = run_tool("train", table, *words[:-4], "-o", "m.ramify", cwd=tmp_path)
    assert refused.status != 0
    assert "allow at least" in refused.err
    done = run_tool("plan", table, *words, cwd=tmp_path)
    assert done.status == 0, done.err
    assert "pruned to 48.0 KiB (a density of" in done.out
    assert "pruned to 49152 bytes" in (tmp_path / "p.html").read_text()
    plan = load(tmp_path / "p.json")
    assert plan["prune"]["max_resident"] == bound
    assert plan["resident_bytes"] <= bound
    pruned = [run for run in plan["runs"] if run["density"] < 1]
    assert plan["prune"]["density"] in [run["density"] for run in pruned]
    assert len({run["rows"] for run in pruned}) == 2
    ways = [
        (way["width"], way["length"])
        for way in plan["candidates"]
        if way["density"] < 1
    ]
    assert len(ways) == len(set(ways)) > 0
    assert plan["ramify.plan"] == 2
    assert all(run["dense_error"] > 0 for run in pruned)
    words = [table, "--plan", "p.json", "-o", "m.ramify", "--json"]
    done = run_tool("train", *words, cwd=tmp_path)
    assert done.status == 0, done.err
    said = json.loads(done.out)
    assert said["resident_bytes"] <= bound
    obtained = load(tmp_path / "p.json")["obtained"]
    assert obtained["seconds"] == pytest.approx(said["seconds"])
    assert obtained["density"] == pytest.approx(plan["prune"]["density"], rel=0.1)
    assert obtained["resident_bytes"] <= bound
    assert obtained["error"] < 4 * plan["predicted"]["value"]
    done = run_tool("info", "m.ramify", "--json", cwd=tmp_path)
    about = json.loads(done.out)["config"]["pruning"]
    assert about["density"] == pytest.approx(obtained["density"], rel=1e-9)


def carry_out(made, pruned, tmp_path, *words: str):
    """Trains by the plan that prunes, or what became of it."""
    path = tmp_path / "p.json"
    if not path.exists():
        path.write_text((pruned / "p.json").read_text())
    words = [str(made / "wave.csv"), "--plan", "p.json", "-o", "m.ramify", *words]
    return run_tool("train", *words, cwd=tmp_path)


def test_a_time_limit_is_of_pruning_too(made, pruned, tmp_path):
    done = carry_out(made, pruned, tmp_path, "--time-limit", "0.3s")
    assert done.status == 0
    assert "where 48.0 KiB were planned: it ended before" in done.err
    assert "the time limit struck" in done.out


def test_a_pruned_plan_takes_no_controls(made, pruned, tmp_path):
    done = carry_out(made, pruned, tmp_path, "--controls")
    assert done.status == 1
    assert "leave --controls out" in done.err
    assert not (tmp_path / "m.ramify").exists()


@pytest.mark.parametrize(
    "prune",
    [
        None,
        True,
        [],
        {},
        {"max_resident": -5, "density": 0.5},
        {"max_resident": 0, "density": 0.5},
        {"max_resident": "20KiB", "density": 0.5},
        {"max_resident": 20480.0, "density": 0.5},
        {"max_resident": 20480},
        {"max_resident": 20480, "density": 0},
        {"max_resident": 20480, "density": 2},
    ],
)
def test_a_prune_that_says_nothing_is_told_at_once(made, pruned, tmp_path, prune):
    plan = load(pruned / "p.json")
    plan["prune"] = prune
    (tmp_path / "p.json").write_text(json.dumps(plan))
    done = carry_out(made, pruned, tmp_path)
    assert done.status == 1
    assert 'p.json: "prune" does not say' in done.err
    plan["ramify.plan"] = 1 if prune else 2
    (tmp_path / "p.json").write_text(json.dumps(plan))
    assert carry_out(made, pruned, tmp_path).status == 1


def test_a_stop_keeps_what_was_pruned(made, pruned, tmp_path):
    """The best so far, and a word where that holds more than was planned."""
    (tmp_path / "p.json").write_text((pruned / "p.json").read_text())
    words = ["train", str(made / "wave.csv"), "--plan", "p.json", "-o", "m.ramify"]
    process = start(tmp_path, *words, "--verbose")
    said = []
    for line in process.stderr:
        said.append(line)
        if "round 2: density" in line:
            process.send_signal(signal.SIGINT)
    process.wait(timeout=60)
    if process.returncode == 0:
        pytest.skip("it ended before the signal came")
    assert process.returncode == 130
    assert any("were planned: it ended before" in line for line in said)
    done = run_tool("info", "m.ramify", "--json", cwd=tmp_path)
    assert json.loads(done.out)["config"]["pruning"]["density"] < 0.9


def test_pruned_experts_have_the_widths_that_were_given(made, tmp_path):
    words = ["--target", "target", "--hidden", "96,64,32", "--epochs", "60"]
    words += ["--resident", "32KiB", "-o", "p.json"]
    done = run_tool("plan", str(made / "wave.csv"), *words, cwd=tmp_path)
    assert done.status == 0, done.err
    plan = load(tmp_path / "p.json")
    assert plan["prune"]["density"] < 1
    assert plan["choice"]["hidden"] == "96,64,32"


def test_narrow_experts_stand_beside_pruned_ones(made, tmp_path):
    words = ["--target", "target", "--resident", "24KiB", "--epochs", "30"]
    words += ["--distillation", "off", "--leaves", "1", "-o", "p.json"]
    done = run_tool("plan", str(made / "wave.csv"), *words, cwd=tmp_path)
    assert done.status == 0, done.err
    ways = load(tmp_path / "p.json")["candidates"]
    assert {way["density"] < 1 for way in ways} == {True, False}
    assert max(way["width"] for way in ways if way["density"] == 1) < 96
    assert all(way["resident_bytes"] <= 24 << 10 for way in ways)


def test_no_room_at_all(made, tmp_path):
    words = ["--target", "target", "--resident", "5KiB", "-o", "p.json"]
    done = run_tool("plan", str(made / "wave.csv"), *words, cwd=tmp_path)
    assert done.status == 1
    assert "5120 resident bytes" in done.err
    assert not (tmp_path / "p.json").exists()


def test_what_cannot_be_met_is_told(made):
    done = plan(made, "--error", "1e-6")
    assert done.status == 0
    assert "an error of 1e-06 is not to be had" in done.err
    done = plan(made, "--latency", "1e-12")
    assert done.status == 0
    assert "no expert answers a row within" in done.err


def test_an_error_that_is_easy_is_cheap(made):
    words = ["plan", "wave.csv", "--target", "target", "--json", "--error"]
    free = json.loads(run_tool(*words, "1000", cwd=made).out)
    best = min(c["seconds"] for c in free["candidates"])
    assert free["met"] and free["training_seconds"] == best


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["plan", "wave.csv"], "--target COL is missing: the column to predict\n"),
        (["plan"], "DATA is missing: the table to learn from"),
        (["plan", "--target", "target"], "ramify plan --runs RUNS.csv)"),
        (["plan", "wave.csv", "--target", "target", "--share", "2"], "share 2"),
        (["plan", "wave.csv", "--target", "target", "--level", "1.5"], "level 1.5"),
        (["plan", "wave.csv", "--target", "target", "--error", "0"], "--error 0: must"),
        (
            ["plan", "wave.csv", "--target", "target", "--error", "-1"],
            "--error -1: must",
        ),
        (
            ["plan", "wave.csv", "--target", "target", "--latency", "0"],
            "--latency 0: must",
        ),
        (["plan", "wave.csv", "--target", "target", "--share", "0"], "--share 0: must"),
        (
            [*"plan wave.csv --target target --kind mlp --leaves 3".split()],
            "leaves is 3, and kind mlp is one network",
        ),
        (
            [*"train wave.csv --target target --kind mlp --leaves 3 -o m".split()],
            "leaves is 3, and kind mlp is one network",
        ),
        (["plan", "wave.csv", "--target", "nothing"], "nothing"),
        (["plan", "wave.csv", "--target", "target", "-o", "wave.csv"], "wave.csv"),
        (["train", "wave.csv", "--plan", "none.json", "-o", "m"], "none.json"),
        (["train", "wave.csv", "--plan", "wave.csv", "-o", "m"], "wave.csv"),
        (
            [*"train wave.csv --plan plan.json -o m --epochs 3".split()],
            "--epochs and --plan",
        ),
        (
            [*"train wave.csv --target target -o m --report r.html".split()],
            "--report needs --plan",
        ),
        (["train", "wave.csv", "--plan", "plan.json", "-o", "plan.json"], "plan.json"),
    ],
)
def test_what_is_refused(made, words, part):
    before = {path.name: path.read_bytes() for path in made.iterdir()}
    done = run_tool(*words, cwd=made)
    assert done.status in (1, 2)
    assert part in done.err
    assert done.err.count("\n") == 1
    assert {path.name: path.read_bytes() for path in made.iterdir()} == before


def test_a_stranger_writes_no_page(made, tmp_path):
    plan = load(made / "plan.json")
    plan["error"] = "<script>alert(1)</script>"
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    done = run_tool(
        *("train", made / "wave.csv", "--plan", "plan.json", "-o", "m.ramify"),
        *("--report", "page.html"),
        cwd=tmp_path,
    )
    assert done.status == 1
    assert "no whole plan" in done.err
    assert not (tmp_path / "page.html").exists()


def write_wide(path: pathlib.Path, rows: int) -> None:
    """Ten columns, of which more rows have more bins."""
    import random

    draw = random.Random(6)
    lines = [",".join(f"x{i}" for i in range(10)) + ",target"]
    for _ in range(rows):
        x = [draw.uniform(-1, 1) for _ in range(10)]
        y = math.sin(3 * x[0]) * x[1] + x[2] ** 2 + 0.1 * draw.gauss(0, 1)
        lines.append(",".join(f"{value:.4f}" for value in [*x, y]))
    path.write_text("\n".join(lines) + "\n")


def test_a_bound_that_is_advised_is_enough(tmp_path):
    """For the small runs, and for the training that is planned by them."""
    write_wide(tmp_path / "wide.csv", 1200)
    words = ["--target", "target", "--epochs", "4", "--distillation", "off"]
    done = run_tool("plan", "wide.csv", *words, "--resident", "3000", cwd=tmp_path)
    assert done.status == 1
    least = re.search(r"allow at least (\d+) \(--resident\)", done.err).group(1)
    words += ["--resident", least, "-o", "plan.json"]
    done = run_tool("plan", "wide.csv", *words, cwd=tmp_path)
    assert done.status == 0, done.err
    words = ["--plan", "plan.json", "-o", "m.ramify"]
    done = run_tool("train", "wide.csv", *words, cwd=tmp_path)
    assert done.status == 0, done.err
    assert load(tmp_path / "plan.json")["obtained"]["resident_bytes"] <= int(least)


def test_small_runs_have_the_widths_that_were_given(made):
    sizes = []
    for hidden in ("16,16,16", "16,8,4"):
        done = plan(made, "--json", "--hidden", hidden)
        assert done.status == 0, done.err
        sizes.append([run["parameters"] for run in json.loads(done.out)["runs"]])
    assert all(more > fewer for more, fewer in zip(*sizes, strict=True))


@pytest.mark.parametrize("leaves", ["1", "16"])
def test_bytes_are_enough_for_the_model(tmp_path, leaves):
    """With all rows' bins, whichever shape the training takes, and a tree of it."""
    write_wide(tmp_path / "wide.csv", 3000)
    words = ["--target", "target", "--epochs", "8", "--distillation", "off"]
    words += ["--hidden", "8,8,8", "--leaves", leaves, "-o", "plan.json"]
    done = run_tool("plan", "wide.csv", *words, cwd=tmp_path)
    assert done.status == 0, done.err
    words = ["--plan", "plan.json", "-o", "m.ramify"]
    done = run_tool("train", "wide.csv", *words, cwd=tmp_path)
    assert done.status == 0, done.err
    found = load(tmp_path / "plan.json")
    obtained = found["obtained"]["resident_bytes"]
    assert obtained <= found["resident_bytes"] < 1.7 * obtained
    assert all(c["resident_bytes"] > 0 for c in found["candidates"])


def test_a_budget_that_small_runs_exceed(made):
    done = plan(made, "--budget", "0.001s")
    assert done.status == 1
    assert "a budget of 0.001 s is less than small runs take" in done.err


def test_groups_that_are_few(tmp_path):
    write_wave(tmp_path / "wave.csv", 1500, 1)
    lines = (tmp_path / "wave.csv").read_text().splitlines()
    grouped = [lines[0] + ",g"] + [
        f"{line},{i % 6}" for i, line in enumerate(lines[1:])
    ]
    (tmp_path / "grouped.csv").write_text("\n".join(grouped) + "\n")
    done = plan(tmp_path, "--group", "g", data="grouped.csv")
    assert done.status == 1
    assert "in their groups, are too few for small runs" in done.err


def test_few_epochs_are_told(made):
    """Small runs of them say little: one sentence, and a wider interval."""
    width = []
    for epochs, few in (("100", False), ("3", True)):
        done = plan(made, "--epochs", epochs, "--json")
        assert done.status == 0, done.err
        told = f"epochs is {epochs}, and 349 are usual" in done.err
        assert told == few and done.err.count("\n") == few
        said = json.loads(done.out)["predicted"]
        width.append(said["high"] / said["low"])
    assert width[1] > 2 * width[0]


def test_few_rows(tmp_path):
    write_wave(tmp_path / "few.csv", 120, 1)
    done = plan(tmp_path, data="few.csv")
    assert done.status == 1
    assert "too few" in done.err and "train instead" in done.err


def test_rows_that_have_nothing_to_tell(tmp_path):
    """A target that is all noise: a flat curve, no promise."""
    draw = random.Random(4)
    lines = ["a,b,target"]
    lines += [
        f"{draw.random():.6f},{draw.random():.6f},{draw.gauss(0, 1):.6f}"
        for _ in range(2500)
    ]
    (tmp_path / "noise.csv").write_text("\n".join(lines) + "\n")
    done = plan(tmp_path, "-o", "plan.json", "--report", "page.html", data="noise.csv")
    if done.status == 0:
        found = load(tmp_path / "plan.json")
        assert found["twice"]["beyond_scatter"] is False
        line = next(x for x in done.out.splitlines() if x.startswith("twice rows"))
        told = "or no less{} errors of small runs fall by no more than they scatter"
        assert told.format(":") in line
        assert told.format(", as") in (tmp_path / "page.html").read_text()
        assert found["predicted"]["low"] < 1.0 < found["predicted"]["high"] * 1.05
        assert found["twice"]["rows"]["value"] > 0.9 * found["predicted"]["value"]
    else:
        assert "errors of small runs rise" in done.err


@pytest.mark.parametrize("kind", ["mean", "class", "weighted"])
def test_a_constant_that_is_as_good_is_told(tmp_path, kind):
    """The mean, the most frequent class, and of weighted rows those that count."""
    draw = random.Random(5)
    lines = ["a,b,w,target"]
    for _ in range(3000):
        counts = draw.random() < 0.5
        target = f"{draw.gauss(0, 1) + (0 if counts else 9):.6f}"
        if kind != "weighted":
            target = (
                "xy"[draw.random() < 0.2]
                if kind == "class"
                else f"{draw.gauss(5, 2):.6f}"
            )
        lines.append(f"{draw.random():.6f},{draw.random():.6f},{counts:d},{target}")
    (tmp_path / "noise.csv").write_text("\n".join(lines) + "\n")
    words = ["--weight", "w"] if kind == "weighted" else ["--drop", "w"]
    done = plan(tmp_path, *words, data="noise.csv")
    told = re.search(r"a constant prediction makes an error of ([0-9.]+)", done.err)
    if done.status == 0:
        expected = {"mean": 2, "class": 0.2, "weighted": 1}[kind]
        assert float(told.group(1)) == pytest.approx(expected, rel=0.1)
    else:
        assert "errors of small runs rise" in done.err


def test_a_constant_that_is_worse_is_not_told(made):
    assert "a constant prediction" not in plan(made).err


def test_a_stop_before_there_are_runs_enough(tmp_path):
    """It comes while the table is read: what happened, and what to do."""
    write_wave(tmp_path / "wave.csv", 20000, 1)
    words = ["plan", "-", "--target", "target", "--threads", "1", "-o", "plan.json"]
    running = start(tmp_path, *words, stdin=subprocess.PIPE)
    # More than a pipe holds: once it is written, the tool reads.
    running.stdin.write((tmp_path / "wave.csv").read_text())
    running.stdin.flush()
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "stopped by SIGINT before there were small runs enough for a plan" in err
    assert "nothing is written: wait longer, or" in err
    assert not (tmp_path / "plan.json").exists()


def test_a_stop_plans_from_what_there_is(tmp_path):
    write_wave(tmp_path / "wave.csv", 20000, 1)
    words = ["plan", "wave.csv", "--target", "target", "--share", "1"]
    words += ["--threads", "1", "-o", "plan.json"]
    running = start(tmp_path, *words, stdout=subprocess.PIPE)
    time.sleep(1.5)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    if (tmp_path / "plan.json").exists():
        assert load(tmp_path / "plan.json")["stopped"] is True
        assert "the plan is made of the small runs there were" in err
    else:
        assert "stopped" in err
