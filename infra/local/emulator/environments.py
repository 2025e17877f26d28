"""Processes of execution environments, forked from one that has imported their packages.

Importing the SDK and reading its models is most of what an environment's start costs, and is the
same for every environment of an archive. Each is a process of its own all the same, in which
nothing of the function's code has run; only the seed of Python's hashes is shared.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

from infra.local.emulator import fork_server

# Variables that packages or the interpreter read as they start; LD_ is the dynamic linker's.
READ_AT_START = ("PYTHON", "POWERTOOLS_DEV", "POWERTOOLS_DEBUG", "AWS_EXECUTION_ENV", "LD_")


def forking(runtime: Path) -> SimpleNamespace:
    """Return a `subprocess` that forks execution environments. `runtime` is Lambda's packages."""
    servers = ForkServers(runtime)
    return SimpleNamespace(**{**vars(subprocess), "Popen": servers.start})


class ForkServers:
    """Starts environments: by a fork where that gives the same process, or by a new interpreter."""

    def __init__(self, runtime: Path) -> None:
        self._runtime = runtime
        self._lock = threading.Lock()
        self._servers: dict[Path, ForkServer] = {}

    def start(self, command: Sequence[str], **options: Any) -> Any:
        """Start a process as `subprocess.Popen` does."""
        environment: Mapping[str, str] = options.get("env") or {}
        archive = Path(options["cwd"] or ".").resolve()
        python = sys.platform == "linux" and command[0] == sys.executable
        if not (python and fork_server.has_packages(archive) and _is_plain(environment)):
            return subprocess.Popen(command, **options)
        with self._lock:
            if archive not in self._servers:
                self._servers[archive] = ForkServer(archive, self._runtime)
            server = self._servers[archive]
        try:
            return ForkedProcess(server, command[1], options["cwd"], environment)
        except (OSError, EOFError):  # its error is in the emulator's log
            return subprocess.Popen(command, **options)

    def close(self) -> None:
        """End the servers."""
        for server in self._servers.values():
            server.close()


def _is_plain(environment: Mapping[str, str]) -> bool:
    """Return whether packages are the same that were imported in the emulator's environment."""
    return not environment.get("_LAMBDA_LAYERS_DIRS") and all(
        environment.get(name) == os.environ.get(name)
        for name in {*environment, *os.environ}
        if name.startswith(READ_AT_START)
    )


class ForkServer:
    """The emulator's side of one archive's `fork_server`."""

    def __init__(self, archive: Path, runtime: Path) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            script = str(Path(fork_server.__file__))
            self._process = subprocess.Popen(
                [sys.executable, script, str(theirs.fileno()), str(archive), str(runtime)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def fork(self, request: Mapping[str, Any], pipes: Sequence[int]) -> None:
        """Ask for a process. Raises `OSError` when the server has ended."""
        socket.send_fds(self._control, [json.dumps(request).encode()], pipes)

    def close(self) -> None:
        """End the server; its processes end when their standard input does."""
        self._control.close()
        self._process.wait()

    def kill(self, child: int, number: int) -> None:
        """Send a signal to a process of this server that has not ended."""
        self._control.send(json.dumps({"kill": child, "signal": number}).encode())


class ForkedProcess:
    """The part of `subprocess.Popen` that ministack uses, of a process that a server has forked.

    Raises `OSError` or `EOFError` when the server has ended.
    """

    def __init__(
        self, server: ForkServer, script: str, directory: str, environment: Mapping[str, str]
    ) -> None:
        self._server = server
        self._lock = threading.Lock()
        self.returncode: int | None = None
        inputs, outputs, errors, report = os.pipe(), os.pipe(), os.pipe(), os.pipe()
        self.stdin: IO[str] = os.fdopen(inputs[1], "w", buffering=1)
        self.stdout: IO[str] = os.fdopen(outputs[0])
        self.stderr: IO[str] = os.fdopen(errors[0])
        self._report: IO[bytes] = os.fdopen(report[0], "rb", buffering=0)
        theirs = (inputs[0], outputs[1], errors[1], report[1])
        request = {"script": script, "directory": directory, "environment": dict(environment)}
        try:
            server.fork(request, theirs)
        except OSError:
            self._close()
            raise
        finally:
            for each in theirs:
                os.close(each)
        try:
            self.pid = self._next_number()
        except EOFError:
            self._close()
            raise

    def _close(self) -> None:
        for each in (self.stdin, self.stdout, self.stderr, self._report):
            each.close()

    def _next_number(self) -> int:
        line = self._report.readline()
        if not line:
            raise EOFError("the fork server has ended")
        return int(line)

    def poll(self) -> int | None:
        """Return the exit status, None while the process runs."""
        return self._ended(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status. Raises `subprocess.TimeoutExpired`."""
        status = self._ended(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
        return status

    def _ended(self, timeout: float | None) -> int | None:
        with self._lock:
            if self.returncode is None and self._has_ended(timeout):
                try:
                    self.returncode = self._next_number()
                except EOFError:
                    self.returncode = -signal.SIGKILL
                self._report.close()
            return self.returncode

    def _has_ended(self, timeout: float | None) -> bool:
        ends = select.poll()  # select() takes no file descriptor above 1,023
        ends.register(self._report, select.POLLIN)
        return bool(ends.poll(None if timeout is None else timeout * 1000))

    def terminate(self) -> None:
        """Ask the process to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            self._server.kill(self.pid, number)
