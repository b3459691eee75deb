"""`ramify prune`: smaller models of networks, rounds as runs of a law, and what is refused."""

from __future__ import annotations

import csv
import json
import pathlib
import signal
import subprocess
import time

import pytest
from conftest import BUILD, run_tool, write_wave

TREE = "--hidden 24,24 --epochs 60 --child-epochs 10 --members 1 --leaves 4 --split-test off"
QUICK = ["--epochs", "5"]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> pathlib.Path:
    """A tree of four experts, a classifier, and their rewind points."""
    folder = tmp_path_factory.mktemp("prune")
    write_wave(folder / "wave.csv", 1200, 1)
    write_wave(folder / "side.csv", 1200, 2, classes=True)
    for name in ("wave", "side"):
        done = run_tool(
            *("train", f"{name}.csv", "--target", "target", *TREE.split()),
            *("--distillation", "off", "--seed", "3", "--validation", "25%"),
            *("-o", f"{name}.ramify", "--rewind", f"{name}.rewind.ramify"),
            cwd=folder,
        )
        assert done.status == 0, done.err
    return folder


def prune(made, *words: str | pathlib.Path, name: str = "wave", quick: bool = True):
    more = QUICK if quick else []
    return run_tool(
        "prune", f"{name}.ramify", f"{name}.csv", *more, *map(str, words), cwd=made
    )


def good(done) -> dict:
    assert done.status == 0, done.err
    return json.loads(done.out)


def info(made, model: pathlib.Path | str) -> dict:
    return good(run_tool("info", str(model), "--json", "--check", cwd=made))


def rmse(made, model: pathlib.Path | str) -> float:
    return good(run_tool("evaluate", str(model), "wave.csv", "--json", cwd=made))[
        "rmse"
    ]


def test_density_is_met_and_bytes_shrink(made, tmp_path):
    out = tmp_path / "p.ramify"
    found = good(
        prune(
            *(made, "--density", "10%", "-o", out, "--json", "--store", "smallest"),
            *("--rewind", "wave.rewind.ramify"),
            quick=False,
        )
    )
    before, after = info(made, "wave.ramify"), info(made, out)
    assert found["density"] == pytest.approx(0.1, abs=0.001)
    assert found["rounds"][0] == {
        "density": 1.0,
        "error": found["dense_error"],
        "predicted": None,
        "seconds": 0.0,
        "fitted": None,
    }
    densities = [one["density"] for one in found["rounds"]]
    assert densities == sorted(densities, reverse=True)
    assert densities[1] == pytest.approx(0.8, abs=0.001)
    assert found["file_bytes"] == out.stat().st_size == after["file_bytes"]
    assert after["config"]["groups"][0]["type"] == "packed"
    assert after["module_bytes"] < before["module_bytes"] / 2
    assert after["resident_bytes"] < before["resident_bytes"]
    assert after["leaves"] == before["leaves"] == 4
    assert after["parameters"] < before["parameters"] / 3
    assert after["config"]["pruning"]["density"] == found["density"]
    assert found["error"] < 1  # of a target with deviation 1.2: it still knows most


def test_experts_of_a_tree_learn_anew(made, tmp_path):
    """A rate that suits small cuts only leaves half as much error again here."""
    out = tmp_path / "p.ramify"
    found = good(prune(made, "--density", "10%", "-o", out, "--json", quick=False))
    assert found["error"] < 1.2 * found["dense_error"]
    assert found["rounds"][1]["error"] < 1.05 * found["dense_error"]


