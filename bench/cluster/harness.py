"""What the programs in this folder share: tables, jobs of several ranks, hosts made of network namespaces, printing.

Ranks of one job find one another by MPI; these programs find them by a mark in their environment, so that nothing
but what a program has started is ever killed or counted.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import NamedTuple

HERE = pathlib.Path(__file__).resolve().parent
MARK = "RAMIFY_BENCH_JOB"
RANK = "OMPI_COMM_WORLD_RANK"
POLL = 0.01  # seconds between two looks

# Networks that take seconds: what is measured is what lies between them.
SMALL = "--hidden 32,32 --members 1 --bins off --periodic off --threads 1".split()

SENT = re.compile(
    r"ramify: sent: (?P<phase>.*): (?P<bytes>\d+) bytes in (?P<messages>\d+) messages, (?P<seconds>[\d.]+) s$"
)


# ---- arguments and tables ----


def parser_of(text: str, rows: int) -> argparse.ArgumentParser:
    """A parser with what all programs take."""
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--ramify", default=os.environ.get("RAMIFY", "build/ramify"), help="the tool"
    )
    parser.add_argument("--folder", default="/tmp/ramify-cluster", help="for files")
    parser.add_argument("--rows", type=int, default=rows, help="of the table")
    parser.add_argument("--csv", help="also write the table there")
    parser.add_argument("--seed", type=int, default=1)
    return parser


def prepared(arguments: argparse.Namespace) -> argparse.Namespace:
    """Paths that hold in any folder, and the folder."""
    arguments.ramify = os.path.abspath(arguments.ramify)
    if not os.access(arguments.ramify, os.X_OK):
        sys.exit(f"{arguments.ramify}: is not there: say where the tool is (--ramify)")
    arguments.folder = pathlib.Path(arguments.folder).resolve()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    return arguments


def table(folder: pathlib.Path, rows: int) -> pathlib.Path:
    """The generated table of so many rows, made once. generate.py needs numpy."""
    path = folder / f"rows-{rows}.npy"
    if not path.exists():
        made = folder / f"rows-{rows}.making"
        subprocess.run(
            [sys.executable, HERE / "generate.py", str(rows), made], check=True
        )
        made.rename(path)
    return path


def training(ramify: object, table: pathlib.Path, model: pathlib.Path) -> list[object]:
    """The words of a training on the generated table."""
    return [ramify, "train", table, "--target", "c9", "-o", model]


def digest(path: pathlib.Path) -> str:
    """Of a file's bytes; "none" where there is no file."""
    if not path.exists():
        return "none"
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---- hosts ----


class Host(NamedTuple):
    name: str
    space: str  # its network namespace
    address: str


