"""A check, made while the bootstrap runs, for faults that it would wait for forever."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.local.cloud import LocalCloud
from infra.local.results.consumer_logs import ConsumerCounts, Refusal, read, refusals_in

EVERY_SECONDS = 2.0


class PermissionMissingError(Exception):
    """The consumer's role lacks a permission; has a line that begins `Try: `."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        listed = "\n".join(f"  {refusal}" for refusal in refusals)
        super().__init__(
            f"The consumer's role lacks permissions, so changes wait on the stream:\n{listed}\n"
            "Try: grant it in infra/consumer.py"
        )


class StallDetector:
    """A check to call a few times a second; raises the error that should end the run."""

    def __init__(
        self,
        cloud: LocalCloud,
        table: Mapping[str, Any],
        also: Callable[[], None] = lambda: None,
    ) -> None:
        self._cloud = cloud
        self._table = table
        self._also = also
        region = table["consumerRegion"]
        self._logs = cloud.client("logs", cloud.target, region)
        self._lambda = cloud.client("lambda", cloud.target, region)
        self._next = 0.0
        self._seen_until = 0
        self._emulator_log = LogTail(cloud.log)

    def __call__(self) -> None:
        """Raise PermissionMissingError, or the error of a dead emulator or dead writers."""
        self._cloud.check()
        self._also()
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY_SECONDS
        refusals = self.refusals()
        if refusals:
            raise PermissionMissingError(refusals)

    def consumer_counts(self) -> ConsumerCounts:
        """Read the function's whole log again."""
        return read(self._logs, self._table["logGroup"])

    def refusals(self) -> list[Refusal]:
        """Return permissions denied to the function or its mapping since the last look."""
        now = int(time.time() * 1000)
        # The function's own log is written when an invocation ends, which may take minutes.
        denied = [line for line in self._emulator_log.new_lines() if self._is_ours(line)]
        log = read(self._logs, self._table["logGroup"], since=self._seen_until)
        self._seen_until = now - 1000
        # None where a run makes the mapping, and has not yet.
        mappings = self._lambda.list_event_source_mappings(
            FunctionName=self._table["functionName"]
        )["EventSourceMappings"]
        found = [
            *(refusal for line in denied for refusal in refusals_in(line)),
            *(
                refusal
                for mapping in mappings
                for refusal in refusals_in(
                    mapping.get("LastProcessingResult", ""), mapping["EventSourceArn"]
                )
            ),
            *log.refusals,
        ]
        return list(dict.fromkeys(found))

    def _is_ours(self, line: str) -> bool:
        # A role's session carries the function's name, which IAM cuts at 64 characters.
        name = self._table["functionName"]
        return f"/{name[:64]} is not authorized" in line or f"The role of {name} is not" in line


class LogTail:
    """A log file that is read as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0

    def new_lines(self) -> list[str]:
        """Return the whole lines that came since the last call."""
        with self._path.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        return whole.decode(errors="replace").splitlines()


def refusals_in_log(log: Path) -> list[Refusal]:
    """Return all denied permissions in the emulator's log."""
    if not log.exists():
        return []
    return list(dict.fromkeys(refusals_in(log.read_text(errors="replace"))))
