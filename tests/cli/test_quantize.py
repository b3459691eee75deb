"""ramify quantize: models with int8 and bfloat16 weights."""

from __future__ import annotations

import json
import pathlib

import pytest
from conftest import QUICK, run_tool, write_wave

WIDE = ["--hidden", "64,64", "--epochs", "10", "--child-epochs", "2", "--seed", "3"]


@pytest.fixture(scope="module")
def wide(tmp_path_factory) -> pathlib.Path:
    """A folder with a model of wide networks with members, and tables for it."""
    folder = tmp_path_factory.mktemp("quantize")
    write_wave(folder / "wave.csv", 2000, 1)
    write_wave(folder / "test.csv", 500, 2)
    write_wave(folder / "side.csv", 1500, 3, classes=True)
    for data, model, more in (
        ("wave.csv", "wave.ramify", ["--members", "2"]),
        ("side.csv", "side.ramify", ["--members", "1"]),
    ):
        done = run_tool(
            *("train", data, "--target", "target", "-o", model),
            *WIDE,
            *more,
            cwd=folder,
        )
        assert done.status == 0, done.err
    return folder


def evaluate(folder: pathlib.Path, model: str, data: str = "test.csv") -> dict:
    done = run_tool("evaluate", model, data, "--json", cwd=folder)
    assert done.status == 0, done.err
    return json.loads(done.out)


def quantize(folder: pathlib.Path, *words: str) -> dict:
    done = run_tool("quantize", *words, "--json", cwd=folder)
    assert done.status == 0, done.err
    return json.loads(done.out)


@pytest.mark.parametrize(
    ("kind", "smaller", "worse"), [("int8", 2.5, 1.02), ("bf16", 1.5, 1.01)]
)
def test_keeps_the_error(wide, kind, smaller, worse):
    found = quantize(wide, "wave.ramify", "wave.csv", "--type", kind, "-o", f"{kind}.r")
    before, after = evaluate(wide, "wave.ramify"), evaluate(wide, f"{kind}.r")
    assert after["rmse"] < worse * before["rmse"]
    assert after["rmse"] != before["rmse"]
    assert found["type"] == kind and found["error_name"] == "rmse"
    assert found["error"] < worse * found["error_before"]
    assert found["validation_rows"] == 200
    assert found["file_bytes"] == (wide / f"{kind}.r").stat().st_size
    assert found["file_bytes_before"] == (wide / "wave.ramify").stat().st_size
    assert found["resident_bytes"] == after["resident_bytes"]
    assert found["resident_bytes_before"] == before["resident_bytes"]
    assert found["file_bytes"] * smaller < found["file_bytes_before"]
    assert found["resident_bytes"] * 1.3 < found["resident_bytes_before"]


def test_model_is_sound_and_says_what_it_is(wide):
    quantize(wide, "wave.ramify", "wave.csv", "-o", "told.r")
    done = run_tool("info", "told.r", "--check", "--json", cwd=wide)
    assert done.status == 0, done.err
    told = json.loads(done.out)
    assert told["config"]["quantized"]["type"] == "int8"
    assert told["intervals"] and told["novelty"]
    one, many = (
        run_tool(*("predict", "told.r", "test.csv", "--threads", n), cwd=wide).out
        for n in ("1", "2")
    )
    assert one == many and one.count("\n") == 501


def test_same_bytes_for_any_threads(wide):
    for threads in ("1", "2"):
        words = ("-o", f"t{threads}.r", "--threads", threads)
        quantize(wide, "wave.ramify", "wave.csv", *words)
    assert (wide / "t1.r").read_bytes() == (wide / "t2.r").read_bytes()


def test_classes(wide):
    found = quantize(wide, "side.ramify", "side.csv", "-o", "classes.r")
    assert found["error_name"] == "error"
    before = evaluate(wide, "side.ramify", "side.csv")
    after = evaluate(wide, "classes.r", "side.csv")
    assert abs(after["accuracy"] - before["accuracy"]) < 0.005
    assert abs(after["log_loss"] - before["log_loss"]) < 0.01


def test_error_is_that_of_the_model_itself(wide):
    """Of packed networks, not of those that they are unpacked to; a pruned model is not quantised."""
    first = quantize(wide, "wave.ramify", "wave.csv", "-o", "first.r")
    again = quantize(wide, "first.r", "wave.csv", "--type", "bf16", "-o", "again.r")
    assert again["error_before"] == first["error"] != first["error_before"]
    done = run_tool(
        *("prune", "first.r", "wave.csv", "--density", "0.5", "--one-shot", "--json"),
        *("--epochs", "2", "-o", "pruned-first.r"),
        cwd=wide,
    )
    assert done.status == 0, done.err
    assert json.loads(done.out)["dense_error"] == first["error"]
    done = run_tool("info", "pruned-first.r", "--json", cwd=wide)
    assert "quantized" not in json.loads(done.out)["config"]


def test_few_rows_leave_no_intervals(wide):
    lines = (wide / "wave.csv").read_text().splitlines()
    (wide / "few.csv").write_text("\n".join(lines[:20]) + "\n")
    done = run_tool("quantize", "wave.ramify", "few.csv", "-o", "few.r", cwd=wide)
    assert done.status == 0, done.err
    assert "the notes on residuals" in done.err and "are left out" in done.err
    done = run_tool("predict", "few.r", "test.csv", "--interval", "90%", cwd=wide)
    assert done.status == 1 and "with too few validation rows" in done.err


