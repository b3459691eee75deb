"""Nyquist learners: ramify train --kind nyquist and --module auto."""

from __future__ import annotations

import csv
import io
import json
import pathlib
import re

import numpy as np
import pytest
from conftest import QUICK, run_tool

BAND = 20


def series(x: np.ndarray, seed: int = 3) -> np.ndarray:
    """Band 20, period 1."""
    source = np.random.default_rng(seed)
    a, b = source.normal(size=(2, BAND))
    angle = 2 * np.pi * np.outer(x, np.arange(1, BAND + 1))
    return np.cos(angle) @ a + np.sin(angle) @ b + 0.5


def smooth(x: np.ndarray) -> np.ndarray:
    """Two columns; analytic."""
    return np.exp(-2 * (x[:, 0] - 0.4) ** 2) * np.cos(3 * x[:, 1]) + x[:, 0]


def write(path: pathlib.Path, x: np.ndarray, *y: np.ndarray) -> pathlib.Path:
    x = x.reshape(len(x), -1)
    names = [f"x{i}" for i in range(x.shape[1])] + [f"y{i}" for i in range(len(y))]
    rows = np.column_stack([x, *y])
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(names)
        out.writerows([f"{v:.17g}" for v in row] for row in rows)
    return path


def predict(folder: pathlib.Path, model: str, table: str, *more: str) -> np.ndarray:
    done = run_tool("predict", model, table, *more, cwd=folder)
    assert done.status == 0, done.err
    rows = list(csv.reader(io.StringIO(done.out)))[1:]
    return np.array([[float(cell) for cell in row] for row in rows])


def train(folder: pathlib.Path, table: str, *more: str) -> dict:
    """Trains m.ramify and returns what `info` knows of it."""
    words = ["train", table, "--target", "y0", "--kind", "nyquist", "-o", "m.ramify"]
    done = run_tool(*words, *more, cwd=folder)
    assert done.status == 0, done.err
    return json.loads(run_tool("info", "m.ramify", "--json", "--check", cwd=folder).out)


def error(folder: pathlib.Path, x: np.ndarray, y: np.ndarray) -> float:
    write(folder / "t.csv", x, y)
    return float(np.abs(predict(folder, "m.ramify", "t.csv")[:, 0] - y).max())


def test_the_cliff(tmp_path):
    """The band is found from the rows, and then all digits are there."""
    held_out = np.random.default_rng(9).random(500)
    found = {}
    for count in (30, 45, 60):
        x = np.arange(count) / count
        write(tmp_path / "d.csv", x, series(x))
        info = train(tmp_path, "d.csv", "--period", "1")
        found[count] = error(tmp_path, held_out, series(held_out))
    assert found[30] > 0.01
    assert found[45] < 1e-12 and found[60] < 1e-12
    assert info["config"]["nyquist"]["band"] == BAND
    x = np.random.default_rng(1).random(300)
    write(tmp_path / "d.csv", x, series(x))
    info = train(tmp_path, "d.csv", "--period", "1")
    assert error(tmp_path, held_out, series(held_out)) < 1e-12
    report = info["config"]["nyquist"]
    assert (report["band"], report["terms"], report["cliff"]["band"]) == (20, 41, 20)
    assert report["cliff"]["after"] < 1e-12 < 0.01 < report["cliff"]["before"]
    assert (info["parameters"], info["module_bytes"]) == (41 + 4, 512)
    # A period that is not told costs the digits.
    train(tmp_path, "d.csv", "--leaves", "1")
    assert error(tmp_path, held_out, series(held_out)) > 1e-9
    out = run_tool("info", "m.ramify", cwd=tmp_path).out
    assert "x0: chebyshev" in out and "error of rows left out" in out


