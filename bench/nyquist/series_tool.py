"""The tool and its library, as the programs in this folder use them.

Tables go in as float64 NPY files: inputs first, the target last. Predictions come from libramify.so beside
the tool by way of ctypes, without a detour over text.
"""

from __future__ import annotations

import ctypes
import json
import os
import pathlib
import subprocess
import tempfile
import time
from typing import NamedTuple

import numpy as np


class Outcome(NamedTuple):
    """A trained model, asked about test rows."""

    predicted: np.ndarray
    seconds: float  # of the call that trains
    info: dict  # `ramify info --json`

    @property
    def series(self) -> dict:
        """The report of a Nyquist learner."""
        return self.info["config"]["nyquist"]


class _Library:
    """Enough of ramify.h to predict float64 rows."""

    def __init__(self, tool: str) -> None:
        folder = pathlib.Path(tool).resolve().parent
        self.call = ctypes.CDLL(str(folder / "libramify.so"))
        self.call.ramify_message.restype = ctypes.c_char_p
        self.context = ctypes.c_void_p()
        self.check(
            self.call.ramify_context_create(None, ctypes.byref(self.context)), "context"
        )

    def check(self, status: int, what: str) -> None:
        if status != 0:
            said = self.call.ramify_message(self.context) if self.context else b""
            raise SystemExit(f"{what}: status {status}: {said.decode()}")

    def predict(self, model: str, x: np.ndarray) -> np.ndarray:
        opened, predictor = ctypes.c_void_p(), ctypes.c_void_p()
        self.check(
            self.call.ramify_open(
                self.context, os.fsencode(model), None, ctypes.byref(opened)
            ),
            model,
        )
        self.check(
            self.call.ramify_predictor_create(
                self.context, opened, ctypes.c_size_t(256), ctypes.byref(predictor)
            ),
            model,
        )
        rows = np.ascontiguousarray(x, dtype=np.float64)
        y = np.empty(len(rows))
        pointer = ctypes.POINTER(ctypes.c_double)
        self.check(
            self.call.ramify_predict_double(
                predictor,
                ctypes.c_size_t(len(rows)),
                rows.ctypes.data_as(pointer),
                ctypes.c_size_t(rows.shape[1]),
                y.ctypes.data_as(pointer),
                ctypes.c_size_t(1),
            ),
            model,
        )
        self.call.ramify_predictor_destroy(ctypes.byref(predictor))
        self.call.ramify_close(ctypes.byref(opened))
        return y


class Tool:
    """The tool at a path."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.library = _Library(path)

    def ask(self, *words: str) -> dict:
        """What a verb prints as JSON."""
        done = subprocess.run(
            [self.path, *words, "--json"], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise SystemExit(f"ramify {' '.join(words)}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def learn(
        self, x: np.ndarray, y: np.ndarray, test: np.ndarray, *words: str
    ) -> Outcome:
        """Trains on rows x, y with these options and predicts the rows `test`."""
        with tempfile.TemporaryDirectory() as folder:
            table = str(pathlib.Path(folder) / "rows.npy")
            model = str(pathlib.Path(folder) / "m.ramify")
            np.save(table, np.column_stack([x, y]).astype(np.float64))
            target = f"c{x.shape[1] + 1}"
            began = time.monotonic()
            self.ask("train", table, "--target", target, "-o", model, *words)
            seconds = time.monotonic() - began
            return Outcome(
                self.library.predict(model, test),
                seconds,
                self.ask("info", model),
            )


class Kept:
    """Results by name, in a folder or nowhere: what is there is not measured again."""

    def __init__(self, folder: pathlib.Path | None) -> None:
        self.folder = folder
        if folder:
            folder.mkdir(parents=True, exist_ok=True)

    def get(self, name: str, measure) -> dict:
        place = self.folder / f"{name}.json" if self.folder else None
        if place and place.exists():
            return json.loads(place.read_text())
        result = measure()
        if place:
            beside = place.with_suffix(".part")
            beside.write_text(json.dumps(result))
            beside.replace(place)
        return result
