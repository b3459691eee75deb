"""`ramify plan --runs`: what is printed, as text and as JSON, and what is refused."""

from __future__ import annotations

import csv
import json
import math
import pathlib
import random
import shutil

import pytest


def additive(params: float, tokens: float) -> float:
    return 1.7 + 400 / params**0.34 + 1500 / tokens**0.36


def best(cost: float) -> float:
    """The least error of that law for a cost of 6 params tokens."""
    params = (0.34 * 400 / (0.36 * 1500)) ** (1 / 0.7) * (cost / 6) ** (0.36 / 0.7)
    return additive(params, cost / 6 / params)


def write(path: pathlib.Path, header: str, rows) -> str:
    path.write_text("\n".join([header, *(",".join(map(str, r)) for r in rows)]) + "\n")
    return str(path)


@pytest.fixture
def runs(tmp_path) -> str:
    """Runs of two families of an additive law, with a little noise; b is 30 % worse."""
    draw = random.Random(1)
    rows = []
    for family, factor in (("a", 1.0), ("b", 1.3)):
        for i in range(5):
            for j in range(4):
                m, n = 1e7 * 3**i, 1e9 * 4**j
                loss = factor * additive(m, n) * math.exp(draw.gauss(0, 0.01))
                rows.append((family, repr(m), repr(n), repr(6e-18 * m * n), repr(loss)))
    return write(tmp_path / "runs.csv", "family,params,tokens,exaflop,loss", rows)


@pytest.fixture
def curve(tmp_path) -> str:
    draw = random.Random(2)
    rows = [
        (n, 3e-3 * n, (0.1 + 3 * n**-0.4) * math.exp(draw.gauss(0, 0.01)))
        for n in (100 * 2**k for k in range(9))
    ]
    return write(tmp_path / "curve.csv", "rows,seconds,error", rows)


PLANE = ("--x", "params,tokens", "--y", "loss", "--cost", "exaflop")
FAMILY = ("--where", "family=a")
LINE = ("--x", "rows", "--y", "error", "--cost", "seconds")


def plan(tool, data: str, *words: str) -> dict:
    done = tool("plan", "--runs", data, *words, "--json")
    assert done.status == 0, done.err
    assert done.err == ""
    return json.loads(done.out)


def test_keys(tool, runs) -> None:
    found = plan(tool, runs, *PLANE, *FAMILY)
    assert list(found) == ["law", "cost", "frontier", "answer", "next", "stop"]
    (group,) = found["law"]["groups"]
    assert found["law"]["form"] == "auto" and group["fit"]["rows"] == 20
    assert all("resamples" not in part for part in group["parts"])
    cost = found["cost"]
    assert cost["column"] == "exaflop" and cost["runs"] == 20
    assert cost["factor"] == pytest.approx(6e-18, rel=1e-6)
    assert cost["powers"] == pytest.approx({"params": 1, "tokens": 1}, abs=1e-9)
    assert cost["deviation"] < 1e-9
    assert cost["cheapest"] == pytest.approx(0.06)
    assert cost["dearest"] == pytest.approx(6e-18 * 81e7 * 64e9)
    assert len(found["frontier"]) == 5
    for row in found["frontier"]:
        assert set(row) == {"cost", "at", "value", "low", "high", "level"}
        assert row["at"]["params"] * row["at"]["tokens"] * 6e-18 == pytest.approx(
            row["cost"]
        )
        assert row["low"] < best(row["cost"] * 1e18) < row["high"]
        assert row["value"] == pytest.approx(best(row["cost"] * 1e18), rel=0.03)
    costs = [row["cost"] for row in found["frontier"]]
    assert costs[0] == pytest.approx(cost["dearest"])
    assert costs[-1] == pytest.approx(10 * cost["dearest"])
    answer = found["answer"]
    assert list(answer) == ["given", "cost", "at", "error", "width"]
    assert answer["given"] == "cost"
    assert answer["cost"] == {
        "value": pytest.approx(costs[-1]),
        "low": None,
        "high": None,
        "level": 0.9,
    }
    assert set(answer["at"]) == {"params", "tokens"}
    error = answer["error"]
    assert answer["width"] == pytest.approx(
        (error["high"] - error["low"]) / 2 / error["value"]
    )
    following = found["next"]
    assert set(following) == {
        "cost",
        "at",
        "value",
        "low",
        "high",
        "level",
        "narrowing",
        "cost_share",
    }
    assert following["narrowing"] >= 0.1
    assert following["cost_share"] == pytest.approx(following["cost"] / costs[-1])
    assert following["cost_share"] < 1
    stop = found["stop"]
    assert list(stop) == ["now", "reason", "best_narrowing", "advice"]
    assert stop["now"] is (answer["width"] <= 0.05)


