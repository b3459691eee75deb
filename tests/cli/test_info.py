"""ramify info and ramify export."""

from __future__ import annotations

import csv
import ctypes
import json
import os
import re
import subprocess

import pytest
from conftest import QUICK, Made
from test_install import category

KEYS = {
    "kind",
    "task",
    "columns",
    "targets",
    "leaves",
    "modules",
    "parameters",
    "active_parameters",
    "resident_bytes",
    "path_bytes",
    "module_bytes",
    "file_bytes",
    "intervals",
    "novelty",
    "config",
}


def test_json(tool, made: Made):
    done = tool("info", made.wave, "--json")
    assert done.status == 0 and done.err == ""
    info = json.loads(done.out)
    assert KEYS <= info.keys() and "checked" not in info and "classes" not in info
    assert info["kind"] == "pathways" and info["task"] == "regression"
    assert info["columns"] == ["x", "y", "colour"] and info["targets"] == ["target"]
    assert info["file_bytes"] == made.wave.stat().st_size
    assert isinstance(info["config"], dict)
    assert info["modules"] <= info["leaves"]
    assert info["intervals"] is True and info["novelty"] is True
    side = json.loads(tool("info", made.side, "--json", "--check").out)
    assert side["task"] == "classification" and side["classes"] == ["high", "low"]
    assert side["checked"] is True
    assert side["intervals"] is False and side["novelty"] is True


def test_text(tool, made: Made):
    done = tool("info", made.side, "--check")
    assert done.status == 0 and done.err == ""
    lines = done.out.splitlines()
    assert lines[0] == "kind        pathways, classification"
    assert lines[1] == "columns     x, y, colour"
    assert lines[2] == "predicts    target"
    assert lines[3] == "classes     high, low"
    assert lines[-1] == "checked     every node and every expert is sound"
    assert "checked" not in tool("info", made.side).out
    assert "notes       for novelty" in lines
    wave = tool("info", made.wave).out.splitlines()
    assert "notes       for intervals and novelty" in wave


def test_importance(tool, made: Made):
    """The word moves the target most; --json says the same, sorted; threads change nothing."""
    words = ["info", made.wave, "--importance", made.test, "--json"]
    done = tool(*words, "--repeats", "3", "--seed", "7", "--threads", "1")
    assert done.status == 0 and done.err == ""
    info = json.loads(done.out)
    assert KEYS <= info.keys()
    names = [entry["name"] for entry in info["importance"]]
    assert sorted(names) == ["colour", "x", "y"] and names[0] == "colour"
    increases = [entry["increase"] for entry in info["importance"]]
    assert increases == sorted(increases, reverse=True)
    assert all(0 < entry["sd"] < entry["increase"] for entry in info["importance"])
    assert all(
        entry.keys() == {"name", "increase", "sd"} for entry in info["importance"]
    )
    evaluated = json.loads(tool("evaluate", made.wave, made.test, "--json").out)
    base = info["importance_from"]
    assert base["rows"] == 300 and base["repeats"] == 3
    assert base["rmse"] == pytest.approx(evaluated["rmse"], rel=1e-12)

    threads = tool(*words, "--repeats", "3", "--seed", "7", "--threads", "3")
    assert threads.out == done.out
    bound = ["--resident", str(info["resident_bytes"])]
    assert tool(*words, "--repeats", "3", "--seed", "7", *bound).out == done.out
    assert tool(*words, "--repeats", "3").out != done.out

    text = tool(*words[:-1], "--repeats", "3", "--seed", "7")
    assert text.status == 0 and text.err == ""
    lines = [line.split() for line in text.out.splitlines()[-3:]]
    assert [line[2] for line in lines] == names
    assert [float(line[0]) for line in lines] == pytest.approx(increases, rel=1e-5)