def test_pruned_models_stay_sparse(wide):
    done = run_tool(
        *("prune", "wave.ramify", "wave.csv", "--density", "0.1", "--one-shot"),
        *("--store", "smallest", "--epochs", "3", "-o", "pruned.r"),
        cwd=wide,
    )
    assert done.status == 0, done.err
    smallest = ("--store", "smallest")
    found = quantize(wide, "pruned.r", "wave.csv", *smallest, "-o", "both.r")
    dense = quantize(wide, "wave.ramify", "wave.csv", *smallest, "-o", "one.r")
    assert found["file_bytes"] < 0.75 * found["file_bytes_before"]
    assert found["file_bytes"] < 0.75 * dense["file_bytes"]
    assert evaluate(wide, "both.r")["rmse"] < 1.02 * evaluate(wide, "pruned.r")["rmse"]
    done = run_tool("info", "both.r", "--check", "--json", cwd=wide)
    assert done.status == 0, done.err
    config = json.loads(done.out)["config"]
    assert config["pruning"]["density"] == pytest.approx(0.1, rel=0.01)
    assert config["quantized"]["type"] == "int8"


def test_can_be_quantized_again(wide):
    quantize(wide, "wave.ramify", "wave.csv", "--type", "bf16", "-o", "half.r")
    found = quantize(wide, "half.r", "wave.csv", "-o", "quarter.r")
    assert found["error"] < 1.02 * found["error_before"]
    assert found["file_bytes"] < 0.9 * found["file_bytes_before"]


def test_few_rows_are_enough(wide):
    found = quantize(
        wide, "wave.ramify", "wave.csv", "--calibration", "1", "-o", "nearest.r"
    )
    assert found["error"] < 1.1 * found["error_before"]


def test_prints_what_it_did(wide):
    done = run_tool("quantize", "wave.ramify", "wave.csv", "-o", "p.r", cwd=wide)
    assert done.status == 0 and done.err == ""
    first, second, third = done.out.splitlines()
    assert first.startswith("measured    rmse ")
    assert first.endswith(" on 200 validation rows")
    assert second.startswith("memory      a row needs ")
    assert third.startswith("written     p.r, ")


REFUSED = [
    (
        "wave.ramify wave.csv",
        2,
        "ramify quantize: -o OUT is missing: the model to write",
    ),
    (
        "wave.ramify -o x.r",
        2,
        "ramify quantize: an argument is missing "
        "(usage: ramify quantize MODEL DATA -o OUT)",
    ),
    (
        "wave.ramify wave.csv --type int4 -o x.r",
        2,
        'ramify quantize: --type "int4": must be int8 or bf16',
    ),
    (
        "wave.ramify wave.csv -o wave.ramify",
        1,
        "ramify: wave.ramify: is also read, as wave.ramify: write to another file",
    ),
    (
        "wave.ramify none.csv -o x.r",
        1,
        "ramify: none.csv: cannot be opened (No such file or directory)",
    ),
]


@pytest.mark.parametrize(("words", "status", "sentence"), REFUSED)
def test_refuses(wide, words, status, sentence):
    done = run_tool("quantize", *words.split(), cwd=wide)
    assert done.status == status and sentence in done.err
    assert done.err.count("\n") == 1 and not (wide / "x.r").exists()


def test_refuses_other_kinds(tmp_path):
    write_wave(tmp_path / "wave.csv", 300, 1)
    small = ["--depth", "1", "--width", "16", "--heads", "2", "--branches", "1"]
    for kind, more, sentence in (
        ("paraformer", [*small, "--epochs", "1"], "of kind paraformer cannot be quant"),
        (
            "nyquist",
            ["--drop", "colour"],
            "its modules are series, which have no weights",
        ),
    ):
        done = run_tool(
            *("train", "wave.csv", "--target", "target", "--kind", kind, "-o", "m.r"),
            *more,
            cwd=tmp_path,
        )
        assert done.status == 0, done.err
        done = run_tool("quantize", "m.r", "wave.csv", "-o", "x.r", cwd=tmp_path)
        assert done.status == 1 and sentence in done.err, done.err
        assert done.err.count("\n") == 1 and not (tmp_path / "x.r").exists()


def test_networks_beside_narrow_layers(tmp_path):
    """A network of eight units, of which nearly all is padding."""
    write_wave(tmp_path / "wave.csv", 600, 1)
    done = run_tool(
        *("train", "wave.csv", "--target", "target", "-o", "m.r", *QUICK), cwd=tmp_path
    )
    assert done.status == 0, done.err
    for kind in ("int8", "bf16"):
        words = ("m.r", "wave.csv", "--type", kind, "-o", "q.r")
        done = run_tool("quantize", *words, cwd=tmp_path)
        assert done.status == 0, done.err
        done = run_tool("info", "--check", "q.r", cwd=tmp_path)
        assert done.status == 0, done.err


def test_exports_are_of_the_model_before(wide):
    quantize(wide, "wave.ramify", "wave.csv", "-o", "packed.r")
    done = run_tool("export", "packed.r", "--c", "packed.c", cwd=wide)
    assert done.status == 1
    assert "export the model that this one was quantised from" in done.err
    assert not (wide / "packed.c").exists()


def test_help_says_whose_seed(wide):
    done = run_tool("quantize", "--help", cwd=wide)
    (line,) = [line for line in done.out.splitlines() if "--seed" in line]
    assert line.endswith("[the training's]")
