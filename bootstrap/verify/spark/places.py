"""The place of one comparison on Spark: a folder that the command and the job share."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class JobPlace(Protocol):
    """A folder of small files or objects: names are relative to it. Picklable, for Spark's workers.

    It raises errors of `bootstrap.core.errors`.
    """

    @property
    def uri(self) -> str:
        """Name the place in a message."""

    @property
    def deletion(self) -> str:
        """The command, as typed in a shell, that deletes all that is in the place."""

    def read(self, name: str) -> bytes | None:
        """Read a file; None if it does not exist."""

    def write(self, name: str, body: bytes) -> None:
        """Write a file, which appears whole. A second task that writes it writes the same bytes."""

    def remove(self, name: str) -> None:
        """Delete a file. One that does not exist is no error."""


@dataclass(frozen=True)
class DirectoryPlace:
    """A `JobPlace` on this machine."""

    directory: Path

    @property
    def uri(self) -> str:
        return str(self.directory)

    @property
    def deletion(self) -> str:
        return f"rm -r {shlex.quote(str(self.directory))}"

    def read(self, name: str) -> bytes | None:
        try:
            return (self.directory / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, body: bytes) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # The process id in the name: a task may run twice at once.
        temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            with temporary.open("wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        (self.directory / name).unlink(missing_ok=True)
