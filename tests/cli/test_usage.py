"""Words, options and their mistakes: exact sentences and exit statuses."""

from __future__ import annotations

import re

import pytest

VERBS = ["train", "predict", "evaluate", "info", "export"]


def test_explains_itself_in_a_screen(tool):
    for words in ([], ["--help"], ["-h"], ["help"]):
        done = tool(*words)
        assert done.status == 0 and done.err == ""
        lines = done.out.splitlines()
        assert len(lines) <= 24 and max(map(len, lines)) <= 100
        for verb in VERBS:
            assert f"  ramify {verb} " in done.out


def test_version(tool):
    done = tool("--version")
    assert done.status == 0
    assert re.fullmatch(r"ramify \d+\.\d+\.\d+\n", done.out)


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_every_default(tool, verb):
    done = tool(verb, "--help")
    assert done.status == 0 and done.err == ""
    text = re.sub(
        r"\n  {30,}", " ", done.out
    )  # long options are on a line of their own
    assert "--verbose" in text  # the last of every list
    options = [line for line in text.splitlines() if line.lstrip().startswith("-")]
    assert len(options) >= 5
    for line in options:
        assert "--help" in line or re.search(r"\[[^\]]+\]$", line), line


def test_help_does_not_echo_what_was_given(tool):
    done = tool("train", "--help", "--target", "price", "--arity", "7")
    assert "price" not in done.out
    assert "children of a node, 2 to 64 [4]" in done.out


