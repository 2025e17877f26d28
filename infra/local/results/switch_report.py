"""The result of a switch under the eyes of the witness: its times, and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from infra.local.workload.witness import SwitchVerdict

SwitchChoice = Literal["on", "writes-stopped"]
"""`on`: the source refuses the writers. Otherwise they stop by themselves."""


@dataclass(frozen=True)
class FixedWait:
    """A time that the design of a switch always waits, in AWS's seconds."""

    what: str
    seconds: float
    of_metrics: bool = False
    """Counted in whole periods of DynamoDB's metrics, which last a second at least here."""

    def on_this_clock(self, scale: float) -> float:
        """Return the seconds on the local cloud's clock."""
        if self.of_metrics:
            return self.seconds / 60 * max(1, round(60 * scale))
        return self.seconds * scale


ADMITTED = FixedWait("writes that were admitted before the closing end", 60)
SETTLING = FixedWait("DynamoDB's metrics of the last writes settle", 180, of_metrics=True)
STREAMED = FixedWait("the table's stream has the last writes", 30)
GATE = FixedWait("the consumer's last invocations end", 60)
FIXED: dict[SwitchChoice, Sequence[FixedWait]] = {
    "on": (ADMITTED, SETTLING, GATE),
    "writes-stopped": (
        FixedWait("the metrics' period of the last write ends", 60, of_metrics=True),
        SETTLING,
        GATE,
    ),
}
FIXED_OF_OWN_STREAM: dict[SwitchChoice, Sequence[FixedWait]] = {
    "on": (ADMITTED, STREAMED, GATE),
    "writes-stopped": (STREAMED, GATE),
}
"""The same where the buffer is the table's own stream, for which no metric speaks."""


@dataclass(frozen=True)
class SwitchReport:
    """A switch that has ended. Moments in seconds of the machine's monotonic clock."""

    choice: SwitchChoice
    scale: float
    """Of AWS's delays: 0.01 makes five minutes three seconds."""
    verdict: SwitchVerdict
    closed: float
    """When the switch counted the source as closed."""
    committed: float
    own_stream: bool = False
    """The buffer is the table's own stream."""

    @property
    def _waits(self) -> Sequence[FixedWait]:
        return (FIXED_OF_OWN_STREAM if self.own_stream else FIXED)[self.choice]

    @property
    def refused(self) -> float | None:
        """Seconds up to the commit, from the first refusal; where writes were stopped, from the
        moment at which the switch had prepared and counted the source as closed.
        """
        since = self.verdict.refused_since if self.choice == "on" else self.closed
        return None if since is None else self.committed - since

    @property
    def prepared(self) -> float | None:
        """Seconds before that, since the last write: the switch prepared itself."""
        last = self.verdict.source_closed
        return None if last is None or self.choice == "on" else self.closed - last

    @property
    def fixed(self) -> float:
        """Seconds of these that the design always waits, on the local cloud's clock."""
        return sum(each.on_this_clock(self.scale) for each in self._waits)

    @property
    def fixed_on_aws(self) -> float:
        """The same in AWS's seconds."""
        return sum(each.seconds for each in self._waits)

    @property
    def own(self) -> float | None:
        """The other seconds: calls, probes and polls, which no scale shrinks."""
        return None if self.refused is None else self.refused - self.fixed

    @property
    def first_let_in(self) -> float | None:
        """Seconds from the commit until the target took a write of the application."""
        opened = self.verdict.target_opened
        return None if opened is None else opened - self.committed

    @property
    def all_let_in(self) -> float | None:
        """Seconds from the commit until every writer had been moved and written there."""
        moved = self.verdict.all_moved
        return None if moved is None else moved - self.committed

    def problems(self) -> list[str]:
        """List what the witness found, a sentence each."""
        return list(self.verdict.findings)

    def as_json(self) -> dict[str, Any]:
        verdict = self.verdict
        return {
            "mode": "fence" if self.choice == "on" else self.choice,
            "findings": list(verdict.findings),
            "acknowledged": dict(verdict.acknowledged),
            "outcomes": dict(verdict.outcomes),
            "time_scale": self.scale,
            "refused_seconds": _rounded(self.refused),
            "fixed_seconds": _rounded(self.fixed),
            "fixed_seconds_on_aws": _rounded(self.fixed_on_aws),
            "own_seconds": _rounded(self.own),
            "preparing_seconds": _rounded(self.prepared),
            "first_let_in_seconds": _rounded(self.first_let_in),
            "all_let_in_seconds": _rounded(self.all_let_in),
            "longest_of_a_writer_seconds": _rounded(verdict.longest_seconds),
        }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)
