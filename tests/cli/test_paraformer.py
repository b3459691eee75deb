"""Models of branches: ramify train --kind paraformer, import and prune."""

from __future__ import annotations

import csv
import io
import json
import math
import pathlib
import subprocess

import numpy as np
import pytest
from conftest import BUILD, run_tool, write_wave
from safetensors.numpy import load_file, save_file

SMALL = ["--kind", "paraformer", "--depth", "1", "--width", "16", "--heads", "2"]


def write_images(folder: pathlib.Path, rows: int) -> None:
    """8 x 8 pixels of noise with a bright square in one of four quarters."""
    source = np.random.default_rng(rows)
    quarter = source.integers(0, 4, rows)
    images = source.random((rows, 8, 8), dtype=np.float32)
    for image, q in zip(images, quarter, strict=True):
        top, left = 4 * (q // 2), 4 * (q % 2)
        image[top : top + 4, left : left + 4] += 1.0
    np.save(folder / f"images-{rows}.npy", images)
    (folder / f"quarters-{rows}.csv").write_text(
        "quarter\n" + "".join(f"q{q}\n" for q in quarter)
    )


def train_words(folder: pathlib.Path, rows: int) -> tuple[str | pathlib.Path, ...]:
    """Of a training on what write_images made."""
    table, labels = folder / f"images-{rows}.npy", folder / f"quarters-{rows}.csv"
    return ("train", table, "--labels", labels)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("paraformer")
    write_images(folder, 1200)
    write_images(folder, 300)
    done = run_tool(
        *(
            "train",
            "images-1200.npy",
            "--labels",
            "quarters-1200.csv",
            "-o",
            "q.ramify",
        ),
        *SMALL,
        *(
            "--branches",
            "3",
            "--patch",
            "2",
            "--epochs",
            "10",
            "--progressive",
            "--augment",
            "off",
        ),
        cwd=folder,
    )
    assert done.status == 0, done.err
    return folder


def accuracy(folder: pathlib.Path, *options: str) -> float:
    done = run_tool(
        *(
            "evaluate",
            "q.ramify",
            "images-300.npy",
            "--labels",
            "quarters-300.csv",
            "--json",
        ),
        *options,
        cwd=folder,
    )
    assert done.status == 0, done.err
    return json.loads(done.out)["accuracy"]


def test_images_are_learned(trained):
    assert accuracy(trained) > 0.95
    info = json.loads(run_tool("info", "q.ramify", "--json", cwd=trained).out)
    assert (info["kind"], info["branches"], info["modules"]) == ("paraformer", 3, 3)
    prefixes = info["config"]["prefixes"]
    assert [p["branches"] for p in prefixes] == [1, 2, 3]
    assert all(p["accuracy"] > 0.8 for p in prefixes)
    assert "prefixes" in run_tool("info", "q.ramify", cwd=trained).out


def predictions(folder: pathlib.Path, model: str, *options: str) -> str:
    done = run_tool("predict", model, "images-300.npy", "--proba", *options, cwd=folder)
    assert done.status == 0, done.err
    return done.out


def test_prefixes_and_bounds(trained):
    whole = predictions(trained, "q.ramify")
    one = predictions(trained, "q.ramify", "--branches", "1")
    assert whole != one
    assert predictions(trained, "q.ramify", "--branches", "3") == whole
    info = json.loads(run_tool("info", "q.ramify", "--json", cwd=trained).out)
    bound = str(info["resident_bytes"])
    assert info["resident_bytes"] < info["file_bytes"]
    for access in ("read", "mmap"):
        more = str(info["resident_bytes"] + 65536)
        assert (
            predictions(trained, "q.ramify", "--resident", more, "--access", access)
            == whole
        )
    for threads in ("1", "2", "5"):
        options = ("--resident", bound, "--threads", threads)
        assert predictions(trained, "q.ramify", *options) == whole
    done = run_tool(
        "prune", "q.ramify", "--branches", "1", "-o", "one.ramify", cwd=trained
    )
    assert done.status == 0, done.err
    assert predictions(trained, "one.ramify") == one
    done = run_tool("info", "one.ramify", "--check", "--json", cwd=trained)
    assert (done.status, json.loads(done.out)["branches"]) == (0, 1)
    done = run_tool(
        "prune", "q.ramify", "--branches", "3", "-o", "all.ramify", cwd=trained
    )
    assert done.status == 0, done.err
    assert (trained / "all.ramify").read_bytes() == (trained / "q.ramify").read_bytes()
    done = run_tool(
        "prune", "q.ramify", "--branches", "4", "-o", "x.ramify", cwd=trained
    )
    assert (done.status, "4 branches cannot be kept of 3" in done.err) == (2, True)
    done = run_tool(
        "predict", "q.ramify", "images-300.npy", "--branches", "4", cwd=trained
    )
    assert (done.status, "4 branches asked for, it has 3" in done.err) == (2, True)


def test_a_bound_that_is_too_small_is_told_before_training(trained):
    need = json.loads(run_tool("info", "q.ramify", "--json", cwd=trained).out)
    words = [
        *train_words(trained, 300),
        *SMALL,
        "--branches",
        "3",
        "--epochs",
        "1000000",
    ]
    words += ["--resume", "never", "-o", "x.ramify", "--resident"]
    done = run_tool(*words, str(need["resident_bytes"] // 2), cwd=trained)
    assert (done.status, "allow as much (--resident)" in done.err) == (1, True)
    assert not (trained / "never").exists()


def test_same_seed_same_file(trained, tmp_path):
    files = []
    for threads in ("1", "2", "3"):
        done = run_tool(
            *train_words(trained, 300),
            *SMALL,
            *(
                "--branches",
                "2",
                "--epochs",
                "2",
                "--threads",
                threads,
                "-o",
                "m.ramify",
            ),
            cwd=tmp_path,
        )
        assert done.status == 0, done.err
        files.append((tmp_path / "m.ramify").read_bytes())
    assert files[0] == files[1] == files[2]


def test_expansion_goes_on_from_a_model(trained, tmp_path):
    done = run_tool(
        *train_words(trained, 1200),
        *(
            "--kind",
            "paraformer",
            "--weights-from",
            trained / "q.ramify",
            "--branches",
            "4",
        ),
        *("--epochs", "1", "--augment", "off", "-o", "more.ramify", "--json"),
        cwd=tmp_path,
    )
    assert done.status == 0, done.err
    assert json.loads(done.out)["accuracy"] > 0.95
    assert done.err == ""
    fewer = run_tool(
        *train_words(trained, 300),
        *("--kind", "paraformer", "--weights-from", trained / "q.ramify"),
        *("--branches", "1", "--epochs", "1", "-o", "fewer.ramify"),
        cwd=tmp_path,
    )
    assert fewer.status == 0 and "layers are not used (--branches" in fewer.err
    done = run_tool("info", "more.ramify", "--json", cwd=tmp_path)
    assert json.loads(done.out)["branches"] == 4
    done = run_tool(
        *train_words(trained, 1200),
        *(
            "--kind",
            "paraformer",
            "--weights-from",
            trained / "q.ramify",
            "--width",
            "32",
        ),
        *("-o", "x.ramify"),
        cwd=tmp_path,
    )
    assert done.status == 2
    assert "tokens' width is 16, that of the model to train is 32" in done.err


def test_tables_have_a_token_per_column(tool, tmp_path):
    write_wave(tmp_path / "wave.csv", 1500, 1)
    text = (tmp_path / "wave.csv").read_text().splitlines()
    text[5] = "," + text[5].split(",", 1)[1]  # a gap
    (tmp_path / "wave.csv").write_text("\n".join(text) + "\n")
    done = tool(
        *("train", "wave.csv", "--target", "target", "-o", "w.ramify", "--json"),
        *SMALL,
        *("--branches", "2", "--epochs", "80", "--rate", "0.003", "--skip", "plain"),
    )
    assert done.status == 0, done.err
    assert json.loads(done.out)["r2"] > 0.9
    some = tool(
        "evaluate", "w.ramify", "wave.csv", "--interval", "90%", "--branches", "1"
    )
    assert some.status == 1 and "are those of all 2 branches" in some.err
    lines = tool(
        "predict", "w.ramify", "wave.csv", "--interval", "90%", "--novelty"
    ).out
    rows = list(csv.DictReader(io.StringIO(lines)))
    assert len(rows) == 1500
    inside = 0
    for row, line in zip(rows, text[1:], strict=True):
        inside += (
            float(row["target_low"])
            <= float(line.split(",")[3])
            <= float(row["target_high"])
        )
    assert 0.8 < inside / len(rows) < 0.99


def test_what_does_not_fit_is_refused(tool, tmp_path, trained):
    write_wave(tmp_path / "wave.csv", 200, 1)
    cases = [
        (["--branches", "2"], "options of kind paraformer, and the kind is pathways"),
        (
            ["--kind", "paraformer", "--controls"],
            "there are no controls of a paraformer",
        ),
        (["--kind", "paraformer", "--width", "20"], "width must be a multiple of 16"),
        (["--kind", "paraformer", "--heads", "5"], "heads must divide the width"),
        (["--kind", "paraformer", "--skip", "odd"], 'skip "odd" is not known'),
        (["--kind", "paraformer", "--augment", "spin"], 'augment "spin" is not known'),
        (["--kind", "paraformer", "--augment", "flip"], "no images to change"),
        (["--augment", "flip"], "options of kind paraformer, and the kind is pathways"),
        (["--kind", "paraformer", "--cv", "2", "--resume", "ck"], "--cv and --resume"),
        (["--kind", "paraformer", "--hidden", "8"], "shape experts and trees"),
        (["--kind", "paraformer", "--distillation", "on"], "shape experts and trees"),
        (["--kind", "paraformer", "--arity", "3"], "shape experts and trees"),
        (["--kind", "paraformer", "--tree", "dyadic"], "shape experts and trees"),
        (["--kind", "paraformer", "--freeze"], "freeze is about steps for prefixes"),
        (
            ["--kind", "paraformer", "--progressive", "--prefixes-only"],
            "use one of the two",
        ),
        (["--kind", "paraformer", "--patch", "2"], "no images to cut into patches"),
        (["--kind", "paraformer", "--resident", "128KiB"], "131072"),
        (["--kind", "paraformer", "--branches", "300"], "use 1 to 256 (--branches)"),
        (
            ["--kind", "paraformer", "--training-memory", "100KiB"],
            "even with one row at a time",
        ),
    ]
    for words, sentence in cases:
        done = tool("train", "wave.csv", "--target", "target", "-o", "m.ramify", *words)
        assert done.status in (1, 2) and sentence in done.err, (words, done.err)
        assert not (tmp_path / "m.ramify").exists()
    for words in (["--theory"],):
        done = run_tool("info", "q.ramify", *words, cwd=trained)
        assert (done.status, "of a paraformer's predictions" in done.err) == (1, True)
    done = run_tool("evaluate", "q.ramify", "x.npy", "--top-k", "2", cwd=trained)
    assert (done.status, "no experts to blend" in done.err) == (2, True), done.err
    done = run_tool("export", "q.ramify", "--c", "-", cwd=trained)
    assert (done.status, "cannot be written to standard output" in done.err) == (
        1,
        True,
    )
    done = run_tool("export", "q.ramify", "--c", "q.c", cwd=trained)
    assert (done.status, "cannot be exported as C" in done.err) == (1, True)


# ---- weights of other tools ----


def erf(x):
    return np.vectorize(math.erf)(x)


def norm(z, gain, bias, epsilon):
    mean, variance = z.mean(-1, keepdims=True), z.var(-1, keepdims=True)
    return (z - mean) / np.sqrt(variance + epsilon) * gain + bias


def run_layer(z, part, heads, plain, epsilon):
    """One layer over tokens z [tokens, width], weights by what they are."""
    width = z.shape[1]
    u = norm(z, part["norm1.weight"], part["norm1.bias"], epsilon)
    q, k, v = np.split(u @ part["qkv"].T + part.get("qkv.bias", 0), 3, axis=1)
    mixed = []
    for h in np.split(np.arange(width), heads):
        score = np.exp(q[:, h] @ k[:, h].T / math.sqrt(width // heads))
        mixed.append(score / score.sum(1, keepdims=True) @ v[:, h])
    z = (
        np.concatenate(mixed, 1) @ part["out"].T
        + part["out.bias"]
        + (z if plain else u)
    )
    u = norm(z, part["norm2.weight"], part["norm2.bias"], epsilon)
    inner = u @ part["fc1"].T + part["fc1.bias"]
    inner = inner * 0.5 * (1 + erf(inner / math.sqrt(2)))
    return inner @ part["fc2"].T + part["fc2.bias"] + (z if plain else u)


TIMM = {
    "norm1.weight": "norm1.weight",
    "norm1.bias": "norm1.bias",
    "qkv": "attn.qkv.weight",
    "qkv.bias": "attn.qkv.bias",
    "out": "attn.proj.weight",
    "out.bias": "attn.proj.bias",
    "norm2.weight": "norm2.weight",
    "norm2.bias": "norm2.bias",
    "fc1": "mlp.fc1.weight",
    "fc1.bias": "mlp.fc1.bias",
    "fc2": "mlp.fc2.weight",
    "fc2.bias": "mlp.fc2.bias",
}


def timm_weights(
    blocks: int, width: int, classes: int, patch: int = 2, patches: int = 6
) -> dict[str, np.ndarray]:
    """A vision transformer of images with 3 channels, as timm names it."""
    source = np.random.default_rng(5)

    def draw(*shape):
        return (0.4 * source.standard_normal(shape)).astype(np.float32)

    weights = {
        "pos_embed": draw(1, patches + 1, width),
        "cls_token": draw(1, 1, width),
        "patch_embed.proj.weight": draw(width, 3, patch, patch),
        "patch_embed.proj.bias": draw(width),
        "norm.weight": 1 + draw(width),
        "norm.bias": draw(width),
        "head.weight": draw(classes, width),
        "head.bias": draw(classes),
    }
    shapes = {
        "attn.qkv.weight": (3 * width, width),
        "attn.qkv.bias": (3 * width,),
        "attn.proj.weight": (width, width),
        "mlp.fc1.weight": (2 * width, width),
        "mlp.fc1.bias": (2 * width,),
        "mlp.fc2.weight": (width, 2 * width),
    }
    for block in range(blocks):
        for name in TIMM.values():
            weights[f"blocks.{block}.{name}"] = draw(*shapes.get(name, (width,)))
    return weights


def timm_logits(weights, image, branches, heads):
    """Of one image [rows, columns, 3]; blocks are dealt to branches in order."""
    width = weights["cls_token"].shape[2]
    kernel = weights["patch_embed.proj.weight"]
    tokens = [weights["cls_token"][0, 0]]
    side = kernel.shape[-1]
    for top in range(0, image.shape[0], side):
        for left in range(0, image.shape[1], side):
            patch = image[top : top + side, left : left + side].transpose(2, 0, 1)
            tokens.append(
                (kernel * patch).sum((1, 2, 3)) + weights["patch_embed.proj.bias"]
            )
    x = np.stack(tokens) + weights["pos_embed"][0]
    blocks = 1 + max(int(n.split(".")[1]) for n in weights if n.startswith("blocks."))
    total = np.zeros(width)
    for branch in np.split(np.arange(blocks), branches):
        z = x
        for block in branch:
            part = {
                ours: weights[f"blocks.{block}.{theirs}"]
                for ours, theirs in TIMM.items()
            }
            z = run_layer(z, part, heads, plain=True, epsilon=1e-6)
        total += z[0]
    total = norm(total, weights["norm.weight"], weights["norm.bias"], 1e-6)
    return total @ weights["head.weight"].T + weights["head.bias"]


IMPORT = ["--image", "6x4x3", "--heads", "2", "--task", "regression"]


@pytest.mark.parametrize("branches", [1, 2, 4])
def test_a_vision_transformer_is_imported(tool, tmp_path, branches):
    weights = timm_weights(4, 32, 5)
    save_file(weights, tmp_path / "vit.safetensors")
    images = np.random.default_rng(1).random((9, 6, 4, 3), dtype=np.float32)
    np.save(tmp_path / "x.npy", images)
    depth = ["--depth", str(4 // branches)] if branches > 1 else []
    done = tool("import", "vit.safetensors", "-o", "vit.ramify", *IMPORT, *depth)
    assert (done.status, done.err) == (0, "")
    done = tool("predict", "vit.ramify", "x.npy")
    assert done.status == 0, done.err
    found = np.loadtxt(io.StringIO(done.out), delimiter=",", skiprows=1)
    doubles = {name: value.astype(np.float64) for name, value in weights.items()}
    wanted = [
        timm_logits(doubles, image.astype(np.float64), branches, 2) for image in images
    ]
    assert np.abs(found - np.stack(wanted)).max() < 1e-4
    # The model file is one that anyone can open, under the names of the released code.
    inside = load_file(tmp_path / "vit.ramify")
    name = "paraformerbranches.branches.0.0.fn.to_qkv.weight"
    assert np.array_equal(inside[name], weights["blocks.0.attn.qkv.weight"])
    assert inside["pos_embedding"].shape == (1, 7, 32)
    assert tool("info", "vit.ramify", "--check").status == 0


def test_images_of_224_pixels(tool, tmp_path):
    """150,528 columns that are alike are one entry of the header."""
    weights = timm_weights(2, 16, 3, patch=32, patches=49)
    weights["patch_embed.proj.weight"] /= 50
    save_file(weights, tmp_path / "vit.safetensors")
    images = np.random.default_rng(2).random((2, 224, 224, 3), dtype=np.float32)
    np.save(tmp_path / "x.npy", images)
    size = ["--image", "224x224x3", "--heads", "1", "--task", "regression"]
    done = tool("import", "vit.safetensors", "-o", "vit.ramify", *size, "--depth", "1")
    assert (done.status, done.err) == (0, "")
    with (tmp_path / "vit.ramify").open("rb") as file:
        assert int.from_bytes(file.read(8), "little") < 8192
    assert tool("info", "vit.ramify", "--check").status == 0
    done = tool("predict", "vit.ramify", "x.npy")
    assert done.status == 0, done.err
    found = np.loadtxt(io.StringIO(done.out), delimiter=",", skiprows=1)
    doubles = {name: value.astype(np.float64) for name, value in weights.items()}
    wanted = [timm_logits(doubles, image.astype(np.float64), 2, 1) for image in images]
    assert np.abs(found - np.stack(wanted)).max() < 1e-4
    # A bound that holds one branch at a time gives the same.
    need = json.loads(tool("info", "vit.ramify", "--json").out)["resident_bytes"]
    bound = tool("predict", "vit.ramify", "x.npy", "--resident", str(need))
    assert (bound.status, bound.out) == (0, done.out)


@pytest.mark.parametrize(
    "image", ["4294967302x4x3", "-1x4x3", " 6x4x3", "6x4x3x1", "6", "6x4x", "6,4,3", ""]
)
def test_sizes_of_images_are_read_strictly(tool, tmp_path, image):
    save_file(timm_weights(2, 32, 5), tmp_path / "vit.safetensors")
    words = ("-o", "m.ramify", "--heads", "4", f"--image={image}")
    done = tool("import", "vit.safetensors", *words)
    assert done.status == 2 and "HxW or HxWxC" in done.err
    assert not (tmp_path / "m.ramify").exists()


def test_bad_weights_are_told(tool, tmp_path):
    good = timm_weights(2, 32, 5)

    def attempt(change, *options):
        weights = dict(good)
        change(weights)
        save_file(weights, tmp_path / "vit.safetensors")
        done = tool(
            "import", "vit.safetensors", "-o", "vit.ramify", *(options or IMPORT)
        )
        assert not (tmp_path / "vit.ramify").exists() or done.status == 0
        return done

    done = attempt(lambda w: w.pop("norm.bias"))
    assert done.status == 1 and 'no tensor "norm.bias"' in done.err
    done = attempt(lambda w: w.update({"head.bias": np.zeros(7, np.float32)}))
    assert done.status == 1
    assert (
        'tensor "head.bias" is F32 [7], expected F32 [5] by the shapes of the others'
        in done.err
    )
    done = attempt(lambda w: w.update({"norm.bias": np.zeros(32, np.float16)}))
    assert done.status == 1 and "is F16 [32], expected F32 [32]" in done.err
    done = attempt(lambda w: w["norm.bias"].__setitem__(3, np.nan))
    assert done.status == 1 and 'tensor "norm.bias": number 3 is' in done.err
    good["norm.bias"][3] = 0
    done = attempt(lambda w: w.pop("pos_embed"))
    assert done.status == 1 and 'neither a tensor "pos_embedding"' in done.err
    done = attempt(lambda w: None, "--image", "6x5x3", "--heads", "2")
    assert done.status == 2 and "do not cover an image of 6 x 5" in done.err
    done = attempt(lambda w: None, "--image", "8x4x3", "--heads", "2")
    assert (
        done.status == 1
        and '"pos_embed" is F32 [1, 7, 32], expected F32 [9, 32]' in done.err
    )
    done = attempt(lambda w: None, "--image", "6x4x3", "--heads", "3")
    assert done.status == 1 and "heads must divide the width" in done.err
    done = attempt(lambda w: None, *IMPORT, "--depth", "3")
    assert (
        done.status == 2
        and "2 blocks cannot be dealt to branches of 3 layers" in done.err
    )
    for name in ("blocks.0.attn.qkv.bias", "blocks.1.attn.qkv.weight"):
        done = attempt(lambda w, name=name: w.pop(name))
        assert done.status == 1 and "one before it is missing" in done.err
    done = attempt(lambda w: w.update({"blocks.0.ls1.gamma": np.zeros(32, np.float32)}))
    assert done.status == 1 and 'no place for tensor "blocks.0.ls1.gamma"' in done.err
    for names, sentence in (
        ("a,b,c,d", "lists 4 names for 5 outputs"),
        ("a,b,c,d,e,f", "lists more than 5 names"),
        ("a,b,a,d,e", 'lists "a" twice'),
        ("a,b,c,d," + 64 * "e", "name 5 of names has 64 bytes"),
    ):
        done = attempt(lambda w: None, *IMPORT, "--names", names)
        assert done.status == 2 and sentence in done.err, done.err
    done = attempt(lambda w: w.update({"extra": np.zeros(1, np.float32)}))
    assert (
        done.status == 0
        and '1 tensors are not used, the first of them "extra"' in done.err
    )
    (tmp_path / "vit.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    done = tool("import", "vit.safetensors", "-o", "x.ramify", *IMPORT)
    assert done.status == 1 and "vit.safetensors" in done.err


def test_images_of_other_sizes_are_refused(trained, tmp_path):
    def tool(*words):
        return run_tool(*words, cwd=tmp_path)

    model = trained / "q.ramify"
    for shape in ((4, 16), (9, 9), (8, 8, 3)):
        np.save(tmp_path / "other.npy", np.zeros((3, *shape), np.float32))
        done = tool("predict", model, "other.npy")
        assert done.status == 1 and "expected 8x8x1 (resize them)" in done.err
    images, labels = trained / "images-300.npy", trained / "quarters-300.csv"
    np.save(tmp_path / "test.npy", np.zeros((300, 4, 16), np.float32))
    words = ["train", images, "--labels", labels, "--task", "classification"]
    words += ["--kind", "paraformer", "--epochs", "1", "-o", "m.ramify"]
    done = tool(*words, "--test", "test.npy", "--test-labels", labels)
    assert done.status == 1 and "expected 8x8x1" in done.err
    # Beyond what a file may say: refused before training, with or without changes to images.
    for shape in ((1, 5000), (2, 2, 65), (1, 1, 5000)):
        np.save(tmp_path / "large.npy", np.zeros((300, *shape), np.float32))
        for more in ([], ["--augment", "crop,erase,flip"]):
            done = tool("train", "large.npy", *words[2:], *more)
            assert (
                done.status == 1 and "can be learned (give smaller images)" in done.err
            )
    assert not (tmp_path / "m.ramify").exists()
    # "off" is what the help calls the default.
    write_wave(tmp_path / "wave.csv", 100, 1)
    done = tool(
        "train", "wave.csv", "--target", "target", "--augment", "off", "--cv", "2"
    )
    assert done.status == 0, done.err


def test_weights_are_taken_for_the_same_tokens_only(trained, tmp_path):
    images = np.load(trained / "images-300.npy").reshape(300, 4, 16)
    np.save(tmp_path / "wide.npy", images)
    labels = ["--labels", trained / "quarters-300.csv", "--task", "classification"]
    start = ["--kind", "paraformer", "--weights-from", trained / "q.ramify"]
    cases = [(["wide.npy", *labels, *start], "images' height is 8, that")]
    same = ["--branches", "1", "--depth", "1", "--width", "16", "--heads", "2"]
    head, *rows = "a,b,y\n1,2,3\n2,1,3\n5,4,9\n3,3,6\n0,1,1\n7,1,8\n".splitlines()
    for name, header in (("ab.csv", head), ("ba.csv", "b,a,y")):
        (tmp_path / name).write_text("\n".join([header, *rows]) + "\n")
    done = run_tool(
        *("train", "ab.csv", "--target", "y", "--kind", "paraformer", *same),
        *("--epochs", "1", "-o", "ab.ramify"),
        cwd=tmp_path,
    )
    assert done.status == 0, done.err
    start = ["--kind", "paraformer", "--weights-from", "ab.ramify"]
    table = ["--target", "y", *start]
    cases += [
        (["ba.csv", *table], 'its column 1 is "a", that of the table is "b"'),
        (["ab.csv", *table, "--heads", "4"], "number of heads is 2, that"),
    ]
    for words, sentence in cases:
        done = run_tool("train", *words, "-o", "m.ramify", cwd=tmp_path)
        assert done.status != 0 and sentence in done.err, (words, done.err)
    assert not (tmp_path / "m.ramify").exists()


def test_a_model_to_start_from_is_kept(trained, tmp_path):
    before = (trained / "q.ramify").read_bytes()
    done = run_tool(
        *train_words(trained, 300),
        *("--task", "classification", "--kind", "paraformer", "--epochs", "1"),
        *("--weights-from", "q.ramify", "-o", "q.ramify"),
        cwd=trained,
    )
    assert done.status != 0 and "q.ramify" in done.err
    assert (trained / "q.ramify").read_bytes() == before


def test_a_time_limit_leaves_a_checkpoint(trained, tmp_path):
    done = run_tool(
        *train_words(trained, 300),
        *("--task", "classification", "--kind", "paraformer", "--epochs", "5000"),
        *("--time-limit", "1", "--resume", "keep", "-o", "m.ramify"),
        cwd=tmp_path,
    )
    assert done.status == 0, done.err
    assert (tmp_path / "keep" / "paraformer.checkpoint").exists()


def test_no_place_for_a_checkpoint(trained, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    for place, reason in (("file", "Not a directory"), ("a/b", "No such file")):
        done = run_tool(
            *train_words(trained, 300),
            *("--kind", "paraformer", "-o", "m.ramify"),
            *("--task", "classification", "--epochs", "1", "--resume", place),
            cwd=tmp_path,
        )
        assert done.status == 1 and reason in done.err, done.err
        assert f"{place}: no checkpoint can be written there" in done.err
        assert not (tmp_path / "m.ramify").exists()


def test_a_checkpoint_that_cannot_be_written(trained, tmp_path):
    """It is told once, and the model is there all the same."""
    words = [*train_words(trained, 300), *SMALL, "--branches", "2", "--epochs", "2"]
    whole = run_tool(*words, "-o", "whole.ramify", cwd=tmp_path)
    size = (tmp_path / "whole.ramify").stat().st_size
    (tmp_path / "keep").mkdir()
    tool = str(BUILD / "ramify")
    # In blocks of dash; a checkpoint holds the weights several times.
    limit = f"ulimit -f {size // 512 + 16}; exec"
    done = subprocess.run(
        ["sh", "-c", f'{limit} "$0" "$@"', tool, *words, "-o", "m.ramify"]
        + ["--resume", "keep"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("training goes on without checkpoints: ") == 1
    assert (whole.status, (tmp_path / "m.ramify").read_bytes()) == (
        0,
        (tmp_path / "whole.ramify").read_bytes(),
    )


def test_a_stopped_training_goes_on(trained, tmp_path):
    """Its file is that of one that was not stopped: a time limit would leave another."""
    words = [
        *train_words(trained, 300),
        *SMALL,
        *("--branches", "2", "--epochs", "3"),
    ]
    whole = run_tool(*words, "-o", "whole.ramify", cwd=tmp_path)
    (tmp_path / "keep").mkdir()
    kept = run_tool(*words, "-o", "kept.ramify", "--resume", "keep", cwd=tmp_path)
    assert (whole.status, kept.status) == (0, 0), kept.err
    assert (tmp_path / "whole.ramify").read_bytes() == (
        tmp_path / "kept.ramify"
    ).read_bytes()
