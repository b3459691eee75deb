"""The cables between hosts made of network namespaces, and the switch that they lead to, as a process.

    wire.py NAMESPACE ... < ORDERS

harness.py starts it. Each namespace gets an Ethernet device, eth0 (a TAP device: Linux with /dev/net/tun, root, iproute2); what
leaves one arrives at the others after a delay, unless it is lost, as of netem, which not all kernels have. Orders are lines of JSON: {"delay":
seconds, "loss": share, "rate": bytes per second of each host or 0} or {"cut": host, "how": "unplugged" (no carrier),
"silent" (nothing passes), "deaf" (nothing arrives) or "" (as new)}. Each is answered by a line "done". The end of
the orders ends it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import heapq
import json
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF, TUNSETCARRIER = 0x400454CA, 0x400454E2
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
FRAME = 65536
AT_ONCE = 64  # frames that are taken of one host before others are looked at
QUEUE = 0.2  # seconds that a frame waits for its turn at most, as in a router's memory


class Wire:
    def __init__(self, spaces: list[str]):
        self.tap = [self._open(i, space) for i, space in enumerate(spaces)]
        self.delay, self.loss, self.rate = 0.0, 0.0, 0.0
        self.how = [""] * len(spaces)
        self.free = [0.0] * len(
            spaces
        )  # when the cable of each has sent what is in its queue
        self.place: dict[bytes, int] = {}  # which host has an Ethernet address
        self.queue: list[tuple[float, int, int, bytes]] = []
        self.number = 0

    @staticmethod
    def _open(index: int, space: str) -> int:
        tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        name = f"rmf{os.getpid() % 1_000_000}x{index}"
        fcntl.ioctl(
            tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI)
        )
        words = ["ip", "link", "set", name, "netns", space, "name", "eth0"]
        subprocess.run(words, check=True)
        return tap

    def obey(self, order: dict) -> None:
        if "cut" in order:
            host, how = order["cut"], order["how"]
            self.how[host] = how
            carrier = struct.pack("i", how != "unplugged")
            fcntl.ioctl(self.tap[host], TUNSETCARRIER, carrier)
        else:
            self.delay, self.loss, self.rate = (
                order["delay"],
                order["loss"],
                order["rate"],
            )

    def take(self, host: int) -> None:
        """Frames that have left a host."""
        for _ in range(AT_ONCE):
            try:
                frame = os.read(self.tap[host], FRAME)
            except OSError as error:  # EIO: not up yet
                if error.errno not in (errno.EAGAIN, errno.EIO):
                    raise
                return
            to, of = frame[:6], frame[6:12]
            self.place[of] = host
            if self.how[host] in ("unplugged", "silent") or random.random() < self.loss:
                continue
            due = time.monotonic()
            if self.rate > 0:
                begin = max(due, self.free[host])
                if begin - due > QUEUE:
                    continue
                self.free[host] = due = begin + len(frame) / self.rate
            known = self.place.get(to)
            others = (i for i in range(len(self.tap)) if i != host)
            for i in others if known is None else (known,):
                heapq.heappush(self.queue, (due + self.delay, self.number, i, frame))
                self.number += 1

    def deliver(self) -> float:
        """Frames whose time has come; returns seconds until that of the next one, or -1."""
        while self.queue:
            wait = self.queue[0][0] - time.monotonic()
            if wait > 0:
                return wait
            _, _, host, frame = heapq.heappop(self.queue)
            if self.how[host] == "":
                with contextlib.suppress(OSError):
                    os.write(self.tap[host], frame)
        return -1

    def run(self) -> None:
        poll = select.epoll()
        hosts = {tap: i for i, tap in enumerate(self.tap)}
        for tap in self.tap:
            poll.register(tap, select.EPOLLIN)
        orders = sys.stdin.fileno()
        poll.register(orders, select.EPOLLIN)
        print("done", flush=True)
        rest = b""
        while True:
            for ready, _ in poll.poll(self.deliver()):
                if ready in hosts:
                    self.take(hosts[ready])
                    continue
                told = os.read(orders, FRAME)
                if not told:
                    return
                *lines, rest = (rest + told).split(b"\n")
                for line in lines:
                    self.obey(json.loads(line))
                    print("done", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    Wire(sys.argv[1:]).run()
