"""The time for which a switch refuses writers: fixed waits, and what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bootstrap.core.durations import Timing
from bootstrap.journal.switch_records import SwitchMode
from replicator.buffers import KINESIS, STREAMS

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


Lags = Mapping[str, float | None]
"""By kind of buffer, of the slowest table that has it. Of Kinesis the seconds that the newest round
of probes took, of a table's own stream those by which the consumer was behind. None: unknown."""


def refused_time(
    mode: SwitchMode, timing: Timing, lags: Lags, tables: int, *, check_command: bool = False
) -> RefusedTime:
    """Return how long writers are refused, of `tables` tables that are switched together.

    Tables of several kinds of buffer wait at the same time.
    """
    several = f", the slowest of {tables} tables" if tables > 1 else ""
    parts = [
        *_closing(mode, timing, KINESIS in lags),
        RefusedPart(_gate(lags), timing.gate_settling),
        *_measured(lags, several),
        *([RefusedPart("--check-cmd runs", None, True)] if check_command else []),
    ]
    return RefusedTime(tuple(parts), timing.policy_spread / 2)


def _closing(mode: SwitchMode, timing: Timing, kinesis: bool) -> list[RefusedPart]:
    parts = []
    if mode is SwitchMode.FENCE:
        what = "writes that were admitted before the closing end"
        parts.append(RefusedPart(what, timing.write_settling))
    elif kinesis:
        what = "the metrics' period ends in which writes stopped"
        parts.append(RefusedPart(what, timing.metric_period))
    if kinesis:
        parts.append(RefusedPart("the metrics of the last writes settle", timing.metric_settling))
    else:
        parts.append(RefusedPart("the table's stream has the last writes", timing.stream_settling))
    return parts


def _gate(lags: Lags) -> str:
    if STREAMS not in lags:
        return "the consumer's last invocations end once its gate is closed"
    return (
        "the consumer's last invocations end once its gate is closed and its mapping is off (up to "
        "twice as long where no change has come through it since the switch began)"
    )


def _measured(lags: Lags, several: str) -> list[RefusedPart]:
    parts = []
    if KINESIS in lags:
        lag = lags[KINESIS]
        rounds = None if lag is None else ROUNDS * lag
        what = f"{ROUNDS} rounds of probes, as long as the newest{several}"
        parts.append(RefusedPart(what, rounds, True))
    if STREAMS in lags:
        what = f"the consumer comes through what waits, as far behind as it was lately{several}"
        parts.append(RefusedPart(what, lags[STREAMS], True))
    return parts
