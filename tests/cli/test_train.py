"""ramify train: what it writes, prints and refuses."""

from __future__ import annotations

import json
import math
import os
import pathlib
import re
import signal
import subprocess

import pytest
from conftest import BUILD, QUICK, run_tool, write_wave

KEYS = {
    "rows",
    "train_rows",
    "select_rows",
    "report_rows",
    "skipped_rows",
    "rmse",
    "mae",
    "r2",
    "seconds",
    "time_limit_struck",
    "kind",
    "leaves",
    "modules",
    "parameters",
    "active_parameters",
    "resident_bytes",
    "file_bytes",
}


@pytest.fixture
def wave(tmp_path: pathlib.Path) -> str:
    write_wave(tmp_path / "wave.csv", 1000, 1)
    write_wave(tmp_path / "more.csv", 200, 2)
    return "wave.csv"


def read_json(done) -> dict:
    assert done.status == 0, done.err
    assert done.err == ""
    return json.loads(done.out)


def test_text(tool, wave, tmp_path):
    done = tool("train", wave, "--target", "target", "-o", "m.ramify", *QUICK)
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "rows        1,000: 900 train, 50 choose, 50 report"
    assert lines[2].startswith("report rows rmse ")
    size = (tmp_path / "m.ramify").stat().st_size
    assert lines[-1] == f"written     m.ramify, {size / 1024:.1f} KiB"
    assert [p.name for p in tmp_path.glob("*ramify*")] == ["m.ramify"]


def test_json(tool, wave, tmp_path):
    done = read_json(
        tool("train", wave, "--target", "target", "-o", "m", "--json", *QUICK)
    )
    assert KEYS <= done.keys()
    assert done["rows"] == 1000 and done["skipped_rows"] == 0
    assert done["train_rows"] + done["select_rows"] + done["report_rows"] == 1000
    assert done["kind"] == "pathways" and done["time_limit_struck"] is False
    assert done["resident_bytes"] <= 128 * 1024
    assert done["file_bytes"] == (tmp_path / "m").stat().st_size
    assert done["active_parameters"] <= done["parameters"]


def test_same_bytes_for_any_threads(tool, wave, tmp_path):
    for threads in ("1", "2", "3"):
        words = ["--target", "target", "--threads", threads, "-o", threads, *QUICK]
        done = tool("train", wave, *words, "--smallest-node", "100")
        assert done.status == 0, done.err
    first = (tmp_path / "1").read_bytes()
    assert (tmp_path / "2").read_bytes() == first
    assert (tmp_path / "3").read_bytes() == first
    tool("train", wave, "--target", "target", "--seed", "1", "-o", "other", *QUICK)
    assert (tmp_path / "other").read_bytes() != first


def test_test_rows_choose_nothing(tool, wave, tmp_path):
    with_test = read_json(
        tool(
            *["train", wave, "--target", "target", "-o", "a", "--json"],
            *["--test", "more.csv", *QUICK],
        )
    )
    without = read_json(
        tool("train", wave, "--target", "target", "-o", "b", "--json", *QUICK)
    )
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert with_test["test"]["rows"] == 200
    assert with_test["rmse"] == without["rmse"]
    score = json.loads(tool("evaluate", "a", "more.csv", "--json").out)
    assert with_test["test"]["rmse"] == pytest.approx(score["rmse"], rel=1e-12)


def test_controls(tool, wave):
    words = ["train", wave, "--target", "target", "-o", "m", "--controls", *QUICK]
    done = read_json(tool(*words, "--json", "--test", "more.csv"))
    names = [control["name"] for control in done["controls"]]
    assert names == ["pathways", "one expert", "equal total", "random partition"]
    for control in done["controls"]:
        assert control["rows"] == 200
        assert control["error_low"] <= control["rmse"] <= control["error_high"]
        assert 0 < control["active_parameters"] <= control["parameters"]
        assert control["resident_bytes"] > 0 and control["seconds"] >= 0
    assert done["controls"][0]["rmse"] == pytest.approx(done["test"]["rmse"])
    text = tool(*words).out
    for name in names:
        assert f"\n{name} " in text


def test_mlp_is_one_network(tool, wave):
    words = ["train", wave, "--target", "target", "-o", "m", "--kind", "mlp"]
    done = read_json(tool(*words, "--json", *QUICK))
    assert done["kind"] == "mlp"
    assert done["leaves"] == 1 and done["modules"] == 1
    assert done["active_parameters"] == done["parameters"]


