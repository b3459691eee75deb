"""`ramify diagnose`: what is printed, what the report holds, what is refused."""

from __future__ import annotations

import json
import pathlib
import random
import re
import signal
import subprocess
from html.parser import HTMLParser

import pytest
from conftest import BUILD

SOURCES = ["irreducible", "approximation", "estimation", "optimisation"]
QUICK = ["--target", "y", "--hidden", "4", "--effort", "0.02"]


def write(path: pathlib.Path, rows: int, noise: float, scale: float = 1) -> None:
    source = random.Random(4)
    lines = ["a,b,word,y"]
    for _ in range(rows):
        a, b = source.uniform(-1, 1), source.uniform(-1, 1)
        word = source.choice(["red", "green"])
        y = scale * (2 * a - b + (word == "red")) + noise * source.gauss(0, 1)
        lines.append(f"{a:.5f},{b:.5f},{word},{y:.6f}")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def noisy(tmp_path) -> str:
    """Nothing but noise."""
    write(tmp_path / "noisy.csv", 150, 3, scale=0)
    return "noisy.csv"


def read_json(done) -> dict:
    assert done.status == 0, done.err
    return json.loads(done.out)


def test_json(tool, noisy):
    found = read_json(tool("diagnose", noisy, *QUICK, "--epochs", "100", "--json"))
    assert found["rows"] == 150
    assert list(found["shares"]) == SOURCES
    shares = [found["shares"][source] for source in SOURCES]
    assert sum(share["share"] for share in shares) == pytest.approx(1)
    assert all(0 <= s["low"] <= s["share"] <= s["high"] <= 1 for s in shares)
    assert found["dominant"] == "irreducible"
    assert found["error"] == pytest.approx(3, rel=0.25)
    assert found["error_low"] < found["error"] < found["error_high"]
    assert "noise" in found["advice"]
    assert {
        "stage",
        "hidden",
        "rows",
        "epochs",
        "rate",
        "train_error",
        "test_error",
    } <= set(found["fits"][0])
    stages = {fit["stage"] for fit in found["fits"]}
    assert {"reference", "longer", "warm start", "larger", "student"} <= stages
    assert all(
        fit["epochs"] == 100 for fit in found["fits"] if fit["stage"] == "reference"
    )


def test_text(tool, noisy):
    done = tool("diagnose", noisy, *QUICK, "--epochs", "100")
    assert done.status == 0, done.err
    assert done.out.startswith("150 rows, target deviation ")
    for source in SOURCES:
        assert re.search(rf"^{source} +[0-9.]+% +[0-9.]+% to [0-9.]+%$", done.out, re.M)
    assert "dominant: irreducible (certainty " in done.out
    assert all(len(line) < 80 for line in done.out.splitlines())


def test_training_that_is_too_short(tool, tmp_path):
    """The reference's training is what is asked for: as long, at that rate."""
    write(tmp_path / "line.csv", 200, 0.02)
    for training in (["--epochs", "2"], ["--epochs", "50", "--rate", "1e-6"]):
        found = read_json(tool("diagnose", "line.csv", *QUICK, *training, "--json"))
        assert found["dominant"] == "optimisation"
        assert "more training" in found["advice"]


def test_same_for_any_number_of_threads(tool, noisy):
    words = ["diagnose", noisy, *QUICK, "--epochs", "3", "--json"]
    one, two, other = (
        tool(*words, *more).out
        for more in (["--threads", "1"], ["--threads", "3"], ["--seed", "1"])
    )
    assert one == two
    assert one != other


class Page(HTMLParser):
    """Tags that are open and closed, and all attributes."""

    VOID = {"meta", "rect", "path", "br"}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_report(tool, noisy, tmp_path):
    found = read_json(
        tool(
            "diagnose", noisy, *QUICK, "--epochs", "100", "--report", "r.html", "--json"
        )
    )
    text = (tmp_path / "r.html").read_text()
    page = Page()
    page.feed(text)
    assert page.open == []
    assert "svg" in page.tags and "table" in page.tags
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert not {"src", "href"} & {name for name, _ in page.attributes}
    assert "http" not in text and "url(" not in text and "@import" not in text
    assert "width=device-width" in text and "@media print" in text
    for source in SOURCES:
        assert f"{source}: {100 * found['shares'][source]['share']:.0f} %" in text
    assert found["advice"] in text
    # Nothing is left beside it.
    assert sorted(p.name for p in tmp_path.iterdir()) == ["noisy.csv", "r.html"]


def test_report_that_cannot_be_written(tool, noisy, tmp_path):
    (tmp_path / "folder").mkdir()
    for name, said in (
        ("folder", "is a folder"),
        ("none/r.html", "cannot be written to"),
    ):
        done = tool("diagnose", noisy, *QUICK, "--report", name)
        assert done.status == 1
        assert said in done.err
    done = tool("diagnose", noisy, *QUICK, "--report", noisy)
    assert done.status == 1
    assert "is also read" in done.err
    assert (tmp_path / noisy).read_text().startswith("a,b,word,y")


