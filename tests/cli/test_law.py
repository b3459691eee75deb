"""`ramify law`: fits of made-up runs, what is printed, what is refused."""

from __future__ import annotations

import json
import math
import pathlib
import random
import re

import pytest


def write(path: pathlib.Path, header: str, rows) -> str:
    path.write_text("\n".join([header, *(",".join(map(str, r)) for r in rows)]) + "\n")
    return str(path)


@pytest.fixture
def runs(tmp_path) -> str:
    """Two families of runs of an additive law, without noise."""
    rows = []
    for family, floor in (("a", 1.7), ("b", 2.2)):
        for n in (1e7, 3e7, 1e8, 3e8, 1e9):
            for d in (1e9, 1e10, 1e11):
                loss = floor + 400 / n**0.34 + 1500 / d**0.36
                rows.append((family, f"{n:g}", f"{d:g}", repr(loss)))
    return write(tmp_path / "runs.csv", "family,params,tokens,loss", rows)


def law(tool, *words):
    done = tool("law", "fit", *words, "--json")
    assert done.status == 0, done.err
    return json.loads(done.out)


ADDITIVE = ("--form", "additive", "--x", "params,tokens", "--y", "loss")


def test_one_law_per_group(tool, runs, tmp_path) -> None:
    words = (runs, *ADDITIVE, "--by", "family", "--bootstrap", "0")
    found = law(tool, *words, "-o", str(tmp_path / "law.json"))
    assert found == json.loads((tmp_path / "law.json").read_text())
    assert found == json.loads(tool("law", "fit", *words, "-o", "-").out)
    assert found["form"] == "additive" and found["x"] == ["params", "tokens"]
    assert [g["by"] for g in found["groups"]] == [{"family": "a"}, {"family": "b"}]
    for group, floor in zip(found["groups"], (1.7, 2.2), strict=True):
        expected = {
            "floor": floor,
            "coefficient_model": 400,
            "exponent_model": 0.34,
            "coefficient_data": 1500,
            "exponent_data": 0.36,
        }
        assert group["parameters"] == pytest.approx(expected, rel=1e-6)
        assert group["fit"]["rows"] == 15
        assert group["fit"]["rmse_log"] < 1e-9
        assert "heldout" not in group and group["intervals"] == {}
        assert group["range"]["tokens"] == pytest.approx([1e9, 1e11])
    printed = tool("law", "fit", *words)
    assert printed.status == 0
    assert printed.out.startswith(
        "additive: floor + A / N^alpha + B / D^beta\nfamily=a \n"
    )
    assert "exponent_model             0.34" in printed.out


def test_held_out_runs_are_scored(tool, runs) -> None:
    words = (runs, *ADDITIVE, "--fit-where", "params<=3e8", "--fit-where", "family=a")
    (group,) = law(tool, *words, "--folds", "4")["groups"]
    assert group["fit"]["rows"] == 12 and group["heldout"]["rows"] == 18
    assert group["folds"]["rows"] == 12 and group["folds"]["rmse_log"] < 1e-6
    # Of the held-out runs, 15 are of the other family, whose floor is higher.
    assert group["heldout"]["relative_error_mean"] < -0.1
    score = group["heldout"]
    assert score["rmse_log"] == pytest.approx(0.18, abs=0.05)


def test_intervals_and_threads(tool, tmp_path) -> None:
    draw = random.Random(1)
    sizes = [2**k for k in range(4, 20)]
    rows = [(n, 0.1 + 3 * n**-0.4 * math.exp(draw.gauss(0, 0.02))) for n in sizes]
    data = write(tmp_path / "curve.csv", "rows,error", rows)
    words = (data, "--form", "m2", "--x", "rows", "--y", "error", "--seed", "3")
    one = law(tool, *words, "--threads", "1")
    assert one == law(tool, *words, "--threads", "3")
    (group,) = one["groups"]
    low, high = group["intervals"]["exponent"]
    assert low < group["parameters"]["exponent"] < high
    assert abs(group["parameters"]["exponent"] - 0.4) < 0.05
    wide = law(tool, *words, "--level", "99%")["groups"][0]["intervals"]["exponent"]
    assert wide[0] < low and wide[1] > high
    fixed = law(tool, *words, "--fix", "floor=0.1")["groups"][0]
    assert fixed["parameters"]["floor"] == 0.1
    assert fixed["standard_errors"]["floor"] is None
    robust = law(tool, *words, "--loss", "huber")["groups"][0]
    assert robust["parameters"] != group["parameters"]


