"""ramify predict and ramify evaluate."""

from __future__ import annotations

import csv
import io
import json
import math
import pathlib
import re
import resource
import subprocess

import pytest
from conftest import BUILD, QUICK, Made, run_tool


def rows_of(path: pathlib.Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def predicted(done) -> list[list[str]]:
    assert done.status == 0, done.err
    return list(csv.reader(io.StringIO(done.out)))


def test_regression(tool, made: Made):
    lines = predicted(tool("predict", made.wave, made.test))
    assert lines[0] == ["target"]
    assert len(lines) == 301 and all(len(line) == 1 for line in lines)
    for (text,) in lines[1:]:
        assert f"{float(text):.9g}" == text


def test_classes_and_probabilities(tool, made: Made):
    plain = predicted(tool("predict", made.side, made.side_test))
    full = predicted(tool("predict", made.side, made.side_test, "--proba"))
    assert plain[0] == ["target"]
    assert full[0] == ["target", "p_high", "p_low"]
    for (name,), (same, high, low) in zip(plain[1:], full[1:], strict=True):
        assert name == same == ("high" if float(high) >= float(low) else "low")
        assert float(high) + float(low) == pytest.approx(1.0, abs=1e-6)


def test_output_file(tool, made: Made, tmp_path):
    shown = tool("predict", made.wave, made.test)
    done = tool("predict", made.wave, made.test, "-o", "p.csv")
    assert (done.status, done.out) == (0, "")
    assert (tmp_path / "p.csv").read_text() == shown.out
    done = tool("predict", made.wave, made.test, "-o", "p.csv")
    assert (done.status, sorted(p.name for p in tmp_path.iterdir())) == (0, ["p.csv"])
    # What is no plain file is written in place.
    (tmp_path / "link").symlink_to("aim.csv")
    done = tool("predict", made.wave, made.test, "-o", "link")
    assert (done.status, (tmp_path / "aim.csv").read_text()) == (0, shown.out)
    done = tool("predict", made.wave, made.test, "-o", "nowhere/p.csv")
    assert (done.status, done.err) == (
        1,
        "ramify: nowhere/p.csv: cannot be written (No such file or directory)\n",
    )
    done = tool("predict", made.wave, made.test, "-o", "/dev/full")
    assert (done.status, done.err) == (
        1,
        "ramify: /dev/full: cannot be written (No space left on device)\n",
    )


def test_cost_as_json(tool, made: Made):
    words = ["predict", made.wave, made.test, "-o", "p.csv", "--json"]
    done = tool(*words)
    assert done.status == 0, done.err
    cost = json.loads(done.out)
    assert cost.keys() >= {
        "rows",
        "peak_resident_bytes",
        "hits",
        "misses",
        "bytes_read",
    }
    assert cost["rows"] == 300 and cost["bytes_read"] > 0
    need = json.loads(tool("info", made.wave, "--json").out)["resident_bytes"]
    bounded = json.loads(tool(*words, "--resident", str(need)).out)
    assert bounded["peak_resident_bytes"] <= need
    told = tool(*words, "--resident", str(need), "--verbose").err
    assert "ramify: held at most " in told and f" {bounded['misses']:,} read (" in told


def test_holding_the_model_otherwise_changes_nothing(tool, made: Made):
    need = json.loads(tool("info", made.wave, "--json").out)["resident_bytes"]
    usual = predicted(tool("predict", made.wave, made.test))
    for words in (
        ["--access", "mmap"],
        ["--access", "read"],
        ["--resident", str(need)],
        ["--resident", str(need), "--threads", "3"],
        ["--resident", str(need + 100000), "--access", "mmap"],
        ["--threads", "1"],
        ["--threads", "3"],
    ):
        assert predicted(tool("predict", made.wave, made.test, *words)) == usual


def test_several_experts_blend(tool, made: Made):
    info = json.loads(tool("info", made.wave, "--json").out)
    assert info["leaves"] > 1
    alone = predicted(tool("predict", made.wave, made.test, "--top-k", "1"))
    assert alone == predicted(tool("predict", made.wave, made.test))
    several = predicted(tool("predict", made.wave, made.test, "--top-k", "4"))
    moved = [a != b for a, b in zip(alone[1:], several[1:], strict=True)]
    assert 0 < sum(moved) < len(moved)
    again = predicted(
        tool("predict", made.wave, made.test, "--top-k", "4", "--threads", "1")
    )
    assert again == several
    rmse = [
        json.loads(tool("evaluate", made.wave, made.test, "--json", "--top-k", k).out)[
            "rmse"
        ]
        for k in ("1", "4")
    ]
    assert rmse[0] != rmse[1] < 1.2 * rmse[0]


def test_intervals(tool, made: Made):
    plain = predicted(tool("predict", made.wave, made.test))
    truth = [float(row["target"]) for row in rows_of(made.test)]
    width = 0.0
    for level, words in ((0.5, "50%"), (0.8, "0.8"), (0.9, "90%")):
        lines = predicted(tool("predict", made.wave, made.test, "--interval", words))
        assert lines[0] == ["target", "target_low", "target_high"]
        assert [line[:1] for line in lines] == plain
        bounds = [[float(cell) for cell in line[1:]] for line in lines[1:]]
        held = [a <= t <= b for t, (a, b) in zip(truth, bounds, strict=True)]
        assert abs(sum(held) / 300 - level) < 0.12
        wide = sum(b - a for a, b in bounds) / 300
        assert wide > width
        width = wide
        done = tool("evaluate", made.wave, made.test, "--interval", words, "--json")
        told = json.loads(done.out)["interval"]
        assert told["level"] == pytest.approx(level)
        assert told["coverage"] == pytest.approx(sum(held) / 300)
        assert told["width"] == pytest.approx(wide, rel=1e-6)
    text = tool("evaluate", made.wave, made.test, "--interval", "90%").out
    coverage, wide = told["coverage"] * 100, told["width"]
    line = f", 90% intervals hold {coverage:.2f}% and are {wide:.6g} wide"
    assert text.splitlines()[0].endswith(line)
    assert "interval" not in json.loads(
        tool("evaluate", made.wave, made.test, "--json").out
    )


def test_intervals_of_several_targets(tool, made: Made):
    words = ["train", made.train, "--target", "target,y", "-o", "m", *QUICK]
    assert tool(*words).status == 0
    lines = predicted(tool("predict", "m", made.test, "--interval", "0.9", "--novelty"))
    assert lines[0] == [
        "target",
        "target_low",
        "target_high",
        "y",
        "y_low",
        "y_high",
        "novelty",
    ]
    for line in lines[1:]:
        first, low, high, second, below, above, novelty = map(float, line)
        assert low < first < high and below < second < above and 0 <= novelty <= 1
    done = tool("evaluate", "m", made.test, "--interval", "0.9", "--json")
    score = json.loads(done.out)
    assert "interval" not in score
    for target in score["targets"]:
        assert target["interval"].keys() == {"level", "coverage", "width"}
        assert target["interval"]["coverage"] > 0.75
    lines = tool("evaluate", "m", made.test, "--interval", "0.9").out.splitlines()
    assert "intervals" not in lines[0]
    assert all("90% intervals hold" in line for line in lines[1:3])


def test_names_are_quoted_whole(tool, made: Made, tmp_path):
    text = made.train.read_text().replace("target", '"how far, m"', 1)
    (tmp_path / "t.csv").write_text(text)
    words = ["train", "t.csv", "--target", '"how far, m"', "-o", "m", *QUICK]
    assert tool(*words).status == 0
    lines = predicted(tool("predict", "m", "t.csv", "--interval", "0.9"))
    assert lines[0] == ["how far, m", "how far, m_low", "how far, m_high"]


def test_novelty(tool, made: Made, tmp_path):
    for model, table in ((made.wave, made.test), (made.side, made.side_test)):
        plain = predicted(tool("predict", model, table))
        lines = predicted(tool("predict", model, table, "--novelty"))
        assert lines[0] == ["target", "novelty"]
        assert [line[:1] for line in lines] == plain
        novelty = [float(line[-1]) for line in lines[1:]]
        assert all(0 <= value <= 1 for value in novelty)
        assert 0.35 < sum(novelty) / 300 < 0.65
        (tmp_path / "far.csv").write_text("x,y,colour\n40,-30,red\n-50,50,blue\n")
        lines = predicted(tool("predict", model, "far.csv", "--novelty"))
        assert [line[-1] for line in lines[1:]] == ["1", "1"]


def test_notes_however_the_model_is_held(tool, made: Made):
    words = ["predict", made.wave, made.test, "--interval", "90%", "--novelty"]
    need = json.loads(tool("info", made.wave, "--json").out)["resident_bytes"]
    usual = predicted(tool(*words))
    for more in (["--access", "mmap"], ["--threads", "1"], ["--threads", "3"]):
        assert predicted(tool(*words, *more)) == usual
    # The bound holds for all of it: what a row needs is more with intervals.
    done = tool(*words, "--resident", str(need))
    assert done.status == 1 and "one row needs" in done.err
    more = int(re.search(r"one row needs (\d+) bytes", done.err).group(1))
    assert need < more < need + 10000
    done = tool(*words, "--resident", str(more), "-o", "p.csv", "--json")
    assert json.loads(done.out)["peak_resident_bytes"] <= more
    assert predicted(tool(*words, "--resident", str(more), "--threads", "3")) == usual


def test_intervals_that_cannot_be(tool, made: Made):
    for verb in ("predict", "evaluate"):
        done = tool(verb, made.side, made.side_test, "--interval", "90%")
        assert (done.status, done.out) == (2, "")
        assert "--interval needs a regression" in done.err
        for level in ("1", "0", "90"):
            done = tool(verb, made.wave, made.test, "--interval", level)
            assert (done.status, done.out) == (2, "")
            assert f"--interval {level}: must lie between 0 and 1" in done.err
        done = tool(verb, made.wave, made.test, "--interval", "99.9%")
        assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
        assert (
            "an interval of 99.9% needs more rows than the 100 that its residuals were "
            "measured on: ask for at most 98.01%, or train with more rows"
        ) in done.err
        done = tool(verb, made.wave, made.test, "--interval", "98.01%")
        assert done.status == 0
    assert (
        "--proba says how sure"
        in tool("predict", made.side, made.side_test, "--interval", ".5").err
    )


def test_a_bound_too_low_is_refused(tool, made: Made):
    done = tool("predict", made.wave, made.test, "--resident", "100")
    assert done.status == 1 and done.out == ""
    assert done.err.count("\n") == 1 and "100" in done.err


def test_a_row_alone_is_the_row_in_a_batch(tool, made: Made, tmp_path):
    lines = made.test.read_text().splitlines()
    together = predicted(tool("predict", made.wave, made.test))
    for row in (1, 57, 300):
        (tmp_path / "one.csv").write_text(f"{lines[0]}\n{lines[row]}\n")
        assert predicted(tool("predict", made.wave, "one.csv"))[1] == together[row]


def test_columns_are_matched_by_name(tool, made: Made, tmp_path):
    usual = predicted(tool("predict", made.wave, made.test))
    rows = rows_of(made.test)
    turned = ["colour", "y", "x"]
    (tmp_path / "turned.csv").write_text(
        "\n".join([",".join(turned)] + [",".join(r[c] for c in turned) for r in rows])
        + "\n"
    )
    done = tool("predict", made.wave, "turned.csv")
    assert predicted(done) == usual and done.err == ""

    extra = ["x", "id", "y", "colour"]
    (tmp_path / "extra.csv").write_text(
        "\n".join(
            [",".join(extra)]
            + [f"{r['x']},{i % 7},{r['y']},{r['colour']}" for i, r in enumerate(rows)]
        )
        + "\n"
    )
    done = tool("predict", made.wave, "extra.csv")
    assert predicted(done) == usual
    assert done.err.startswith("ramify: warning: ") and "id" in done.err

    (tmp_path / "less.csv").write_text("x,colour\n1,red\n")
    done = tool("predict", made.wave, "less.csv")
    assert done.status == 1 and done.out == ""
    assert done.err.count("\n") == 1 and '"y"' in done.err and "less.csv" in done.err


def test_probabilities_of_a_number_are_refused(tool, made: Made):
    done = tool("predict", made.wave, made.test, "--proba")
    assert (done.status, done.err) == (
        2,
        "ramify predict: --proba needs a classification; this model's target is a number\n",
    )


def test_names_that_need_quotes(tool, tmp_path):
    names = ["a,b", 'say "x"', "plain"]
    lines = ["x,what"]
    for i in range(600):
        quoted = names[i % 3].replace('"', '""')
        lines.append(f'{i % 3 + 0.001 * (i % 7)},"{quoted}"')
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    done = tool("train", "t.csv", "--target", "what", "-o", "m", *QUICK)
    assert done.status == 0, done.err
    shown = predicted(tool("predict", "m", "t.csv", "--proba"))
    assert shown[0] == ["what", *("p_" + name for name in sorted(names))]
    assert {line[0] for line in shown[1:]} <= set(names)


def test_evaluate_agrees_with_predict(tool, made: Made):
    done = tool("evaluate", made.wave, made.test, "--json")
    assert done.status == 0 and done.err == ""
    score = json.loads(done.out)
    assert score.keys() >= {
        "rows",
        "rows_per_second",
        "resident_bytes",
        "rmse",
        "mae",
        "r2",
    }
    truth = [float(row["target"]) for row in rows_of(made.test)]
    lines = predicted(tool("predict", made.wave, made.test))[1:]
    errors = [float(text) - t for (text,), t in zip(lines, truth, strict=True)]
    mean = sum(truth) / len(truth)
    squares = sum(e * e for e in errors)
    assert score["rows"] == 300 and "targets" not in score
    assert score["rmse"] == pytest.approx(math.sqrt(squares / 300), rel=1e-6)
    assert score["mae"] == pytest.approx(sum(map(abs, errors)) / 300, rel=1e-6)
    total = sum((t - mean) ** 2 for t in truth)
    assert score["r2"] == pytest.approx(1 - squares / total, rel=1e-6)
    text = tool("evaluate", made.wave, made.test).out
    assert text.startswith(f"rmse {score['rmse']:.6g}, mae ")
    assert text.splitlines()[1].startswith("300 rows, ")


def test_evaluate_classes(tool, made: Made):
    score = json.loads(tool("evaluate", made.side, made.side_test, "--json").out)
    truth = [row["target"] for row in rows_of(made.side_test)]
    lines = predicted(tool("predict", made.side, made.side_test, "--proba"))
    right = sum(line[0] == t for line, t in zip(lines[1:], truth, strict=True))
    assert score["accuracy"] == pytest.approx(right / 300)
    loss = -sum(
        math.log(float(line[1 if t == "high" else 2]))
        for line, t in zip(lines[1:], truth, strict=True)
    )
    assert score["log_loss"] == pytest.approx(loss / 300, rel=1e-4)
    assert "rmse" not in score


def test_evaluate_several_targets(tool, made: Made):
    words = ["train", made.train, "--target", "target,y", "-o", "m", *QUICK]
    assert tool(*words).status == 0
    score = json.loads(tool("evaluate", "m", made.test, "--json").out)
    first, second = score["targets"]
    assert (first["name"], second["name"]) == ("target", "y")
    both = math.sqrt((first["rmse"] ** 2 + second["rmse"] ** 2) / 2)
    assert score["rmse"] == pytest.approx(both, rel=1e-9)
    assert score["mae"] == pytest.approx((first["mae"] + second["mae"]) / 2)
    assert score["r2"] == pytest.approx((first["r2"] + second["r2"]) / 2)
    lines = predicted(tool("predict", "m", made.test))
    assert lines[0] == ["target", "y"]


def test_evaluate_skips_rows_without_a_target(tool, made: Made, tmp_path):
    lines = made.test.read_text().splitlines()
    lines[5] = lines[5].rsplit(",", 1)[0] + ",NA"
    (tmp_path / "gap.csv").write_text("\n".join(lines) + "\n")
    done = tool("evaluate", made.wave, "gap.csv", "--json")
    assert done.status == 0
    assert json.loads(done.out)["rows"] == 299


def test_evaluate_refuses_what_it_cannot_compare(tool, made: Made, tmp_path):
    (tmp_path / "bare.csv").write_text("x,y,colour\n1,1,red\n")
    done = tool("evaluate", made.wave, "bare.csv")
    assert done.status == 1 and done.err.count("\n") == 1
    assert '"target"' in done.err and "bare.csv" in done.err

    (tmp_path / "new.csv").write_text("x,y,colour,target\n1,1,red,sideways\n")
    done = tool("evaluate", made.side, "new.csv")
    assert done.status == 1 and done.err.count("\n") == 1
    assert '"sideways"' in done.err and "new.csv" in done.err


def test_files_that_are_no_models(tool, made: Made, tmp_path):
    for verb in (["predict"], ["evaluate"], ["info"], ["export"]):
        more = {"info": [], "export": ["--c", "out.c"]}.get(verb[0], [made.test])
        done = tool(*verb, "none.ramify", *more)
        assert done.status == 1 and done.out == ""
        assert done.err.startswith("ramify: none.ramify: "), done.err
        assert "No such file or directory" in done.err
        done = tool(*verb, made.train, *more)
        assert done.status == 1 and done.out == ""
        assert done.err.startswith(f"ramify: {made.train}: "), done.err
        assert done.err.count("\n") == 1
    assert not (tmp_path / "out.c").exists()


def test_predicting_from_standard_input(made: Made):
    usual = run_tool("predict", made.wave, made.test).out
    done = run_tool("predict", made.wave, "-", stdin=made.test.read_text())
    assert done.out == usual and done.err == ""


def run_into_full(*words: str | pathlib.Path) -> subprocess.CompletedProcess[str]:
    """Standard output is a disk that is full."""
    with open("/dev/full", "w") as full:
        return subprocess.run(
            [BUILD / "ramify", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )


def run_limited(folder: pathlib.Path, *words: object, room: int = 20_000):
    """No file may become longer than `room`."""
    return subprocess.run(
        [BUILD / "ramify", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )


def test_full_disk_behind_the_buffer(tool, made: Made, tmp_path):
    """The reason of the write that failed, not of a later one; nothing is left."""
    lines = pathlib.Path(made.test).read_text().splitlines()
    table = tmp_path / "long.csv"
    table.write_text("\n".join([lines[0], *lines[1:] * 200]) + "\n")

    done = run_limited(tmp_path, "predict", made.wave, table, "-o", "p.csv")
    assert (done.returncode, done.stderr) == (
        1,
        "ramify: p.csv: cannot be written (File too large)\n",
    )
    assert [p.name for p in tmp_path.iterdir()] == ["long.csv"]


def test_limit_on_file_sizes(made: Made, tmp_path):
    """It is met as a full disk is: one sentence, and nothing is left."""
    train = ["train", made.train, "--target", "target", "-o", "m.ramify", *QUICK]
    export = ["export", made.wave, "--c", "m.c"]
    for words, file in ((train, "m.ramify"), (export, "m.c")):
        done = run_limited(tmp_path, *words, room=2000)
        assert (done.returncode, done.stderr) == (
            1,
            f"ramify: {file}: cannot write the file: File too large\n",
        )
        assert list(tmp_path.iterdir()) == []


def test_keeps_the_mode(tool, made: Made, tmp_path):
    (tmp_path / "p.csv").write_text("old")
    (tmp_path / "p.csv").chmod(0o600)
    assert tool("predict", made.wave, made.test, "-o", "p.csv").status == 0
    assert (tmp_path / "p.csv").read_text() != "old"
    assert (tmp_path / "p.csv").stat().st_mode & 0o777 == 0o600


def test_full_disk(made: Made):
    """The reason is given, and standard output is watched too."""
    predict = ["predict", made.wave, made.test]
    for words in [[*predict, "-o", "/dev/full"], predict]:
        done = run_into_full(*words)
        assert done.returncode == 1
        assert "No space left" in done.stderr
    done = run_into_full("evaluate", made.wave, made.test)
    assert done.returncode == 1
    assert "standard output" in done.stderr


def test_no_targets_to_compare_with(tool, made: Made, tmp_path):
    model, table = made.wave, made.test
    lines = pathlib.Path(table).read_text().splitlines()
    at = lines[0].split(",").index("target")
    cells = [line.split(",") for line in lines]
    for row in cells[2:]:
        row[at] = ""
    (tmp_path / "some.csv").write_text("\n".join(",".join(row) for row in cells) + "\n")
    done = tool("evaluate", model, "some.csv")
    assert done.status == 0
    assert f"{len(cells) - 2} rows without a target are left out" in done.err
    cells[1][at] = ""
    (tmp_path / "none.csv").write_text("\n".join(",".join(row) for row in cells) + "\n")
    done = tool("evaluate", model, "none.csv")
    assert done.status == 1
    assert "no row has a target" in done.err


def test_a_header_without_rows(tool, made: Made, tmp_path):
    """No rows are as good an input as any for predicting; there is nothing to score in them."""
    (tmp_path / "none.csv").write_text("x,y,colour\n")
    (tmp_path / "scored.csv").write_text("x,y,colour,target\n")
    for words in ([], ["--resident", "64KiB"], ["--novelty", "--interval", "0.9"]):
        done = tool("predict", made.wave, "none.csv", *words)
        more = ",target_low,target_high,novelty" if "--novelty" in words else ""
        assert (done.status, done.out, done.err) == (0, f"target{more}\n", "")
    done = tool("predict", made.side, "none.csv", "--proba")
    assert (done.status, done.out) == (0, "target,p_high,p_low\n")
    (tmp_path / "less.csv").write_text("x,y\n")
    done = tool("predict", made.wave, "less.csv")
    assert done.status == 1 and "colour" in done.err
    done = tool("evaluate", made.wave, "scored.csv")
    assert (done.status, done.err) == (
        1,
        "ramify: scored.csv: there are no rows, only a header: nothing to compare with\n",
    )


def test_a_word_among_numbers(tool, made: Made, tmp_path):
    """What helps in training, --categorical, does not where the model takes numbers."""
    rows = "".join(f"{i / 9},{i / 7},red\n" for i in range(20))
    (tmp_path / "word.csv").write_text(f"x,y,colour\n{rows}1,high,red\n")
    done = tool("predict", made.wave, "word.csv")
    assert (done.status, done.err) == (
        1,
        'ramify: word.csv:22: column "y": "high" is not a number, and the model takes '
        "numbers here (leave the cell empty if the value is missing)\n",
    )


def test_standard_input_is_not_overwritten(made: Made, tmp_path):
    path = tmp_path / "both.csv"
    path.write_bytes(made.test.read_bytes())
    with path.open() as source:
        done = subprocess.run(
            [str(BUILD / "ramify"), "predict", str(made.wave), "-", "-o", str(path)],
            stdin=source,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == (
        f"ramify: {path}: is also read, as standard input: write to another file\n"
    )
    assert path.read_bytes() == made.test.read_bytes()


@pytest.mark.parametrize("words", [["evaluate", "--json"], ["info", "--json"]])
def test_full_standard_output(made: Made, words):
    verb, *options = words
    data = [str(made.test)] if verb == "evaluate" else []
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [str(BUILD / "ramify"), verb, str(made.wave), *data, *options],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (
        1,
        "ramify: standard output: cannot be written (No space left on device)\n",
    )