def test_bases(tmp_path):
    """Columns with a period have one of waves, the others what is asked for."""
    x = np.random.default_rng(4).random((300, 2))
    write(tmp_path / "d.csv", x, np.cos(2 * np.pi * x[:, 0]) + x[:, 1] ** 2)
    for words, bases in (
        ([], ["chebyshev", "chebyshev"]),
        (["--basis", "cosine"], ["cosine", "cosine"]),
        (["--period", "1,-"], ["fourier", "chebyshev"]),
        (["--period", "1,-", "--basis", "cosine"], ["fourier", "cosine"]),
        (["--period", "1,2", "--basis", "fourier"], ["fourier", "fourier"]),
    ):
        report = train(tmp_path, "d.csv", "--band", "4", *words)["config"]["nyquist"]
        assert [axis["basis"] for axis in report["axes"]] == bases


def test_noise_and_weights(tmp_path):
    """The error against the truth is that of least squares; noise is known from what is left."""
    source = np.random.default_rng(5)
    x, held_out = source.random(1500), source.random(500)
    write(tmp_path / "d.csv", x, series(x) + 0.1 * source.normal(size=1500))
    words = ["--period", "1", "--band", "20", "--ridge", "0"]
    report = train(tmp_path, "d.csv", *words)["config"]["nyquist"]
    assert abs(report["noise"] - 0.1) < 0.01 and report["ridge"] == 0
    write(tmp_path / "t.csv", held_out)
    off = predict(tmp_path, "m.ramify", "t.csv")[:, 0] - series(held_out)
    expected = 0.1 * np.sqrt(41 / (1425 - 41 - 1))
    assert 0.7 < np.sqrt(np.mean(off**2)) / expected < 1.3
    # Rows that weigh nothing may say anything.
    weight = np.full(1500, 1e-150)
    weight[::3] = 0
    y = np.where(weight > 0, series(x), 1e3)
    write(tmp_path / "d.csv", np.column_stack([x, weight]), y)
    train(tmp_path, "d.csv", *words, "--weight", "x1")
    write(tmp_path / "t.csv", held_out)
    off = predict(tmp_path, "m.ramify", "t.csv")[:, 0] - series(held_out)
    assert np.abs(off).max() < 1e-10


def test_negative_ridge(tmp_path):
    """Means chosen, as leaving it out does."""
    source = np.random.default_rng(5)
    x = source.random(100)
    write(tmp_path / "d.csv", x, series(x) + source.normal(size=100))
    words = ["--period", "1", "--band", "20"]
    chosen = train(tmp_path, "d.csv", *words)["config"]["nyquist"]["ridge"]
    assert chosen > 0
    for ridge in ("-1", "-0.5"):
        report = train(tmp_path, "d.csv", *words, "--ridge", ridge)
        assert report["config"]["nyquist"]["ridge"] == chosen
    assert (
        train(tmp_path, "d.csv", *words, "--ridge", "0")["config"]["nyquist"]["ridge"]
        == 0
    )


def test_boxes_and_bounds(tmp_path):
    """A kink is cut out; bounds, threads and precisions do as they say."""
    source = np.random.default_rng(2)
    x, held_out = source.random((3000, 2)), source.random((1000, 2))

    def target(x):
        return np.abs(x[:, 0] - 0.5) + smooth(x)

    write(tmp_path / "d.csv", x, target(x))
    one = train(tmp_path, "d.csv", "--leaves", "1")
    alone = error(tmp_path, held_out, target(held_out))
    info = train(tmp_path, "d.csv")
    assert (one["leaves"], info["leaves"] > 1) == (1, True)
    assert error(tmp_path, held_out, target(held_out)) < alone / 50
    whole = (tmp_path / "m.ramify").read_bytes()
    bound = str(info["resident_bytes"])
    write(tmp_path / "t.csv", held_out)
    free = predict(tmp_path, "m.ramify", "t.csv")
    bounded = predict(tmp_path, "m.ramify", "t.csv", "--resident", bound)
    assert np.array_equal(free, bounded)
    for threads in ("1", "3"):
        train(tmp_path, "d.csv", "--threads", threads)
        assert (tmp_path / "m.ramify").read_bytes() == whole
    small = train(tmp_path, "d.csv", "--resident", "16KiB")
    assert small["resident_bytes"] <= 16 * 1024 < info["resident_bytes"]
    words = ["--leaves", "1", "--index-set", "total", "--band", "9"]
    exact = train(tmp_path, "d.csv", *words)
    double = error(tmp_path, held_out, target(held_out))
    short = train(tmp_path, "d.csv", *words, "--precision", "float32")
    assert short["module_bytes"] < 0.7 * exact["module_bytes"]
    assert (
        abs(error(tmp_path, held_out, target(held_out)) - double) < 1e-4 * double + 1e-5
    )