def test_duplicates_and_gaps_are_left_out(tool, tmp_path) -> None:
    rows = [(n, 3 * n**-0.4, "adam") for n in (10, 100, 1000)]
    data = write(tmp_path / "r.csv", "n,e,by", [*rows, rows[1], (5000, "", "")])
    words = ("--form", "m1", "--x", "n", "--y", "e", "--json")
    done = tool("law", "fit", data, *words)
    assert json.loads(done.out)["groups"][0]["fit"]["rows"] == 3
    assert "1 row is the same as another in every column, and left out" in done.err
    assert "1 run with a gap is left out" in done.err
    # Runs of two seeds may end with the same rounded error.
    rows += [(100, rows[1][1], "sgd"), rows[0], rows[2], (5000, "", ""), (6000, "", "")]
    done = tool("law", "fit", write(tmp_path / "s.csv", "n,e,by", rows), *words)
    assert json.loads(done.out)["groups"][0]["fit"]["rows"] == 4
    assert "2 rows are the same as another in every column" in done.err
    assert "2 runs with a gap are left out" in done.err


def test_sizes_stay_as_they_were_given(tool, tmp_path) -> None:
    rows = [(n, 3 * n**-0.4) for n in (7, 23, 59, 100, 1000.1)]
    data = write(tmp_path / "r.csv", "n,e", rows)
    for form in ("m1", "damped", "auto"):
        (group,) = law(tool, data, "--form", form, "--x", "n", "--y", "e")["groups"]
        assert group["range"]["n"] == [7, 1000.1]
    data = write(tmp_path / "w.csv", "n,e", rows[:4])
    (group,) = law(tool, data, "--form", "damped", "--x", "n", "--y", "e")["groups"]
    assert group["parameters"]["place"] == 100


def test_names_with_signs_are_quoted(tool, tmp_path) -> None:
    rows = [(g, n, 3 * n**-0.4, 1) for g in "ab" for n in (10, 100, 1000)]
    header = '"task, kind","n=m,k","a<b",e'
    data = write(tmp_path / "r.csv", header, rows)
    path = str(tmp_path / "law.json")
    words = ("law", "fit", data, "--form", "m1", "--y", "a<b", "-o", path)
    quoted = ("--by", '"task, kind"', "--x", '"n=m,k"')
    done = tool(*words, *quoted, "--fit-where", '"a<b">0.001', "--fit-where", 'e = 1')  # fmt: skip
    assert done.status == 0, done.err
    found = json.loads((tmp_path / "law.json").read_text())
    assert found["x"] == ["n=m,k"] and found["groups"][0]["by"] == {"task, kind": "a"}
    words_asked = ("law", "predict", path, "--group", '"task, kind"=b', "--at")
    done = tool(*words_asked, '"n=m,k"=50', "--json")
    (answer,) = json.loads(done.out)["predictions"]
    assert answer["by"] == {"task, kind": "b"} and answer["at"] == {"n=m,k": 50}
    done = tool(*words_asked, "n=m,k=50")
    assert done.status == 2 and 'expected "n=m,k"=VALUE' in done.err
    done = tool(*words, "--by", '"task, kind"', "--x", "n=m,k")
    assert done.status == 1 and "stands in double quotes" in done.err


REFUSALS = [
    (
        "n,e\n1,0.5\n2,0\n3,0.3\n",
        "m1",
        "n",
        'column "e": row 2 has 0, and laws are of numbers',
    ),
    ("n,e\n1,0.5\n-2,1\n3,0.3\n", "m1", "n", 'column "n": row 2 has -2'),
    (
        "n,e\n1,0.5\n2,0.4\n3,0.3\n",
        "m4",
        "n",
        "the form m4 has 5 free parameters and there are 3 runs to fit: add runs",
    ),
    (
        "n,e\n7,0.5\n7,0.4\n7,0.3\n",
        "m1",
        "n",
        "size never varies (n is 7 in every run)",
    ),
    (
        "n,d,e\n" + "".join(f"{k},{20 * k},{1 / k}\n" for k in range(1, 9)),
        "additive",
        "n,d",
        "model size and data never vary apart (columns n and d)",
    ),
    (
        "n,e\n1,0.5\n2,0.4\n",
        "m1",
        "rows",
        'x names "rows", and there is no such column',
    ),
    (
        "n,e\n1,0.5\n2,0.4\n",
        "additive",
        "n",
        "needs 2 columns as x (the next one: data)",
    ),
    ("n,e\n1,0.5\n2,0.4\n", "m1", "n,e", "the form m1 has 1 variable, x names more"),
    ("n,e\na,0.5\nb,0.4\n", "m1", "n", "holds words, numbers are needed"),
    ("n,e\n1,0.5\n2,0.4\n", "m9", "n", 'there is no form "m9" of a law'),
    ("n,e\n1,\n2,\n", "m1", "n", "no run has all its numbers"),
]


