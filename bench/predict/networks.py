"""Plain ReLU networks as the peers of the prediction benchmark want them.

They are trained by ramify (``--kind mlp``, one member, ReLU, neither bins nor periodic
inputs) so that a peer runs a network as good as the recipe makes it. ``read_layers``
takes the weights out of the model file (docs/model-format.md) and folds the scaling of
inputs and targets into the first and the last layer: raw rows go in, predictions come
out, and no peer spends time on scaling. The rest writes the same layers as an ONNX
graph, as C source, and as emlearn's C source.
"""

from __future__ import annotations

import json
import pathlib
import struct

import numpy as np

Layer = tuple[np.ndarray, np.ndarray]  # weights inputs x outputs, bias; float32

LINE = 16  # floats that every part of a record is padded to
NARROW = 8  # last layers of at most so many outputs are stored output by output


def pad(count: int) -> int:
    return (count + LINE - 1) // LINE * LINE


def read_tensors(path: pathlib.Path) -> tuple[dict[str, np.ndarray], dict]:
    """Tensors of a model file by name, and its config."""
    data = path.read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + size])
    config = json.loads(header.pop("__metadata__")["ramify.config"])
    kinds = {"F32": "<f4", "F64": "<f8", "I32": "<i4", "U8": "u1"}
    tensors = {}
    for name, about in header.items():
        begin, end = (8 + size + at for at in about["data_offsets"])
        flat = np.frombuffer(data[begin:end], dtype=kinds[about["dtype"]])
        tensors[name] = flat.reshape(about["shape"])
    return tensors, config


def multiply_adds(config: dict) -> int:
    """Weights of one expert times its members: what a row multiplies and adds there.

    Padding, the stem and the tree's distances are not counted.
    """
    shape = config["groups"][0]["shape"]
    widths = shape["widths"]
    pairs = zip(widths, widths[1:], strict=False)
    return shape["members"] * sum(k * n for k, n in pairs)


def read_layers(path: pathlib.Path) -> list[Layer]:
    """Layers of a plain network, the scaling of inputs and targets folded in."""
    tensors, config = read_tensors(path)
    shape, stem = config["groups"][0]["shape"], config["stem"]
    plain = not stem["bins"] and stem["frequencies"] == 0
    if shape["members"] != 1 or not plain or stem["features"] != stem["columns"]:
        raise SystemExit(f"{path}: not a plain network of numeric columns")
    record = tensors["experts.0"][0].astype(np.float64)
    layers, at = [], 0
    for k, n in zip(shape["widths"], shape["widths"][1:], strict=False):
        last = len(layers) == len(shape["widths"]) - 2
        if last and n <= NARROW:
            weights = record[at : at + n * pad(k)].reshape(n, pad(k))[:, :k].T
            at += pad(n * pad(k))
        else:
            weights = record[at : at + k * pad(n)].reshape(k, pad(n))[:, :n]
            at += k * pad(n)
        bias = record[at : at + n]
        at += pad(n)
        if not last:
            if record[at : at + n].any():
                raise SystemExit(f"{path}: its units are not plain ReLU")
            at += pad(n)
        layers.append((weights, bias))
    center, scale = tensors["stem.center"], tensors["stem.scale"]
    weights, bias = layers[0]
    layers[0] = (weights / scale[:, None], bias - (center / scale) @ weights)
    if config["schema"]["task"] == "regression":
        weights, bias = layers[-1]
        scale, center = tensors["head.scale"], tensors["head.center"]
        layers[-1] = (weights * scale, bias * scale + center)
    return [(w.astype(np.float32), b.astype(np.float32)) for w, b in layers]