def test_text(tool, runs, curve) -> None:
    done = tool("plan", "--runs", runs, *PLANE, *FAMILY, "--tolerance", "1%")
    assert done.status == 0 and done.err == ""
    lines = done.out.splitlines()
    assert lines[0].startswith("law       auto, fitted to 20 runs, ")
    assert lines[1] == (
        "cost      exaflop = 6e-18 x params x tokens, 20 runs, 0.00 % off; "
        "runs cost 0.06 to 311"
    )
    assert lines[3].split()[:4] == ["cost", "params", "tokens", "best"]
    assert [len(line.split("(")) for line in lines[4:9]] == [2] * 5
    assert lines[10].startswith("answer    cost 3110: loss ")
    assert lines[11].startswith("next      params ")
    assert lines[13].startswith("Go on: the error is known to ")
    done = tool("plan", "--runs", curve, "--x", "rows", "--y", "error")
    assert "cost      no column of it = 1 x rows; runs cost 100 to 2.56e+04" in done.out
    done = tool("plan", "--runs", curve, *LINE, "--error", "0.13")
    assert "answer    error 0.13: seconds" not in done.out
    assert "answer    error 0.13: cost " in done.out


def test_same_numbers_whatever_the_threads(tool, runs) -> None:
    words = (runs, *PLANE, *FAMILY)
    one = plan(tool, *words, "--threads", "1")
    assert one == plan(tool, *words, "--threads", "3")
    other = plan(tool, *words, "--seed", "1")
    assert other["answer"]["error"]["value"] == one["answer"]["error"]["value"]
    assert other["answer"]["error"]["low"] != one["answer"]["error"]["low"]
    wide = plan(tool, *words, "--level", "99%")["answer"]
    assert (
        wide["error"]["level"] == 0.99 and wide["width"] > 1.5 * one["answer"]["width"]
    )


def test_conditions_choose_runs(tool, runs) -> None:
    good = plan(tool, runs, *PLANE, *FAMILY)
    bad = plan(tool, runs, *PLANE, "--where", "family=b")
    ratio = bad["answer"]["error"]["value"] / good["answer"]["error"]["value"]
    assert ratio == pytest.approx(1.3, rel=0.05)
    small = plan(tool, runs, *PLANE, *FAMILY, "--where", "exaflop<=20")
    assert small["cost"]["dearest"] <= 20
    assert small["law"]["groups"][0]["fit"]["rows"] < 20
    # Families that are not told apart scatter, and the plan knows less.
    both = plan(tool, runs, *PLANE)
    assert both["answer"]["width"] > 2 * good["answer"]["width"]


def test_cost_of_an_error(tool, runs, curve) -> None:
    for data, words in ((runs, (*PLANE, *FAMILY)), (curve, LINE)):
        bought = plan(tool, data, *words)
        budget = bought["cost"]["dearest"] * 3
        bought = plan(tool, data, *words, "--budget", repr(budget))
        error = bought["answer"]["error"]["value"]
        priced = plan(tool, data, *words, "--error", repr(error))["answer"]
        assert priced["given"] == "error"
        assert priced["error"]["value"] == pytest.approx(error)
        assert priced["error"]["low"] is None
        assert priced["cost"]["value"] == pytest.approx(budget, rel=1e-6)
        assert priced["cost"]["low"] < budget
        high = priced["cost"]["high"]
        assert high is None or high > budget


def test_when_to_stop(tool, runs) -> None:
    words = (runs, *PLANE, *FAMILY)
    width = plan(tool, *words)["answer"]["width"]
    going = plan(tool, *words, "--tolerance", repr(width * 0.9))
    assert going["stop"]["now"] is False and going["stop"]["reason"] == "go on"
    known = plan(tool, *words, "--tolerance", repr(width * 1.1))
    assert known["stop"]["now"] is True and known["stop"]["reason"] == "known"
    words = (*words, "--tolerance", repr(width * 0.9), "--most-cost", "1e-3")
    none = plan(tool, *words)
    assert none["next"] is None
    assert none["stop"]["now"] is True and none["stop"]["reason"] == "no run helps"
    assert none["stop"]["best_narrowing"] == 0
    assert (
        "none that may be made narrows this by a tenth"
        in tool("plan", "--runs", *words).out
    )