def test_importance_of_classes_and_targets(tool, made: Made, tmp_path):
    words = ["info", made.side, "--importance", made.side_test]
    info = json.loads(tool(*words, "--json").out)
    for entry in info["importance"]:
        assert entry["increase"] > 0 and 0 < entry["accuracy_drop"] < 1
        assert entry["accuracy_sd"] < entry["accuracy_drop"]
    assert {"rows", "repeats", "accuracy", "log_loss"} == info["importance_from"].keys()
    lines = tool(*words).out.splitlines()
    assert lines[-4].split() == ["log", "loss", "sd", "accuracy", "sd", "column"]
    assert [line.split()[4] for line in lines[-3:]] == [
        entry["name"] for entry in info["importance"]
    ]

    # Two targets, each of which is one of the columns.
    rows = [f"{i % 7},{i % 11},{i % 7},{i % 11 * 10}" for i in range(600)]
    (tmp_path / "two.csv").write_text("\n".join(["a,b,p,q", *rows]) + "\n")
    words = ["train", "two.csv", "--target", "p,q", "-o", "m", "--hidden", "16"]
    assert tool(*words, "--epochs", "60", "--leaves", "1").status == 0
    info = json.loads(tool("info", "m", "--importance", "two.csv", "--json").out)
    by_name = {entry["name"]: entry for entry in info["importance"]}
    worth = {
        (name, target["name"]): target["increase"]
        for name, entry in by_name.items()
        for target in entry["targets"]
    }
    assert worth["a", "p"] > 1 > 10 * abs(worth["b", "p"])
    assert worth["b", "q"] > 20 > 20 * abs(worth["a", "q"])
    assert by_name["b"]["increase"] > by_name["a"]["increase"]


def test_importance_needs_targets(tool, made: Made, tmp_path):
    """What fails leaves nothing on standard output."""
    (tmp_path / "bare.csv").write_text("x,y,colour\n1,2,red\n")
    done = tool("info", made.wave, "--importance", "bare.csv")
    assert done.status == 1 and done.out == "" and done.err.count("\n") == 1
    assert 'target column "target" is missing' in done.err


def test_theory(tool, made: Made):
    done = tool("info", made.wave, "--theory", "--epsilon", "0.001", "--json")
    assert done.status == 0 and done.err == ""
    info = json.loads(done.out)
    theory = info["theory"]
    assert theory["constants"] == "unknown" and theory["epsilon"] == 0.001
    assert theory["dimension"] == 3
    assert theory["leaf_weights"] == pytest.approx(1e3)
    assert theory["leaves"] == pytest.approx(1e3)
    assert theory["total_weights_log10"] == pytest.approx(6)
    assert theory["network_weights_log10"] == pytest.approx(4.5)
    assert "moves to disk" in theory["note"]
    assert theory["model"]["experts"] == info["modules"]
    assert theory["model"]["vc_width"] < theory["model"]["vc_weights"]

    text = tool("info", made.wave, "--theory", "--epsilon", "0.001").out
    assert "their constants are unknown" in text and "moves to disk" in text
    assert "leaves                            1,000  max{1, e^(2-n)}" in text
    assert re.search(r"W read as width .* L max\{n L, J W\} +paper\n", text)
    done = tool("info", made.wave, "--theory", "--epsilon", "0.6")
    assert done.status == 2 and done.out == ""
    assert done.err.startswith(
        "ramify: epsilon is 0.6: must be above 0 and at most 0.5"
    )


def test_theory_of_images(tool, tmp_path):
    """Numbers beyond a double are null, with their logarithm, and powers of ten in text."""
    names = [f"p{i}" for i in range(500)]
    rows = [",".join(str((i * j) % 5) for j in range(501)) for i in range(40)]
    (tmp_path / "wide.csv").write_text(
        "\n".join([",".join([*names, "y"]), *rows]) + "\n"
    )
    words = ["train", "wide.csv", "--target", "y", "-o", "m", "--hidden", "4"]
    done = tool(*words, "--epochs", "1", "--resident", "none")
    assert done.status == 0, done.err
    theory = json.loads(tool("info", "m", "--theory", "--json").out)["theory"]
    assert theory["leaves"] is None
    assert theory["leaves_log10"] == pytest.approx(996)
    assert " 10^996 " in tool("info", "m", "--theory").out


def test_check_finds_a_flipped_bit(tool, made: Made, tmp_path):
    """The last tensor byte that is not padding belongs to an expert; its checksum tells."""
    content = bytearray(made.wave.read_bytes())
    last = max(i for i, byte in enumerate(content) if byte != 0)
    content[last] ^= 1
    (tmp_path / "damaged").write_bytes(content)
    done = tool("info", "damaged", "--check")
    assert done.status == 1 and done.out == ""
    assert done.err.startswith("ramify: damaged: ") and done.err.count("\n") == 1


