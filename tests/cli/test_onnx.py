"""ramify export --onnx: what ONNX Runtime, and onnx's own evaluator, make of exported models.

Expected is what `ramify predict` writes for tables whose numbers are exact as floats, which is what
ramify_predict makes of the same numbers. A row between two cells, to within rounding, may go to
either side; there are none among these rows, so every row must agree.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import pathlib
import random
import subprocess

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import BUILD, QUICK, SOURCE, Made, run_tool
from onnx.reference import ReferenceEvaluator

# A tree whose splits need not be earned, of experts that are trained in a moment.
TREE = [*QUICK, "--leaves", "16", "--split-test", "off", "--smallest-node", "60"]
TREE += ["--distillation", "off"]

# Largest difference, in parts of a target's spread (of 1 for probabilities).
CLOSE = 1e-5


class Exported:
    """A model's ONNX file, checked and loaded."""

    def __init__(self, model: pathlib.Path, file: pathlib.Path) -> None:
        done = run_tool("export", model, "--onnx", file)
        assert (done.status, done.out, done.err) == (0, "", "")
        self.proto = onnx.load(file)
        onnx.checker.check_model(self.proto, full_check=True)
        metadata = {entry.key: entry.value for entry in self.proto.metadata_props}
        self.schema = json.loads(metadata["ramify.schema"])
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 2  # warnings too: about what is not used, say
        self.session = onnxruntime.InferenceSession(str(file), options)

    def operators(self) -> set[str]:
        return {node.op_type for node in self.proto.graph.node}

    def encode(self, rows: list[dict[str, str]]) -> np.ndarray:
        """Rows of texts as the input x."""
        x = np.empty((len(rows), len(self.schema["columns"])), np.float32)
        for c, column in enumerate(self.schema["columns"]):
            for r, row in enumerate(rows):
                cell = row[column["name"]]
                kinds = column.get("categories")
                if cell == "":
                    x[r, c] = math.nan
                elif kinds is None:
                    x[r, c] = float(cell)
                else:
                    x[r, c] = kinds.index(cell) if cell in kinds else len(kinds)
        return x

    def run(self, x: np.ndarray) -> list[np.ndarray]:
        return self.session.run(None, {"x": x})


def rows_apart(found: np.ndarray, expected: np.ndarray, spread: np.ndarray) -> int:
    assert found.shape == expected.shape
    return int((np.abs(found - expected) > CLOSE * spread).any(axis=1).sum())


