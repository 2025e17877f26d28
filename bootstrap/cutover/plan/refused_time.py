"""The time for which a switch refuses writers: fixed waits, and what was measured."""

from __future__ import annotations

from dataclasses import dataclass

from bootstrap.core.durations import Timing
from bootstrap.journal.switch_records import SwitchMode

ROUNDS = 2
"""Rounds of probes that nothing else waits beside: the drain's, and the last one before the commit.
That which proves the gate closed ends within the wait for the consumer's last invocations."""


@dataclass(frozen=True)
class RefusedPart:
    """A part of the time, in seconds."""

    what: str
    seconds: float | None
    """None: it is not known."""
    measured: bool = False
    """False: a wait that is always this long."""


@dataclass(frozen=True)
class RefusedTime:
    """For how long no table takes writes, up to the commit; and until each caller is let in."""

    parts: tuple[RefusedPart, ...]
    spread: float
    """After the commit, a caller may be refused for up to this many seconds more."""

    @property
    def seconds(self) -> float | None:
        """The sum; None: a part is not known."""
        known = [part.seconds for part in self.parts]
        return None if None in known else sum(each or 0.0 for each in known)

    @property
    def at_least(self) -> float:
        """The sum of what is known."""
        return sum(part.seconds or 0.0 for part in self.parts)


def refused_time(
    mode: SwitchMode, timing: Timing, lag: float | None, tables: int, *, check_command: bool = False
) -> RefusedTime:
    """Return how long writers are refused, of `tables` tables that are switched together.

    `lag`: seconds of the slowest table's newest round of probes; None: unknown.
    """
    rounds = None if lag is None else ROUNDS * lag
    several = f", the slowest of {tables} tables" if tables > 1 else ""
    parts = [
        *(_fence(timing) if mode is SwitchMode.FENCE else _writes_stopped(timing)),
        RefusedPart(
            "the consumer's last invocations end once its gate is closed", timing.gate_settling
        ),
        RefusedPart(f"{ROUNDS} rounds of probes, as long as the newest{several}", rounds, True),
        *([RefusedPart("--check-cmd runs", None, True)] if check_command else []),
    ]
    return RefusedTime(tuple(parts), timing.policy_spread / 2)


def _fence(timing: Timing) -> list[RefusedPart]:
    return [
        RefusedPart("writes that were admitted before the closing end", timing.write_settling),
        RefusedPart("the metrics of the last writes settle", timing.metric_settling),
    ]


def _writes_stopped(timing: Timing) -> list[RefusedPart]:
    return [
        RefusedPart("the metrics' period ends in which writes stopped", timing.metric_period),
        RefusedPart("the metrics of the last writes settle", timing.metric_settling),
    ]