def write_onnx(layers: list[Layer], path: pathlib.Path, *, softmax: bool) -> None:
    """Gemm and Relu nodes from x (rows x columns) to y (rows x outputs)."""
    import onnx
    from onnx import helper, numpy_helper

    nodes, initializers, value = [], [], "x"
    for i, (weights, bias) in enumerate(layers):
        initializers.append(numpy_helper.from_array(weights, f"w{i}"))
        initializers.append(numpy_helper.from_array(bias, f"b{i}"))
        last = i == len(layers) - 1
        out = f"z{i}" if not last or softmax else "y"
        nodes.append(helper.make_node("Gemm", [value, f"w{i}", f"b{i}"], [out]))
        value = out
        if not last:
            nodes.append(helper.make_node("Relu", [value], [f"h{i}"]))
            value = f"h{i}"
    if softmax:
        nodes.append(helper.make_node("Softmax", [value], ["y"], axis=-1))
    columns, outputs = layers[0][0].shape[0], layers[-1][0].shape[1]
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", kind, ["rows", columns])],
        [helper.make_tensor_value_info("y", kind, ["rows", outputs])],
        initializers,
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    onnx.save(model, path)


def c_array(name: str, values: np.ndarray) -> str:
    """A static array; nine digits are enough to give back every float32."""
    numbers = ",".join(f"{v:.9e}f" for v in values.ravel())
    align = "__attribute__((aligned(64)))"
    return f"static const float {name}[{values.size}] {align} = {{{numbers}}};\n"


SOFTMAX = """
    float largest = y[0], sum = 0;
    for (int j = 1; j < {n}; j++) largest = y[j] > largest ? y[j] : largest;
    for (int j = 0; j < {n}; j++) sum += y[j] = expf(y[j] - largest);
    for (int j = 0; j < {n}; j++) y[j] /= sum;
"""


def write_c(layers: list[Layer], path: pathlib.Path, *, softmax: bool) -> None:
    """``void network_run(const float *x, float *y)``: loops of constant bounds over
    static arrays, inputs outside and outputs inside, which a compiler vectorises."""
    text, body, value = "#include <math.h>\n", "", "x"
    for i, (weights, bias) in enumerate(layers):
        k, n = weights.shape
        last = i == len(layers) - 1
        out = "y" if last else f"h{i}"
        if n == 1:
            text += c_array(f"w{i}", weights[:, 0])
        else:
            text += c_array(f"w{i}", weights)
        text += c_array(f"b{i}", bias)
        if not last:
            body += f"    float h{i}[{n}] __attribute__((aligned(64)));\n"
        body += f"    for (int j = 0; j < {n}; j++) {out}[j] = b{i}[j];\n"
        body += f"    for (int i = 0; i < {k}; i++)\n"
        body += f"        for (int j = 0; j < {n}; j++)\n"
        body += f"            {out}[j] += {value}[i] * w{i}[i * {n} + j];\n"
        if not last:
            body += f"    for (int j = 0; j < {n}; j++)\n"
            body += f"        {out}[j] = {out}[j] > 0 ? {out}[j] : 0;\n"
        value = out
    body += SOFTMAX.format(n=layers[-1][0].shape[1]) if softmax else ""
    signature = "void network_run(const float *restrict x, float *restrict y)"
    path.write_text(f"{text}{signature};\n{signature} {{\n{body}}}\n")


def write_emlearn(layers: list[Layer], path: pathlib.Path, *, softmax: bool) -> None:
    """emlearn's C source behind the same function.

    Its "loadable" form: the "inline" one, of emlearn 0.23, fails on float networks. The
    network is static const there too, so that a compiler knows every size.
    """
    from emlearn import cgen, net

    # Of the six decimals that emlearn prints too few are left of weights for large inputs.
    cgen.constant = lambda value, dtype="float": (
        f"{value:.9e}f" if dtype == "float" else str(value)
    )
    activations = ["relu"] * (len(layers) - 1) + ["softmax" if softmax else "identity"]
    weights, biases = [w for w, _ in layers], [b for _, b in layers]
    code = net.c_generate_net_loadable(activations, weights, biases, prefix="network")
    inputs, outputs = layers[0][0].shape[0], layers[-1][0].shape[1]
    call = "predict_proba" if softmax else "regress"
    path.write_text(
        f"{code}\n"
        "void network_run(const float *x, float *y);\n"
        "void network_run(const float *x, float *y) {\n"
        f"    eml_net_{call}(&network, x, {inputs}, y, {outputs});\n"
        "}\n"
    )
