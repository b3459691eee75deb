"""Para-Formers whose branches are dealt to the processes of an MPI job."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess

import numpy as np
import pytest
from conftest import BUILD, Result, run_tool, write_wave

PLUGIN = BUILD / "ramify-mpi.so"

pytestmark = [
    pytest.mark.skipif(not PLUGIN.exists(), reason="built without -DRAMIFY_MPI=ON"),
    pytest.mark.skipif(not shutil.which("mpirun"), reason="there is no mpirun"),
]

# More ranks than processors, and tests in containers, are as good as any.
LAUNCHED = os.environ | {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}

# Checkpoints hold the seconds that a fit took, and end with a checksum.
SECONDS = slice(48, 56)

SMALL = ["--kind", "paraformer", "--depth", "1", "--width", "16", "--heads", "2"]
IMAGES = ["train", "images.npy", "--labels", "quarters.csv", *SMALL, "--patch", "4"]
TABLE = ["train", "wave.csv", "--target", "target", *SMALL]


def run_ranks(
    ranks: int, program: pathlib.Path, *words: str, cwd: pathlib.Path
) -> Result:
    return Result(
        subprocess.run(
            ["mpirun", "-n", str(ranks), str(program), *words],
            capture_output=True,
            text=True,
            cwd=cwd,
            env=LAUNCHED,
            timeout=100,
            check=False,
        )
    )


def train_ranks(
    ranks: int, words: list[str], model: str, cwd: pathlib.Path
) -> tuple[Result, bytes]:
    options = ["-o", model, "--threads", "1"]
    done = run_ranks(ranks, BUILD / "ramify", *words, *options, cwd=cwd)
    assert done.status == 0, done.err
    return done, (cwd / model).read_bytes()


def train_alone(words: list[str], model: str, cwd: pathlib.Path) -> bytes:
    done = run_tool(*words, "-o", model, "--threads", "2", cwd=cwd)
    assert done.status == 0, done.err
    return (cwd / model).read_bytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    """8 x 8 pixels of noise with a bright square in one of four quarters, and a table."""
    made = tmp_path_factory.mktemp("ranks")
    source = np.random.default_rng(1)
    quarter = source.integers(0, 4, 300)
    images = source.random((300, 8, 8), dtype=np.float32)
    for image, q in zip(images, quarter, strict=True):
        top, left = 4 * (q // 2), 4 * (q % 2)
        image[top : top + 4, left : left + 4] += 1.0
    np.save(made / "images.npy", images)
    labels = "".join(f"q{q}\n" for q in quarter)
    (made / "quarters.csv").write_text("quarter\n" + labels)
    write_wave(made / "wave.csv", 300, 1)
    return made


PROGRESSIVE = [*IMAGES, "--branches", "5", "--epochs", "2", "--progressive"]


@pytest.mark.parametrize(
    ("words", "counts"),
    [
        (PROGRESSIVE, (1, 2, 3, 4)),
        ([*TABLE, "--branches", "3", "--epochs", "2"], (2, 4)),
        ([*PROGRESSIVE, "--freeze", "--augment", "off"], (2,)),
        ([*IMAGES, "--branches", "4", "--epochs", "1", "--prefixes-only"], (3,)),
        # Fewer rows at a time than would be usual, as one process has to have them.
        ([*PROGRESSIVE, "--training-memory", "1MiB"], (3,)),
    ],
)
def test_the_file_is_that_of_one_process(folder, words, counts):
    alone = train_alone(words, "alone.ramify", folder)
    for ranks in counts:
        _, ranked = train_ranks(ranks, words, "ranked.ramify", folder)
        assert ranked == alone, f"{ranks} ranks"


def test_weights_are_taken_over(folder):
    """Layers of five branches of one become those of three branches of two."""
    train_alone([*IMAGES, "--branches", "5", "--epochs", "1"], "from.ramify", folder)
    words = [*IMAGES, "--branches", "3", "--depth", "2", "--epochs", "1"]
    words += ["--weights-from", "from.ramify"]
    alone = train_alone(words, "alone.ramify", folder)
    assert train_ranks(2, words, "ranked.ramify", folder)[1] == alone


def test_ranks_need_less_memory_each(folder):
    """A bound that is too tight for one process; the largest need is told."""
    words = [*IMAGES, "--branches", "8", "--epochs", "1"]
    words += ["--training-memory", "800KiB"]
    done = run_tool(*words, "-o", "x.ramify", cwd=folder)
    assert (done.status, "--training-memory" in done.err) == (1, True)
    done, _ = train_ranks(2, words, "x.ramify", folder)
    assert "at most, beside the table" in done.out
    words[-1] = "100KiB"
    done = run_ranks(2, BUILD / "ramify", *words, "-o", "y.ramify", cwd=folder)
    assert (done.status != 0, "--training-memory" in done.err) == (True, True)


def stop_alone(words: list[str], cwd: pathlib.Path) -> None:
    """Stops a training when it has scored its weights for the first time."""
    running = subprocess.Popen(
        [str(BUILD / "ramify"), *words, "-o", "x.ramify", "--verbose"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
    )
    for line in running.stderr:
        if "select loss" in line:
            running.send_signal(signal.SIGINT)
            break
    _, rest = running.communicate(timeout=100)
    assert "stopped by SIGINT" in rest, rest


def without_seconds(path: pathlib.Path) -> bytes:
    checkpoint = bytearray(path.read_bytes())
    checkpoint[SECONDS] = bytes(8)
    return bytes(checkpoint[:-4])


def test_a_fit_goes_on_on_any_number_of_ranks(folder):
    words = [*IMAGES, "--branches", "3", "--epochs", "60", "--progressive"]
    whole = train_alone([*words, "--resume", "end"], "whole.ramify", folder)
    stop_alone([*words, "--resume", "middle"], folder)
    files = []
    for ranks in (2, 3):
        keep = f"keep{ranks}"
        shutil.copytree(folder / "middle", folder / keep)
        resumed = [*words, "--resume", keep]
        assert train_ranks(ranks, resumed, "ranked.ramify", folder)[1] == whole
        files.append(without_seconds(folder / keep / "paraformer.checkpoint"))
    # What they write is what one process writes.
    end = without_seconds(folder / "end" / "paraformer.checkpoint")
    assert files == [end, end]


def test_ranks_that_a_clock_stops(folder):
    """They stop after the same step, and from there any number of ranks comes to the same end."""
    words = [*IMAGES, "--branches", "3", "--epochs", "600"]
    limited = [*words, "--resume", "clock", "--time-limit", "0.1"]
    done, _ = train_ranks(3, limited, "clock.ramify", folder)
    files = []
    assert "the time limit struck" in done.out
    shutil.copytree(folder / "clock", folder / "clock1")
    files.append(train_alone([*words, "--resume", "clock1"], "a.ramify", folder))
    files.append(train_ranks(2, [*words, "--resume", "clock"], "b.ramify", folder)[1])
    assert files[0] == files[1]


def test_a_damaged_checkpoint_keeps_nobody_waiting(folder):
    words = [*IMAGES, "--branches", "3", "--epochs", "1", "--resume", "bad"]
    train_ranks(2, words, "x.ramify", folder)
    checkpoint = folder / "bad" / "paraformer.checkpoint"
    damaged = bytearray(checkpoint.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    checkpoint.write_bytes(damaged)
    done = run_ranks(3, BUILD / "ramify", *words, "-o", "x.ramify", cwd=folder)
    assert done.status != 0
    assert done.err.count("paraformer.checkpoint: ") == 1, done.err


def test_predictions_of_shared_branches(folder):
    words = [*IMAGES, "--branches", "5", "--epochs", "1", "--width", "64"]
    train_alone(words, "wide.ramify", folder)
    program = BUILD / "tests" / "share_branches"
    rows, width, record = 150, 64, 4 * (12 * 64 * 64 + 10 * 64)
    for ranks, branches in ((1, 5), (2, 5), (3, 5), (4, 2)):
        given = [str(PLUGIN), "wide.ramify", str(rows), str(branches)]
        done = run_ranks(ranks, program, *given, cwd=folder)
        assert done.status == 0, done.err
        told = json.loads(done.out)
        assert [rank["same"] for rank in told] == [True] * ranks
        for r, rank in enumerate(told):
            own = len(range(r, branches, ranks))
            # Each holds its own branches, and none of the others'.
            assert rank["whole"] - rank["shared"] == (branches - own) * record
            # Besides what pieces of rows they can take.
            sent = (ranks - 1) * (4 * own * rows * width + 8)
            assert rank["sent"] == (sent if ranks > 1 else 0)