class Hosts:
    """Hosts on one machine: a network namespace and a host name each, with cables to one switch (wire.py).

    Nothing of the machine's own network is touched. Needs root, iproute2 and /dev/net/tun.
    """

    def __init__(self, count: int, folder: pathlib.Path, retries: int = 0):
        """retries: of TCP, until a connection counts as lost (net.ipv4.tcp_retries2); 0: the system's own, which is a
        quarter of an hour."""
        self.retries = retries
        mark = f"rmf{os.getpid()}"
        self.hosts = [
            Host(f"host{i}", f"{mark}-{i}", f"10.77.0.{i + 1}") for i in range(count)
        ]
        self.agent = folder / f"{mark}-agent.sh"
        self.wire: subprocess.Popen | None = None

    def __enter__(self) -> Hosts:
        # Who is ended leaves no namespaces behind.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        try:
            self._make()
        except (subprocess.CalledProcessError, OSError) as error:
            self.__exit__()
            sys.exit(
                f"network namespaces cannot be made ({error}): be root, and have iproute2"
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self.wire:
            self.wire.stdin.close()
            self.wire.wait()
        for host in self.hosts:
            subprocess.run(
                ["ip", "netns", "del", host.space], stderr=subprocess.DEVNULL
            )
        self.agent.unlink(missing_ok=True)

    def _make(self) -> None:
        for host in self.hosts:
            ip("netns", "add", host.space)
        self.wire = subprocess.Popen(
            [sys.executable, HERE / "wire.py", *(host.space for host in self.hosts)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._await()
        for host in self.hosts:
            ip("link", "set", "lo", "up", space=host.space)
            ip("address", "add", f"{host.address}/24", "dev", "eth0", space=host.space)
            ip("link", "set", "eth0", "up", space=host.space)
            if self.retries:
                self._inside(
                    host, "sysctl", "-qw", f"net.ipv4.tcp_retries2={self.retries}"
                )
        cases = "".join(
            f"{h.address}) space={h.space}; name={h.name};;\n" for h in self.hosts
        )
        self.agent.write_text(
            f'#!/bin/sh\n# What mpirun calls in the place of ssh: agent ADDRESS COMMAND.\ncase "$1" in\n{cases}'
            '*) echo "agent: $1 is no host" >&2; exit 255;;\nesac\nshift\n'
            'exec ip netns exec "$space" unshare --uts sh -c "hostname $name; $*"\n'
        )
        self.agent.chmod(0o755)

    @staticmethod
    def _inside(host: Host, *words: str) -> None:
        subprocess.run(["ip", "netns", "exec", host.space, *words], check=True)

    def _await(self) -> None:
        if self.wire.stdout.readline() != "done\n":
            raise OSError("wire.py has ended")

    def _order(self, **order: object) -> None:
        self.wire.stdin.write(json.dumps(order) + "\n")
        self.wire.stdin.flush()
        self._await()

    def command(self, ranks: int, words: Sequence[object]) -> list[str]:
        """mpirun on the first host, ranks dealt to hosts in turn from it."""
        count = len(self.hosts)
        share = [ranks // count + (i < ranks % count) for i in range(count)]
        places = ",".join(
            f"{h.address}:{n}" for h, n in zip(self.hosts, share, strict=True) if n
        )
        network = "10.77.0.0/24"
        launch = (
            [
                "mpirun",
                "-n",
                ranks,
                "--host",
                places,
                "--oversubscribe",
                "--bind-to",
                "none",
            ]
            + [
                "--mca",
                "plm_rsh_agent",
                self.agent,
                "--mca",
                "pml",
                "ob1",
                "--mca",
                "btl",
                "tcp,self",
            ]
            + [
                "--mca",
                "btl_tcp_if_include",
                network,
                "--mca",
                "oob_tcp_if_include",
                network,
            ]
            + [
                "-x",
                MARK,
                "-x",
                "OMPI_ALLOW_RUN_AS_ROOT",
                "-x",
                "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM",
            ]
            + list(words)
        )
        first = self.hosts[0]
        inside = ["ip", "netns", "exec", first.space, "unshare", "--uts", "sh", "-c"]
        return [*inside, f'hostname {first.name}; exec "$@"', "sh", *map(str, launch)]

    def shape(self, delay: float = 0, loss: float = 0, rate: float = 0) -> None:
        """What leaves a host is so many seconds late (a round trip takes twice that), a share of it is lost, and it is
        sent at a rate in bytes per second (0: at once)."""
        self._order(delay=delay, loss=loss, rate=rate)

    def cut(self, index: int, how: str) -> None:
        """The cable of a host: "unplugged", "silent", "deaf", or "" as new."""
        self._order(cut=index, how=how)

    def sent(self) -> int:
        """Bytes that have left all hosts so far."""
        total = 0
        for host in self.hosts:
            told = ip("-j", "-s", "link", "show", "eth0", space=host.space)
            total += json.loads(told)[0]["stats64"]["tx"]["bytes"]
        return total


def ip(*words: str, space: str | None = None) -> str:
    command = ["ip", *(["-n", space] if space else []), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


# ---- jobs ----


def here(ranks: int, words: Sequence[object]) -> list[str]:
    """The command of a job on this machine; 0 ranks: one process that no launcher starts."""
    if ranks == 0:
        return list(map(str, words))
    return ["mpirun", "-n", str(ranks), "--oversubscribe", "-x", MARK, *map(str, words)]


def environment(process: int) -> dict[str, str]:
    """What a process was started with; empty where it is gone."""
    try:
        raw = pathlib.Path(f"/proc/{process}/environ").read_bytes()
    except OSError:
        return {}
    pairs = (part.partition(b"=") for part in raw.split(b"\0") if part)
    return {
        key.decode(errors="replace"): value.decode(errors="replace")
        for key, _, value in pairs
    }


class Job:
    """A command that runs, with the lines that it prints and when it printed them."""

    def __init__(self, command: Sequence[str], output: pathlib.Path | None = None):
        """output: the file that standard output goes to; None: nowhere."""
        self.mark = uuid.uuid4().hex
        self.lines: list[tuple[float, str]] = []  # seconds from the start
        variables = os.environ | {
            MARK: self.mark,
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        }
        standard = open(output, "wb") if output else subprocess.DEVNULL
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            command,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=standard,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        if output:
            standard.close()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        for line in self.process.stderr:
            self.lines.append((self.seconds(), line.rstrip("\n")))

    def seconds(self) -> float:
        return time.monotonic() - self.started

    def processes(self) -> dict[int, dict[str, str]]:
        """What there is of the job, wherever it was started: environment by process."""
        found = {}
        for name in os.listdir("/proc"):
            if (
                name.isdigit()
                and (variables := environment(int(name))).get(MARK) == self.mark
            ):
                found[int(name)] = variables
        return found

    def ranks(self) -> dict[int, int]:
        """Processes of the tool by rank."""
        found = {}
        for process, variables in self.processes().items():
            with contextlib.suppress(OSError):
                name = pathlib.Path(os.readlink(f"/proc/{process}/exe")).name
                if RANK in variables and name.startswith("ramify"):
                    found[int(variables[RANK])] = process
        return found

    def is_over(self) -> bool:
        return self.process.poll() is not None

    def wait(self, limit: float) -> bool:
        """Until the job has ended, or `limit` seconds from its start have passed; then all of it is killed."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, limit - self.seconds()))
        over = self.is_over()
        if not over:
            self.kill()
        self.reader.join(5)
        return over

    def kill(self) -> None:
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.process.wait()

    def left_after(self, limit: float) -> tuple[float, list[str]]:
        """Waits for all processes to be gone: seconds from the start, and the names of those that are not."""
        while self.seconds() < limit and self.processes():
            time.sleep(POLL)
        names = []
        for process in self.processes():
            with contextlib.suppress(OSError):
                names.append(pathlib.Path(f"/proc/{process}/comm").read_text().strip())
        return self.seconds(), sorted(names)


class Result(NamedTuple):
    seconds: float
    code: int
    lines: list[tuple[float, str]]

    def texts(self) -> list[str]:
        return [text for _, text in self.lines]


def run(
    command: Sequence[str], limit: float = 3600, output: pathlib.Path | None = None
) -> Result:
    """A whole job, which must end by itself; its exit status is the caller's business."""
    job = Job(command, output)
    if not job.wait(limit):
        sys.exit(f"{' '.join(command)}: has not ended within {limit:.0f} s")
    return Result(job.seconds(), job.process.returncode, job.lines)


def must(
    command: Sequence[str], limit: float = 3600, output: pathlib.Path | None = None
) -> Result:
    result = run(command, limit, output)
    if result.code != 0:
        ended = f"{' '.join(command)}: ended with {result.code}"
        sys.exit("\n".join([ended, *result.texts()]))
    return result


def measured(file: pathlib.Path, words: Sequence[object]) -> list[object]:
    """The command that also writes what each rank takes (rank_peak.py)."""
    return [sys.executable, HERE / "rank_peak.py", file, *words]


def taken(file: pathlib.Path, ranks: int) -> list[dict[str, float]]:
    """What it wrote, of every rank; the files are removed."""
    found = []
    for rank in range(max(1, ranks)):
        path = pathlib.Path(f"{file}.{rank}")
        found.append(json.loads(path.read_text()))
        path.unlink()
    return found


# ---- what is said ----


class Sent(NamedTuple):
    bytes: int
    messages: int
    seconds: float


def sent(lines: Sequence[str]) -> dict[str, Sent]:
    """Of a run with --verbose: what its ranks sent, by phase."""
    found = {}
    for line in lines:
        if match := SENT.match(line):
            found[match["phase"]] = Sent(
                int(match["bytes"]), int(match["messages"]), float(match["seconds"])
            )
    return found


def sentences(lines: Sequence[str], logged: Sequence[str]) -> list[str]:
    """What the tool says that an undisturbed run does not: training is repeatable, and so are its logs, but for the
    seconds of what ranks sent."""
    known = set(logged)
    told = [
        line for line in lines if line.startswith("ramify") and not SENT.match(line)
    ]
    return [line for line in told if line not in known]


# ---- printing ----


def show(
    head: Sequence[str], rows: Sequence[Sequence[object]], path: str | None = None
) -> None:
    """A table as Markdown on standard output, and as CSV in a file."""
    texts = [
        [f"{v:.3g}" if isinstance(v, float) else str(v) for v in row] for row in rows
    ]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in texts:
        print("| " + " | ".join(row) + " |")
    print(flush=True)
    if path:
        with open(path, "w", newline="") as file:
            csv.writer(file).writerows([head, *rows])


@contextlib.contextmanager
def emptied(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder that is empty at first and gone in the end."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