@pytest.mark.parametrize(("text", "form", "x", "sentence"), REFUSALS)
def test_refusals(tool, tmp_path, text, form, x, sentence) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(text)
    done = tool("law", "fit", str(path), "--form", form, "--x", x, "--y", "e")
    assert done.status in (1, 2) and done.out == ""
    assert sentence in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--fit-where", "loss"), '"loss" is no condition'),
        (("--fit-where", "params<=x"), '"x" is not a number'),
        (("--fit-where", "family<a"), "can only be compared with ="),
        (("--fix", "slope=1"), "fixes no parameter of the form additive"),
        (("--fix", "floor=-1"), "floor needs a number above 0"),
        (("--folds", "1"), "1 fold, expected 2"),
        (("--level", "100%"), "the level of intervals is 1"),
        (("--above", "2"), "expected above 0, to 1"),
        (("--above", "0"), "expected above 0, to 1"),
    ],
)
def test_bad_options(tool, runs, words, sentence) -> None:
    done = tool("law", "fit", runs, *ADDITIVE, *words)
    assert done.status == 2 and sentence in done.err


def test_a_group_that_cannot_be_fitted(tool, tmp_path) -> None:
    rows = [("a", n, 3 * n**-0.4) for n in (10, 100, 1000)] + [("b", 10, 0.5)]
    data = write(tmp_path / "r.csv", "task,n,e", rows)
    words = (data, "--form", "m1", "--x", "n", "--y", "e", "--by", "task")
    first, second = law(tool, *words)["groups"]
    assert first["parameters"]["exponent"] == pytest.approx(0.4)
    assert "task=b: the form m1 has 2 free parameters" in second["refusal"]
    assert "no law: " in tool("law", "fit", *words).out


def test_warnings(tool, tmp_path) -> None:
    rows = [(n, 3 * n**-0.4) for n in (10, 20, 30, 35, 38)]
    data = write(tmp_path / "r.csv", "n,e", rows)
    found = law(tool, data, "--form", "m2", "--x", "n", "--y", "e")
    notes = " ".join(found["groups"][0]["warnings"])
    assert "no floor is seen" in notes and "spans a factor of 3.8 only" in notes


def noisy_curve(path: pathlib.Path, count: int, seed: int) -> str:
    draw = random.Random(seed)
    sizes = [2**k for k in range(4, 4 + count)]
    rows = [(n, (0.3 + 3 * n**-0.4) * math.exp(draw.gauss(0, 0.03))) for n in sizes]
    return write(path, "n,e", rows)


def test_parameters_at_a_bound_are_no_numbers(tool, tmp_path) -> None:
    data, path = noisy_curve(tmp_path / "r.csv", 16, 2), str(tmp_path / "law.json")
    words = ("--form", "pow4", "--x", "n", "--y", "e", "-o", path)
    (group,) = law(tool, data, *words)["groups"]
    assert group["parameters"]["shift"] is None and "shift" in group["at_bound"]
    assert group["standard_errors"]["shift"] is None
    assert group["standard_errors"]["exponent"] > 0
    assert "the runs do not tell shift: the fit drives it to 0" in group["warnings"]
    low, high = group["intervals"]["shift"]
    assert low is None and (high is None or 1e-9 < high < 100)
    low, high = group["intervals"]["exponent"]
    assert low < group["parameters"]["exponent"] - 0.01
    assert high > group["parameters"]["exponent"] + 0.01
    done = tool("law", "fit", data, *words)
    assert re.search(r"shift +to 0  90 %: 0 to \d", done.out), done.out
    done = tool("law", "predict", path, "--at", "n=1000", "--json")
    (answer,) = json.loads(done.out)["predictions"]
    assert answer["value"] == pytest.approx(0.3 + 3 * 1000**-0.4, rel=0.05)


