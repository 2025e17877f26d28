"""One step of a run, as a value: its name, its state, and the function that advances it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bootstrap.core.outcome import Outcome
from bootstrap.core.state import State
from bootstrap.run.step_context import StepContext


@dataclass(frozen=True)
class Step:
    """A part of a run that observes AWS, acts if needed, and records what it did."""

    name: str
    """In the journal's failures. Never changes."""
    state: State
    """Of the table while the step is at work."""
    advance: Callable[[StepContext], Outcome]
    """Makes at most one change in AWS."""