def test_error_is_what_it_says(tmp_path):
    """The error of validation rows is that of the model on just those rows: here the latest."""
    write_wave(tmp_path / "rows.csv", 1200, 1)
    head, *rows = (tmp_path / "rows.csv").read_text().splitlines()
    timed = [f"{row},{hour}" for hour, row in enumerate(rows)]
    for name, part in (("wave", timed), ("latest", timed[-300:])):
        (tmp_path / f"{name}.csv").write_text("\n".join([f"{head},hour", *part]) + "\n")
    words = ["--time", "hour", "--validation", "25%"]
    done = run_tool(
        *("train", "wave.csv", "--target", "target", *TREE.split(), *words),
        *("--distillation", "off", "-o", "wave.ramify"),
        cwd=tmp_path,
    )
    assert done.status == 0, done.err
    found = good(
        prune(tmp_path, "--density", "0.5", *words, "-o", "p.ramify", "--json")
    )
    assert found["validation_rows"] == 300
    for model, told in (("p", found["error"]), ("wave", found["dense_error"])):
        done = run_tool(
            *("evaluate", f"{model}.ramify", "latest.csv", "--json"), cwd=tmp_path
        )
        assert good(done)["rmse"] == pytest.approx(told, rel=1e-6)
    assert found["error"] != pytest.approx(found["dense_error"], rel=1e-3)


def test_stores_agree(made, tmp_path):
    """Dense, sparse and as fast as can be: the same predictions but for rounding."""
    answers = {}
    for store in ("dense", "smallest", "fastest"):
        out = tmp_path / f"{store}.ramify"
        found = prune(made, "--density", "8%", "-o", out, "--store", store)
        assert found.status == 0, found.err
        done = run_tool("predict", out, "wave.csv", cwd=made)
        assert done.status == 0, done.err
        answers[store] = [float(line) for line in done.out.split()[1:]]
    assert answers["dense"] == pytest.approx(answers["smallest"], abs=1e-4)
    assert answers["dense"] == pytest.approx(answers["fastest"], abs=1e-4)
    kinds = {
        store: info(made, tmp_path / f"{store}.ramify")["config"]["groups"][0]["type"]
        for store in answers
    }
    assert kinds == {"dense": "mlp", "smallest": "packed", "fastest": "packed"}


def test_single_rows_under_the_bound(made, tmp_path):
    out, lines = tmp_path / "p.ramify", (made / "wave.csv").read_text().splitlines()
    assert prune(made, "--density", "0.1", "-o", out, "--store", "smallest").status == 0
    bound = info(made, out)["resident_bytes"]
    every = run_tool("predict", out, "wave.csv", cwd=made).out.splitlines()
    few = tmp_path / "few.csv"
    for at in (1, 7, 40):
        few.write_text("\n".join([lines[0], lines[at]]) + "\n")
        one = run_tool("predict", out, few, "--resident", bound, cwd=made)
        assert one.status == 0, one.err
        assert one.out.splitlines()[1] == every[at]


def test_runs_are_runs_of_a_law(made, tmp_path):
    runs, law = tmp_path / "runs.csv", tmp_path / "law.json"
    done = prune(made, "--density", "2%", "-o", tmp_path / "p.ramify", "--runs", runs)
    assert done.status == 0, done.err
    assert "predicted" in done.out
    with runs.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [*rows[0]] == ["density", "error", "seconds"] and len(rows) > 15
    fitted = run_tool(
        *("law", "fit", runs, "--form", "pruning", "--x", "density", "--y", "error"),
        *("-o", law),
        cwd=made,
    )
    assert fitted.status == 0, fitted.err


def test_error_increase(made, tmp_path):
    out = tmp_path / "p.ramify"
    found = good(
        prune(
            *(made, "--max-error-increase", "10%", "-o", out, "--json"),
            *("--rewind", "wave.rewind.ramify"),
            quick=False,
        )
    )
    assert found["error"] <= 1.1 * found["dense_error"]
    assert found["density"] < 0.9
    made_by = [one for one in found["rounds"] if one["density"] == found["density"]]
    assert found["predicted"]["value"] == made_by[-1]["predicted"]
    assert min(one["density"] for one in found["rounds"]) < found["density"]
    assert 0 < found["predicted"]["density"] < 1
    assert info(made, out)["config"]["pruning"]["density"] == found["density"]


