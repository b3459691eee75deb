"""What people get wrong about their data: exact sentences and exit statuses of `ramify train`."""

from __future__ import annotations

import gzip
import json
import random

import pytest
from conftest import QUICK


def table(columns: str, row, rows: int = 300) -> bytes:
    source = random.Random(7)
    lines = [columns] + [",".join(map(str, row(i, source.random))) for i in range(rows)]
    return ("\n".join(lines) + "\n").encode()


GOOD = table("x,g,y,c", lambda i, u: (u(), i % 10, u(), "ab"[i % 2]))

# Content of data.csv, further words, exit status, sentence.
CASES = {
    "word among numbers": (
        b"x,y\n1,2\n2,abc\n",
        "--target y",
        1,
        'data.csv:3: column "y": "abc" is not a number '
        "(use --categorical y to treat it as a category)",
    ),
    "short line": (
        b"x,y\n1,2\n2\n",
        "--target y",
        1,
        "data.csv:3: 1 cells, where line 1 has 2 (cells are taken to be separated by commas: give another --delimiter, or check the quotes)",
    ),
    "empty": (b"", "--target y", 1, "data.csv: the file is empty"),
    "header only": (
        b"x,y\n",
        "--target y",
        1,
        "data.csv: the file has a header and no rows "
        "(if line 1 is a row, use --header no)",
    ),
    "one row": (
        b"x,y\n1,2\n",
        "--target y",
        1,
        "data.csv: 1 usable rows are too few "
        "(one to train, one to select, one to report)",
    ),
    "open quote": (
        b'x,y\n1,"2\n',
        "--target y",
        1,
        "data.csv:2: the quote that opens here is never closed",
    ),
    "infinite": (
        b"x,y\n1,1e999\n2,3\n",
        "--target y",
        1,
        'data.csv:2: column "y": "1e999" is not a finite number '
        "(leave the cell empty if the value is missing)",
    ),
    "not UTF-8": (
        b"x,y\n\xff\xfe,2\nq,3\n",
        "--target y",
        1,
        'data.csv:2: column "x": the text is not valid UTF-8 '
        "(convert the file, for example with iconv)",
    ),
    "a spreadsheet": (
        b"PK\003\004aaaa",
        "--target y",
        1,
        "data.csv: is a zip archive (.npz, .xlsx); "
        "save the table as CSV or one array as NPY",
    ),
    "half a gzip": (
        gzip.compress(GOOD)[:100],
        "--target y",
        1,
        "data.csv: the gzip data ends in the middle (copy or compress the file again)",
    ),
    "unknown target": (
        GOOD,
        "--target z",
        1,
        'data.csv: there is no column "z" for --target (the columns are: x, g, y, c)',
    ),
    "target twice": (
        GOOD,
        "--target y --target y",
        2,
        'column "y" is named twice as a target',
    ),
    "target dropped": (
        GOOD,
        "--target y --drop y",
        2,
        'column "y" is a target and cannot be used for --drop too',
    ),
    "unknown dropped": (
        GOOD,
        "--target y --drop zz",
        1,
        'data.csv: there is no column "zz" for --drop (the columns are: x, g, y, c)',
    ),
    "unknown categorical": (
        GOOD,
        "--target y --categorical zz",
        1,
        'data.csv: there is no column "zz" to treat as a category',
    ),
    "two classifications": (
        GOOD,
        "--target c,y",
        1,
        "data.csv: a classification has one target, here are 2 (train a model for each)",
    ),
    "words as numbers": (
        GOOD,
        "--target c --task regression",
        1,
        'data.csv: target "c" holds texts, which a regression cannot predict '
        "(use --task classification)",
    ),
    "one class": (
        table("x,c", lambda i, u: (u(), "a")),
        "--target c",
        1,
        'data.csv: target "c" has the same class in every row '
        "(a classification needs two classes or more)",
    ),
    "nothing left": (
        GOOD,
        "--target y --drop x,g,c",
        1,
        "data.csv: no column is left to predict from",
    ),
    "bad share": (
        GOOD,
        "--target y --validation 2",
        2,
        "validation is 2: it must be a share above 0 and below 1",
    ),
    "bad arity": (GOOD, "--target y --arity 100", 2, "arity is 100: use 2 to 64"),
    "bad widths": (
        GOOD,
        "--target y --hidden 8,x",
        2,
        'hidden widths "8,x" are not a list such as 64,64: '
        "use 1 to 15 whole numbers from 1 to 262144",
    ),
    "too many folds": (
        GOOD,
        "--target y --cv 1000",
        2,
        "1000 folds of 300 rows: use 2 folds or more, and at most one per row",
    ),
    "bad delimiter": (
        GOOD,
        "--target y --delimiter ab",
        2,
        'delimiter "ab" is not one character that can separate cells, '
        "such as , ; | tab or blank",
    ),
    "labels are a table": (
        GOOD,
        "--labels data.csv",
        1,
        "data.csv: a file of labels has one column, this one has 4",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_sentence(tool, tmp_path, name):
    content, words, status, sentence = CASES[name]
    (tmp_path / "data.csv").write_bytes(content)
    done = tool("train", "data.csv", "-o", "m", *words.split())
    assert (done.status, done.out, done.err) == (status, "", f"ramify: {sentence}\n")
    assert not (tmp_path / "m").exists()


def test_refused_for_memory(tool, tmp_path):
    (tmp_path / "data.csv").write_bytes(GOOD)
    done = tool("train", "data.csv", "--target", "y", "-o", "m", "--memory", "1KiB")
    assert done.status == 1 and done.out == ""
    assert done.err.startswith("ramify: data.csv: the table needs about ")
    assert done.err.endswith(
        "and the limit is 1.0 KiB "
        "(raise the memory limit, or use fewer rows or columns)\n"
    )


def test_impossible_bound_names_the_smallest_possible(tool, tmp_path):
    (tmp_path / "data.csv").write_bytes(GOOD)
    words = ["train", "data.csv", "--target", "y", "-o", "m", "--resident"]
    done = tool(*words, "1KiB")
    assert done.status == 1 and done.err.count("\n") == 1
    assert "1024 resident bytes: allow at least " in done.err
    least = done.err.split("allow at least ")[1].split()[0]
    done = tool(*words, least, "--epochs", "2", "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out)["resident_bytes"] <= int(least)
    assert tool(*words, str(int(least) - 1)).status == 1


# Content, words, and the warning, which stops nothing.
WARNINGS = {
    "rows without a target": (
        table("x,y", lambda i, u: (u(), u() if i % 3 else "")),
        "data.csv: 100 rows without a target are left out",
    ),
    "an identifier": (
        table("name,x,y", lambda i, u: (f"n{i}", u(), u())),
        'data.csv: column "name" has a different value in every row '
        "(if it identifies rows, leave it out with --drop name)",
    ),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_warning(tool, tmp_path, name):
    content, sentence = WARNINGS[name]
    (tmp_path / "data.csv").write_bytes(content)
    done = tool("train", "data.csv", "--target", "y", "-o", "m", *QUICK)
    assert (done.status, done.err) == (0, f"ramify: warning: {sentence}\n")


def test_delimiters_header_and_gzip_are_found(tool, tmp_path):
    """The same rows, written in other ways, make the same model up to its column names."""
    (tmp_path / "a.csv").write_bytes(GOOD)
    ways = {
        "b.tsv": GOOD.replace(b",", b"\t"),
        "c.csv": GOOD.replace(b",", b";"),
        "d.txt": GOOD.replace(b",", b"   "),
        "e.csv.gz": gzip.compress(GOOD),
        "f.csv": GOOD.replace(b"\n", b"\r\n"),
    }
    words = ["--target", "y", *QUICK]
    assert tool("train", "a.csv", "-o", "a.m", *words).status == 0
    expected = tool("predict", "a.m", "a.csv").out
    for name, content in ways.items():
        (tmp_path / name).write_bytes(content)
        done = tool("train", name, "-o", "m", *words)
        assert done.status == 0, done.err
        assert tool("predict", "m", "a.csv").out == expected, name
    (tmp_path / "bare.csv").write_bytes(GOOD.split(b"\n", 1)[1])
    done = tool("train", "bare.csv", "-o", "m", "--target", "c3", *QUICK)
    assert done.status == 0, done.err
    bare = tool("predict", "m", "bare.csv").out
    assert bare.split()[1:] == expected.split()[1:]
