"""The programs behind docs/theory.md."""

from __future__ import annotations

import importlib
import json
import sys

import numpy as np
import pytest
from conftest import SOURCE


@pytest.fixture(scope="module")
def bench():
    sys.path.insert(0, str(SOURCE / "bench" / "theory"))
    yield importlib.import_module
    sys.path.pop(0)


def test_one_parameter_meets_all_labels(bench):
    """As many points as the parameter has digits, and no more."""
    one = bench("one_parameter")
    for points in (1, 2, 5, 10):
        assert one.met(points) == (2**points, 2**points)
    for keep, digits in ((one.to_float64, 53), (one.to_float32, 24)):
        right, tried = one.met(digits - 1, keep)
        assert right == tried > 2000
        right, tried = one.met(digits + 1, keep)
        assert right < tried


def test_lipschitz_function(bench, tool, tmp_path, monkeypatch):
    """Its constant is 1, and almost reached; weights are counted as the tool counts them."""
    lipschitz = bench("lipschitz")
    monkeypatch.setattr(lipschitz, "TRAIN", 3000)
    monkeypatch.setattr(lipschitz, "TEST", 0)
    rows = lipschitz.make_rows(4, 0)
    assert (rows == lipschitz.make_rows(4, 0)).all()
    assert (rows != lipschitz.make_rows(4, 1)).any()
    apart = rows[:, None, :] - rows[None, :500, :]
    distance = np.sqrt((apart[:, :, :-1] ** 2).sum(axis=2))
    slope = np.abs(apart[:, :, -1])[distance > 0] / distance[distance > 0]
    assert 0.99 < slope.max() <= 1 + 1e-9

    np.savetxt(tmp_path / "t.csv", rows[:300], delimiter=",")
    words = ["train", "t.csv", "--target", "c5", "-o", "m", *lipschitz.PLAIN]
    done = tool(*words, "--kind", "mlp", "--hidden", "9,9", "--epochs", "1")
    assert done.status == 0, done.err
    theory = json.loads(tool("info", "m", "--theory", "--json").out)["theory"]
    assert theory["model"]["weights"] == lipschitz.weights_of(4, 9)
    for leaves in (1, 16):
        width = lipschitz.width_for(4, leaves)
        assert leaves * lipschitz.weights_of(4, width) <= lipschitz.SAME_TOTAL
        assert leaves * lipschitz.weights_of(4, width + 1) > lipschitz.SAME_TOTAL