def test_fewer_rows_than_terms(tmp_path):
    """The smallest solution goes through the rows."""
    x = np.random.default_rng(8).random(20)
    write(tmp_path / "d.csv", x, series(x))
    info = train(tmp_path, "d.csv", "--period", "1", "--band", "30")
    assert info["config"]["nyquist"]["least_norm"]
    write(tmp_path / "t.csv", x)
    off = np.abs(predict(tmp_path, "m.ramify", "t.csv")[:, 0] - series(x))
    assert np.sum(off < 1e-9) == 19  # one row reports
    assert "the smallest of many" in run_tool("info", "m.ramify", cwd=tmp_path).out


def test_rows_that_report_are_not_fitted(tmp_path):
    """Half of those of --validation; the others are."""
    x = np.random.default_rng(8).random(1000)
    write(tmp_path / "d.csv", x, series(x))
    for share, fitted in (("0.1", 950), ("0.01", 995)):
        report = train(tmp_path, "d.csv", "--period", "1", "--validation", share)
        assert report["config"]["nyquist"]["rows"] == fitted


def test_several_targets_and_columns_that_say_nothing(tmp_path):
    source = np.random.default_rng(4)
    x = np.column_stack([source.random((800, 2)), np.full(800, 3.5)])
    write(tmp_path / "d.csv", x, smooth(x), np.sin(4 * x[:, 1]), np.full(800, 7.0))
    words = ["train", "d.csv", "--kind", "nyquist", "-o", "m.ramify"]
    words += ["--target", "y0", "--target", "y1", "--target", "y2"]
    done = run_tool(*words, cwd=tmp_path)
    assert done.status == 0, done.err
    y = predict(tmp_path, "m.ramify", "d.csv")
    assert np.abs(y[:, 0] - smooth(x)).max() < 1e-6
    assert np.abs(y[:, 1] - np.sin(4 * x[:, 1])).max() < 1e-6
    assert np.abs(y[:, 2] - 7).max() < 1e-9
    write(tmp_path / "c.csv", x, np.full(800, 7.0))
    info = train(tmp_path, "c.csv")
    assert (info["leaves"], info["parameters"]) == (1, 1 + 8)


def test_outside_the_box(tmp_path):
    x = np.random.default_rng(4).random((800, 2))
    write(tmp_path / "d.csv", x, smooth(x))
    train(tmp_path, "d.csv")
    corners = np.array([[50.0, 0.5], [2.0, 0.5], [-9.0, -9.0], [-1.0, -2.0]])
    write(tmp_path / "t.csv", corners)
    y = predict(tmp_path, "m.ramify", "t.csv")[:, 0]
    assert y[0] == y[1] and y[2] == y[3]
    # Just beside the range of the rows a series is what it is inside.
    write(tmp_path / "t.csv", x.max(axis=0)[None] + 1e-3)
    near = predict(tmp_path, "m.ramify", "t.csv")[:, 0]
    assert np.abs(near - smooth(x.max(axis=0)[None] + 1e-3)).max() < 1e-6
    write(tmp_path / "t.csv", corners)
    train(tmp_path, "d.csv", "--outside", "refuse")
    done = run_tool("predict", "m.ramify", "t.csv", cwd=tmp_path)
    assert done.status == 1
    assert 'a row with 50 in column "x0" lies outside the box' in done.err
    (tmp_path / "gap.csv").write_text("x0,x1\n0.5,\n")
    done = run_tool("predict", "m.ramify", "gap.csv", cwd=tmp_path)
    assert done.status == 1 and 'a row with nan in column "x1"' in done.err
    write(tmp_path / "t.csv", x)
    assert np.abs(predict(tmp_path, "m.ramify", "t.csv")[:, 0] - smooth(x)).max() < 1e-6


