"""ramify info and ramify export."""

from __future__ import annotations

import csv
import ctypes
import json
import os
import subprocess

import pytest
from conftest import Made
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
    side = json.loads(tool("info", made.side, "--json", "--check").out)
    assert side["task"] == "classification" and side["classes"] == ["high", "low"]
    assert side["checked"] is True


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