def test_intervals_hold_what_was_fitted(tool, tmp_path) -> None:
    widened = 0
    for seed in range(3):
        data = noisy_curve(tmp_path / "r.csv", 16, seed)
        for form in ("wbl4", "m4", "bnsl1"):
            done = tool("law", "fit", data, "--form", form, "--x", "n", "--y", "e", "--json")  # fmt: skip
            if done.status != 0:
                continue
            (group,) = json.loads(done.out)["groups"]
            widened += "lie to one side of this one" in " ".join(group["warnings"])
            for name, (low, high) in group["intervals"].items():
                value = group["parameters"][name]
                if value is not None:
                    assert (low is None or low <= value) and (high is None or value <= high)  # fmt: skip
                for number in (low, value, high):
                    assert not number or 1e-130 < abs(number) < 1e130
    assert widened > 0


def test_degenerate_pruning_is_recognised(tool, tmp_path) -> None:
    def error(d):
        return 0.2 * ((d**2 + 1e-6 * 16) / (d**2 + 1e-6)) ** 0.25

    draw = random.Random(2)
    rows = [(0.8**k, error(0.8**k) * math.exp(draw.gauss(0, 0.01))) for k in range(10)]
    data = write(tmp_path / "r.csv", "density,e", rows)
    found = law(tool, data, "--form", "pruning", "--x", "density", "--y", "e")
    notes = " ".join(found["groups"][0]["warnings"])
    assert "the runs do not tell turn" in notes
    assert "add runs of lower density, where the error levels off" in notes


def pruned_networks() -> list[tuple[float, ...]]:
    """Depth, width, density, error, error without pruning: a pruning-joint law without noise."""
    rows = []
    for depth in (10, 20, 40):
        for width in (0.5, 1, 2):
            dense = 0.3 / depth**0.2 / width**0.1
            for k in range(0, 24, 2):
                d = 0.8**k
                m = depth**0.4 * width**0.7 * d
                rise = (0.9 / dense) ** (2 / 0.6)
                e = dense * ((m**2 + 0.04 * rise) / (m**2 + 0.04)) ** 0.3
                rows.append((depth, width, d, e, dense))
    return rows


def test_pruning_joint_finds_errors_without_pruning(tool, tmp_path) -> None:
    rows = pruned_networks()
    header = "depth,width,density,error,dense"
    data = write(tmp_path / "r.csv", header, rows)
    words = ("--form", "pruning-joint", "--y", "error", "--bootstrap", "0", "--x")
    (group,) = law(tool, data, *words, "depth,width,density,dense")["groups"]
    expected = {
        "top": 0.9,
        "exponent": 0.6,
        "turn": 0.2,
        "exponent_depth": 0.4,
        "exponent_width": 0.7,
    }
    assert group["parameters"] == pytest.approx(expected, rel=1e-5)
    # Of three columns, the runs of density 1 give the fourth: here a little above it.
    (derived,) = law(tool, data, *words, "depth,width,density")["groups"]
    assert derived["fit"]["rmse_log"] < 0.1
    sparse = write(tmp_path / "s.csv", header, rows[1:])
    done = tool("law", "fit", sparse, *words, "depth,width,density")
    assert done.status == 1
    assert "no run of the same depth and width has density 1" in done.err


