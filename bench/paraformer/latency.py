"""Milliseconds of a forward pass on one image, of Para-Formers and a serial transformer of as many
layers, beside PyTorch and ONNX Runtime running the same weights.

    latency.py [--build build] [--side 224] [--rounds 15] [--passes 8]

224 pixels, patches of 16, width 192, 3 heads: the widths of ViT-Ti, 10 classes, float32. Contenders
take turns, a few passes each; medians over all rounds. Trimmed: the last layer is computed for the
class token alone, in ramify and in the peers' graphs ("given the trimmed graph"). Every peer's logits
are compared with ramify's first. ramify deals branches to threads; peers have their threads inside
products.
"""

import argparse
import io
import pathlib
import statistics
import tempfile
import time

import numpy as np
import torch
from passes import CLASSES, HEADS, PATCH, WIDTH, Passes
from torch import nn
from torch.nn import functional

MODELS = [(1, 16), (8, 2), (16, 1)]


class Layer(nn.Module):
    def __init__(self, parts):
        super().__init__()
        for name, value in parts.items():
            setattr(self, name, nn.Parameter(value, requires_grad=False))

    def network(self, z):
        u = functional.layer_norm(z, (WIDTH,), self.gain2, self.bias2, 1e-5)
        return (
            functional.linear(
                functional.gelu(functional.linear(u, self.fc1, self.c1)),
                self.fc2,
                self.c2,
            )
            + u
        )

    def forward(self, z):
        u = functional.layer_norm(z, (WIDTH,), self.gain1, self.bias1, 1e-5)
        q, k, v = functional.linear(u, self.qkv).chunk(3, dim=-1)
        q, k, v = (t.view(-1, HEADS, WIDTH // HEADS).transpose(0, 1) for t in (q, k, v))
        mixed = functional.scaled_dot_product_attention(q[None], k[None], v[None])[0]
        mixed = mixed.transpose(0, 1).reshape(-1, WIDTH)
        return self.network(functional.linear(mixed, self.out, self.bo) + u)

    def last(self, z):
        """For token 0 alone: neither keys nor values are formed."""
        u = functional.layer_norm(z, (WIDTH,), self.gain1, self.bias1, 1e-5)
        size = WIDTH // HEADS
        wq, wk, wv = self.qkv.chunk(3, dim=0)
        q = functional.linear(u[:1], wq).view(HEADS, 1, size)
        probe = torch.matmul(q, wk.view(HEADS, size, WIDTH))[:, 0] / size**0.5
        share = torch.softmax(torch.matmul(probe, u.transpose(0, 1)), dim=-1)
        taken = torch.matmul(share, u)
        mixed = torch.matmul(wv.view(HEADS, size, WIDTH), taken[:, :, None]).reshape(
            1, WIDTH
        )
        return self.network(functional.linear(mixed, self.out, self.bo) + u[:1])


class Model(nn.Module):
    def __init__(self, weights, trimmed):
        super().__init__()
        for name in (
            "pos",
            "cls",
            "patch",
            "patch_bias",
            "gain",
            "bias",
            "head",
            "head_bias",
        ):
            setattr(self, name, nn.Parameter(weights[name], requires_grad=False))
        self.branches = nn.ModuleList(
            nn.ModuleList(Layer(parts) for parts in branch)
            for branch in weights["branches"]
        )
        self.trimmed = trimmed

    def forward(self, image):
        side = image.shape[0]
        n = side // PATCH
        x = image.view(n, PATCH, n, PATCH, 3).permute(0, 2, 1, 3, 4).reshape(n * n, -1)
        x = (
            torch.cat([self.cls, functional.linear(x, self.patch, self.patch_bias)])
            + self.pos
        )
        total = None
        for branch in self.branches:
            z = x
            for layer in branch[:-1] if self.trimmed else branch:
                z = layer(z)
            z = branch[-1].last(z) if self.trimmed else z[:1]
            total = z if total is None else total + z
        u = functional.layer_norm(total, (WIDTH,), self.gain, self.bias, 1e-5)
        return functional.linear(u, self.head, self.head_bias)[0]


def read_weights(path, side, branches, depth):
    """Weights, image and logits as bench_paraformer writes them."""
    data = np.fromfile(path, "<f4")
    at = 0

    def take(*shape, pad=False):
        nonlocal at
        count = int(np.prod(shape))
        value = torch.tensor(data[at : at + count].reshape(shape))
        at += -(-count // 16) * 16 if pad else count
        return value

    tokens, numbers = (side // PATCH) ** 2 + 1, PATCH * PATCH * 3
    w = {"pos": take(tokens, WIDTH), "cls": take(1, WIDTH)}
    w |= {"patch": take(WIDTH, numbers, pad=True), "patch_bias": take(WIDTH)}
    w |= {"gain": take(WIDTH), "bias": take(WIDTH)}
    w |= {"head": take(CLASSES, WIDTH), "head_bias": take(CLASSES, pad=True)}
    sizes = {
        "gain1": (WIDTH,),
        "bias1": (WIDTH,),
        "qkv": (3 * WIDTH, WIDTH),
        "out": (WIDTH, WIDTH),
    }
    sizes |= {
        "bo": (WIDTH,),
        "gain2": (WIDTH,),
        "bias2": (WIDTH,),
        "fc1": (4 * WIDTH, WIDTH),
    }
    sizes |= {"c1": (4 * WIDTH,), "fc2": (WIDTH, 4 * WIDTH), "c2": (WIDTH,)}
    w["branches"] = [
        [{name: take(*size) for name, size in sizes.items()} for _ in range(depth)]
        for _ in range(branches)
    ]
    return w, take(side, side, 3), take(CLASSES)


def timed(call, passes):
    seconds = []
    for _ in range(passes):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return 1e3 * statistics.median(seconds)


def onnx_sessions(model, image):
    """A session of ONNX Runtime for one thread and for two, or None."""
    try:
        import onnxruntime

        file = io.BytesIO()
        torch.onnx.export(model, (image,), file, dynamo=True, verbose=False)
    except Exception as error:  # noqa: BLE001: whatever stops an export leaves the peer absent
        print(f"ONNX Runtime: absent ({str(error).splitlines()[0][:80]})")
        return None
    sessions = {}
    for threads in (1, 2):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        sessions[threads] = onnxruntime.InferenceSession(
            file.getvalue(), options, providers=["CPUExecutionProvider"]
        )
    return sessions


def peers_of(weights, image, logits):
    """Calls by name, trimmed and threads, each checked."""
    calls = {}
    name = None
    for trimmed in (False, True):
        model = Model(weights, trimmed).eval()
        with torch.inference_mode():
            off = (model(image) - logits).abs().max().item()
        assert off < 1e-4, f"PyTorch's logits are off by {off}"
        for threads in (1, 2):
            calls["PyTorch", trimmed, threads] = (
                lambda m, t: lambda: run_torch(m, image, t)
            )(model, threads)
        sessions = onnx_sessions(model, image)
        if not sessions:
            continue
        for threads, session in sessions.items():
            name = session.get_inputs()[0].name
            off = np.abs(
                session.run(None, {name: image.numpy()})[0] - logits.numpy()
            ).max()
            assert off < 1e-4, f"ONNX Runtime's logits are off by {off}"
            calls["ONNX Runtime", trimmed, threads] = (
                lambda s, n: lambda: s.run(None, {n: image.numpy()})
            )(session, name)
    return calls


def run_torch(model, image, threads):
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    with torch.inference_mode():
        model(image)


def measure(arguments, branches, depth):
    program = arguments.build / "bench_paraformer"
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "weights.bin"
        ours = Passes(program, arguments.side, path)
        ours.run(branches, depth, False, 1, 1)
        weights, image, logits = read_weights(path, arguments.side, branches, depth)
    peers = peers_of(weights, image, logits)
    for call in peers.values():
        call()
    times = {}
    for _ in range(arguments.rounds):
        for trimmed in (True, False):
            for threads in (1, 2):
                found = ours.run(
                    branches, depth, not trimmed, threads, arguments.passes
                )
                times.setdefault(("ramify", trimmed, threads), []).append(found[0])
        for key, call in peers.items():
            times.setdefault(key, []).append(timed(call, arguments.passes))
    return {key: statistics.median(values) for key, values in times.items()}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument(
        "--build", type=pathlib.Path, default=root / "build", help="default: build"
    )
    parser.add_argument("--side", type=int, default=224, help="pixels (default 224)")
    parser.add_argument("--rounds", type=int, default=15, help="turns (default 15)")
    parser.add_argument(
        "--passes", type=int, default=8, help="passes a turn (default 8)"
    )
    arguments = parser.parse_args()
    print(
        "| model | last layer | threads | ramify | PyTorch | ONNX Runtime | ramify / the better |"
    )
    print("|---|---|---|---|---|---|---|")
    for branches, depth in MODELS:
        times = measure(arguments, branches, depth)
        name = f"serial {depth}" if branches == 1 else f"{branches}x{depth}"
        for trimmed in (False, True):
            for threads in (1, 2):
                peers = [
                    times.get((peer, trimmed, threads))
                    for peer in ("PyTorch", "ONNX Runtime")
                ]
                best = min(time for time in peers if time)
                own = times["ramify", trimmed, threads]
                cells = " | ".join(
                    f"{time:.2f}" if time else "absent" for time in peers
                )
                last = "class token" if trimmed else "all tokens"
                print(
                    f"| {name} | {last} | {threads} | {own:.2f} | {cells} | {own / best:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
