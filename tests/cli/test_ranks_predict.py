"""ramify predict and evaluate as several processes of an MPI job: what one process writes, byte for byte.

Two processors run these, with up to four ranks: tables are small, and a few runs ask for many things at
once."""

from __future__ import annotations

import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys

import pytest
from conftest import BUILD, QUICK, Result, run_tool

# Many small experts in a blink.
TREE = [*QUICK, "--split-test", "off", "--distillation", "off", "--smallest-node", "60"]
ROWS = 3000

pytestmark = [
    pytest.mark.skipif(
        not (BUILD / "ramify-mpi.so").exists(),
        reason="built without ramify-mpi.so (-DRAMIFY_MPI=ON)",
    ),
    pytest.mark.skipif(not shutil.which("mpirun"), reason="mpirun is missing"),
]


def run_ranks(
    ranks: int,
    *words: str | pathlib.Path,
    script: pathlib.Path | None = None,
    launcher: tuple[str, ...] = (),
    program: tuple[str | pathlib.Path, ...] = (),
) -> Result:
    """Runs the tool, or a script or program in its place, as so many ranks."""
    env = dict(
        os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1"
    )
    launch = [
        "mpirun",
        "--oversubscribe",
        "--bind-to",
        "none",
        *launcher,
        "-n",
        str(ranks),
    ]
    tool = program or (script or BUILD / "ramify",)
    threads = () if program else ("--threads", "1")
    return Result(
        subprocess.run(
            [*launch, *map(str, [*tool, *words]), *threads],
            capture_output=True,
            text=True,
            env=env,
            timeout=60,
            check=False,
        )
    )


def sentences(err: str) -> list[str]:
    """What the tool has said of a failure; the launcher has its own words about it."""
    said = [line for line in err.splitlines() if line.startswith("ramify")]
    return [line for line in said if not line.startswith("ramify: warning: ")]


def write_table(path: pathlib.Path, rows: int, seed: int) -> None:
    """Numbers, some missing, a word, some unknown, and three targets: two numbers and a class."""
    source = random.Random(seed)
    lines = ["x,y,colour,first,second,side"]
    for _ in range(rows):
        x, y = source.uniform(-2, 2), source.uniform(-2, 2)
        colour = source.choice(["red", "green", "blue"] + ["violet"] * (seed > 1))
        value = x * y + {"red": 1.0, "green": 0.0}.get(colour, -1.0)
        cells = [f"{x:.5f}", f"{y:.5f}", colour, f"{value:.5f}", f"{value * value:.5f}"]
        if source.random() < 0.05:
            cells[source.choice([0, 1, 3])] = ""
        side = "high" if value > 0.5 else "low" if value < -0.5 else "mid, or so"
        lines.append(",".join(cells) + f',"{side}"')
    path.write_text("\n".join(lines) + "\n")


def write_npy(path: pathlib.Path, rows: int, columns: int, seed: int) -> None:
    """float64, without NumPy: a build without it runs these tests too."""
    import array

    source = random.Random(seed)
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({rows}, {columns}), }}"
    text += " " * (-(10 + len(text) + 1) % 64) + "\n"
    numbers = array.array(
        "d", (source.uniform(-1.5, 1.5) for _ in range(rows * columns))
    )
    for row in range(rows):
        numbers[row * columns + columns - 1] = (
            numbers[row * columns] * numbers[row * columns + 1]
        )
    with path.open("wb") as file:
        file.write(
            b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()
        )
        numbers.tofile(file)