def test_next_run_is_worth_it(tool, runs, tmp_path) -> None:
    """Made, it narrows the interval about as much as was said, and more than a poor run does."""
    words = (*PLANE, *FAMILY, "--tolerance", "0.1%")
    found = plan(tool, runs, *words)
    budget = repr(found["answer"]["cost"]["value"])

    def width_with(params: float, tokens: float) -> float:
        row = f"a,{params!r},{tokens!r},{6e-18 * params * tokens!r},{additive(params, tokens)!r}"
        more = tmp_path / "more.csv"
        more.write_text(pathlib.Path(runs).read_text() + row + "\n")
        return plan(tool, str(more), *words, "--budget", budget)["answer"]["width"]

    at, cost = found["next"]["at"], found["next"]["cost"]
    narrowed = 1 - width_with(at["params"], at["tokens"]) / found["answer"]["width"]
    assert narrowed > found["next"]["narrowing"] / 2
    poor = 1 - width_with(1e7, cost / 6e-11) / found["answer"]["width"]
    assert narrowed > poor


def test_plot(tool, curve, tmp_path) -> None:
    done = tool("plan", "--runs", curve, *LINE, "--plot", "out.svg")
    if shutil.which("gnuplot"):
        assert done.status == 0, done.err
        assert "<svg" in (tmp_path / "out.svg").read_text()
    else:
        assert done.status == 1 and "no gnuplot" in done.err
    done = tool("plan", "--runs", curve, *LINE, "--plot", "out.txt")
    assert done.status == 2 and "a picture's name ends in .svg or .png" in done.err
    shutil.copy(curve, tmp_path / "curve.svg")
    done = tool("plan", "--runs", "curve.svg", *LINE, "--plot", "./curve.svg")
    assert done.status == 1
    assert (tmp_path / "curve.svg").read_text() == pathlib.Path(curve).read_text()


def test_tables_without_a_header_and_with_gaps(tool, tmp_path) -> None:
    rows = [(n, 0.1 + 3 * n**-0.4, 2 * n) for n in (100 * 2**k for k in range(9))]
    rows[3] = (*rows[3][:2], "")  # a cost that is not known
    path = tmp_path / "bare.tsv"
    path.write_text("\n".join("\t".join(map(str, r)) for r in rows) + "\n")
    words = ("--x", "c1", "--y", "c2", "--cost", "c3")
    found = plan(tool, str(path), *words)
    assert found["cost"]["runs"] == 8 and found["law"]["groups"][0]["fit"]["rows"] == 9
    assert found["cost"]["factor"] == pytest.approx(2)


def falling(n: float) -> float:
    return 0.1 + 3 * n**-0.4


SIZES = [100 * 2**k for k in range(9)]
REFUSALS = [
    (
        [(n, n, 0.3) for n in SIZES],
        (),
        "e does not fall with n as far as the runs tell",
    ),
    ([(n, n, n) for n in SIZES], (), "e does not fall with n as far as the runs tell"),
    (
        [(n, n, 3 * n**-0.4 + 6e-6 * n) for n in SIZES],
        (),
        "e no longer falls where n is largest",
    ),
    ([(n, n, falling(n)) for n in SIZES[:2]], (), "auto needs runs of 3 sizes"),
    ([(7, n, 1 / n) for n in SIZES], (), "size never varies (n is 7 in every run)"),
    (
        [(n, n if n > 200 else 0, falling(n)) for n in SIZES],
        (),
        'column "c": row 1 has 0, and a run costs more than 0',
    ),
    (
        [(n, 5, falling(n)) for n in SIZES],
        (),
        "costs (column c) do not rise with n as far as the runs tell",
    ),
    (
        [(n, 300 + n / 10, falling(n)) for n in SIZES],
        (),
        "rise otherwise for large runs than for small ones",
    ),
    (
        [(n, n, falling(n)) for n in SIZES],
        ("--budget", "3"),
        "the budget is 3 and the cheapest run cost 100",
    ),
    (
        [(n, n, falling(n)) for n in SIZES],
        ("--budget", "1e7"),
        "nothing is known of costs above 2.56e+05",
    ),
    (
        [(n, n, falling(n)) for n in SIZES],
        ("--error", "0.01"),
        "e 0.01 is reached at no cost up to",
    ),
    (
        [(n, n, falling(n)) for n in SIZES],
        ("--error", "3"),
        "e 3 is reached at a cost of",
    ),
    ([(n, n, falling(n)) for n in SIZES], ("--where", "n<50"), "no run meets"),
    (
        [(n, n, falling(n)) for n in SIZES],
        ("--form", "additive"),
        "the form additive needs 2 columns as x",
    ),
    ([(n, n, -1) for n in SIZES], (), "row 1 has -1, and laws are of numbers above 0"),
    ([(n, n, falling(n)) for n in SIZES], ("--cost", "d"), 'cost names "d"'),
]


