"""The writes that the tables took, from the write log of the local cloud."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ServerWrite:
    """A write that took effect, and its instant in seconds of the machine's monotonic clock."""

    at: float
    account: str
    table: str
    caller: str
    """The caller's ARN."""
    key: str
    """The key's digest."""


def read_server_writes(file: Path) -> list[ServerWrite]:
    """Read the writes so far, in their order; leave out an incomplete line."""
    return [ServerWrite(**json.loads(line)) for line in file.read_text().split("\n")[:-1]]
