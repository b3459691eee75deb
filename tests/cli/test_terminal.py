"""What a person at a terminal sees: progress while it runs, nothing of it afterwards."""

from __future__ import annotations

import os
import pty
import re
import subprocess

from conftest import BUILD, QUICK, Made


def run_on_terminal(*words: str) -> tuple[int, str, str]:
    """Exit status, standard output, and what a terminal got as standard error."""
    leader, follower = pty.openpty()
    running = subprocess.Popen(
        [str(BUILD / "ramify"), *words],
        stdout=subprocess.PIPE,
        stderr=follower,
        text=True,
    )
    os.close(follower)
    seen = b""
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        seen += part
    out, _ = running.communicate(timeout=300)
    os.close(leader)
    return running.returncode, out, seen.decode()


def test_progress_comes_and_goes(made: Made, tmp_path):
    model = str(tmp_path / "m")
    status, out, seen = run_on_terminal(
        "train", str(made.train), "--target", "target", "-o", model, *QUICK
    )
    assert status == 0
    assert "report rows" in out and "\x1b" not in out
    lines = seen.split("\r\x1b[K")
    assert len(lines) >= 3
    assert any(re.match(r"\w.* +\d+ %", line) for line in lines), seen
    # What is left on the screen is what follows the last return to the line's start.
    assert lines[-1] == ""


def test_errors_stand_on_a_clean_line(made: Made):
    status, out, seen = run_on_terminal("evaluate", str(made.wave), "none.csv")
    assert status == 1 and out == ""
    assert (
        seen.split("\r\x1b[K")[-1]
        == "ramify: none.csv: cannot be opened (No such file or directory)\r\n"
    )