def test_a_period_has_no_outside(tmp_path):
    """Neither in warnings nor in novelty; other columns have one as before."""
    x = np.random.default_rng(4).random((2000, 2))

    def target(x):
        return np.cos(2 * np.pi * x[:, 0]) + np.abs(x[:, 1] - 0.5)

    write(tmp_path / "d.csv", x, target(x))
    leaves = train(tmp_path, "d.csv", "--period", "1,-")["leaves"]
    assert leaves > 1
    write(tmp_path / "t.csv", x[:200])
    near = predict(tmp_path, "m.ramify", "t.csv", "--novelty")
    write(tmp_path / "t.csv", x[:200] + [7, 0], target(x[:200]))
    far = predict(tmp_path, "m.ramify", "t.csv", "--novelty")
    assert np.abs(far[:, 0] - near[:, 0]).max() < 1e-9
    assert np.array_equal(far[:, 1], near[:, 1]) and near[:, 1].std() > 0.1
    done = run_tool("evaluate", "m.ramify", "t.csv", cwd=tmp_path)
    assert (done.status, done.err) == (0, "")
    write(tmp_path / "t.csv", x[:200] + [0, 7], target(x[:200]))
    assert predict(tmp_path, "m.ramify", "t.csv", "--novelty")[:, 1].min() == 1
    done = run_tool("evaluate", "m.ramify", "t.csv", cwd=tmp_path)
    assert "200 values lie outside" in done.err and '"x1"' in done.err
    # Nothing but such a column: nothing is far away.
    write(tmp_path / "d.csv", x[:, 0], target(x))
    train(tmp_path, "d.csv", "--period", "1", "--band", "3")
    write(tmp_path / "t.csv", x[:, 0] + 1000)
    assert predict(tmp_path, "m.ramify", "t.csv", "--novelty")[:, 1].max() == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--basis", "fourier"], "needs to know the period"),
        (
            ["--basis", "fourier", "--period", "1,-"],
            'basis is fourier, and column "x1" has no period',
        ),
        (
            ["--basis", "cosine", "--period", "2"],
            "basis is cosine, and all columns that vary have a period",
        ),
        (["--basis", "sine"], 'basis "sine" is not known'),
        (["--period", "0"], 'period "0" is not a list of numbers above 0'),
        (["--period", "nan"], "is not a list of numbers above 0"),
        (
            ["--period", "1,2,3"],
            "period lists more numbers than there are input columns",
        ),
        (["--period", "-,-"], "period names no period"),
        (["--index-set", "all"], 'index set "all" is not known'),
        (["--band", "0"], '--band "0": must be a whole number from 1 to 16384'),
        (["--band", "16385"], '"16385": must be a whole number from 1 to 16384'),
        (["--band", "9000"], "too many terms for the bound"),
        (["--ridge", "2e6"], "ridge is 2e+06: use a negative number (chosen) or 0"),
        (["--ridge", "abc"], '--ridge "abc": must be a number'),
        (["--precision", "half"], 'precision "half" is not known'),
        (["--outside", "wild"], 'outside "wild" is not known'),
        (["--hidden", "8"], "are about networks, and the kind is nyquist"),
        (["--module", "auto"], "modules are chosen at the leaves of kinds pathways"),
        (["--task", "classification"], "the task is classification"),
        (["--resident", "1KiB"], "resident bytes: allow at least"),
    ],
)
def test_refusals(tmp_path, words, sentence):
    x = np.random.default_rng(4).random((60, 2))
    write(tmp_path / "d.csv", x, smooth(x))
    start = ["train", "d.csv", "--target", "y0", "--kind", "nyquist", "-o", "m.ramify"]
    done = run_tool(*start, *words, cwd=tmp_path)
    assert done.status in (1, 2) and sentence in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "m.ramify").exists()