# Words, and the sentence they must get, all with exit status 2.
MISTAKES = [
    ("trian", 'ramify: unknown verb "trian"; did you mean train?'),
    ("inof", 'ramify: unknown verb "inof"; did you mean info?'),
    (
        "paint",
        'ramify: unknown verb "paint"; known are train, predict, evaluate, info, export, law, import, '
        "prune, quantize, diagnose and plan",
    ),
    ("law fti", 'ramify law: unknown word "fti"; did you mean fit?'),
    (
        "train a.csv --traget y",
        "ramify train: unknown option --traget; did you mean --target?",
    ),
    (
        "train a.csv --gradient_routing on",
        "ramify train: unknown option --gradient_routing; did you mean --gradient-routing?",
    ),
    (
        "train a.csv --frobnicate=3",
        "ramify train: unknown option --frobnicate; `ramify train --help` lists them",
    ),
    (
        "predict m a.csv -x",
        "ramify predict: unknown option -x; `ramify predict --help` lists them",
    ),
    ("train a.csv --target", "ramify train: --target needs an argument"),
    ("train a.csv --json=yes", "ramify train: --json takes no argument"),
    (
        "train",
        "ramify train: an argument is missing "
        "(usage: ramify train DATA --target COL -o MODEL)",
    ),
    (
        "train a.csv",
        "ramify train: --target COL is missing: the column to predict",
    ),
    (
        "train a.csv --target y",
        "ramify train: -o MODEL is missing: the model file to write",
    ),
    (
        "train a.csv b.csv --target y -o m",
        'ramify train: "b.csv" is one argument too many '
        "(usage: ramify train DATA --target COL -o MODEL)",
    ),
    (
        "train a.csv --target y --cv 1",
        'ramify train: --cv "1": must be at least 2 folds',
    ),
    (
        "train a.csv --target y -o m --test-labels l.csv",
        "ramify train: --test-labels needs --test",
    ),
    (
        "train a.csv --target y --cv 3 --test t.csv",
        "ramify train: --test needs -o MODEL: a model to score",
    ),
    (
        "train a.csv --target y -o m --kind forest",
        'ramify train: --kind "forest": must be pathways, mlp, nyquist or paraformer',
    ),
    (
        "train a.csv --target y -o m --periodic maybe",
        'ramify train: --periodic "maybe": must be auto, on or off',
    ),
    (
        "train a.csv --target y -o m --resident 32KB",
        'ramify train: --resident "32KB": must be a size '
        "(bytes, or with KiB, MiB or GiB, as in 32KiB)",
    ),
    (
        "train a.csv --target y -o m --time-limit 2days",
        'ramify train: --time-limit "2days": must be a time '
        "(seconds, or with s, m or h, as in 90s)",
    ),
    (
        "train a.csv --target y -o m --validation ten%",
        'ramify train: --validation "ten%": must be a share (as in 0.1 or 10%)',
    ),
    (
        "train a.csv --target y -o m --validation -0.1",
        'ramify train: --validation "-0.1": must be a share (as in 0.1 or 10%)',
    ),
    (
        "train a.csv --target y -o m --rate nan",
        'ramify train: --rate "nan": must be a number',
    ),
    (
        "train a.csv --target y -o m --rate 0x10",
        'ramify train: --rate "0x10": must be a number',
    ),
    (
        "train a.csv --target y -o m --leaves 0",
        'ramify train: --leaves "0": must be a whole number from 1 to 4294967295',
    ),
    (
        "train a.csv --target y -o m --leaves 4294967296",
        'ramify train: --leaves "4294967296": must be a whole number from 1 to 4294967295',
    ),
    (
        "train a.csv --target y -o m --seed -1",
        'ramify train: --seed "-1": must be a whole number from 0 to 18446744073709551615',
    ),
    (
        "train a.csv --target y -o m --seed 18446744073709551616",
        'ramify train: --seed "18446744073709551616": must be a whole number '
        "from 0 to 18446744073709551615",
    ),
    (
        "train a.csv --target y -o m --threads 5000",
        "ramify train: --threads 5000: 1,024 are the most",
    ),
    (
        "train a.csv --target y --cv 2 --controls",
        "ramify train: --controls needs -o MODEL: a model to compare with",
    ),
    (
        "train a.csv --target y -o m --resident 0.5",
        'ramify train: --resident "0.5": must be a size (bytes, or with KiB, MiB or GiB, '
        "as in 32KiB)",
    ),
    (
        "train a.csv --target y -o m --resident 0",
        'ramify train: --resident "0": must be above 0, or none',
    ),
    (
        "predict m a.csv --resident 0KiB",
        'ramify predict: --resident "0KiB": must be above 0, or none',
    ),
    (
        "train a.csv --target y -o m --time-limit 0s",
        'ramify train: --time-limit "0s": must be above 0, or none',
    ),
    (
        "predict m a.csv --top-k 17",
        'ramify predict: --top-k "17": must be a whole number from 1 to 16',
    ),
    (
        "train a.csv --target y -o m --isa sse9",
        'ramify train: --isa "sse9": must be baseline, avx2, avx512 or neon',
    ),
    (
        "predict m",
        "ramify predict: an argument is missing (usage: ramify predict MODEL DATA)",
    ),
    (
        "predict m a.csv --json",
        "ramify predict: --json needs -o OUT.csv, "
        "since predictions go to standard output otherwise",
    ),
    (
        "predict m a.csv --access peek",
        'ramify predict: --access "peek": must be read or mmap',
    ),
    (
        "evaluate m a.csv --header perhaps",
        'ramify evaluate: --header "perhaps": must be auto, yes or no',
    ),
    (
        "evaluate m a.csv --target y",
        "ramify evaluate: unknown option --target; `ramify evaluate --help` lists them",
    ),
    (
        "info",
        "ramify info: an argument is missing (usage: ramify info MODEL)",
    ),
    ("info m --epsilon 0.1", "ramify info: --epsilon needs --theory"),
    ("info m --repeats 9", "ramify info: --repeats needs --importance DATA"),
    ("info m --seed 9", "ramify info: --seed needs --importance DATA"),
    (
        "export m",
        "ramify export: --c OUT.c or --onnx OUT.onnx is missing: the file to write",
    ),
    (
        "export m --onnx a.onnx --name f",
        "ramify export: --name needs --c OUT.c: the function to name",
    ),
    (
        "export m --c a --onnx a",
        "ramify export: --c and --onnx name the same file: give each its own",
    ),
    (
        "export m --onxn a.onnx",
        "ramify export: unknown option --onxn; did you mean --onnx?",
    ),
]


@pytest.mark.parametrize(("words", "sentence"), MISTAKES, ids=lambda v: v[:40])
def test_mistakes(tool, words, sentence):
    done = tool(*words.split())
    assert (done.status, done.out, done.err) == (2, "", sentence + "\n")


def test_option_forms(tool):
    """--name value, --name=value and -o value are the same; -- ends the options."""
    for words in (
        ["train", "none.csv", "--target", "y", "-o", "m"],
        ["train", "none.csv", "--target=y", "-om"],
        ["train", "--target=y", "--output=m", "--", "none.csv"],
    ):
        done = tool(*words)
        assert done.status == 1
        assert done.err.startswith("ramify: none.csv: "), done.err
    done = tool("info", "--", "--help")
    assert done.status == 1
    assert done.err.startswith("ramify: --help: ")