def test_a_round_that_is_passed_over_is_told(made, tmp_path):
    """One that has fewer weights than the kept one, and is within the bound by measure alone."""
    told = []
    for increase in (0.02, 0.1, 0.5):
        words = ["--max-error-increase", str(increase), "-o"]
        found = good(prune(made, *words, tmp_path / "p.ramify", "--json"))
        limit = (1 + increase) * found["dense_error"]
        passed_over = [
            i
            for i, one in enumerate(found["rounds"])
            if one["density"] < found["density"] and one["error"] <= limit
        ]
        assert all(found["rounds"][i]["fitted"] > limit for i in passed_over)
        done = prune(made, *words, tmp_path / "q.ramify")
        lines = [x for x in done.out.splitlines() if x.startswith("not kept")]
        assert len(lines) == (len(passed_over) > 0)
        told += lines
        if passed_over:
            last = min(passed_over, key=lambda i: found["rounds"][i]["density"])
            assert lines[0].startswith(f"not kept    round {last}, of density ")
            said = f"{found['rounds'][last]['fitted']:.6g}"
            assert f"up to it says {said}; one round's error is noisy" in done.out
    assert told


def test_resident(made, tmp_path):
    """As many weights as there is room for: the bound holds, and is used."""
    out = tmp_path / "p.ramify"
    dense = info(made, made / "wave.ramify")["resident_bytes"]
    bound = dense * 7 // 8
    found = good(prune(made, "--max-resident", str(bound), "-o", out, "--json"))
    assert 0 < found["density"] < 1
    assert 0.9 * bound < info(made, out)["resident_bytes"] <= bound
    done = prune(made, "--max-resident", "2000", "-o", tmp_path / "q.ramify")
    assert done.status == 1
    assert "predicting a row would still hold" in done.err
    done = prune(made, "--max-resident", str(2 * dense), "-o", tmp_path / "q.ramify")
    assert "nothing was pruned" in done.err
    done = prune(made, "--max-resident", "9", "--max-bytes", "9", "-o", tmp_path / "r")
    assert done.status == 2