def write_table(path: pathlib.Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def read_rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def exact(value: float) -> str:
    """A number that a float holds, as a text."""
    return repr(float(np.float32(value)))


def check_rows(model: pathlib.Path, rows: list[dict[str, str]], folder: pathlib.Path):
    """The ONNX file says what the tool says, of all rows."""
    exported = Exported(model, folder / "m.onnx")
    write_table(folder / "rows.csv", rows)
    classes = exported.schema["classes"]
    words = ["predict", model, folder / "rows.csv", *(["--proba"] if classes else [])]
    done = run_tool(*words)
    assert done.status == 0, done.err
    lines = list(csv.reader(io.StringIO(done.out)))[1:]
    expected = np.array([[float(v) for v in line[bool(classes) :]] for line in lines])
    found = exported.run(exported.encode(rows))
    spread = np.ones(1) if classes else expected.std(axis=0)
    assert (spread > 0).all()
    assert rows_apart(found[-1], expected, spread) == 0
    if classes:
        assert [str(label) for label in found[0]] == [line[0] for line in lines]
    return exported, found


# ---- random models ----


@pytest.fixture(scope="module")
def random_models(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Every kind of column, table, tree, module and head, and once a tree of nothing but ties."""
    folder = tmp_path_factory.mktemp("random")
    subprocess.run([BUILD / "write_models", folder], check=True)
    assert len(list(folder.glob("[0-9]*.ramify"))) == 13
    return folder


@pytest.mark.parametrize("number", range(13))
def test_random_models(random_models, tmp_path, number):
    exported = Exported(random_models / f"{number}.ramify", tmp_path / "m.onnx")
    rows = json.loads((random_models / f"{number}.json").read_text())
    x, y = (
        np.array([[math.nan if v is None else v for v in row] for row in rows[key]])
        for key in ("x", "y")
    )
    x = x.astype(np.float32)
    spread = np.ones(1) if exported.schema["classes"] else y.std(axis=0)
    assert rows_apart(exported.run(x)[-1], y, spread) == 0
    # A second opinion, which does not share a line with the first.
    other = ReferenceEvaluator(exported.proto).run(None, {"x": x})
    assert rows_apart(other[-1], y, spread) == 0


def test_series_are_refused(random_models, tmp_path):
    """A draw may leave a model without any; most have some."""
    refused = 0
    for model in random_models.glob("series-*.ramify"):
        if '"bandlimited"' not in run_tool("info", model, "--json").out:
            continue
        done = run_tool("export", model, "--onnx", tmp_path / "m.onnx")
        assert done.status == 1
        assert "modules of type bandlimited cannot" in done.err
        refused += 1
    assert refused >= 5 and not (tmp_path / "m.onnx").exists()


def test_random_models_have_every_part(random_models, tmp_path):
    """What the models above leave out would not be compared."""
    seen = set()
    for number in range(13):
        exported = Exported(random_models / f"{number}.ramify", tmp_path / "m.onnx")
        seen |= {item.name for item in exported.proto.graph.initializer}
        seen |= {node.name for node in exported.proto.graph.node}
    for name in (
        *("stem/flags", "stem/bins/slope", "stem/bins/missing", "stem/bare_flags"),
        *(
            "stem/waves",
            "stem/route",
            "stem/hot",
            "stem/categories",
            "stem/plain/order",
        ),
        *("stem/features/order", "tree/level2/inside", "experts/outputs"),
        *("experts/layer0/bias", "experts/layer0/input_scale", "experts/layer0/slope"),
        *("expert/layer0/bias", "expert/layer0/input_scale", "expert/mean"),
        *("head/scale", "probabilities"),
    ):
        assert name in seen, name


def test_a_number_on_a_knot(random_models, tmp_path):
    """It belongs to the interval above; the tables of random models jump there."""
    model = random_models / "6.ramify"
    exported = Exported(model, tmp_path / "m.onnx")
    parts = {
        item.name: onnx.numpy_helper.to_array(item)
        for item in exported.proto.graph.initializer
    }
    center, scale = parts["stem/center"][0], parts["stem/scale"][0]
    knots = [knot for knot in parts["stem/bins/knots"][0] if knot < 10]
    numbers = [np.float32(center + scale * float(knot)) for knot in knots]
    on_knot = [
        number
        for number, knot in zip(numbers, knots, strict=True)
        if np.float32((float(number) - center) / scale) == knot
    ]
    assert len(on_knot) >= 2
    row = {c["name"]: "1" for c in exported.schema["columns"]}
    first = exported.schema["columns"][0]["name"]
    check_rows(model, [row | {first: exact(n)} for n in on_knot], tmp_path)


# ---- tables ----


def mixed_rows(count: int, seed: int, target: str) -> list[dict[str, str]]:
    """Numbers, some of them missing or far away, and words, some of them never seen in training."""
    source = random.Random(seed)
    rows = []
    for _ in range(count):
        x, year = source.gauss(0, 1), source.randrange(1900, 2030)
        kind = source.choice(["oak", "ash", "elm", "fir"])
        value = (
            math.sin(2 * x) + (year - 1960) / 40 + {"oak": 1, "ash": -1}.get(kind, 0)
        )
        row = {
            "x": exact(x if source.random() > 0.02 else 1e9 * x),
            "year": str(year),
            "kind": kind if target != "" or source.random() > 0.05 else "palm",
        }
        for name in ("x", "kind"):
            if source.random() < 0.1:
                row[name] = ""
        if target == "numbers":
            row |= {"a": exact(value), "b": exact(100 - 3 * x * value)}
        elif target == "words":
            row["class"] = (
                "low" if value < -0.5 else "high" if value > 0.5 else "mid, so"
            )
        elif target == "whole":
            row["class"] = str(10 * max(-1, min(1, round(value))))
        rows.append(row)
    return rows


TARGETS = {
    "numbers": ["--target", "a,b"],
    "words": ["--target", "class"],
    "whole": ["--target", "class", "--task", "classification"],
}


@pytest.mark.parametrize("bins", ["on", "off"])
@pytest.mark.parametrize("target", TARGETS)
def test_mixed_columns(tmp_path, target, bins):
    write_table(tmp_path / "train.csv", mixed_rows(1500, 1, target))
    model = tmp_path / "m.ramify"
    words = [*TARGETS[target], *TREE, "--bins", bins, "--periodic", "on"]
    done = run_tool("train", tmp_path / "train.csv", "-o", model, *words)
    assert done.status == 0, done.err
    exported, found = check_rows(model, mixed_rows(500, 2, ""), tmp_path)
    assert "Loop" in exported.operators()
    names = [(o.name, o.type) for o in exported.session.get_outputs()]
    if target == "numbers":
        assert names == [("y", "tensor(float)")]
        assert found[0].dtype == np.float32 and found[0].shape == (500, 2)
        assert exported.schema["targets"] == ["a", "b"]
    else:
        kind = "int64" if target == "whole" else "string"
        assert names == [
            ("label", f"tensor({kind})"),
            ("probabilities", "tensor(float)"),
        ]
        assert len(set(found[0])) > 1
        assert found[1].sum(axis=1) == pytest.approx(np.ones(500), abs=1e-6)


def test_categories_alone(tmp_path):
    rows = [
        {k: v for k, v in r.items() if k != "x"} for r in mixed_rows(1500, 3, "words")
    ]
    for row in rows:
        row["year"] = "y" + row["year"][2]
    write_table(tmp_path / "train.csv", rows)
    words = ["--target", "class", *TREE, "-o", tmp_path / "m.ramify"]
    assert run_tool("train", tmp_path / "train.csv", *words).status == 0
    for row in rows:
        del row["class"]
    check_rows(tmp_path / "m.ramify", rows[:300], tmp_path)


@pytest.mark.parametrize("members", ["1", "4"])
def test_one_network_is_an_ordinary_graph(made: Made, tmp_path, members):
    """No tree and no loop where there is one module."""
    words = ["--target", "target", "--kind", "mlp", "--distillation", "off", *QUICK]
    model = tmp_path / "m.ramify"
    done = run_tool("train", made.train, *words, "--members", members, "-o", model)
    assert done.status == 0, done.err
    exported, _ = check_rows(model, wave_rows(300, 5), tmp_path)
    assert not {"Loop", "ArgMin", "Unique"} & exported.operators()
    assert ("Gemm" in exported.operators()) == (members == "1")


def wave_rows(count: int, seed: int) -> list[dict[str, str]]:
    source = random.Random(seed)
    return [
        {
            "x": exact(source.uniform(-3, 3)),
            "y": exact(source.uniform(-3, 3)),
            "colour": source.choice(["red", "green", "blue", "grey", ""]),
        }
        for _ in range(count)
    ]


# ---- real data ----


@pytest.fixture(scope="module")
def kin40k(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with a model of 16 experts and 4,000 rows, the robot arm's, as floats."""
    folder = tmp_path_factory.mktemp("kin40k")
    with gzip.open(SOURCE / "data/kin40k-train.csv.gz", "rt") as file:
        lines = file.readlines()[:5001]
    (folder / "train.csv").write_text("".join(lines))
    with gzip.open(SOURCE / "data/kin40k-test.csv.gz", "rt") as file:
        rows = read_rows(file.read())[:4000]
    target = list(rows[0])[-1]
    words = ["--target", target, "--leaves", "16", "--split-test", "off"]
    words += ["--hidden", "32,32", "--epochs", "6", "--child-epochs", "2"]
    words += ["--distillation", "off", "--members", "2", "--bins", "off"]
    done = run_tool("train", folder / "train.csv", *words, "-o", folder / "m.ramify")
    assert done.status == 0, done.err
    write_table(
        folder / "rows.csv",
        [{k: exact(float(v)) for k, v in r.items() if k != target} for r in rows],
    )
    return folder


def test_real_rows(kin40k, tmp_path):
    rows = read_rows((kin40k / "rows.csv").read_text())
    exported, found = check_rows(kin40k / "m.ramify", rows, tmp_path)
    present = next(n for n in exported.proto.graph.node if n.op_type == "Unique")
    probe = onnx.ModelProto()
    probe.CopyFrom(exported.proto)
    probe.graph.output.append(
        onnx.helper.make_tensor_value_info(
            present.output[0], onnx.TensorProto.INT64, ["n"]
        )
    )
    session = onnxruntime.InferenceSession(probe.SerializeToString())
    x = exported.encode(rows)
    assert len(session.run(None, {"x": x})[1]) == 16  # all experts took part

    # A row's result does not depend on the others, but for rounding: pieces of any size, none too.
    y = found[0]
    for first, count in ((0, 0), (0, 1), (17, 1), (100, 7), (1000, 1024)):
        part = exported.run(x[first : first + count])[0]
        assert part.shape == (count, 1)
        assert np.abs(part - y[first : first + count]).max(initial=0) <= CLOSE * y.std()


def test_extremes(kin40k, tmp_path):
    """Far out all numbers are one, infinite ones too."""
    exported = Exported(kin40k / "m.ramify", tmp_path / "m.onnx")
    x = exported.encode(read_rows((kin40k / "rows.csv").read_text())[:50])
    for far in (1e30, -1e30):
        x[:, 2] = far
        finite = exported.run(x)[0]
        x[:, 2] = math.copysign(math.inf, far)
        assert (exported.run(x)[0] == finite).all()
        assert np.isfinite(finite).all()


def test_what_is_no_code_is_other(made: Made, tmp_path):
    exported = Exported(made.wave, tmp_path / "m.onnx")
    codes = [0, 1, 2, 3, -0.0, 0.5, 2.5, -1, -0.5, 4, 1e9, 1e30]
    codes += [math.inf, -math.inf, math.nan]
    x = np.array([[0.3, -0.7, code] for code in codes], np.float32)
    y = exported.run(x)[0][:, 0]
    assert np.abs(np.diff(np.sort(y[:4]))).min() > 0.001
    assert y[4] == pytest.approx(y[0], abs=CLOSE)
    assert y[5:] == pytest.approx(np.full(len(y) - 5, y[3]), abs=CLOSE)


def test_names_of_strangers(tmp_path):
    """Names are in the metadata, whatever they are; none of them is part of the graph."""
    rows = mixed_rows(300, 4, "words")
    odd = {"x": "a, b = Op(c)", "year": "größe @ %s", "kind": 'q"\\', "class": "<|>"}
    rows = [{odd[k]: v.replace("mid", "Ω[0]") for k, v in r.items()} for r in rows]
    write_table(tmp_path / "train.csv", rows)
    words = ["--target", "<|>", *QUICK, "--leaves", "1", "-o", tmp_path / "m.ramify"]
    done = run_tool("train", tmp_path / "train.csv", *words)
    assert done.status == 0, done.err
    for row in rows:
        del row["<|>"]
    exported, found = check_rows(tmp_path / "m.ramify", rows, tmp_path)
    assert [c["name"] for c in exported.schema["columns"]] == list(odd.values())[:3]
    assert exported.schema["classes"] == ["high", "low", "Ω[0], so"]
    assert set(found[0]) <= set(exported.schema["classes"])


# ---- the tool ----


def test_both_kinds_at_once(tool, made: Made, tmp_path):
    done = tool("export", made.wave, "--c", "a.c", "--onnx", "a.onnx", "--name", "it")
    assert (done.status, done.out, done.err) == (0, "", "")
    assert tool("export", made.wave, "--c", "b.c", "--name", "it").status == 0
    assert tool("export", made.wave, "--onnx", "b.onnx").status == 0
    for ending in ("c", "onnx"):
        one, other = (tmp_path / f"{name}.{ending}" for name in "ab")
        assert one.read_bytes() == other.read_bytes()


def test_a_place_that_cannot_be_written_spares_both(tool, made: Made, tmp_path):
    """The model's own file as the second place is found before the first is written."""
    (tmp_path / "m.ramify").write_bytes(made.wave.read_bytes())
    done = tool("export", "m.ramify", "--c", "a.c", "--onnx", "m.ramify")
    assert (done.status, "also read" in done.err) == (1, True)
    assert not (tmp_path / "a.c").exists()
    assert (tmp_path / "m.ramify").read_bytes() == made.wave.read_bytes()
    done = tool("export", made.wave, "--onnx", "nowhere/m.onnx")
    assert done.status == 1 and done.err.count("\n") == 1
    assert "nowhere/m.onnx" in done.err