def compile_shared(source, library) -> ctypes.CDLL:
    subprocess.run(
        [
            *["cc", "-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC"],
            *["-shared", str(source), "-lm", "-o", str(library)],
        ],
        check=True,
    )
    return ctypes.CDLL(str(library))


@pytest.mark.parametrize("which", ["wave", "side"])
def test_export_computes_the_same(tool, made: Made, tmp_path, which):
    model, test = {
        "wave": (made.wave, made.test),
        "side": (made.side, made.side_test),
    }[which]
    done = tool("export", model, "--c", "model.c", "--name", "run_it")
    assert (done.status, done.out, done.err) == (0, "", "")
    source = (tmp_path / "model.c").read_text()
    for word in ("malloc", "fopen", "stdlib.h", "stdio.h"):
        assert word not in source
    run = compile_shared(tmp_path / "model.c", tmp_path / "model.so").run_it
    outputs = 1 if which == "wave" else 2
    words = ["predict", model, test] + (["--proba"] if which == "side" else [])
    lines = list(csv.reader(tool(*words).out.splitlines()))[1:]
    with test.open() as file:
        rows = list(csv.DictReader(file))
    codes = {c: category(made, c) for c in ("red", "green", "blue")}
    if which == "side":
        codes = None
    for row, line in zip(rows, lines, strict=True):
        code = codes[row["colour"]] if codes else side_category(made, row["colour"])
        x = (ctypes.c_float * 3)(float(row["x"]), float(row["y"]), code)
        y = (ctypes.c_float * outputs)()
        run(x, y)
        expected = [float(text) for text in line[-outputs:]]
        assert list(y) == pytest.approx(expected, rel=2e-4, abs=2e-5)


def side_category(made: Made, text: str) -> int:
    with made.side_train.open() as file:
        colours = [row["colour"] for row in csv.DictReader(file)]
    order = sorted(set(colours), key=lambda c: (-colours.count(c), c))
    return order.index(text)


@pytest.mark.parametrize("kind_of_file", ["--c", "--onnx"])
def test_export_replaces_nothing_but_files(tool, made: Made, tmp_path, kind_of_file):
    """Links lead to what is replaced; its mode stays; pipes and folders are refused."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "aim.c").write_text("old")
    (tmp_path / "aim.c").chmod(0o640)
    (tmp_path / "link.c").symlink_to("aim.c")
    for place, kind in (("folder", "a folder"), ("pipe", "not a regular file")):
        done = tool("export", made.wave, kind_of_file, place)
        assert (done.status, done.err) == (
            1,
            f"ramify: {place}: is {kind}; name a file\n",
        )
    assert tool("export", made.wave, kind_of_file, "link.c").status == 0
    assert (tmp_path / "link.c").is_symlink()
    assert (tmp_path / "aim.c").read_bytes() != b"old"
    assert (tmp_path / "aim.c").stat().st_mode & 0o777 == 0o640
    (tmp_path / "lost.c").symlink_to("nowhere/x")
    done = tool("export", made.wave, kind_of_file, "lost.c")
    assert (done.status, done.err) == (
        1,
        "ramify: lost.c: cannot follow the link: No such file or directory\n",
    )


def test_export_refuses_bad_names_and_places(tool, made: Made):
    done = tool("export", made.wave, "--c", "m.c", "--name", "1st")
    assert done.status == 2 and done.err.count("\n") == 1 and '"1st"' in done.err
    done = tool("export", made.wave, "--c", "nowhere/m.c")
    assert done.status == 1 and done.err.count("\n") == 1
    assert "nowhere/m.c" in done.err


def test_names_do_not_command_the_terminal(tool, tmp_path):
    """Column names of a file are shown without control characters, also two-byte ones."""
    rows = "".join(f"{i},{i % 7},{i + i % 7}\n" for i in range(60))
    (tmp_path / "t.csv").write_text(f"a\x1b[2J,b\x9bm,t\x07\n{rows}", encoding="utf-8")
    words = ["train", "t.csv", "--target", "t\x07", "-o", "m", *QUICK]
    assert tool(*words).status == 0
    done = tool("info", "m", "--importance", "t.csv")
    assert done.status == 0
    assert "columns     a?[2J, b?m\n" in done.out and "predicts    t?\n" in done.out
    assert not any(ord(c) < 32 and c != "\n" or 127 <= ord(c) < 160 for c in done.out)