def test_cross_validation(tool, wave, tmp_path):
    words = ["train", wave, "--target", "target", "--cv", "3", *QUICK]
    done = read_json(tool(*words, "--json"))
    assert sum(fold["rows"] for fold in done["folds"]) == 1000
    assert len({fold["rmse"] for fold in done["folds"]}) == 3
    assert "kind" not in done
    lines = tool(*words).out.splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == ["fold 1", "fold 2", "fold 3"]
    assert lines[3].startswith("rmse over 3 folds: mean ")
    assert not list(tmp_path.glob("*.ramify"))
    both = read_json(tool(*words, "--json", "-o", "m"))
    assert both["folds"] == done["folds"] and both["rows"] == 1000


def test_classification(tool, tmp_path):
    write_wave(tmp_path / "side.csv", 1000, 3, classes=True)
    words = ["train", "side.csv", "--target", "target", "-o", "m", *QUICK]
    done = read_json(tool(*words, "--json"))
    assert 0.0 <= done["accuracy"] <= 1.0 and done["log_loss"] > 0.0
    assert "rmse" not in done
    assert "report rows accuracy " in tool(*words).out


def test_several_targets_and_dropped_columns(tool, wave):
    words = ["train", wave, "--target", "target", "--target", "y", "-o", "m", *QUICK]
    assert tool(*words, "--drop", "colour").status == 0
    info = json.loads(tool("info", "m", "--json").out)
    assert info["targets"] == ["target", "y"]
    assert info["columns"] == ["x"]


def test_resident_is_a_bound(tool, wave):
    words = ["train", wave, "--target", "target", "-o", "m", "--json"]
    done = read_json(
        tool(*words, "--resident", "12KiB", "--epochs", "2", "--child-epochs", "1")
    )
    assert done["resident_bytes"] <= 12 * 1024
    predicted = json.loads(
        tool(
            *["predict", "m", "more.csv", "-o", "p", "--json", "--resident", "12KiB"]
        ).out
    )
    assert predicted["peak_resident_bytes"] <= 12 * 1024


def test_output_is_checked_before_training(tool, tmp_path):
    """The table does not exist: the first complaint is the one about the output."""
    words = ["train", "none.csv", "--target", "y", "-o"]
    done = tool(*words, "nowhere/m.ramify")
    assert (done.status, done.err) == (
        1,
        "ramify: nowhere/m.ramify: the folder cannot be written to "
        "(No such file or directory)\n",
    )
    (tmp_path / "folder").mkdir()
    done = tool(*words, "folder")
    assert (done.status, done.err) == (
        1,
        "ramify: folder: is a folder; name a file for the model\n",
    )


def test_reads_standard_input(tool, wave, tmp_path):
    text = (tmp_path / wave).read_text()
    done = tool("train", "-", "--target", "target", "-o", "a", *QUICK, stdin=text)
    assert done.status == 0, done.err
    done = tool("train", wave, "--target", "target", "-o", "b", *QUICK)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_time_limit_is_a_success(tool, wave):
    words = ["train", wave, "--target", "target", "-o", "m", "--json"]
    done = read_json(tool(*words, "--time-limit", "0.2s", "--epochs", "100000"))
    assert done["time_limit_struck"] is True
    assert tool("info", "m", "--check").status == 0


def test_a_short_time_limit_does_without_teachers(tool, tmp_path):
    """They and a root that learns from them take many seconds: a fit has 15,000 steps at least."""
    write_wave(tmp_path / "wave.csv", 2000, 1)
    words = ["train", "wave.csv", "--target", "target", "-o", "m", "--verbose"]
    done = tool(*words, "--time-limit", "1s")
    assert done.status == 0
    assert "ramify: no time for teachers: " in done.err
    assert "training the teachers" not in done.err


def stopped_with(name: str, written: str) -> str:
    return (
        rf"ramify: stopped by {name}; the best model so far "
        rf"\(rmse [0-9.e-]+ on report rows\) is written to {written}"
    )


SIGNALS = [(signal.SIGINT, "SIGINT", 130), (signal.SIGTERM, "SIGTERM", 143)]


