"""Reads models with the safetensors package, checks the layout, and predicts by docs/model-format.md.

usage: check_safetensors.py WRITE_MODELS

WRITE_MODELS is the program built from write_models.c. This is a second reader of the format, written
from its description, in double precision: its predictions must agree with the library's.
"""

import itertools
import json
import math
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy as np
from safetensors import safe_open


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def crc_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


CRC_TABLE = crc_table()


def pad(count):
    return (count + 15) // 16 * 16


def widen(halves):
    """bfloat16 numbers: the upper halves of float32."""
    return (halves.astype("<u4") << 16).view("<f4").astype(float)


class Model:
    def __init__(self, path):
        self.bytes = path.read_bytes()
        length = struct.unpack("<Q", self.bytes[:8])[0]
        self.data = self.bytes[8 + length :]
        assert (8 + length) % 4096 == 0
        self.header = json.loads(self.bytes[8 : 8 + length])
        with safe_open(path, framework="numpy") as file:
            self.metadata = file.metadata()
            self.tensors = {name: file.get_tensor(name) for name in file.keys()}
        self.config = json.loads(self.metadata["ramify.config"])
        assert self.metadata["ramify.format"] == "1"
        self.check_layout()
        self.check_checksums()

    def check_layout(self):
        self.header.pop("__metadata__")
        at = 0
        entries = sorted(self.header.items(), key=lambda item: item[1]["data_offsets"])
        assert [name for name, _ in entries] == list(self.header)
        for name, entry in entries:
            begin, end = entry["data_offsets"]
            assert begin == at
            if name.startswith("ramify.pad."):
                assert end - begin < 64 and not self.tensors[name].any()
            else:
                assert begin % 64 == 0
            at = end
        assert at == len(self.data)

    def check_checksums(self):
        end = self.header["tree.root"]["data_offsets"][1]
        crc = crc32c(self.metadata["ramify.config"].encode())
        end += -end % 64
        assert f"{crc32c(self.data[:end], crc):08x}" == self.metadata["ramify.crc32c"]
        self.notes = self.config.get("notes")
        if self.notes:
            names = ["notes.residuals", "notes.distances"]
            first = names[self.notes["residuals"] == 0]
            begin = self.header[first]["data_offsets"][0]
            end = self.header["notes.leaves"]["data_offsets"][0]
            assert f"{crc32c(self.data[begin:end]):08x}" == self.notes["crc32c"]

    def record(self, reference):
        kind, group, offset, size, crc, _, leaf = struct.unpack("<IIQIIII", reference)
        self.leaf, self.group = leaf, group
        # Modules of every group are counted from the first one's tensor on.
        first = "tree.nodes" if kind == 2 else "experts.0"
        offset += self.header[first]["data_offsets"][0]
        record = self.data[offset : offset + size]
        if kind == 1:
            begin, end = self.header[f"experts.{group}"]["data_offsets"]
            assert begin <= offset and offset + size <= end
        assert crc32c(record) == crc
        return kind, record

    def plain(self, x):
        out = []
        for column, value in enumerate(x):
            codes, missing = (int(n) for n in self.tensors["stem.columns"][column][:2])
            if codes:
                known = value is not None and value in range(codes)
                out += [
                    float(code == (value if known else codes - 1))
                    for code in range(codes)
                ]
                continue
            center, scale = (
                self.tensors[f"stem.{name}"][column] for name in ("center", "scale")
            )
            z = (
                0.0
                if value is None
                else min(10.0, max(-10.0, (value - center) / scale))
            )
            out += [z] + ([float(value is None)] if missing else [])
        return np.array(out)

    def features(self, plain):
        stem = self.config["stem"]
        out, waves = [], []
        for column, entry in enumerate(self.tensors["stem.columns"]):
            codes, missing, at, _, knot, knots, first, _ = (int(n) for n in entry)
            width = codes if codes else 1 + missing
            mine = plain[at : at + width]
            if codes and stem["bins"]:
                row = self.tensors["stem.table"][first + int(np.argmax(mine))].astype(
                    float
                )
                out += [row[0], row[2]]
            elif knots:
                edges = self.tensors["stem.knots"][knot : knot + knots]
                below = int((edges <= np.float32(mine[0])).sum())
                offset = mine[0] - edges[max(below - 1, 0)]
                if missing and mine[1]:
                    below, offset = knots + 1, 0.0
                row = self.tensors["stem.table"][first + below].astype(float)
                out += [row[0] + row[1] * offset, row[2] + row[3] * offset]
            else:
                out += list(mine)
            if not codes and stem["frequencies"]:
                for frequency in self.tensors["stem.frequency"][column]:
                    angle = 2 * math.pi * float(frequency) * mine[0]
                    waves += [math.sin(angle), math.cos(angle)]
        return np.array(out + waves)

    def descend(self, plain):
        point = plain
        if self.config["stem"]["route"]:
            point = self.tensors["stem.route"][:, : len(plain)].astype(float) @ plain
        kind, record = self.record(self.tensors["tree.root"].tobytes())
        self.distance = 0.0
        if self.notes and kind == 1:
            center = self.tensors["notes.center"][: len(plain)].astype(float)
            self.distance = math.dist(plain, center)
        while kind == 2:
            children, dims = struct.unpack("<II", record[8:16])
            start = 64 + (32 * children + 63) // 64 * 64
            prototypes = np.frombuffer(record, "<f4", children * pad(dims), start)
            prototypes = prototypes.reshape(children, pad(dims))[:, :dims].astype(float)
            squares = ((prototypes - point) ** 2).sum(axis=1)
            nearest = int(np.argmin(squares))
            self.distance = math.sqrt(squares[nearest])
            kind, record = self.record(record[64 + 32 * nearest : 96 + 32 * nearest])
        return record

    def run_series(self, record, x):
        """All products of functions in the order of words, those outside the set skipped."""
        kind, band, axes, outputs, terms, size = struct.unpack("<6I", record[:24])
        functions, frequencies = [], []
        for a in range(axes):
            origin, length, column, basis = struct.unpack(
                "<ddII", record[64 + 32 * a : 88 + 32 * a]
            )
            value = x[column]
            u = 0.5 if value is None else (value - origin) / length
            k = np.arange(1, band + 1)
            if basis == 0:
                u = u if math.isfinite(u) else 0.5
                pairs = [np.cos(2 * math.pi * k * u), np.sin(2 * math.pi * k * u)]
                rest, counts = np.column_stack(pairs).ravel(), np.repeat(k, 2)
            else:
                u = min(1.0, max(0.0, u))
                angle = math.pi * u if basis == 1 else math.acos(2 * u - 1)
                rest, counts = np.cos(k * angle), k
            functions.append(np.concatenate([[1.0], math.sqrt(2) * rest]))
            frequencies.append(np.concatenate([[0], counts]))
        products = []
        for place in itertools.product(*(range(len(f)) for f in functions)):
            k = [frequencies[a][f] for a, f in enumerate(place)]
            reach = [max(k, default=0), sum(k), math.prod(n + 1 for n in k) - 1][kind]
            if reach <= band:
                products.append(math.prod(functions[a][f] for a, f in enumerate(place)))
        assert len(products) == terms
        start, stride = (64 + 32 * axes + 63) // 64 * 64, (terms * size + 63) // 64 * 64
        out = []
        for o in range(outputs):
            at = start + o * stride
            numbers = np.frombuffer(record, "<f8" if size == 8 else "<f4", terms, at)
            out.append(float(np.dot(numbers.astype(float), products)))
        return np.array(out)

    def run_module(self, record, features):
        record = np.frombuffer(record, "<f4").astype(float)
        shape = self.config["groups"][0]["shape"]
        members, widths = shape["members"], shape["widths"]
        at = 0

        def take(rows, columns):
            nonlocal at
            part = record[at : at + rows * pad(columns)].reshape(rows, pad(columns))[
                :, :columns
            ]
            at += rows * pad(columns)
            return part

        x = np.tile(features, (members, 1))
        for layer, (k, n) in enumerate(zip(widths, widths[1:], strict=False)):
            last = layer == len(widths) - 2
            weight = take(n, k).T if last and n <= 8 else take(k, n)
            bias = take(members, n)
            r, s = (take(members, k), take(members, n)) if members > 1 else (1.0, 1.0)
            x = ((x * r) @ weight) * s + bias
            if not last:
                slope = take(1, n)
                x = np.where(x > 0, x, slope * x)
        assert at == len(record)
        return x.mean(axis=0)

    def run_packed(self, record, features):
        shape = self.config["groups"][0]["shape"]
        members, widths = shape["members"], shape["widths"]
        layers = len(widths) - 1
        headers = struct.unpack(f"<{4 * layers}I", record[: 16 * layers])
        at = 0

        def take(count, numbers):
            """The next part, which ends at a multiple of 64 bytes."""
            nonlocal at
            size = np.dtype(numbers).itemsize
            part = np.frombuffer(record, numbers, count, at)
            at += (count * size + 63) // 64 * 64
            return widen(part) if numbers == "<u2" else part.astype(float)

        take(4 * layers, "<u4")
        x = np.tile(features, (members, 1))
        for layer, (k, n) in enumerate(zip(widths, widths[1:], strict=False)):
            form, kind, steps, reserved = headers[4 * layer : 4 * layer + 4]
            assert reserved == 0 and form in (0, 1, 2)
            numbers = ["<f4", "<u2", "<i1"][kind]
            last = layer == layers - 1
            weight = np.zeros((k, pad(n)))
            if form == 1:
                counts = take(pad(n) // 16, "<u4").astype(int)
                assert counts.sum() == steps
                values = take(16 * steps, numbers).reshape(steps, 16)
                index = np.frombuffer(
                    record, "<u1" if k <= 256 else "<u2", 16 * steps, at
                )
                at += (index.nbytes + 63) // 64 * 64
                index = index.reshape(steps, 16)
                outputs = np.repeat(np.arange(len(counts)) * 16, counts)
                for lane in range(16):
                    np.add.at(weight, (index[:, lane], outputs + lane), values[:, lane])
            elif form == 2:
                lines = pad(n) // 16
                masks = np.frombuffer(record, "<u2", k * lines, at)
                at += (masks.nbytes + 63) // 64 * 64
                values = iter(take(steps, "<f4"))
                left = iter(masks)
                for first in range(0, lines, 8):
                    for i in range(k):
                        for line in range(first, min(lines, first + 8)):
                            mask = int(next(left))
                            for bit in range(16):
                                if mask >> bit & 1:
                                    weight[i, 16 * line + bit] = next(values)
                assert next(values, None) is None
            elif last and n <= 8:
                weight[:, :n] = take(n * pad(k), numbers).reshape(n, pad(k))[:, :k].T
            elif kind == 0:
                weight = take(k * pad(n), numbers).reshape(k, pad(n))
            else:
                pairs = (k + 3) // 4 * 2
                blocks = take(2 * pairs * pad(n), numbers)
                blocks = blocks.reshape(pad(n) // 16, pairs, 16, 2)
                weight = blocks.transpose(1, 3, 0, 2).reshape(2 * pairs, pad(n))[:k]
            scaled = members > 1 or kind == 2
            sizes = [members * pad(n), members * pad(k) * (members > 1)]
            sizes += [members * pad(n) * scaled, pad(n) * (not last)]
            vectors = take(sum(sizes), "<u2" if kind else "<f4")
            bias, r, s, slope = np.split(vectors, np.cumsum(sizes)[:-1])
            if members > 1:
                x = x * r.reshape(members, pad(k))[:, :k]
            if kind == 2 and form == 0:
                most = min(32767, (2**31 - 1) // (128 * k))
                step = np.abs(x).max(axis=1, keepdims=True) / most
                x = np.rint(x / np.where(step > 0, step, 1)) * step
            h = x @ weight[:, :n]
            if scaled:
                h = h * s.reshape(members, pad(n))[:, :n]
            h = h + bias.reshape(members, pad(n))[:, :n]
            x = h if last else np.where(h > 0, h, slope[:n] * h)
        assert at == len(record)
        return x.mean(axis=0)

    def predict(self, x):
        plain = self.plain(x)
        record = self.descend(plain)
        kind = self.config["groups"][self.group]["type"]
        if kind == "bandlimited":
            outputs = self.run_series(record, x)
        elif kind == "packed":
            outputs = self.run_packed(record, self.features(plain))
        else:
            outputs = self.run_module(record, self.features(plain))
        if self.config["schema"]["task"] == "classification":
            shifted = np.exp(outputs - outputs.max())
            return shifted / shifted.sum()
        return self.tensors["head.center"] + self.tensors["head.scale"] * outputs

    def note(self, x, level):
        """Lower bounds, upper bounds and novelty of a row."""
        y = self.predict(x)
        record = self.tensors["notes.leaves"][self.leaf].tobytes()
        numbers = struct.unpack(f"<{len(record) // 4 - 1}f", record[:-4])
        crc = crc32c(record[:-4], crc32c(struct.pack("<I", self.leaf)))
        assert struct.unpack("<I", record[-4:])[0] == crc
        low, high = [], []
        for target, spread in enumerate(numbers[1:]):
            count = self.notes["residuals"]
            table = self.tensors["notes.residuals"][target * count :][:count]
            unit = self.tensors["head.scale"][target] * spread
            for side, bounds in ((-level, low), (level, high)):
                bounds.append(y[target] + unit * np.interp((1 + side) / 2, *table.T))
        shares, values = self.tensors["notes.distances"].T
        value = self.distance / numbers[0]
        novelty = 1.0 if value > values[-1] else np.interp(value, values, shares)
        return [*low, *high, novelty]


def main():
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([sys.argv[1], directory], check=True)
        rows = noted = apart = 0
        for path in sorted(pathlib.Path(directory).glob("*.ramify")):
            model = Model(path)
            sample = json.loads(path.with_suffix(".json").read_text())
            for x, y in zip(sample["x"], sample["y"], strict=True):
                rows += 1
                apart += not np.allclose(model.predict(x), y, rtol=1e-4, atol=1e-4)
            noted += len(sample["notes"])
            for x, notes in zip(sample["x"], sample["notes"], strict=False):
                found = model.note(x, sample["level"])
                apart += not np.allclose(found, notes, rtol=1e-3, atol=1e-3)
    # A row on a border between two cells may fall to either side by rounding.
    assert rows > 400 and apart <= 2, f"{apart} of {rows} predictions differ"
    assert noted > 300


if __name__ == "__main__":
    main()
