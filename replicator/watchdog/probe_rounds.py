"""Rounds of probes, one record per lane of the stream, and the state that the watchdog keeps.

A lane takes its records in order, so a probe that is through proves that all before it in its lane
is through. A round that is through in every lane proves it of every older round.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from replicator.watchdog.lambda_states import FunctionState
from replicator.watchdog.readings import (
    Backlog,
    Intent,
    Outage,
    Probed,
    SeenAttempt,
    SourceWrites,
    Undelivered,
    Unread,
)

MOST_PROOFS = 6
MOST_WAITING = 6
"""Rounds that are waited for. When there are more, the newest gives way: the oldest measure how far
behind the consumer is, and the latest tells when it has caught up."""


@dataclass(frozen=True)
class ProbeRound:
    """Probes that were put together. `at` is when, in epoch seconds."""

    probe: str
    count: int
    at: float


@dataclass(frozen=True)
class SeenFunction:
    """The function at a moment (epoch seconds). None: there was no such function."""

    at: float
    state: FunctionState | None


@dataclass(frozen=True)
class WatchdogState:
    """The watchdog's memory between rounds: a row of the ledger table."""

    waiting: tuple[ProbeRound, ...] = ()
    """Rounds that were not through when last looked at, oldest first."""
    through: float | None = None
    """The put time of the newest round that is through."""
    lag: float | None = None
    """Seconds that it took."""
    tables: Mapping[str, str] = field(default_factory=dict)
    """The id under which each side's table was first seen."""
    flowed: float | None = None
    """Up to when all changes are known to have gone into the stream, as of when its destination was
    last seen on; None: it never was."""
    overrun: Outage | None = None
    """The time in which the stream dropped waiting changes: one interval for all of them."""
    kept: float | None = None
    """For how long (seconds) the stream kept changes then, at least."""
    outage: Outage | None = None
    """The time in which the destination was off: one interval for all outages."""
    ran: float | None = None
    """When the latest round was recorded: the heartbeat that other readers see."""
    not_put: str = ""
    """Why the latest round's probes were not put; empty if they were."""
    proofs: tuple[tuple[float, float], ...] = ()
    """When the newest rounds that are through were put, and when they came through: CloudWatch
    counts what Lambda gave up only minutes later."""
    given_up: Outage | None = None
    """The time of the changes in batches that Lambda put nowhere: one interval for all of them."""
    problem_rounds: int = 0
    """The latest rounds in a row in which Lambda reported a problem of the mapping."""
    function: SeenFunction | None = None
    """The consumer's function, as last read; None: it never was."""
    attempt: SeenAttempt | None = None
    """The switch that is under way; None: none is."""
    source_denied: bool = False
    """This project's Deny was seen in the old source's policy, after the switch."""
    table_stream: str = ""
    """The table's own stream that was last seen as the buffer: its ARN."""
    unread: float | None = None
    """Since when changes may wait in it that were made while the mapping was off; None: none."""

    @property
    def last_sign(self) -> float | None:
        """The last sign of the watchdog; an earlier version recorded its probes alone."""
        return self.ran or (self.waiting[-1].at if self.waiting else self.through)

    def probed(self) -> Probed:
        """Return the state of the probes."""
        waiting = self.waiting[0].at if self.waiting else None
        return Probed(self.through, waiting, self.lag, self.not_put, self.last_sign)

    def recorded(self, at: float, not_put: str = "") -> WatchdogState:
        """Note that a round of the watchdog ended, and why its probes were not put."""
        return replace(self, ran=at, not_put=not_put)

    def put(self, latest: ProbeRound) -> WatchdogState:
        """Add a round."""
        kept = self.waiting if len(self.waiting) < MOST_WAITING else self.waiting[:-1]
        return replace(self, waiting=(*kept, latest))

    def came_through(self, done: ProbeRound, last_row_at: float) -> WatchdogState:
        """Remove this round and all earlier ones."""
        left = tuple(each for each in self.waiting if each.at > done.at)
        return replace(
            self,
            waiting=left,
            through=done.at,
            lag=max(0.0, last_row_at - done.at),
            proofs=(*self.proofs, (done.at, last_row_at))[-MOST_PROOFS:],
        )

    def measured(self, row_at: Callable[[ProbeRound], float | None]) -> WatchdogState:
        """Look for the newest round that is through: it proves all earlier ones.

        `row_at` returns when a round's last probe came through; None if one is missing.
        """
        for each in reversed(self.waiting):
            at = row_at(each)
            if at is not None:
                return self.came_through(each, at)
        return self

    def proved(self, moment: float, lag: float) -> WatchdogState:
        """Add a round of another process: every change before `moment` is through."""
        if self.through is not None and self.through >= moment:
            return self
        left = tuple(each for each in self.waiting if each.at > moment)
        return replace(self, waiting=left, through=moment, lag=lag, ran=self.last_sign)

    def saw(self, side: str, table_id: str) -> WatchdogState:
        """Remember the first id of a side's table."""
        if side in self.tables:
            return self
        return replace(self, tables={**self.tables, side: table_id})

    def saw_undelivered(self, found: Undelivered, counted_from: float) -> WatchdogState:
        """Remember the time of the changes in batches that Lambda put nowhere. `counted_from`:
        no change made before that is missing.
        """
        known = self.given_up
        if not found.count or (known is not None and found.end <= (known.end or 0.0)):
            return self
        begin = max(counted_from, self._applied_by(found.begin))
        if known is not None and (known.end or 0.0) > counted_from:
            begin = min(begin, known.begin)
        return replace(self, given_up=Outage(begin, found.end))

    def _applied_by(self, moment: float) -> float:
        """Return up to when every change had been applied at a moment; 0 if that is not known.

        A batch that was put nowhere ends like any other, and probes behind it come through.
        """
        proofs = [put_at for put_at, through_at in self.proofs if through_at < moment]
        return max(proofs, default=0.0)

    def saw_report(self, problem: bool) -> WatchdogState:
        """Count the rounds in a row in which Lambda reports a problem."""
        return replace(self, problem_rounds=self.problem_rounds + 1 if problem else 0)

    def saw_function(self, function: FunctionState | None, at: float) -> WatchdogState:
        """Remember the function for `status`, whose roles have no room for the right to read it."""
        return replace(self, function=SeenFunction(at, function))

    def saw_intent(self, intent: Intent, at: float) -> WatchdogState:
        """Remember since when a switch is under way, and since when its gate is closed."""
        nonce = intent.closed or intent.armed
        if not nonce or intent.primary is not None:
            return replace(self, attempt=None)
        known = self.attempt
        seen = known if known is not None and known.nonce == nonce else SeenAttempt(nonce, at)
        if not intent.closed:
            seen = replace(seen, closed_since=None)
        elif seen.closed_since is None:
            seen = replace(seen, closed_since=at)
        return replace(self, attempt=seen)

    def saw_writes(self, found: SourceWrites) -> WatchdogState:
        """Remember whether this project's Deny has stood in the old source's policy."""
        return replace(self, source_denied=self.source_denied or found.denied is True)

    def saw_flow(self, on: bool, at: float, waiting: float | None) -> WatchdogState:
        """Remember whether changes go into the stream. `waiting`: seconds that the oldest change
        has waited for that, which is lost when the destination goes off; None: unknown."""
        delivered = None if waiting is None else at - waiting
        if on:
            known = self.flowed if self.flowed is not None else at
            outage = self.outage
            if outage is not None and outage.end is None:
                outage = replace(outage, end=at)
            return replace(self, flowed=known if delivered is None else delivered, outage=outage)
        if self.flowed is None or (self.outage is not None and self.outage.end is None):
            return self
        begins = [self.flowed]
        begins += [] if delivered is None else [delivered]
        begins += [] if self.outage is None else [self.outage.begin]
        return replace(self, outage=Outage(min(begins)))

    def saw_table_stream(self, arn: str, on: bool, at: float) -> WatchdogState:
        """Remember whether changes enter the table's own stream, `arn`. A stream in its place
        lacks the changes that were made between the two."""
        another = bool(self.table_stream) and self.table_stream != arn
        # What waits in a stream that is off is lost with the mapping that reads it.
        unread = None if self.through is None else at - self.through
        seen = self.saw_flow(False, at, unread) if another else self
        # What a table's stream takes, it takes at once.
        return replace(seen.saw_flow(on, at, 0.0 if on else unread), table_stream=arn)

    def saw_backlog(self, backlog: Backlog, at: float, kept: float) -> WatchdogState:
        """Remember up to when every change has ended, and what the stream may have forgotten since.
        `kept`: for how long it keeps a change, in seconds."""
        if backlog.known_to is None:
            return self
        since = at if backlog.oldest is None else backlog.oldest
        return replace(self.saw_age(since, at, kept), through=backlog.known_to, unread=backlog.held)

    def saw_age(self, since: float, at: float, kept: float) -> WatchdogState:
        """Remember whether changes waited for longer than the stream keeps them (`kept`, seconds).
        `since`: everything made before has been applied.
        """
        known = self.overrun
        open_ = known is not None and known.end is None
        if open_ and self.kept is not None:
            kept = min(kept, self.kept)  # raised meanwhile, it has not brought anything back
        if at - since >= kept:
            begin = since if known is None else min(known.begin, since)
            return replace(self, overrun=known if open_ else Outage(begin), kept=kept)
        if known is None or not open_:
            return self
        # The stream still has every younger change.
        return replace(self, overrun=replace(known, end=max(known.begin, at - kept)))

    def as_text(self) -> str:
        return json.dumps(
            {
                "waiting": [[each.probe, each.count, each.at] for each in self.waiting],
                "through": self.through,
                "lag": self.lag,
                "tables": dict(self.tables),
                "flowed": self.flowed,
                "outage": [self.outage.begin, self.outage.end] if self.outage else None,
                "proofs": [list(each) for each in self.proofs],
                "givenUp": [self.given_up.begin, self.given_up.end] if self.given_up else None,
                "problemRounds": self.problem_rounds,
                "function": _function_value(self.function),
                "kept": self.kept,
                "overrun": [self.overrun.begin, self.overrun.end] if self.overrun else None,
                "attempt": _attempt_value(self.attempt),
                "sourceDenied": self.source_denied,
                "ran": self.ran,
                "notPut": self.not_put,
                "tableStream": self.table_stream,
                "unread": self.unread,
            }
        )

    @classmethod
    def from_text(cls, text: str) -> WatchdogState:
        """Raise ValueError for any other text."""
        try:
            values: Mapping[str, Any] = json.loads(text)
            waiting = _rounds(values["waiting"])
            return cls(
                waiting=tuple(sorted(waiting, key=lambda each: each.at)),
                through=_number(values["through"]),
                lag=_number(values["lag"]),
                tables={str(side): str(each) for side, each in values["tables"].items()},
                # The row of an earlier version has none of them.
                flowed=_number(values.get("flowed")),
                outage=_outage(values.get("outage")),
                proofs=tuple((float(put), float(at)) for put, at in values.get("proofs", ())),
                given_up=_outage(values.get("givenUp")),
                problem_rounds=int(values.get("problemRounds", 0)),
                function=_function(values.get("function")),
                attempt=_attempt(values.get("attempt")),
                source_denied=values.get("sourceDenied") is True,
                kept=_number(values.get("kept")),
                overrun=_outage(values.get("overrun")),
                ran=_number(values.get("ran")),
                not_put=str(values.get("notPut", "")),
                table_stream=str(values.get("tableStream", "")),
                unread=_number(values.get("unread")),
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"watchdog row: {type(error).__name__}") from None