@pytest.mark.parametrize(
    ("rows", "scale", "said"), [(39, 1, "too few"), (60, 0, "the same in all rows")]
)
def test_undetermined(tool, tmp_path, rows, scale, said):
    write(tmp_path / "t.csv", rows, 0, scale)
    found = read_json(tool("diagnose", "t.csv", *QUICK, "--json", "--report", "r.html"))
    assert found["dominant"] == "undetermined"
    assert found["error"] is None and found["certainty"] is None
    assert found["shares"]["estimation"] == {"share": None, "low": 0.0, "high": 1.0}
    assert found["fits"] == []
    assert said in found["advice"]
    page = Page()
    page.feed((tmp_path / "r.html").read_text())
    assert page.open == []
    done = tool("diagnose", "t.csv", *QUICK)
    assert done.status == 0
    assert "Undetermined" in done.out and "nan" not in done.out


def test_columns_that_do_not_vary(tool, tmp_path):
    """Told as by train; where there are no others nothing is trained."""
    source = random.Random(1)
    rows = [(source.random(), source.random()) for _ in range(60)]
    for varies in (True, False):
        lines = [f"{x if varies else 3},word,{y}" for x, y in rows]
        (tmp_path / "t.csv").write_text("\n".join(["a,b,y", *lines]) + "\n")
        done = tool("diagnose", "t.csv", *QUICK, "--epochs", "2", "--json")
        found = read_json(done)
        assert ("all columns hold the same value" in found["advice"]) != varies
        assert (found["fits"] == []) != varies
        count = 1 if varies else 2
        assert f"{count} of 2 columns hold the same value in all rows" in done.err


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ([], 2, "--target COL is required"),
        (["--target", "z"], 1, '"z"'),
        (["--target", "word"], 1, "the target is of words"),
        (["--target", "a,y"], 1, "2 targets: a diagnosis is of one target"),
        (["--target", "y", "--hidden", "4,x"], 2, "hidden"),
        (["--target", "y", "--hidden", ""], 2, "hidden"),
        (["--target", "y", "--effort", "0"], 2, "effort 0: must be 0.01 to 100"),
        (["--target", "y", "--rate", "-1"], 2, "rate"),
        (["--target", "y", "--epochs", "0"], 2, "epochs"),
    ],
)
def test_refusals(tool, tmp_path, words, status, said):
    write(tmp_path / "t.csv", 60, 0.1)
    done = tool("diagnose", "t.csv", *words, "--report", "r.html")
    assert done.status == status
    assert said in done.err
    assert done.err.startswith("ramify")
    assert done.out == ""
    assert not (tmp_path / "r.html").exists()


def test_labels_in_a_file_of_their_own(tool, tmp_path):
    write(tmp_path / "t.csv", 60, 0.1)
    rows = [line.split(",") for line in (tmp_path / "t.csv").read_text().splitlines()]
    (tmp_path / "x.csv").write_text("".join(",".join(row[:3]) + "\n" for row in rows))
    (tmp_path / "y.csv").write_text("".join(row[3] + "\n" for row in rows))
    quick = [*QUICK[2:], "--epochs", "2", "--json"]
    apart = read_json(tool("diagnose", "x.csv", "--labels", "y.csv", *quick))
    together = read_json(tool("diagnose", "t.csv", "--target", "y", *quick))
    assert apart["shares"] == together["shares"]


def test_rows_without_a_target_are_left_out(tool, tmp_path):
    write(tmp_path / "t.csv", 60, 0.1)
    with (tmp_path / "t.csv").open("a") as table:
        table.write("0.1,,red,\n0.2,,green,1\n")
    done = tool("diagnose", "t.csv", *QUICK, "--epochs", "2", "--json")
    found = read_json(done)
    assert (found["rows"], found["skipped_rows"]) == (61, 1)
    assert "1 rows without a target are left out" in done.err


def test_time_limit(tool, noisy):
    done = tool(
        "diagnose",
        noisy,
        "--target",
        "y",
        "--epochs",
        "1000000",
        "--time-limit",
        "0.3s",
    )
    assert done.status == 0
    assert "the time limit struck" in done.err


def test_interrupted(noisy, tmp_path):
    """It would take hours; nothing is printed, and the report that is there stays."""
    (tmp_path / "r.html").write_text("old")
    running = subprocess.Popen(
        [
            *[
                str(BUILD / "ramify"),
                "diagnose",
                noisy,
                "--target",
                "y",
                "--report",
                "r.html",
            ],
            *["--epochs", "100000000", "--verbose"],
        ],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in running.stderr:
        if "rows in folds" in line:
            break
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 130
    assert out == ""
    assert "stopped" in err
    assert (tmp_path / "r.html").read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["noisy.csv", "r.html"]