def test_tables_it_is_not_for(tmp_path):
    start = ["train", "d.csv", "--target", "y", "--kind", "nyquist", "-o", "m.ramify"]
    rows = "".join(f"{i},{'ab'[i % 2]},{i * i}\n" for i in range(50))
    (tmp_path / "d.csv").write_text("x,c,y\n" + rows)
    done = run_tool(*start, cwd=tmp_path)
    assert done.status == 1 and 'column "c" is categorical: use' in done.err
    rows = "".join(f"{i},{i if i % 7 else ''},{i * i}\n" for i in range(50))
    (tmp_path / "d.csv").write_text("x,c,y\n" + rows)
    done = run_tool(*start, cwd=tmp_path)
    assert done.status == 1 and 'column "c" has missing values: use' in done.err
    words = [*start[:-4], "--module", "nyquist", "-o", "m.ramify"]
    done = run_tool(*words, cwd=tmp_path)
    assert done.status == 1 and 'column "c" has missing values: leave' in done.err
    done = run_tool(*start[:-4], "--band", "3", "-o", "m.ramify", cwd=tmp_path)
    assert done.status == 2


def test_modules_are_chosen(tmp_path):
    """Series where they are better, networks where they are not; both in one file."""
    source = np.random.default_rng(7)
    x, held_out = source.random((3000, 2)), 0.01 + 0.98 * source.random((500, 2))
    words = ["train", "d.csv", "--target", "y0", "-o", "m.ramify", *QUICK]

    def attempt(target, *more):
        write(tmp_path / "d.csv", x, target(x))
        done = run_tool(*words, *more, cwd=tmp_path)
        assert done.status == 0, done.err
        info = json.loads(run_tool("info", "m.ramify", "--json", cwd=tmp_path).out)
        types = [group["type"] for group in info["config"]["groups"]]
        return info["kind"], types, error(tmp_path, held_out, target(held_out))

    kind, types, off = attempt(smooth, "--module", "auto")
    assert (kind, types) == ("nyquist", ["bandlimited"]) and off < 1e-9

    def steps(x):
        return np.floor(9 * x[:, 0]) % 2 + np.floor(7 * x[:, 1]) % 2 + 1e-3 * x[:, 0]

    kind, types, _ = attempt(steps, "--module", "mlp")
    assert (kind, types) == ("pathways", ["mlp"])
    kind, types, off = attempt(smooth, "--module", "nyquist", "--tree", "dyadic")
    assert (kind, types) == ("pathways", ["bandlimited"]) and off < 1e-2
    done = run_tool("export", "m.ramify", "--c", "m.c", cwd=tmp_path)
    assert done.status == 1 and "modules of type bandlimited cannot" in done.err
    done = run_tool("info", "m.ramify", "--theory", cwd=tmp_path)
    assert done.status == 1 and "the theorems are about networks" in done.err


def test_outliers(tmp_path):
    """A value far from all others makes the box, which is told."""
    x = np.random.default_rng(4).random((800, 2))
    start = ["train", "d.csv", "--target", "y0", "--kind", "nyquist", "-o", "m.ramify"]

    def warning(*more):
        write(tmp_path / "d.csv", x, smooth(x))
        done = run_tool(*start, "--band", "3", *more, cwd=tmp_path)
        assert done.status == 0, done.err
        return done.err

    assert warning() == ""
    x[17, 1] = 1e9
    assert 'column "x1" has the value 1e+09 in one row' in warning()
    x[18, 1] = 9e8
    assert 'in column "x1", which runs from ' in warning()
    assert warning("--period", "-,2") == ""
    x[:, 1] = 0
    x[::500, 1] = 1
    assert warning() == ""  # rare is not far away