@pytest.mark.parametrize(("number", "name", "status"), SIGNALS)
def test_signal_while_the_root_is_trained(wave, tmp_path, number, name, status):
    """The root would take hours; the signal comes when --verbose says that rows are divided. Whether
    there is a model already depends on the moment, but what is said must be what is done."""
    running = subprocess.Popen(
        [
            *[str(BUILD / "ramify"), "train", wave, "--target", "target", "-o", "m"],
            *["--epochs", "100000000", "--verbose"],
        ],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stderr.readline().startswith("ramify: 900 rows train, ")
    running.send_signal(number)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (status, "")
    written = (tmp_path / "m").exists()
    last = err.splitlines()[-1]
    if written:
        assert re.fullmatch(stopped_with(name, "m"), last)
    else:
        assert last == (
            f"ramify: stopped by {name} before there was a model; nothing is written"
        )
    if written:
        assert run_tool("info", "m", "--check", cwd=tmp_path).status == 0
    assert {p.name for p in tmp_path.iterdir()} <= {"m", "wave.csv", "more.csv"}


@pytest.mark.parametrize(("number", "name", "status"), SIGNALS)
def test_signal_keeps_the_best_model(wave, tmp_path, number, name, status):
    """The root is trained in a blink, its children would take hours. How long a blink is depends on
    the machine: wait longer until there was a model. What was there before stays."""
    good = number == signal.SIGTERM
    if good:
        (tmp_path / "m").write_text("a good model")
        (tmp_path / "m.stopped").write_text("stopped late")
    written = "m.stopped2" if good else "m"
    for patience in (0.25, 1, 4, 16, 64):
        running = subprocess.Popen(
            [
                *[str(BUILD / "ramify"), "train", wave, "--target", "target"],
                *["-o", "m", *QUICK, "--child-epochs", "100000000"],
                *["--smallest-node", "100"],
            ],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(timeout=patience)
        running.send_signal(number)
        out, err = running.communicate(timeout=60)
        if (tmp_path / written).exists():
            break
    assert (running.returncode, out) == (status, "")
    assert re.fullmatch(stopped_with(name, written) + "\n", err)
    assert run_tool("info", written, "--check", cwd=tmp_path).status == 0
    earlier = {"m.stopped"} if good else set()
    assert {p.name for p in tmp_path.iterdir()} == {
        "m",
        written,
        "wave.csv",
        "more.csv",
    } | earlier
    assert not good or (tmp_path / "m").read_text() == "a good model"
    assert not good or (tmp_path / "m.stopped").read_text() == "stopped late"


@pytest.mark.parametrize("option", ["--weight", "--group", "--time"])
def test_a_column_whose_name_holds_a_comma(tool, tmp_path, option):
    lines = ['x,z,"w, kg",y']
    lines += [f"{i % 17},{i % 3},{i % 5 + 1},{i % 17 * 2}" for i in range(200)]
    (tmp_path / "t.csv").write_text("\n".join([*lines, ""]))
    train = ["train", "t.csv", "--target", "y", "-o", "m", *QUICK]
    done = tool(*train, option, '"w, kg"')
    assert done.status == 0, done.err
    assert '"w, kg"' not in tool("info", "m").out
    done = tool(*train, option, 'x,"w, kg"')
    assert (done.status, "several" in done.err) == (1, True)


def test_kill_never_leaves_half_a_model(wave, tmp_path):
    """The old model stays whole, whenever a training that would replace it is killed."""
    done = run_tool(
        "train", wave, "--target", "target", "-o", "m", *QUICK, cwd=tmp_path
    )
    assert done.status == 0
    for turn in range(20):
        running = subprocess.Popen(
            [
                *[str(BUILD / "ramify"), "train", wave, "--target", "target"],
                *["-o", "m", "--seed", str(turn), *QUICK],
            ],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
        )
        try:
            running.wait(timeout=0.004 * turn)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
        checked = run_tool("info", "m", "--check", cwd=tmp_path)
        assert checked.status == 0, checked.err


def test_outputs_never_replace_what_is_read(tool, wave, tmp_path):
    """Neither tables nor models nor anything that is no file."""
    before = (tmp_path / wave).read_bytes()
    train = ["train", wave, "--target", "target", *QUICK]
    for output, word in [(wave, "also read"), ("", "empty name"), ("pipe", "regular")]:
        if output == "pipe":
            os.mkfifo(tmp_path / "pipe")
        done = tool(*train, "-o", output)
        assert done.status == 1
        assert word in done.err
    assert tool(*train, "-o", "m.ramify").status == 0
    model = (tmp_path / "m.ramify").read_bytes()
    for words in [
        ["predict", "m.ramify", wave, "-o", wave],
        ["predict", "m.ramify", wave, "-o", "m.ramify"],
        ["export", "m.ramify", "--c", "m.ramify"],
    ]:
        done = tool(*words)
        assert done.status == 1
        assert "also read" in done.err
    (tmp_path / "labels.csv").write_text("l\n" + "1\n2\n" * 500)
    labels = ["train", wave, "--drop", "target", "--labels", "labels.csv", *QUICK]
    done = tool(*labels, "-o", "labels.csv")
    assert (done.status, "also read" in done.err) == (1, True)
    assert (tmp_path / wave).read_bytes() == before
    assert (tmp_path / "m.ramify").read_bytes() == model


def test_a_test_table_that_does_not_fit_is_found_first(tool, wave, tmp_path):
    (tmp_path / "other.csv").write_text("target\n1\n2\n")
    words = [
        "train",
        wave,
        "--target",
        "target",
        "-o",
        "m.ramify",
        "--test",
        "other.csv",
    ]
    done = tool(*words, "--controls", "--verbose", *QUICK)
    assert done.status == 1
    assert "missing" in done.err
    assert "trying" not in done.err
    assert not (tmp_path / "m.ramify").exists()


def test_folds_in_time_order(tool, tmp_path):
    rows = [f"{i},{i % 7},{i % 7 * 2}" for i in range(600)]
    (tmp_path / "t.csv").write_text("\n".join(["when,x,y", *rows, ""]))
    words = ["train", "t.csv", "--target", "y", "--cv", "3", "--time", "when", *QUICK]
    done = tool(*words)
    assert done.status == 0
    assert "nan" not in done.out
    assert "fold 1: nothing comes before it" in done.out
    assert "rmse over 2 folds" in done.out
    folds = read_json(tool(*words, "--json"))["folds"]
    assert folds[0] == {"rows": 0}
    assert all("rmse" in fold for fold in folds[1:])


def test_weights_of_nothing(tool, tmp_path):
    rows = [f"{i % 5},{i % 5 * 2},0" for i in range(300)]
    (tmp_path / "t.csv").write_text("\n".join(["x,y,w", *rows, ""]))
    done = tool("train", "t.csv", "--target", "y", "--weight", "w", "-o", "m", *QUICK)
    assert done.status == 1
    assert 'column "w"' in done.err
    assert "weight 0" in done.err


def test_wide_tables_fit_the_usual_bound(tool, tmp_path):
    """The directions of gradient routing are left out where they would crowd the expert out."""
    names = ",".join(["y", *(f"x{i}" for i in range(200))])
    rows = [",".join(str((i * 7 + j * j) % 11) for j in range(201)) for i in range(200)]
    (tmp_path / "t.csv").write_text("\n".join([names, *rows, ""]))
    quick = ["--epochs", "1", "--child-epochs", "1", "--distillation", "off"]
    done = tool("train", "t.csv", "--target", "y", "-o", "m", *quick)
    assert done.status == 0, done.err


@pytest.mark.parametrize(
    ("distillation", "rows", "taught"),
    [
        ("on", 500, True),
        ("off", 2000, False),
        ("auto", 500, False),
        ("auto", 2000, True),
    ],
)
def test_distillation(tool, tmp_path, distillation, rows, taught):
    """Few rows are not worth teachers, unless these are asked for."""
    lines = ["x1,x2,target"]
    for i in range(rows):
        x1, x2 = i * 7 % 101 / 101, i * 13 % 97 / 97
        lines.append(f"{x1},{x2},{math.sin(6 * x1) * x2}")
    (tmp_path / "t.csv").write_text("\n".join([*lines, ""]))
    words = [
        "train",
        "t.csv",
        "--target",
        "target",
        "-o",
        "m",
        "--distillation",
        distillation,
    ]
    done = tool(*words, "--verbose", *QUICK)
    assert done.status == 0, done.err
    assert ("4 teachers" in done.err) == taught
    with (tmp_path / "m").open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    distilled = json.loads(header["__metadata__"]["ramify.config"])["recipe"][
        "distilled"
    ]
    if distillation != "auto":
        assert distilled == (distillation == "on")


def test_what_does_not_vary(tool, tmp_path):
    """A target without spread has no r2, and is learned in no time; a column without one is named."""
    rows = "".join(f"{i % 13},7,{i % 5},4\n" for i in range(200))
    (tmp_path / "t.csv").write_text(f"a,b,c,y\n{rows}")
    done = tool("train", "t.csv", "--target", "y", "-o", "m", "--epochs", "1000000000")
    assert done.status == 0
    assert done.err.splitlines() == [
        "ramify: warning: t.csv: 1 of 3 columns hold the same value in all rows and tell "
        'nothing (the first is "b")',
        "ramify: warning: t.csv: the target is the same in all training rows: so is every "
        "prediction",
    ]
    assert "report rows rmse 0, mae 0\n" in done.out
    assert "model       1 expert at 1 leaf, " in done.out
    assert set(tool("predict", "m", "t.csv").out.split()) == {"y", "4"}
    done = tool("evaluate", "m", "t.csv")
    assert done.out.startswith("rmse 0, mae 0\n200 rows, ")


@pytest.mark.parametrize(
    ("column", "value", "named"),
    [("b", 1e9, 'column "b" has the value 1e+09'), ("y", -1e9, 'column "y" has')]
    + [("b", 400, None)],
)
def test_a_value_far_from_all_others(tool, tmp_path, column, value, named):
    """One row that hides the spread of all others is told of; a merely large one is not."""
    lines = ["a,b,y"]
    for i in range(200):
        row = {"a": i % 13, "b": i % 7, "y": i % 5}
        if i == 9:
            row[column] = value
        lines.append(",".join(str(cell) for cell in row.values()))
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    words = ["train", "t.csv", "--target", "y", "--kind", "mlp", "--epochs", "1"]
    done = tool(*words, "-o", "m")
    assert done.status == 0
    assert done.err == "" if named is None else named in done.err