def test_compare_ranks_by_held_out_runs(tool, tmp_path) -> None:
    draw = random.Random(3)
    rows = [
        (task, 2**k, floor + 3 * 2 ** (-0.4 * k) * math.exp(draw.gauss(0, 0.01)))
        for task, floor in (("a", 0.2), ("b", 0.3))
        for k in range(4, 16)
    ]
    data = write(tmp_path / "r.csv", "task,n,e", rows)
    words = ("law", "compare", data, "--x", "n", "--y", "e", "--by", "task")
    held = (*words, "--fit-where", "n<=4096")
    done = tool(*held, "--forms", "m1,m2,pow2", "--json")
    assert done.status == 0, done.err
    groups = json.loads(done.out)["groups"]
    assert [g["by"]["task"] for g in groups] == ["a", "b"]
    for group in groups:
        ranked = [f["form"] for f in group["forms"]]
        errors = [f["heldout"]["rmse_log"] for f in group["forms"]]
        assert ranked[0] == "m2" and errors == sorted(errors)
        assert errors[1] == errors[2] > 3 * errors[0]  # m1 and pow2 are one formula
    printed = tool(*held, "--forms", "m1,m2").out.splitlines()
    assert printed[0] == "task=a " and printed[2].startswith("  m2 ")
    folds = json.loads(tool(*words, "--forms", "m1,m2", "--folds", "4", "--json").out)
    assert folds["groups"][0]["forms"][0]["form"] == "m2"
    done = tool(*words, "--forms", "m1,m2")
    assert done.status == 2 and "nothing is held out to judge by" in done.err
    few = tool(*words, "--fit-where", "n<=64", "--forms", "m1,m4", "--json")
    assert "m4 is left out: none of the 2 groups can be fitted" in few.err
    assert len(json.loads(few.out)["groups"][0]["forms"]) == 1


def test_words(tool) -> None:
    assert tool("law").out.startswith("ramify law: ")
    assert "additive          floor + A / N^alpha" in tool("law", "forms").out
    assert 'unknown word "fitt"; did you mean fit?' in tool("law", "fitt").err
    assert "--form, --x and --y are needed" in tool("law", "fit", "runs.csv").err


@pytest.fixture
def curve(tool, tmp_path) -> str:
    """The law of a curve with a floor, fitted by auto."""
    draw = random.Random(5)
    rows = [
        (2**k, 0.1 + 3 * 2 ** (-0.4 * k) * math.exp(draw.gauss(0, 0.005)))
        for k in range(4, 18)
    ]
    data = write(tmp_path / "curve.csv", "rows,error", rows)
    path = str(tmp_path / "law.json")
    done = tool("law", "fit", data, "--form", "auto", "--x", "rows", "--y", "error",
                "--fit-where", "rows<=32768", "-o", path)  # fmt: skip
    assert done.status == 0, done.err
    assert "the damped law of the curve's end" in done.out
    assert len(done.out.splitlines()) < 10  # of its many laws, those that count
    assert "held out      2 runs" in done.out and "% intervals" in done.out
    return path


def test_predict_and_invert(tool, curve) -> None:
    done = tool(
        "law", "predict", curve, "--at", "rows=65536", "--at", "rows=1e5", "--json"
    )
    first, second = json.loads(done.out)["predictions"]
    assert first["at"] == {"rows": 65536} and first["level"] == 0.9
    assert first["low"] < 0.1 + 3 * 2 ** (-0.4 * 16) < first["high"]
    assert first["value"] > second["value"]
    found = tool("law", "invert", curve, "--error", repr(first["value"]), "--json")
    (size,) = json.loads(found.out)["sizes"]
    assert size["size"] == "rows" and size["value"] == pytest.approx(65536, rel=1e-6)
    assert size["low"] < size["value"] < size["high"]
    printed = tool("law", "predict", curve, "--at", "rows=65536", "--level", "50%").out
    assert printed.startswith("rows=65536: error 0.1") and "(50 %: 0.1" in printed
    printed = tool(
        "law", "predict", curve, "--at", "rows=65536", "--level", "0.995"
    ).out
    assert "(99.5 %: " in printed
    far = tool("law", "predict", curve, "--at", "rows=1e9")
    assert far.status == 0 and "never shown to hold beyond 10 times" in far.err


