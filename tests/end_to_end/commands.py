"""`python -m infra.local` as a child process, and a check that it leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

REPOSITORY = Path(__file__).resolve().parents[2]
PARTS = ("infra", "replicator", "bootstrap", "Pulumi.yaml")
MARK = "REPLICATION_TEST_MARK"


class Command:
    """A running `python -m infra.local …` and its output so far."""

    def __init__(self, *arguments: str, tree: Path = REPOSITORY) -> None:
        self._mark = uuid.uuid4().hex
        self._lines: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-m", "infra.local", *arguments],
            cwd=tree,
            env={**os.environ, MARK: self._mark, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        self._lines.extend(self._process.stdout)

    @property
    def output(self) -> str:
        return "".join(self._lines)

    def wait_for(self, text: str, seconds: float = 120) -> None:
        """Wait until the output has this text."""
        deadline = time.monotonic() + seconds
        while text not in self.output:
            ended = self._process.poll() is not None
            if ended:
                self._reader.join(5)
            assert text in self.output or not ended, f"it ended without {text!r}:\n{self.output}"
            assert time.monotonic() < deadline, f"no {text!r} in {seconds} s:\n{self.output}"
            time.sleep(0.05)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, seconds: float = 240) -> int:
        """Wait for its end; return the exit status."""
        status = self._process.wait(seconds)
        self._reader.join(10)
        return status

    def left_behind(self) -> list[str]:
        """List the command lines of its descendants that still run."""
        found = []
        for directory in Path("/proc").glob("[0-9]*"):
            try:
                environment = (directory / "environ").read_bytes()
                command = (directory / "cmdline").read_bytes()
                state = (directory / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if f"{MARK}={self._mark}".encode() in environment.split(b"\0") and state != "Z":
                found.append(command.replace(b"\0", b" ").decode(errors="replace"))
        return found

    def kill(self) -> None:
        """End it if it still runs, as after a failed test."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextmanager
def running(*arguments: str, tree: Path = REPOSITORY) -> Iterator[Command]:
    """Yield a command that ends with the block."""
    command = Command(*arguments, tree=tree)
    try:
        yield command
    finally:
        command.kill()


def listens(endpoint: str) -> bool:
    """Return whether something listens at http://host:port."""
    place = urlsplit(endpoint)
    with socket.socket() as connection:
        connection.settimeout(2)
        return connection.connect_ex((place.hostname or "", place.port or 0)) == 0


def copy_with(folder: Path, file: str, old: str, new: str) -> Path:
    """Return a copy of the project with one text in one file replaced."""
    for part in PARTS:
        source = REPOSITORY / part
        if source.is_dir():
            shutil.copytree(
                source, folder / part, ignore=shutil.ignore_patterns("__pycache__", ".*")
            )
        elif source.exists():
            shutil.copyfile(source, folder / part)
    path = folder / file
    text = path.read_text()
    assert old in text, f"{file} no longer has {old!r}: this test changes nothing"
    path.write_text(text.replace(old, new))
    return folder
