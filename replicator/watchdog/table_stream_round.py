"""The readings of a table whose buffer is its own stream. Watchdog and `status` take the same.

The bootstrap makes that stream and its mapping, and names both in the settings row. Nothing is put
into the stream, and there is no destination.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from replicator.watchdog.aws_readings import SourceSide, TargetSide
from replicator.watchdog.aws_states import TableState
from replicator.watchdog.backlog import (
    KEPT_SECONDS,
    Known,
    ReceptionReader,
    a_day_before,
    backlog_of,
    enters,
)
from replicator.watchdog.lambda_states import FunctionState, MappingState
from replicator.watchdog.primary_readings import Read
from replicator.watchdog.probe_rounds import WatchdogState, attempt_of
from replicator.watchdog.readings import (
    Backlog,
    Identity,
    Intent,
    Readings,
    Undelivered,
    Unneeded,
    Unread,
)

UNNEEDED = Unneeded("the buffer is the table's own stream")


@dataclass(frozen=True)
class TableStreamRound:
    """Both accounts, as readers. `function` returns the consumer's function, or how it was last
    seen; `unended` the records that the consumer could not end, with their times."""

    read: Read
    source: SourceSide
    target: TargetSide
    reception: ReceptionReader
    quarantine: Callable[[], int | None]
    failures: Callable[[], int | None]
    function: Callable[[], FunctionState | Unread | None]
    unended: Callable[[], Mapping[str, int]]

    def readings(
        self,
        intent: Intent | Unread,
        state: WatchdogState | Unread,
        at: float,
        *,
        first: Callable[[WatchdogState], Mapping[str, str]] | None = None,
    ) -> tuple[Readings, WatchdogState | Unread]:
        """Take every reading. Return the state that the watchdog is to keep, too.

        `first`: the ids of the tables when they were first seen; None: those of the state, which
        then remembers them.
        """
        read, counted_from = self.read, None
        if isinstance(intent, Intent):
            counted_from = intent.counted_from
        mapping = self._mapping(intent)
        source, target = read(self.source.table), read(self.target.table)
        undelivered = read(lambda: self.target.undelivered(counted_from or 0.0, at))
        function = read(self.function)
        backlog = self._backlog(intent, state, mapping, at)
        if isinstance(state, WatchdogState):
            state = _remember_lambda(state, mapping, function, at)
            state = _remember_changes(state, intent, source, undelivered, backlog, at)
        tables = {"source": source, "target": target}
        if isinstance(state, WatchdogState) and first is None:
            state = _remember_tables(state, intent, tables)
        if isinstance(state, Unread):
            ids: Mapping[str, str] | Unread = state
        else:
            ids = state.tables if first is None else first(state)
        known = state if isinstance(state, WatchdogState) else WatchdogState()
        return (
            Readings(
                at=at,
                intent=intent,
                mapping=mapping,
                destinations=UNNEEDED,
                stream=UNNEEDED,
                source=_identity(source, ids, "source"),
                target=_identity(target, ids, "target"),
                quarantine=read(self.quarantine),
                failures=read(self.failures),
                skipped=UNNEEDED,
                unreplicated=UNNEEDED,
                probed=state if isinstance(state, Unread) else state.probed(),
                foreign=UNNEEDED,
                function=function,
                undelivered=undelivered,
                problem_rounds=known.problem_rounds,
                outage=known.outage,
                overrun=known.overrun,
                given_up=known.given_up,
                backlog=backlog,
                attempt=attempt_of(state, intent, at),
            ),
            state,
        )

    def _mapping(self, intent: Intent | Unread) -> MappingState | Unread | None:
        if isinstance(intent, Unread):
            return intent
        if not intent.mapping:
            return None
        return self.read(lambda: self.target.mapping_of(intent.mapping))

    def _backlog(
        self,
        intent: Intent | Unread,
        state: WatchdogState | Unread,
        mapping: MappingState | Unread | None,
        at: float,
    ) -> Backlog | Unread:
        if isinstance(intent, Unread):
            return intent
        if isinstance(state, Unread):
            return state
        if intent.counted_from is None:
            return Backlog(None)  # before there is a snapshot, every change will be in it
        since = max(intent.counted_from, intent.proved or 0.0)
        # What the last round found is judged again with what came to light since. A day is all that
        # matters, unless something has waited for longer, or the watchdog was away.
        through = state.through if state.through is not None else since
        begin = max(since, min(through, a_day_before(at)))
        on = mapping.is_on and not mapping.reports if isinstance(mapping, MappingState) else False
        off = mapping is None or (isinstance(mapping, MappingState) and mapping.is_off)
        held = state.unread if state.unread is not None and state.unread > since else None

        def look() -> Backlog:
            # A record of before what is proved has ended, or the stream has forgotten it.
            noted = [each for each in self.unended().values() if each > since]
            known = Known(
                since,
                begin,
                held,
                receiving=on or isinstance(mapping, Unread),
                off=off,
                unended=min(noted, default=None),
            )
            return backlog_of(known, self.reception.read(begin, at), at)

        return self.read(look)


def _remember_lambda(
    state: WatchdogState,
    mapping: MappingState | Unread | None,
    function: FunctionState | Unread | None,
    at: float,
) -> WatchdogState:
    if isinstance(mapping, MappingState):
        state = state.saw_report(mapping.is_on and bool(mapping.reports))
    return state if isinstance(function, Unread) else state.saw_function(function, at)


def _remember_changes(
    state: WatchdogState,
    intent: Intent | Unread,
    source: TableState | Unread | None,
    undelivered: Undelivered | Unread,
    backlog: Backlog | Unread,
    at: float,
) -> WatchdogState:
    """Remember what is over the next time: a stream that was off, changes that were forgotten."""
    if isinstance(intent, Unread):
        return state
    if intent.stream and not isinstance(source, Unread):
        state = state.saw_table_stream(intent.stream, enters(source, intent.stream), at)
    if intent.counted_from is not None and not isinstance(undelivered, Unread):
        state = state.saw_undelivered(undelivered, intent.counted_from)
    if isinstance(backlog, Backlog):
        state = state.saw_backlog(backlog, at, KEPT_SECONDS)
    return state.saw_intent(intent, at)


def _remember_tables(
    state: WatchdogState,
    intent: Intent | Unread,
    tables: Mapping[str, TableState | Unread | None],
) -> WatchdogState:
    for side, table in tables.items():
        # Before the target is replicating, an import may be discarded and repeated.
        known = side == "source" or (isinstance(intent, Intent) and intent.replicating)
        if isinstance(table, TableState) and known:
            state = state.saw(side, table.table_id)
    return state


def _identity(
    now: TableState | Unread | None, first: Mapping[str, str] | Unread, side: str
) -> Identity | Unread:
    for each in (now, first):
        if isinstance(each, Unread):
            return each
    assert not isinstance(now, Unread) and not isinstance(first, Unread)
    return Identity(now, first.get(side) or None)
