"""One condition of a switch: what was read, when, and what it says."""

from __future__ import annotations

from dataclasses import dataclass

from bootstrap.core.suggestions import Suggestion


@dataclass(frozen=True)
class Check:
    """A condition, with its evidence. Unknown is not fulfilled."""

    name: str
    """Never changes: scripts select by it."""
    fulfilled: bool | None
    """None: it cannot be known."""
    evidence: str
    """A sentence: what was read."""
    at: float
    """When the evidence was taken, in epoch seconds."""
    remedy: Suggestion | None = None
    """None where it is fulfilled."""