def attempt_of(
    state: WatchdogState | Unread, intent: Intent | Unread, at: float
) -> SeenAttempt | Unread | None:
    """Return the switch that is under way, with what the watchdog knows of its age."""
    if isinstance(intent, Unread) or not (intent.armed or intent.closed):
        return None
    return state if isinstance(state, Unread) else state.saw_intent(intent, at).attempt


def _rounds(values: Iterable[Any]) -> list[ProbeRound]:
    return [ProbeRound(str(probe), int(count), float(at)) for probe, count, at in values]


def _outage(value: Any) -> Outage | None:
    if value is None:
        return None
    begin, end = value
    return Outage(float(begin), _number(end))


def _attempt_value(seen: SeenAttempt | None) -> list[Any] | None:
    return None if seen is None else [seen.nonce, seen.since, seen.closed_since]


def _attempt(value: Any) -> SeenAttempt | None:
    if value is None:
        return None
    nonce, since, closed_since = value
    return SeenAttempt(str(nonce), float(since), _number(closed_since))


def _function_value(seen: SeenFunction | None) -> list[Any] | None:
    if seen is None:
        return None
    return [seen.at, None if seen.state is None else asdict(seen.state)]


def _function(value: Any) -> SeenFunction | None:
    if value is None:
        return None
    at, state = value
    if state is None:
        return SeenFunction(float(at), None)
    # A newer watchdog may write more.
    known = {each.name: str(state[each.name]) for each in fields(FunctionState)}
    return SeenFunction(float(at), FunctionState(**known))


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
