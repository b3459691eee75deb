"""Prediction speed of the peers that only Python reaches: scikit-learn and PyTorch.

    python3 bench/predict/python_peers.py FOLDER [--turns N] [--lines FILE]

The same measures as ``bench_predict`` (prediction_speed.c says what they are), from the
same folder and in the same units, by turns between the contenders of this file. What a
call costs in Python itself is not held against a peer: the median time of an empty
function, called and timed in the same way, is taken off every single call.

One thread. PyTorch: tensors made beforehand, inference mode, and of three forms of the
network the fastest for single rows and for batches each: addmm and relu_ written out,
``nn.Sequential``, and a traced, frozen graph. scikit-learn: its public ``predict`` (or
``predict_proba``) with ``assume_finite`` and without parameter validation. Batches are
cut into pieces, whose size is the fastest of several.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"
with contextlib.suppress(OSError):
    if "avx512f" in pathlib.Path("/proc/cpuinfo").read_text():
        # OpenBLAS takes slow kernels on processors newer than itself unless told.
        os.environ.setdefault("OPENBLAS_CORETYPE", "SkylakeX")

# The environment above must be set before NumPy is loaded.
import numpy as np  # noqa: E402

GROUP = 32
CALLS_MOST = 4000
CALLS_LEAST = 64
CALLS_TIME = 0.1
COLD_CALLS = 100
COLD_BYTES = 16 << 20
SMALL_BATCH = 1000
PIECES = (8192, 4096, 1024, 512, 256, 128)
STRAY_SHARE = 0.005

Rows = Any  # an array or a tensor
Predict = Callable[[Rows], Rows]


class Contender:
    """A network in one library: the forms it may take, and rows as the library wants them."""

    def __init__(self, name: str, forms: dict[str, Predict], rows: Rows) -> None:
        self.name = name
        self.forms = forms
        self.rows = rows
        self.singles = [rows[i : i + 1] for i in range(CALLS_MOST)]
        self.note = ""
        self.values: dict[str, list[float]] = {}
        self.one = self.fastest({f: (p, 1) for f, p in forms.items()}, self.run_singles)
        self.batches: dict[int, tuple[Predict, int]] = {}

    def fastest(self, settings: dict[str, tuple[Predict, int]], run: Callable) -> Any:
        """The setting whose quickest of three runs is the quickest."""
        least = {name: np.inf for name in settings}
        for _ in range(3):
            for name, setting in settings.items():
                start = time.perf_counter()
                run(*setting)
                least[name] = min(least[name], time.perf_counter() - start)
        best = min(least, key=least.get)
        self.note += f"{'; ' if self.note else ''}{best}"
        return settings[best]

    def run_singles(self, predict: Predict, piece: int) -> None:
        del piece
        for row in self.singles[:300]:
            predict(row)

    def cut(self, predict: Predict, piece: int, rows: int) -> list[Rows]:
        whole = self.rows[:rows]
        return [predict(whole[i : i + piece]) for i in range(0, rows, piece)]

    def arrange(self, rows: int) -> None:
        some = min(rows, PIECES[0])
        settings = {
            f"{form} {piece}": (predict, piece)
            for form, predict in self.forms.items()
            for piece in PIECES
            if piece < some or piece == PIECES[0]
        }
        self.batches[rows] = self.fastest(settings, lambda p, n: self.cut(p, n, some))

    def note_value(self, measure: str, value: float) -> None:
        self.values.setdefault(measure, []).append(value)


def measure_empty(rows: Rows) -> float:
    """Seconds of an empty call and of reading the clock around it."""

    def nothing(row: Rows) -> None:
        del row

    times = []
    for _ in range(CALLS_MOST):
        start = time.perf_counter_ns()
        nothing(rows)
        times.append(time.perf_counter_ns() - start)
    return 1e-9 * float(np.median(times))


def time_calls(
    predict: Predict, rows: list[Rows], cold: np.ndarray | None
) -> np.ndarray:
    times = np.empty(len(rows))
    for i, row in enumerate(rows):
        if cold is not None:
            cold[::64] += 1
        start = time.perf_counter_ns()
        predict(row)
        times[i] = time.perf_counter_ns() - start
    return 1e-9 * times


def take_turn(contender: Contender, turn: int, empty: float, cold: np.ndarray) -> None:
    predict, _ = contender.one
    singles = contender.singles
    first = turn * CALLS_LEAST % CALLS_MOST
    some = singles[first : first + CALLS_LEAST]
    seconds = time_calls(predict, some, None).mean()
    calls = int(min(max(CALLS_TIME / seconds, CALLS_LEAST), CALLS_MOST))
    times = time_calls(predict, singles[:calls], None) - empty
    contender.note_value("single_p50", float(np.quantile(times, 0.5)))
    contender.note_value("single_p99", float(np.quantile(times, 0.99)))
    groups = []
    for at in range(0, calls - GROUP + 1, GROUP):
        start = time.perf_counter_ns()
        for row in singles[at : at + GROUP]:
            predict(row)
        groups.append(1e-9 * (time.perf_counter_ns() - start) / GROUP - empty)
    contender.note_value("grouped", float(np.median(groups)))
    times = time_calls(predict, singles[:COLD_CALLS], cold) - empty
    contender.note_value("cold_p50", float(np.quantile(times, 0.5)))
    for measure, rows in (
        ("rows_1000", SMALL_BATCH),
        ("rows_100000", len(contender.rows)),
    ):
        batch = contender.batches[rows]
        spent = []
        while not spent or sum(spent) < CALLS_TIME:
            start = time.perf_counter()
            contender.cut(*batch, rows)
            spent.append(time.perf_counter() - start)
        contender.note_value(measure, rows / float(np.median(spent)))


def read_layers(path: pathlib.Path) -> list[tuple[np.ndarray, np.ndarray]]:
    with np.load(path) as arrays:
        return [(arrays[f"w{i}"], arrays[f"b{i}"]) for i in range(len(arrays) // 2)]


def make_sklearn(path: pathlib.Path, softmax: bool) -> dict[str, Predict]:
    """A fitted model with the given weights."""
    import sklearn
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.preprocessing import LabelBinarizer

    sklearn.set_config(assume_finite=True, skip_parameter_validation=True)
    layers = read_layers(path)
    hidden = tuple(len(bias) for _, bias in layers[:-1])
    model = (MLPClassifier if softmax else MLPRegressor)(hidden_layer_sizes=hidden)
    model.coefs_ = [np.ascontiguousarray(weights) for weights, _ in layers]
    model.intercepts_ = [bias for _, bias in layers]
    model.n_layers_ = len(layers) + 1
    model.n_outputs_ = len(layers[-1][1])
    model.n_features_in_ = len(layers[0][0])
    model.out_activation_ = "softmax" if softmax else "identity"
    if not softmax:
        return {"predict": model.predict}
    model.classes_ = np.arange(model.n_outputs_)
    model._label_binarizer = LabelBinarizer().fit(model.classes_)
    return {"predict_proba": model.predict_proba}


def make_torch(path: pathlib.Path, softmax: bool, rows: Rows) -> dict[str, Predict]:
    import torch

    layers = [tuple(map(torch.from_numpy, layer)) for layer in read_layers(path)]
    last = len(layers) - 1

    def written_out(x: Rows) -> Rows:
        for i, (weights, bias) in enumerate(layers):
            x = torch.addmm(bias, x, weights)
            if i < last:
                x.relu_()
        return torch.softmax(x, 1) if softmax else x

    modules: list[Any] = []
    for i, (weights, bias) in enumerate(layers):
        linear = torch.nn.Linear(*weights.shape)
        linear.weight.data = weights.T.contiguous()
        linear.bias.data = bias
        modules += [linear, torch.nn.ReLU()] if i < last else [linear]
    modules += [torch.nn.Softmax(dim=1)] if softmax else []
    network = torch.nn.Sequential(*modules).eval()
    forms: dict[str, Predict] = {"written out": written_out, "Sequential": network}
    with warnings.catch_warnings(), contextlib.suppress(RuntimeError, AttributeError):
        warnings.simplefilter("ignore")
        traced = torch.jit.freeze(torch.jit.trace(network, rows[:1]))
        for _ in range(10):  # the graph is made for the shapes of the first calls
            traced(rows[:1])
        forms["frozen"] = traced
    return forms


def open_contender(
    fields: list[str], folder: pathlib.Path, queries: np.ndarray, checked: int
) -> Contender | None:
    """None if the package is missing, or what it predicts is wrong."""
    name, kind, _, model, outputs, expected_file, tolerance = fields[:7]
    softmax = int(outputs) > 1
    rows: Rows = queries
    if kind == "torch":
        import torch

        rows = torch.from_numpy(queries)
        forms = make_torch(folder / model, softmax, rows)
    else:
        forms = make_sklearn(folder / model, softmax)
    expected = np.fromfile(folder / expected_file, dtype=np.float32).reshape(
        checked, -1
    )
    for form, predict in forms.items():
        found = np.asarray(predict(rows[:checked])).reshape(checked, -1)
        off = abs(found - expected) > float(tolerance) * (1 + abs(expected))
        if off.any(axis=1).mean() > STRAY_SHARE:
            print(f"{name}, {form}: WRONG, not timed", file=sys.stderr)
            return None
    contender = Contender(name, forms, rows)
    contender.arrange(SMALL_BATCH)
    contender.arrange(len(queries))
    return contender


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--lines", type=pathlib.Path)
    chosen = parser.parse_args()
    guard: Any = contextlib.nullcontext()
    with contextlib.suppress(ImportError):
        import torch

        torch.set_num_threads(1)
        guard = torch.inference_mode()
    table = (chosen.folder / "manifest.tsv").read_text().splitlines()
    _, name, columns, rows, checked, _ = table[0].split("\t")
    queries = np.fromfile(chosen.folder / "queries.f32", dtype=np.float32)
    queries = queries.reshape(int(rows), int(columns))
    wanted = [line.split("\t")[1:] for line in table if line.startswith("contender")]
    wanted = [fields for fields in wanted if fields[1] in ("sklearn", "torch")]
    cold = np.zeros(COLD_BYTES, dtype=np.uint8)
    with guard:
        opened = [
            open_contender(f, chosen.folder, queries, int(checked)) for f in wanted
        ]
        contenders = [contender for contender in opened if contender]
        empty = measure_empty(queries[:1])
        for turn in range(chosen.turns):
            for contender in contenders:
                take_turn(contender, turn, empty, cold)
    lines = []
    for contender in contenders:
        lines.append(f"{name}\t{contender.name}\tnote\t{contender.note}")
        for measure, values in contender.values.items():
            lines.append(
                f"{name}\t{contender.name}\t{measure}\t{np.median(values):.9g}"
            )
    text = "".join(f"{line}\n" for line in lines)
    if chosen.lines:
        with chosen.lines.open("a") as file:
            file.write(text)
    else:
        print(text, end="")
    return 0 if len(contenders) == len(wanted) else 1


if __name__ == "__main__":
    sys.exit(main())