def test_auto_answers_where_it_holds(tool, tmp_path) -> None:
    """A curve that falls, bends at 1,000 and stays: its end says nothing of its beginning."""
    sizes = [2**k for k in range(1, 21)]
    rows = [(n, 0.2 + 5 / (1 + (n / 1000) ** 2)) for n in sizes]
    data = write(tmp_path / "r.csv", "n,e", rows)
    path, picture = str(tmp_path / "law.json"), tmp_path / "law.svg"
    for form in ("auto", "damped"):
        words = ("law", "fit", data, "--form", form, "--x", "n", "--y", "e", "-o", path)
        done = tool(*words, "--plot", str(picture))
        assert done.status == 0, done.err
        (group,) = json.loads((tmp_path / "law.json").read_text())["groups"]
        start = group["holds_from"]
        assert start in sizes and 2000 < start < 40000
        assert f"holds from n {start:g}" in done.out.replace(",", "")
        for n, e in rows:
            done = tool("law", "predict", path, "--at", f"n={n}", "--json")
            if n < start:
                assert done.status == 1 and done.out == ""
                assert f"n {n:g} is below {start:g}, from which on" in done.err
            else:
                (answer,) = json.loads(done.out)["predictions"]
                assert abs(math.log(answer["value"] / e)) < 0.1
                assert form != "auto" or answer["low"] <= e <= answer["high"]
        done = tool("law", "invert", path, "--error", "3")
        assert done.status == 1 and "where this law begins to hold" in done.err
    # Of six octaves of a line that hardly falls, auto is a law of all its runs.
    data = write(tmp_path / "s.csv", "n,e", [(n, 3 * n**-0.01) for n in sizes[-6:]])
    (group,) = law(tool, data, "--form", "auto", "--x", "n", "--y", "e")["groups"]
    assert group["holds_from"] == sizes[-6] and "end" not in str(group["warnings"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("predict",), "--at NAME=VALUE,.. is needed"),
        (("predict", "--at", "row=1"), '--at: "row=1" names no size of the law'),
        (("predict", "--at", "rows=x"), "a number is needed"),
        (("predict", "--at", "rows"), '--at: "rows" names no size of the law'),
        (("predict", "--at", "rows=1e5,rows=2e5"), "rows is given twice in one place"),
        (("predict", "--at", ""), "rows=VALUE is missing"),
        (
            ("predict", "--at", "rows=1e5", "--level", "100%"),
            "--level 1: must lie between",
        ),
        (("invert", "--error", "0.1", "--at", "rows=5"), "rows is what is asked for"),
        (("frontier", "--budget", "x"), '--budget: "x" is not a number'),
        (
            ("invert", "--error", "5"),
            "where this law begins to hold: ask for a smaller",
        ),
        (("predict", "--at", "rows=-1"), "rows is -1, and laws are of numbers above 0"),
        (
            ("predict", "--at", "rows=1", "--group", "a=b"),
            "--group a=b: the law has no",
        ),
        (("invert",), "--error E, above 0, is needed"),
        (("invert", "--error", "0.01"), "is not reached for any rows up to 327680"),
        (("invert", "--error", "0.1", "--for", "x"), '"x" is no size of the law'),
        (("frontier", "--budget", "1e9"), "knows no model size and data"),
        (("optimum", "--error", "0.1"), "this one is auto"),
    ],
)
def test_bad_questions(tool, curve, words, sentence) -> None:
    done = tool("law", words[0], curve, *words[1:])
    # What no law answers fails; what is asked in the wrong way is bad usage.
    failed = any(word in sentence for word in ("not reached", "holds", "begins"))
    assert done.status == (1 if failed else 2) and done.out == "", done.err
    assert sentence in done.err
    assert done.err.count("\n") == 1


def test_frontier_and_groups(tool, runs, tmp_path) -> None:
    path = str(tmp_path / "law.json")
    done = tool("law", "fit", runs, *ADDITIVE, "--by", "family", "-o", path)
    assert done.status == 0, done.err
    done = tool(
        "law", "frontier", path, "--budget", "1e21", "--group", "family=b", "--json"
    )
    (best,) = json.loads(done.out)["frontier"]
    g = (0.34 * 400 / (0.36 * 1500)) ** (1 / 0.7)
    assert best["by"] == {"family": "b"}
    assert best["params"]["value"] == pytest.approx(
        g * (1e21 / 6) ** (0.36 / 0.7), rel=1e-4
    )
    assert best["params"]["low"] <= best["params"]["value"] * (1 + 1e-6)
    assert 6 * best["params"]["value"] * best["tokens"]["value"] == pytest.approx(1e21)
    done = tool("law", "frontier", path, "--budget", "1e21", "--at", "tokens=1e9")
    assert done.status == 2 and "tokens is what is asked for" in done.err
    both = tool("law", "frontier", path, "--budget", "1e21")
    assert both.out.startswith("family=a \nbudget 1e+21: params ")
    assert "family=b \n" in both.out
    done = tool("law", "invert", path, "--error", "2.5", "--for", "tokens",
                "--at", "params=1e9", "--group", "family=a", "--json")  # fmt: skip
    (size,) = json.loads(done.out)["sizes"]
    left = 2.5 - 1.7 - 400 / 1e9**0.34
    assert size["value"] == pytest.approx((1500 / left) ** (1 / 0.36), rel=1e-4)