def test_time_limit(tmp_path):
    """Of a limit that has passed already: one box, and no more rows than a trial of bands takes."""
    source = np.random.default_rng(8)
    x, held_out = source.random((9000, 2)), source.random((500, 2))
    write(tmp_path / "d.csv", x, smooth(x))
    now = ["--time-limit", "0.000001"]
    info = train(tmp_path, "d.csv", *now)
    assert (info["leaves"], info["config"]["nyquist"]["rows"]) == (1, 4096)
    assert error(tmp_path, held_out, smooth(held_out)) < 1e-8
    info = train(tmp_path, "d.csv", *now, "--band", "9", "--index-set", "total")
    report = info["config"]["nyquist"]
    assert (report["terms"], report["rows"]) == (55, 4096)
    assert error(tmp_path, held_out, smooth(held_out)) < 1e-3
    start = ["train", "d.csv", "--target", "y0", "--kind", "nyquist", "-o", "n.ramify"]
    done = run_tool(*start, *now, "--band", "80", "--resident", "none", cwd=tmp_path)
    assert (
        done.status == 1 and "time limit passed before a series of band 80" in done.err
    )
    assert not (tmp_path / "n.ramify").exists()


def test_leaves_that_series_are_not_for(tmp_path):
    """What --module nyquist does not do it tells."""
    source = np.random.default_rng(6)
    x = source.random((300, 2))
    write(tmp_path / "d.csv", x, smooth(x))
    start = ["train", "d.csv", "--target", "y0", "-o", "m.ramify", *QUICK]
    small = ["--smallest-node", "40", "--split-test", "off", "--arity", "2"]

    def warnings(*more):
        done = run_tool(*start, "--module", *more, cwd=tmp_path)
        assert done.status == 0, done.err
        info = json.loads(run_tool("info", "m.ramify", "--json", cwd=tmp_path).out)
        types = [group["type"] for group in info["config"]["groups"]]
        return done.err, info["leaves"], types

    err, leaves, types = warnings("nyquist", *small)
    few = re.search(r"warning: (\d+) of (\d+) leaves have fewer than 32 rows", err)
    assert few and 0 < int(few[1]) < int(few[2]) == leaves
    assert sorted(types) == ["bandlimited", "mlp"]
    assert warnings("auto", *small)[0] == ""
    assert warnings("nyquist", "--leaves", "1")[0] == ""
    wide = source.random((200, 70))
    write(tmp_path / "d.csv", wide, smooth(wide))
    err = warnings("nyquist", "--leaves", "1")[0]
    assert "series at 1 of 1 leaves leave columns out: they take the first 64" in err
    err = warnings("auto", "--leaves", "1")[0]
    assert "no series: a series of more than 64 columns that vary" in err


def test_few_rows(tmp_path):
    """With more terms than rows carry, weighed for smoothness, and within the table's box."""
    source = np.random.default_rng(3)
    x, held_out = source.random((150, 2)), 0.1 + 0.8 * source.random((400, 2))

    def bumps(x):
        return np.exp(-20 * ((x - 0.3) ** 2).sum(axis=1)) + np.exp(
            -30 * ((x - [0.7, 0.6]) ** 2).sum(axis=1)
        )

    write(tmp_path / "d.csv", x, bumps(x))
    train(tmp_path, "d.csv", "--ridge", "0")
    plain = error(tmp_path, held_out, bumps(held_out))
    report = train(tmp_path, "d.csv")["config"]["nyquist"]
    assert report["terms"] > report["rows"] and report["growth"] > 0
    assert error(tmp_path, held_out, bumps(held_out)) < plain / 5
    assert "the smoothest function" in run_tool("info", "m.ramify", cwd=tmp_path).out