@pytest.mark.parametrize(("rows", "words", "sentence"), REFUSALS)
def test_refusals(tool, tmp_path, rows, words, sentence) -> None:
    data = write(tmp_path / "r.csv", "n,c,e", rows)
    done = tool(
        "plan", "--runs", data, "--x", "n", "--y", "e", "--cost", "c", *words, "--json"
    )
    assert done.status in (1, 2) and done.out == ""
    assert sentence in done.err
    assert done.err.startswith("ramify") and done.err.count("\n") == 1


def test_refusals_of_two_sizes(tool, tmp_path) -> None:
    words = ("--x", "m,n", "--y", "e")
    line = [(k, 20 * k, additive(k, 20 * k)) for k in (1e7 * 3**i for i in range(8))]
    done = tool("plan", "--runs", write(tmp_path / "l.csv", "m,n,e", line), *words)
    assert done.status == 1
    assert "model size and data never vary apart (columns m and n)" in done.err
    pair = [
        (m, n, additive(m, n))
        for m in (1e7, 1e8)
        for n in (1e9, 4e9, 16e9, 64e9, 256e9)
    ]
    done = tool("plan", "--runs", write(tmp_path / "p.csv", "m,n,e", pair), *words)
    assert done.status == 1 and "m has 2 values only" in done.err
    done = tool("plan", "--runs", write(tmp_path / "q.csv", "m,n,e", pair[:4]), *words)
    assert done.status == 1 and done.err.count("\n") == 1


MISTAKES = [
    ((), "--runs, --x and --y are needed"),
    (("--x", "n"), "--runs, --x and --y are needed"),
    (("--x", "n", "--y", "e", "--budget", "0"), "--budget 0: must be above 0"),
    (("--x", "n", "--y", "e", "--error", "-1"), "--error -1: must be above 0"),
    (("--x", "n", "--y", "e", "--most-cost", "0"), "--most-cost 0: must be above 0"),
    (("--x", "n", "--y", "e", "--budgt", "3"), "did you mean --budget?"),
    (("--x", "n", "--y", "e", "--budget", "much"), "--budget"),
    (("DATA", "--x", "n", "--y", "e"), "one argument too many"),
    (("--x", "n", "--y", "e", "--budget", "9", "--error", "1"), "are two questions"),
    (("--x", "n", "--y", "e", "--tolerance", "2"), "the tolerance is 2"),
    (
        ("--x", "n", "--y", "e", "--bootstrap", "3"),
        "3 resamples, expected 20 to 100000",
    ),
    (("--x", "n,c,e", "--y", "e"), "x names 3 columns"),
    (("--x", "n", "--y", "e", "--form", "m9"), 'there is no form "m9"'),
]


@pytest.mark.parametrize(("words", "sentence"), MISTAKES)
def test_mistakes(tool, tmp_path, words, sentence) -> None:
    data = write(tmp_path / "r.csv", "n,c,e", [(n, n, falling(n)) for n in SIZES])
    done = tool("plan", "--runs", data, *words)
    assert done.status == 2 and done.out == ""
    assert sentence in done.err and done.err.startswith("ramify")


def test_help(tool) -> None:
    done = tool("plan", "--runs", "--help")
    assert done.status == 0 and done.err == ""
    assert done.out.startswith("Usage: ramify plan --runs RUNS.csv --x COL,.. --y COL")
    for option in ("--budget", "--error", "--most-cost", "--tolerance", "--where"):
        assert option in done.out
    assert "[10 dearest runs]" in done.out and "[0.05]" in done.out


def test_table_that_is_not_there(tool) -> None:
    done = tool("plan", "--runs", "none.csv", "--x", "n", "--y", "e")
    assert done.status == 1 and "none.csv: " in done.err


def test_columns_are_found_by_name(tool, curve) -> None:
    with open(curve, newline="") as file:
        rows = list(csv.reader(file))
    turned = pathlib.Path(curve).with_name("turned.csv")
    turned.write_text("\n".join(",".join(reversed(r)) for r in rows) + "\n")
    assert plan(tool, str(turned), *LINE) == plan(tool, curve, *LINE)