def test_auto_of_two_sizes(tool, runs, tmp_path) -> None:
    words = ("--form", "auto", "--x", "params,tokens", "--y", "loss")
    where = (
        "--fit-where",
        "family=a",
        "--fit-where",
        "params<=3e8",
        "--bootstrap",
        "0",
    )
    (group,) = law(tool, runs, *words, *where)["groups"]
    assert [part["form"] for part in group["parts"]] == ["additive", "joint"]
    assert all(part["near"] == part["far"] == 0.5 for part in group["parts"])
    assert group["fit"]["rmse_log"] < 0.005 and "reason" in group
    done = tool("law", "fit", runs, *words, "--fix", "floor=1")
    assert done.status == 2 and "has no parameters of its own" in done.err


def test_optimum(tool, tmp_path) -> None:
    rows = pruned_networks()
    data = write(tmp_path / "r.csv", "depth,width,density,error,dense", rows)
    path = str(tmp_path / "law.json")
    done = tool("law", "fit", data, "--form", "pruning-joint", "--y", "error", "-o", path,
                "--x", "depth,width,density,dense")  # fmt: skip
    assert done.status == 0, done.err
    (best,) = json.loads(tool("law", "optimum", path, "--error", "0.2", "--json").out)[
        "networks"
    ]
    assert best["weights"] == pytest.approx(
        best["depth"] * best["width"] ** 2 * best["density"]["value"]
    )
    m = best["depth"] ** 0.4 * best["width"] ** 0.7 * best["density"]["value"]
    rise = (0.9 / best["dense_error"]) ** (2 / 0.6)
    e = best["dense_error"] * ((m**2 + 0.04 * rise) / (m**2 + 0.04)) ** 0.3
    assert e == pytest.approx(0.2, rel=1e-4)
    assert best["unit"] == "depth x width^2"
    far = tool("law", "optimum", path, "--error", "0.2", "--network", "2,1000,.05",
               "--ends", "794", "--json")  # fmt: skip
    assert json.loads(far.out)["networks"][0]["unit"] == "weights"
    assert "depth 2 lies outside 10 to 40, width 1000 lies outside 0.5 to 2," in far.err
    own = tool("law", "optimum", path, "--error", "0.3", "--network", "10,0.5,0.199")
    assert "outside" not in own.err
    assert own.out.startswith("error 0.3: depth 10, width 0.5 (0.199 without pruning)")
    done = tool("law", "optimum", path, "--error", "0.2", "--network", "10,0.5")
    assert done.status == 2 and "is not DEPTH,WIDTH,ERROR" in done.err
    done = tool("law", "optimum", path, "--error", "0.01")
    assert done.status == 1 and "none of 9 networks has the error 0.01" in done.err


def test_plots(tool, runs, tmp_path, monkeypatch) -> None:
    picture = tmp_path / "law.svg"
    words = (
        "law",
        "fit",
        runs,
        *ADDITIVE,
        "--by",
        "family",
        "--fit-where",
        "params<=3e8",
    )
    done = tool(*words, "--plot", str(picture))
    assert done.status == 0, done.err
    assert (
        "2 runs are left out" not in done.err and "a picture holds 8 laws" in done.err
    )
    drawn = picture.read_text()
    assert drawn.rstrip().endswith("</svg>")
    for title in ("fitted runs", "held-out runs", "law beyond them", "90 % interval"):
        assert title in drawn
    assert "tokens" in drawn and "loss" in drawn and "a, params 1e+07" in drawn
    png = tmp_path / "law.png"
    assert tool(*words, "--plot", str(png)).status == 0
    assert png.read_bytes().startswith(b"\x89PNG")
    done = tool(*words, "--plot", str(tmp_path / "law.pdf"))
    assert done.status == 2 and "a picture's name ends in .svg or .png" in done.err
    done = tool(*words, "--plot", str(tmp_path / "none" / "law.svg"))
    assert done.status == 1 and "the folder cannot be written to" in done.err
    assert done.out == "" and "a picture holds" not in done.err  # before the fit
    # Without gnuplot the numbers are kept, and nothing is half-drawn.
    picture.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    done = tool(*words, "--plot", str(picture))
    assert done.status == 1 and "there is no gnuplot to draw it" in done.err
    assert not picture.exists()
    numbers = (tmp_path / "law.svg.csv").read_text().splitlines()
    assert numbers[0] == "series,kind,x,value,low,high"
    assert sum(",fitted," in line for line in numbers) > 10
    assert sum(",law," in line for line in numbers) > 1000