def test_bytes(made, tmp_path):
    out = tmp_path / "p.ramify"
    dense = (made / "wave.ramify").stat().st_size
    done = prune(made, "--max-bytes", str(dense * 2 // 3), "-o", out)
    assert done.status == 0, done.err
    assert 0.8 * dense * 2 / 3 < out.stat().st_size <= dense * 2 // 3
    done = prune(made, "--max-bytes", "2000", "-o", tmp_path / "q.ramify")
    assert done.status == 1
    assert "without any weights its file would still have some" in done.err
    assert not (tmp_path / "q.ramify").exists()


@pytest.mark.parametrize("share", [0.9, 0.77, 0.61, 0.56])
@pytest.mark.parametrize("name", ["wave", "side"])
def test_no_more_bytes_than_allowed(made, tmp_path, name, share):
    out, allowed = (
        tmp_path / "p.ramify",
        int(share * (made / f"{name}.ramify").stat().st_size),
    )
    done = prune(made, "--max-bytes", allowed, "-o", out, name=name)
    assert done.status == 0, done.err
    assert 0.93 * allowed < out.stat().st_size <= allowed


def test_dry_run(made, tmp_path):
    found = good(
        prune(made, "--max-error-increase", "50%", "--dry-run", "--rounds", 7, "--json")
    )
    assert len(found["rounds"]) <= 8
    assert "file_bytes" not in found
    assert found["predicted"]["value"] is not None
    assert not list(tmp_path.iterdir())
    done = prune(made, "--density", "20%", "--dry-run")
    assert done.status == 0 and "predicted   rmse" in done.out
    assert "written" not in done.out


def test_goes_on_where_it_stopped(made, tmp_path):
    """The same bytes as without a stop, and the rounds that were made are not made again."""
    whole, parts = tmp_path / "whole.ramify", tmp_path / "parts.ramify"
    for name in ("wave", "side"):
        words = ["--density", "30%", "--rewind", f"{name}.rewind.ramify"]
        state = tmp_path / name
        assert prune(made, *words, "-o", whole, name=name).status == 0
        done = prune(
            made, *words, "-o", parts, "--rounds", "2", "--resume", state, name=name
        )
        assert done.status == 0, done.err
        assert len((state / "runs.csv").read_text().splitlines()) == 4
        done = prune(made, *words, "-o", parts, "--resume", state, name=name)
        assert done.status == 0, done.err
        assert len((state / "runs.csv").read_text().splitlines()) == 8
        assert whole.read_bytes() == parts.read_bytes()
        rounds = sorted(state.glob("round-*.ramify"))
        done = prune(made, *words, "-o", parts, "--resume", state, name=name)
        assert whole.read_bytes() == parts.read_bytes()
        assert sorted(state.glob("round-*.ramify")) == rounds


@pytest.mark.parametrize(
    "asked",
    [["--max-error-increase", "30%"], ["--max-bytes", "60%"], ["--density", "30%"]],
)
def test_stops_do_not_matter(made, tmp_path, asked):
    """Whatever is asked for, and after whatever round it stopped; also where files were lost."""
    whole, parts, state = (tmp_path / n for n in ("w.ramify", "p.ramify", "state"))
    words = ["--rewind", "wave.rewind.ramify", *asked]
    if words[-1] == "60%":
        words[-1] = str((made / "wave.ramify").stat().st_size * 6 // 10)
    found = good(prune(made, *words, "-o", whole, "--json"))
    for rounds in range(1, len(found["rounds"])):
        more = ["--rounds", rounds, "--resume", state, "-o", parts]
        assert prune(made, *words, *more).status == 0
    (state / "runs.csv").unlink()
    sorted(state.glob("round-*.ramify"))[0].unlink()
    last = good(prune(made, *words, "--resume", state, "-o", parts, "--json"))
    assert whole.read_bytes() == parts.read_bytes()
    for key in ("density", "error", "predicted"):
        assert last[key] == found[key]
    assert len((state / "runs.csv").read_text().splitlines()) == 1 + len(
        found["rounds"]
    )


def test_a_folder_serves_other_requests(made, tmp_path):
    """Rounds that they have in common are made once; none of them overrides what is asked for."""
    state, out = tmp_path / "state", tmp_path / "p.ramify"

    def count():
        return len(list(state.glob("round-*.ramify")))

    words = ["--resume", state, "-o", out, "--json"]
    low = good(prune(made, "--density", "20%", *words))
    assert count() == len(low["rounds"]) - 1
    before = count()
    found = good(prune(made, "--density", "50%", *words))
    assert found["density"] == pytest.approx(0.5, abs=0.001)
    assert count() == before + 1
    found = good(prune(made, "--max-error-increase", "20%", *words))
    assert found["error"] <= 1.2 * found["dense_error"]


def test_folders_of_others(made, tmp_path):
    state, out = tmp_path / "state", tmp_path / "p.ramify"
    words = ["--density", "70%", "-o", out, "--resume", state]
    assert prune(made, *words).status == 0
    text = (made / "wave.csv").read_text().splitlines()
    (tmp_path / "less.csv").write_text("\n".join(text[:-1]) + "\n")
    for more in (["--time", "x"], ["--seed", "9"], ["--scope", "module"]):
        done = prune(made, *words, *more)
        assert done.status == 1
        assert "of another model or other rows, or pruned with other" in done.err
    done = run_tool(
        *("prune", "wave.ramify", tmp_path / "less.csv", *words, "--epochs", "5"),
        cwd=made,
    )
    assert done.status == 1 and "of another model or other rows" in done.err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "runs.csv").write_text("a,b\n1,2\n")
    done = prune(made, *words[:-1], tmp_path / "mine")
    assert done.status == 1
    assert "runs.csv: is there already, and is not of a pruning" in done.err
    assert (tmp_path / "mine" / "runs.csv").read_text() == "a,b\n1,2\n"


def test_threads_do_not_matter(made, tmp_path):
    models = []
    for threads in ("1", "2"):
        out = tmp_path / f"{threads}.ramify"
        done = prune(made, "--density", "0.4", "-o", out, "--threads", threads)
        assert done.status == 0, done.err
        models.append(out.read_bytes())
    assert models[0] == models[1]


def test_as_often_as_in_the_training(made, tmp_path):
    """Without a wish a round has the passes that the training had."""
    train = "--target target --kind mlp --hidden 16,16 --members 1 --distillation off"
    done = run_tool(
        *("train", "wave.csv", *train.split(), "--epochs", "3", "--seed", "1"),
        *("-o", tmp_path / "m.ramify"),
        cwd=made,
    )
    assert done.status == 0, done.err
    errors = {}
    for words in ([], ["--epochs", "3"], ["--epochs", "4"]):
        done = run_tool(
            *("prune", tmp_path / "m.ramify", "wave.csv", "--density", "0.5", *words),
            *("-o", tmp_path / "p.ramify", "--json"),
            cwd=made,
        )
        errors["".join(words)] = [one["error"] for one in good(done)["rounds"]]
    assert errors[""] == errors["--epochs3"] != errors["--epochs4"]


def test_time_limit_ends_a_round(made, tmp_path):
    """What a round that the limit cut short has learned is not taken."""
    began = time.monotonic()
    done = run_tool(
        *("prune", "wave.ramify", "wave.csv", "--density", "0.5", "--epochs", "500000"),
        *("--time-limit", "1", "-o", tmp_path / "p.ramify", "--json"),
        cwd=made,
    )
    found = good(done)
    assert time.monotonic() - began < 60
    assert found["time_limit_struck"]
    assert len(found["rounds"]) == 1 and found["density"] == 1


def test_other_ways(made, tmp_path):
    """Whole units, one density per network, in one go, tuned as they are, by chance."""
    out = tmp_path / "p.ramify"
    errors = {}
    for words in (
        ["--first", "neurons"],
        ["--scope", "module"],
        ["--one-shot"],
        ["--fine-tune"],
        ["--first", "random"],
        [],
    ):
        found = good(prune(made, "--density", "0.3", "-o", out, "--json", *words))
        assert found["density"] <= 0.3001
        assert info(made, out)["leaves"] == 4
        errors[" ".join(words)] = found["error"]
        if "--one-shot" in words:
            assert len(found["rounds"]) == 2
    assert errors[""] < errors["--first random"]


def test_classes(made, tmp_path):
    out = tmp_path / "p.ramify"
    found = good(
        prune(made, "--density", "30%", "-o", out, "--json", name="side", quick=False)
    )
    assert found["error_name"] == "error"
    score = good(run_tool("evaluate", out, "side.csv", "--json", cwd=made))
    assert score["accuracy"] > 0.9 and score["log_loss"] < 0.3


@pytest.fixture(scope="module")
def branches(tmp_path_factory) -> pathlib.Path:
    """A Para-Former of three branches."""
    folder = tmp_path_factory.mktemp("branches")
    write_wave(folder / "wave.csv", 900, 1)
    done = run_tool(
        *("train", "wave.csv", "--target", "target", "--kind", "paraformer"),
        *("--branches", "3", "--depth", "1", "--width", "32", "--heads", "2"),
        *("--epochs", "12", "--validation", "25%", "-o", "wave.ramify"),
        cwd=folder,
    )
    assert done.status == 0, done.err
    return folder


@pytest.mark.parametrize("first", ["magnitude", "neurons", "branches"])
def test_para_formers(branches, tmp_path, first):
    out = tmp_path / "p.ramify"
    words = ["--density", "0.67", "--first", first, "-o", out]
    found = good(prune(branches, *words, "--json"))
    before, after = info(branches, "wave.ramify"), info(branches, out)
    assert found["density"] <= 0.6701
    assert found["error"] < 1.3 * found["dense_error"]
    shape = before["config"]["branches"], after["config"]["branches"]
    assert (shape[1]["count"] < 3) == (first == "branches")
    assert (shape[1]["hidden"] < shape[0]["hidden"]) == (first == "neurons")
    smaller = found["file_bytes"] < 0.9 * found["dense_file_bytes"]
    assert smaller == (first != "magnitude")
    assert len(after["config"]["prefixes"]) == shape[1]["count"]
    assert rmse(branches, out) == pytest.approx(found["error"], rel=0.3)
    # Two rounds, and then the rest: the same bytes.
    parts, state = tmp_path / "q.ramify", tmp_path / "state"
    for more in (["--rounds", "1"], []):
        done = prune(branches, *words[:-1], parts, *more, "--resume", state)
        assert done.status == 0, done.err
    assert parts.read_bytes() == out.read_bytes()


@pytest.mark.parametrize("first", ["neurons", "branches"])
def test_para_formers_by_bytes(branches, tmp_path, first):
    out = tmp_path / "p.ramify"
    allowed = (branches / "wave.ramify").stat().st_size * 7 // 10
    done = prune(branches, "--max-bytes", allowed, "--first", first, "-o", out)
    assert done.status == 0, done.err
    assert 0.5 * allowed < out.stat().st_size <= allowed


def test_para_formers_by_error(branches, tmp_path):
    out = tmp_path / "p.ramify"
    words = ["--max-error-increase", "50%", "--first", "branches", "-o", out]
    found = good(prune(branches, *words, "--json", quick=False))
    assert found["error"] <= 1.5 * found["dense_error"]
    done = prune(branches, "--density", "0.5", "--rewind", "wave.ramify", "-o", out)
    assert done.status == 1 and "have no rewind point" in done.err
    done = prune(branches, "--density", "0.1", "--first", "branches", "-o", out)
    assert done.status == 0 and "no more can be pruned" in done.err
    assert info(branches, out)["config"]["branches"]["count"] == 1


def test_a_stop_keeps_what_there_is(made, tmp_path):
    out = tmp_path / "p.ramify"
    words = [BUILD / "ramify", "prune", "wave.ramify", "wave.csv", "--density", "0.01"]
    words += ["--epochs", "400", "-o", out, "--resume", tmp_path / "state"]
    words += ["--verbose"]
    running = subprocess.Popen(
        list(map(str, words)), cwd=made, stderr=subprocess.PIPE, text=True
    )
    assert any("round 1: density" in line for line in iter(running.stderr.readline, ""))
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "the best model so far (density" in err
    assert info(made, out)["config"]["pruning"]["density"] < 0.9


def test_what_is_refused(made, tmp_path):
    out = tmp_path / "p.ramify"
    cases = [
        (["-o", out], 2, "how far to prune is missing"),
        (["--density", "0.5"], 2, "-o OUT is missing"),
        (["--density", "2", "-o", out], 2, "density is 2, expected a share"),
        (["--density", "0.5", "--max-bytes", "9", "-o", out], 2, "and more are given"),
        (["--density", "0.5", "--step", "1", "-o", out], 2, "step is 1, expected"),
        (["--density", "0.5", "--dry-run", "-o", out], 2, "writes no model"),
        (
            ["--max-error-increase", "1%", "--one-shot", "-o", out],
            2,
            "is found by rounds",
        ),
        (
            ["--density", "0.5", "--rewind", "side.rewind.ramify", "-o", out],
            2,
            "is no rewind point of wave.ramify",
        ),
        (
            ["--density", "0.5", "--group", "nobody", "-o", out],
            1,
            "nobody names no column",
        ),
        (["--density", "0.5", "--first", "branches", "-o", out], 2, "no branches"),
        (
            ["--density", "0.5", "-o", "wave.csv"],
            1,
            "wave.csv: is also read, as wave.csv: write to another file",
        ),
        (["--density", "0", "-o", out], 2, "a share of the weights from 1e-6 to below"),
        (
            ["--density", "0.5", "--rewind", "a", "--fine-tune", "-o", out],
            2,
            "--rewind takes weights back and --fine-tune goes on",
        ),
        (["--density", "0.5", "-o", tmp_path / "no" / "p.ramify"], 1, "No such file"),
    ]
    before = (made / "wave.csv").read_bytes()
    for words, status, sentence in cases:
        done = prune(made, *words)
        assert (done.status, sentence in done.err) == (status, True), done.err
        assert done.err.count("\n") <= 2
    assert not out.exists()
    assert (made / "wave.csv").read_bytes() == before
    done = run_tool("prune", "wave.ramify", "--density", "0.5", "-o", out, cwd=made)
    assert done.status == 2 and "DATA is missing" in done.err


def test_series_have_no_weights(made, tmp_path):
    lines = ["x,y"] + [f"{i / 100},{(i / 100) ** 2}" for i in range(100)]
    (tmp_path / "s.csv").write_text("\n".join(lines) + "\n")
    done = run_tool(
        "train", "s.csv", "--target", "y", "--kind", "nyquist", "-o", "s.ramify",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.status == 0, done.err
    done = run_tool(
        "prune", "s.ramify", "s.csv", "--density", "0.5", "-o", "p.ramify", cwd=tmp_path
    )
    assert done.status == 1
    assert "its modules are series, which have no weights to prune" in done.err


def test_exports_say_what_to_do(made, tmp_path):
    sparse, dense = tmp_path / "s.ramify", tmp_path / "d.ramify"
    assert (
        prune(made, "--density", "0.05", "-o", sparse, "--store", "smallest").status
        == 0
    )
    assert prune(made, "--density", "0.05", "-o", dense, "--store", "dense").status == 0
    for words in (["--c", tmp_path / "m.c"], ["--onnx", tmp_path / "m.onnx"]):
        done = run_tool("export", sparse, *words, cwd=made)
        assert done.status == 1 and "--store dense" in done.err, done.err
        assert run_tool("export", dense, *words, cwd=made).status == 0


def test_no_two_files_are_one(made, tmp_path):
    """By whatever names, there or not yet: nothing is computed, nothing is written."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "back").symlink_to("sub/..")
    (tmp_path / "to").symlink_to("y.ramify")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "runs.csv").write_bytes((made / "wave.csv").read_bytes())
    model, data = made / "wave.ramify", made / "wave.csv"
    before = sorted(tmp_path.rglob("*"))
    for words in (
        "-o y.ramify --runs y.ramify",
        "-o ./y.ramify --runs y.ramify",
        "-o y.ramify --runs sub/../y.ramify",
        "-o back/y.ramify --runs y.ramify",
        f"-o {tmp_path}/y.ramify --runs to",
    ):
        done = run_tool(
            *("prune", model, data, "--density", "0.5", *words.split()), cwd=tmp_path
        )
        assert (done.status, done.out) == (1, "")
        assert "is also written, as " in done.err and done.err.count("\n") == 1
        assert sorted(tmp_path.rglob("*")) == before
    for words in (
        "-o state/round-01234567.ramify",
        "-o p.ramify --runs ./state/runs.csv",
        "-o sub/../state/pruning.json",
    ):
        done = run_tool(
            *("prune", model, data, "--density", "0.5", *words.split()),
            *("--resume", "state"),
            cwd=tmp_path,
        )
        assert (done.status, done.out) == (1, "")
        assert "--resume state writes files of such names: write to" in done.err
        assert sorted(tmp_path.rglob("*")) == before
    own = tmp_path / "state" / "runs.csv"
    words = ("--density", "0.5", "-o", "p.ramify", "--resume", "./state")
    done = run_tool("prune", model, own, *words, cwd=tmp_path)
    assert done.status == 1
    assert (
        "state/runs.csv: --resume ./state writes files of such names: read" in done.err
    )
    assert own.read_bytes() == data.read_bytes()
    done = run_tool(
        *("train", data, "--target", "target", "-o", "r.ramify"),
        *("--rewind", "./r.ramify"),
        cwd=tmp_path,
    )
    assert done.status == 1
    assert "./r.ramify: is also written, as r.ramify: give each" in done.err
    assert sorted(tmp_path.rglob("*")) == before


def test_requests_that_take_nothing_are_told(made, tmp_path):
    once, again = tmp_path / "p.ramify", tmp_path / "q.ramify"
    assert prune(made, "--density", "0.8", "-o", once).status == 0
    done = run_tool(
        "prune", once, "wave.csv", "--density", "0.9", "-o", again, cwd=made
    )
    assert done.status == 0
    assert "has density 0.8001 already, and 0.9 was asked for" in done.err
    assert "at density 0.8001" in done.out
    words = ["--max-error-increase", "0.1%", "--first", "random", "--step", "0.7"]
    done = prune(made, *words, "-o", again)
    assert done.status == 0
    assert "nothing was pruned" in done.err and "at density 1\n" in done.out
    assert "--store smallest" not in done.out
    assert "nan" not in done.out + done.err
    done = prune(made, "--max-bytes", "1MiB", "-o", again)
    assert done.status == 0
    assert "1.0 MiB hold the model as it is; nothing was pruned" in done.err


def test_a_time_limit_keeps_what_there_is(made, tmp_path):
    out = tmp_path / "p.ramify"
    words = ["--density", "1%", "--time-limit", "1e-9", "--json"]
    done = prune(made, *words, "-o", out)
    found = good(done)
    assert found["time_limit_struck"] is True
    assert found["density"] == 1 and len(found["rounds"]) == 1
    assert "the time limit struck before a round was done" in done.err
    assert found["error"] == found["dense_error"]
    assert rmse(made, out) == pytest.approx(rmse(made, "wave.ramify"), rel=1e-5)
    text = prune(made, *words[:-1], "-o", out).out
    assert "(the time limit struck)" in text


def test_info_tells_of_weights(made, tmp_path):
    out = tmp_path / "p.ramify"
    lines = {}
    for store in ("dense", "smallest"):
        done = prune(made, "--density", "0.2", "-o", out, "--store", store)
        assert done.status == 0, done.err
        told = run_tool("info", out, cwd=made).out.splitlines()
        (lines[store],) = [line for line in told if line.startswith("weights ")]
    assert lines["dense"] == "weights     float32, dense, at density 0.1999"
    assert lines["smallest"] == (
        "weights     float32, packed: each layer dense, sparse or masked, at density 0.1999"
    )
    assert "weights " not in run_tool("info", "wave.ramify", cwd=made).out


def test_branches_alone(branches, tmp_path):
    out = tmp_path / "p.ramify"
    words = ["prune", "wave.ramify", "--branches", "2", "-o", out]
    found = good(run_tool(*words, "--json", cwd=branches))
    assert (found["branches"], found["branches_before"]) == (2, 3)
    assert found["file_bytes"] == out.stat().st_size < found["dense_file_bytes"]
    out.unlink()
    for more in ("--runs r.csv", "--resume d", "--rewind x", "--store smallest"):
        done = run_tool(*words, *more.split(), cwd=branches)
        assert done.status == 2
        assert f"--branches takes no {more.split()[0]}:" in done.err
        assert not out.exists()


def test_bytes_at_the_edge(made, tmp_path):
    """The file is as large as was allowed, or smaller; with one byte less, it is smaller still."""
    out = tmp_path / "p.ramify"
    assert prune(made, "--density", "0.6", "-o", out, "--store", "smallest").status == 0
    most = out.stat().st_size
    sizes = []
    for bytes_ in (most, most - 1):
        done = prune(made, "--max-bytes", bytes_, "-o", out)
        assert done.status == 0, done.err
        sizes.append(out.stat().st_size)
        assert sizes[-1] <= bytes_
    assert sizes[1] <= sizes[0]