class Trees:
    """Tables, and models of them."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.table = folder / "table.csv"
        self.array = folder / "array.npy"
        write_table(folder / "train.csv", 2500, 1)
        write_table(self.table, ROWS, 2)
        write_npy(folder / "train.npy", 2500, 4, 3)
        write_npy(self.array, ROWS + 1, 4, 4)
        for name, words in {
            "numbers": [
                "train.csv",
                "--target",
                "first,second",
                "--drop",
                "side",
                *TREE,
            ],
            "classes": [
                "train.csv",
                "--target",
                "side",
                "--drop",
                "first,second",
                *TREE,
            ],
            "array": ["train.npy", "--target", "c4", *TREE],
            "series": [
                "train.npy",
                "--target",
                "c4",
                "--kind",
                "nyquist",
                "--smallest-node",
                "60",
            ],
            "branches": [
                "train.npy",
                "--target",
                "c4",
                "--kind",
                "paraformer",
                "--width",
                "16",
            ]
            + ["--epochs", "1"],
        }.items():
            words[0] = str(folder / words[0])
            done = run_tool("train", *words, "-o", folder / f"{name}.ramify")
            assert done.status == 0, done.err

    def model(self, name: str) -> pathlib.Path:
        return self.folder / f"{name}.ramify"


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Trees:
    return Trees(tmp_path_factory.mktemp("trees"))


CASES = [
    (1, "numbers", "table", []),
    (2, "numbers", "table", []),
    (4, "numbers", "table", ["--interval", "0.8", "--novelty"]),
    (3, "numbers", "table", ["--top-k", "3", "--interval", "0.8"]),
    (3, "classes", "table", ["--proba", "--resident", "48KiB"]),
    (2, "classes", "table", ["--top-k", "2", "--proba", "--access", "mmap"]),
    (2, "array", "array", []),
    (3, "array", "array", ["--resident", "48KiB", "--novelty"]),
    (2, "series", "array", []),
    (2, "branches", "array", []),
]


@pytest.mark.parametrize(("ranks", "name", "data", "words"), CASES)
def test_predictions_are_those_of_one_process(
    trees: Trees, tmp_path, ranks, name, data, words
):
    path = trees.table if data == "table" else trees.array
    one, many = tmp_path / "one.csv", tmp_path / "many.csv"
    alone = run_tool(
        "predict", trees.model(name), path, "-o", one, "--threads", "1", *words
    )
    assert alone.status == 0, alone.err
    ranked = run_ranks(ranks, "predict", trees.model(name), path, "-o", many, *words)
    assert ranked.status == 0, ranked.err
    assert many.read_bytes() == one.read_bytes()
    assert ranked.err == alone.err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["many.csv", "one.csv"]


def test_standard_output_has_all_rows_in_order(trees: Trees):
    words = ["predict", trees.model("numbers"), trees.table]
    assert run_ranks(3, *words).out == run_tool(*words).out


def test_fewer_rows_than_ranks(trees: Trees, tmp_path):
    lines = trees.table.read_text().splitlines()
    for rows in (0, 1, 2):
        few = tmp_path / "few.csv"
        few.write_text("\n".join(lines[: 1 + rows]))
        words = ["predict", trees.model("numbers"), few, "--interval", "0.8"]
        ranked = run_ranks(4 if rows else 2, *words)
        assert ranked.status == 0, ranked.err
        assert ranked.out == run_tool(*words).out
        assert len(ranked.out.splitlines()) == 1 + rows


@pytest.mark.parametrize(
    ("ranks", "name", "data", "words"),
    [
        (3, "numbers", "table", ["--interval", "0.8"]),
        (2, "classes", "table", []),
        (2, "array", "array", []),
    ],
)
def test_scores_are_those_of_one_process(trees: Trees, ranks, name, data, words):
    path = trees.table if data == "table" else trees.array
    words = ["evaluate", trees.model(name), path, "--json", *words]
    alone, ranked = run_tool(*words), run_ranks(ranks, *words)
    assert ranked.status == 0, ranked.err
    one, many = json.loads(alone.out), json.loads(ranked.out)
    assert many.pop("rows_per_second") > 0
    del one["rows_per_second"]
    assert many == one
    assert ranked.err == alone.err


def test_a_rank_holds_its_share_of_the_experts(trees: Trees, tmp_path):
    words = [
        "predict",
        trees.model("array"),
        trees.array,
        "-o",
        tmp_path / "out.csv",
        "--json",
    ]
    alone = json.loads(run_tool(*words, "--threads", "1").out)
    ranked = json.loads(run_ranks(4, *words).out)
    assert ranked["rows"] == alone["rows"] == ROWS + 1
    assert ranked["ranks"] == 4
    held, read = ranked["peak_resident_bytes"], ranked["bytes_read"]
    experts = alone["bytes_read"]
    # What does not grow with the experts, each rank has.
    fixed = alone["peak_resident_bytes"] - experts
    assert ranked["ranks_resident_bytes"] <= 4 * held
    assert held - fixed < 0.5 * experts
    # An expert is read by one rank, nodes by all.
    assert experts <= read <= 2 * experts


LIBRARY = """
import ctypes as c, sys
lib = c.CDLL(sys.argv[1] + "/libramify.so")
class Join(c.Structure):
    _fields_ = [("plugin", c.c_char_p), ("broken", c.c_void_p)]
lib.ramify_table_rows.restype = c.c_size_t
lib.ramify_message.restype = c.c_char_p
context, model, table = c.c_void_p(), c.c_void_p(), c.c_void_p()
def call(name, *words):
    status = getattr(lib, name)(*words)
    assert status == 0, (name, status, lib.ramify_message(context))
call("ramify_context_create", None, c.byref(context))
ranked = len(sys.argv) > 4
if ranked:
    call("ramify_cluster_join", context, c.byref(Join((sys.argv[1] + "/ramify-mpi.so").encode())))