def test_folds_judge_by_what_they_have_not_seen(tool, tmp_path) -> None:
    draw = random.Random(4)
    rows = [
        (2**k, (0.05 + 2 * 2 ** (-0.35 * k)) * math.exp(draw.gauss(0, 0.02)))
        for k in range(20)
    ]
    data = write(tmp_path / "r.csv", "n,e", rows)
    words = ("law", "compare", data, "--x", "n", "--y", "e", "--folds", "2")
    done = tool(*words, "--forms", "m2,bnsl3", "--json")
    assert (
        "bnsl3 is left out: " in done.err
        and "2 folds of 20 runs leave too few" in done.err
    )
    (found,) = json.loads(done.out)["groups"][0]["forms"]
    assert found["folds"]["rmse_log"] > found["fit"]["rmse_log"]
    assert "coverage" not in found["folds"]
    # A group that is too small for the folds is one without a law.
    groups = write(
        tmp_path / "g.csv",
        "g,n,e",
        [("a", *r) for r in rows] + [("b", 1, 1), ("b", 2, 0.9), ("b", 3, 0.8)],
    )
    first, second = law(
        tool,
        groups,
        "--form",
        "m2",
        "--x",
        "n",
        "--y",
        "e",
        "--by",
        "g",
        "--folds",
        "5",
    )["groups"]
    assert first["folds"]["rows"] == 20 and "5 folds of 3 runs" in second["refusal"]


def test_groups_answer_beside_one_without_a_law(tool, tmp_path) -> None:
    rows = [(g, n, 3 * n**-0.4) for g in "ac" for n in (10, 100, 1000)] + [
        ("b", 10, 0.5)
    ]
    data = write(tmp_path / "r.csv", "g,n,e", rows)
    path = str(tmp_path / "law.json")
    words = ("--form", "m1", "--x", "n", "--y", "e", "--by", "g", "-o", path)
    assert tool("law", "fit", data, *words).status == 0
    done = tool("law", "predict", path, "--at", "n=50", "--json")
    assert done.status == 0 and "this group has no law" in done.err
    assert [p["by"]["g"] for p in json.loads(done.out)["predictions"]] == ["a", "c"]
    assert tool("law", "predict", path, "--at", "n=50", "--group", "g=b").status == 1


def test_extreme_fits_can_be_read_again(tool, tmp_path) -> None:
    path = str(tmp_path / "law.json")
    words = ("--form", "auto", "--x", "n", "--y", "e", "-o", path)
    for k, rows in enumerate(
        (
            [(f"1e{7 * i}", f"1e{290 - 3 * i}") for i in range(40)],
            [(10**i, 0.5) for i in range(6)],
            [(10**i, 0.1 * 2**i) for i in range(6)],
        )
    ):
        data = write(tmp_path / f"{k}.csv", "n,e", rows)
        done = tool("law", "fit", data, *words)
        if done.status == 0:
            assert "floor nan" not in done.out and "-nan" not in done.out
            asked = tool("law", "predict", path, "--at", f"n={rows[-1][0]}")
            assert asked.status == 0, asked.err
        else:
            assert "auto" in done.err
    weighted = write(
        tmp_path / "w.csv", "n,e,w", [(10**i, 2.0**-i, 0) for i in range(6)]
    )
    done = tool("law", "fit", weighted, *words, "--weight", "w")
    assert done.status == 1 and "0 runs have a weight above 0" in done.err


def test_nothing_is_lost_beside_a_picture(tool, runs, tmp_path, monkeypatch) -> None:
    picture = str(tmp_path / "x.svg")
    done = tool("law", "fit", runs, *ADDITIVE, "-o", picture, "--plot", picture)
    assert done.status == 2 and "is not called .svg or .png" in done.err
    kept = tmp_path / "x.svg.csv"
    kept.write_text("mine")
    monkeypatch.setenv("PATH", str(tmp_path))
    done = tool("law", "fit", runs, *ADDITIVE, "--plot", picture)
    assert done.status == 1 and "is there already" in done.err
    assert kept.read_text() == "mine"
