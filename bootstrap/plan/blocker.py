"""A reason not to start a run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Blocker:
    """A reason not to start, and what removes it."""

    what: str
    fix: str