call("ramify_open", context, sys.argv[2].encode(), None, c.byref(model))
call("ramify_table_read", context, sys.argv[3].encode(), None, c.byref(table))
rows = lib.ramify_table_rows(table)
y, low, high = ((c.c_double * rows)() for _ in range(3))
novelty, score = (c.c_double * rows)(), (c.c_double * 32)()
call("ramify_predict_table_notes", context, model, table, y, c.c_double(0.8), low, high, novelty)
call("ramify_evaluate", context, model, table, score, None)
rank = lib.ramify_cluster_rank(context) if ranked else 0
values = [*y, *low, *high, *novelty, *(x for x in score if x == x)]
sys.stdout.write(f"{rank} " + str(hash(tuple(values))) + chr(10))
lib.ramify_table_destroy(c.byref(table))
lib.ramify_close(c.byref(model))
lib.ramify_context_destroy(c.byref(context))
"""


def test_the_library_gives_every_rank_all_results(trees: Trees, tmp_path):
    if not (BUILD / "libramify.so").exists():
        pytest.skip("built without the shared library")
    program = tmp_path / "program.py"
    program.write_text(LIBRARY)
    words = [program, BUILD, trees.model("array"), trees.array]
    alone = subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert alone.returncode == 0, alone.stderr
    ranked = run_ranks(3, *words[1:], "ranks", program=(sys.executable, program))
    assert ranked.status == 0, ranked.err
    expected = alone.stdout.split()[1]
    assert sorted(ranked.out.splitlines()) == [
        f"{rank} {expected}" for rank in range(3)
    ]


# ---- what goes wrong ----


def assert_one_sentence(done: Result, pattern: str) -> None:
    assert done.status == 1
    said = sentences(done.err)
    assert len(said) == 1, done.err
    assert re.search(pattern, said[0]), said[0]


def script_for(path: pathlib.Path, rank: int, before: str) -> pathlib.Path:
    """The tool, but for one rank, which does something before it."""
    path.write_text(
        f'#!/bin/sh\nif [ "$OMPI_COMM_WORLD_RANK" = {rank} ]; then\n{before}\nfi\n'
        f'exec {BUILD / "ramify"} "$@"\n'
    )
    path.chmod(0o755)
    return path


@pytest.fixture
def hosts(trees: Trees, tmp_path: pathlib.Path, monkeypatch) -> pathlib.Path:
    """A folder with the model and the table, and one beside it that another host could have."""
    for name in ("own", "other"):
        (tmp_path / name).mkdir()
        for file in (trees.table, trees.model("numbers")):
            (tmp_path / name / file.name).write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path / "own")
    return tmp_path / "other"


def test_a_table_that_one_rank_cannot_read(hosts, tmp_path):
    (hosts / "table.csv").unlink()
    script = script_for(tmp_path / "tool.sh", 1, f"cd {hosts}")
    done = run_ranks(
        3, "predict", "numbers.ramify", "table.csv", "-o", "out.csv", script=script
    )
    assert_one_sentence(done, r"rank 1 .*table\.csv: cannot be opened")
    assert not list(tmp_path.glob("*/out.csv*"))


def test_ranks_with_different_files(hosts, tmp_path):
    words = ["evaluate", "numbers.ramify", "table.csv"]
    script = script_for(tmp_path / "tool.sh", 2, f"cd {hosts}")
    table = hosts / "table.csv"
    table.write_text(table.read_text().replace("red", "blue", 1))
    differs = r": (has \d+ bytes on|differs between) rank {} and .*rank 0"
    done = run_ranks(3, *words, script=script)
    assert_one_sentence(done, r"table\.csv" + differs.format(2))
    model = hosts / "numbers.ramify"
    model.write_bytes(model.read_bytes() + bytes(64))
    done = run_ranks(3, *words, script=script)
    assert_one_sentence(done, r"numbers\.ramify" + differs.format(2) + "|damaged")


def test_a_disk_that_is_full(trees: Trees, tmp_path):
    script = script_for(tmp_path / "tool.sh", 1, "trap '' XFSZ; ulimit -f 8")
    out = tmp_path / "out.csv"
    words = ["predict", trees.model("numbers"), trees.table]
    # Shared memory is files, too.
    done = run_ranks(
        2, *words, "-o", out, script=script, launcher=("--mca", "btl", "tcp,self")
    )
    assert_one_sentence(done, r"rank 1 .*out\.csv.*: .*")
    assert not list(tmp_path.glob("out.csv*"))
    assert_one_sentence(
        run_ranks(2, *words, "-o", "/dev/full"), "/dev/full: cannot be written"
    )


def test_a_wrong_cell_is_told_once(trees: Trees, tmp_path):
    lines = trees.table.read_text().splitlines()
    lines[ROWS - 5] = lines[ROWS - 5].replace(",", ",oops", 1)
    bad = tmp_path / "bad.csv"
    bad.write_text("\n".join(lines))
    words = ["predict", trees.model("numbers"), bad]
    alone = run_tool(*words)
    assert_one_sentence(
        run_ranks(3, *words), re.escape(alone.err.strip().split(": ", 1)[1])
    )


def test_standard_input_is_refused(trees: Trees):
    done = run_ranks(2, "predict", trees.model("numbers"), "-")
    assert done.status != 0
    said = sentences(done.err)
    assert len(said) == 1 and "standard input" in said[0], done.err
