"""`python -m bootstrap` as a child process, run as an operator would run it."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from infra.local.cloud import REPOSITORY, LocalCloud
from infra.local.leash import LEASH

EXIT_DIFFERENCES = 5
POLL_SECONDS = 0.25
STOP_SECONDS = 10

MEANING = {
    1: "blocked by its plan",
    2: "wrong usage",
    3: "a problem in the source account",
    4: "a problem in the target account",
    5: "verification found differences",
    6: "still running",
    7: "the switch was cancelled",
    8: "switched, but --exec failed",
    70: "a bug in the bootstrap",
}


def typed(path: Path) -> str:
    """Return a path as it is typed in the project's folder, where the commands run."""
    whole = path.resolve()
    inside = whole.is_relative_to(REPOSITORY)
    return str(whole.relative_to(REPOSITORY) if inside else whole)


class BootstrapFailedError(Exception):
    """The bootstrap did not finish; has a line that begins `Try: `."""

    def __init__(self, what: str, suggestion: str) -> None:
        super().__init__(f"{what}\nTry: {suggestion}")
        self._what, self._suggestion = what, suggestion

    def with_complaint(self, complaint: str) -> BootstrapFailedError:
        """Return the same error with the last line of the consumer's log."""
        return BootstrapFailedError(
            f"{self._what}\nThe consumer's log says: {complaint}", self._suggestion
        )


class BootstrapProcess:
    """Runs commands of the bootstrap against one stack on the local cloud."""

    def __init__(self, cloud: LocalCloud, outputs: Path) -> None:
        self._outputs = outputs
        self._environment = cloud.environment()
        self._log = cloud.log

    def command(self, name: str, *options: str) -> list[str]:
        """Return a command as it is typed, without the interpreter."""
        return [
            *("-m", "bootstrap", name, "--outputs", typed(self._outputs)),
            *("--source-profile", "source", "--target-profile", "target", *options),
        ]

    def run(self, watch: Callable[[], None], patience: float) -> None:
        """Run `bootstrap run` on this terminal until it ends.

        `watch` is called a few times a second and raises an error that should end the run early.

        Raises:
            BootstrapFailedError: it failed, or took longer than `patience` seconds.
        """
        self.watch_command(self.command("run"), watch, patience)

    def verify(
        self, command: Sequence[str], watch: Callable[[], None], patience: float
    ) -> Mapping[str, Any]:
        """Run `bootstrap verify` on this terminal; return the result as `status` shows it.

        Differences are a result, not a failure of the command.

        Raises:
            BootstrapFailedError: it failed, or took longer than `patience` seconds.
        """
        self.watch_command(command, watch, patience, allowed=(0, EXIT_DIFFERENCES))
        try:
            return dict(self._status()["verification"])
        except (ValueError, KeyError, TypeError):
            raise BootstrapFailedError(
                "`bootstrap status --json` does not show the verification that was just made.",
                f"read {self._log}",
            ) from None

    def watch_command(
        self,
        command: Sequence[str],
        watch: Callable[[], None],
        patience: float,
        *,
        allowed: Sequence[int] = (0,),
    ) -> None:
        """Run a command on this terminal until it ends with an `allowed` exit status.

        Raises:
            BootstrapFailedError: it ended with another one, or took longer than `patience` seconds.
        """
        # The local cloud ends with this process, even if that is killed, and the bootstrap would
        # retry for minutes: so it ends too.
        # Its own session: Ctrl-C reaches it through the demo, once.
        process = subprocess.Popen(
            [sys.executable, *LEASH, *command],
            cwd=REPOSITORY,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._wait(process, watch, time.monotonic() + patience)
        finally:
            _stop(process)
        if process.returncode not in allowed:
            meaning = MEANING.get(process.returncode, "see above")
            raise BootstrapFailedError(
                f"`python {shlex.join(command)}` ended with exit status "
                f"{process.returncode}: {meaning}.",
                f"read its output above, and the local cloud's log: {self._log}",
            )

    def _wait(
        self, process: subprocess.Popen[bytes], watch: Callable[[], None], deadline: float
    ) -> None:
        while True:
            try:
                process.wait(POLL_SECONDS)
                return
            except subprocess.TimeoutExpired:
                watch()
            if time.monotonic() > deadline:
                raise BootstrapFailedError(
                    "The bootstrap did not finish within --patience.",
                    f"see above what it waits for, read {self._log}, or allow more with --patience",
                )

    def history(self) -> list[tuple[str, float]]:
        """Return the table's states, and when each was entered (epoch seconds)."""
        try:
            return [(each["state"], _epoch(each["at"])) for each in self._status()["history"]]
        except (ValueError, KeyError, TypeError):
            raise BootstrapFailedError(
                f"`python {shlex.join(self.command('status', '--json'))}` shows no history.",
                f"read {self._log}",
            ) from None

    def _status(self) -> Mapping[str, Any]:
        command = [sys.executable, *self.command("status", "--json")]
        ran = subprocess.run(
            command, cwd=REPOSITORY, env=self._environment, capture_output=True, check=False
        )
        try:
            return _of_one_table(json.loads(ran.stdout))
        except (ValueError, TypeError):
            raise BootstrapFailedError(
                f"`python {shlex.join(self.command('status', '--json'))}` printed no readable "
                f"status (exit status {ran.returncode}): "
                f"{ran.stderr.decode(errors='replace').strip()}",
                f"read {self._log}",
            ) from None


def _of_one_table(status: Any) -> Mapping[str, Any]:
    tables = status.get("tables", [status]) if isinstance(status, dict) else status
    (table,) = tables
    return dict(table)


def _epoch(at: str | float) -> float:
    return datetime.fromisoformat(at).timestamp() if isinstance(at, str) else float(at)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        # Not SIGINT, which prints that the same command resumes: the cloud is about to end.
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
