"""The readings of the loss detectors, taken with the watchdog's own code. Read-only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from bootstrap.core.errors import BootstrapError
from bootstrap.core.formatting import instant
from bootstrap.core.journal_rows import Row
from bootstrap.core.stack_outputs import TableOutputs
from bootstrap.journal.records import Buffered, CaughtUp, Imported
from bootstrap.plan.limits import LARGEST_RECORD_KIB, LEAST_RETENTION_HOURS
from replicator.watchdog.aws_readings import LedgerRows, SourceSide, TargetSide, UnreadableError
from replicator.watchdog.aws_states import TableState
from replicator.watchdog.backlog import KEPT_HOURS, ReceptionReader
from replicator.watchdog.finding import Expected
from replicator.watchdog.lambda_states import FunctionState
from replicator.watchdog.primary_readings import read_primary
from replicator.watchdog.probe_rounds import WatchdogState, attempt_of
from replicator.watchdog.readings import Identity, Intent, Probed, Readings, Unread
from replicator.watchdog.source_writes import SourceWritesReader
from replicator.watchdog.table_stream_round import TableStreamRound

T = TypeVar("T")

RECENT_SECONDS = 900.0
"""Three rounds of the watchdog: as long as it takes for its silence to fire an alarm."""


def expected_settings(table: TableOutputs) -> Expected:
    """Return the limits that the detectors apply to a table: the stack's, as the watchdog has them.

    The outputs of an older program lack two of them. What a plan requires takes their place.
    """
    limits = table.limits
    kept = KEPT_HOURS if table.reads_table_stream else LEAST_RETENTION_HOURS
    return Expected(
        table.stream_arn,
        table.retention_hours or kept,
        table.record_kib or LARGEST_RECORD_KIB,
        buffer_share=limits.retention_used_percent / 100,
        probes_late_seconds=limits.probe_age_minutes * 60,
        unreplicated_seconds=limits.unreplicated_warning_hours * 3600,
        on_failure_bucket=table.on_failure_bucket,
        adopted_stream=table.adopts_stream,
        buffer=table.buffer,
    )


class HealthReader:
    """A reader of both accounts. A reading that fails becomes `Unread`, and the others continue."""

    def __init__(
        self,
        source: SourceSide,
        target: TargetSide,
        ledger: LedgerRows,
        quarantine: Callable[[], int | None],
        failures: Callable[[], int | None],
        writes: SourceWritesReader,
        reception: ReceptionReader | None = None,
    ) -> None:
        """`reception` reads what the consumer received, where the buffer is the table's own stream;
        None: it is not."""
        self._source, self._target, self._ledger = source, target, ledger
        self._writes, self._reception = writes, reception
        self._quarantine, self._failures = quarantine, failures

    def readings(self, row: Row, at: float) -> Readings:
        """Take every reading that the detectors need. `at`: AWS's time; `row`: the journal's."""
        intent = _read(self._ledger.intent)
        since = intent.counted_from if isinstance(intent, Intent) else None
        book = _read(self._ledger.watchdog_state)
        if isinstance(intent, Intent) and intent.primary is not None:
            return read_primary(
                _read,
                intent,
                at,
                state=book,
                destinations=self._source.destinations,
                writes=self._writes,
                quarantine=self._quarantine,
                failures=self._failures,
                source=None if self._reception is None else self._source.table,
            )
        if self._reception is not None:
            return self._of_table_stream(self._reception, row, intent, book, at)
        buffered, imported = row.record(Buffered), row.record(Imported)
        return Readings(
            at=at,
            intent=intent,
            mapping=_read(self._target.mapping),
            destinations=_read(self._source.destinations),
            stream=_read(self._source.stream),
            source=_identity(_read(self._source.table), buffered.table_id if buffered else ""),
            target=_identity(_read(self._target.table), imported.table_id if imported else ""),
            quarantine=_read(self._quarantine),
            failures=_read(self._failures),
            skipped=_read(lambda: self._source.skipped(since or 0.0, at)),
            undelivered=_read(lambda: self._target.undelivered(since or 0.0, at)),
            unreplicated=_read(lambda: self._source.unreplicated(at)),
            probed=self._probed(book, row.record(CaughtUp)),
            foreign=_read(self._ledger.foreign),
            function=_function(book, at),
            problem_rounds=0 if isinstance(book, Unread) else book.problem_rounds,
            outage=None if isinstance(book, Unread) else book.outage,
            overrun=None if isinstance(book, Unread) else book.overrun,
            given_up=None if isinstance(book, Unread) else book.given_up,
            attempt=attempt_of(book, intent, at),
        )

    def _of_table_stream(
        self,
        reception: ReceptionReader,
        row: Row,
        intent: Intent | Unread,
        book: WatchdogState | Unread,
        at: float,
    ) -> Readings:
        """Read a table whose buffer is its own stream, as the watchdog does; nothing is kept."""
        buffered, imported, run = row.record(Buffered), row.record(Imported), row.record(CaughtUp)
        first = {
            "source": buffered.table_id if buffered else "",
            "target": imported.table_id if imported else "",
        }
        reader = TableStreamRound(
            _read,
            self._source,
            self._target,
            reception,
            self._quarantine,
            self._failures,
            lambda: _function(book, at),
            self._ledger.unended,
        )
        if run is not None and isinstance(intent, Intent):
            intent = replace(intent, proved=max(run.moment, intent.proved or 0.0))
        found, _ = reader.readings(intent, book, at, first=lambda _: first)
        return found

    def _probed(self, book: WatchdogState | Unread, run: CaughtUp | None) -> Probed | Unread:
        """Read which rounds have come through since the watchdog looked, and add a run's own."""
        if isinstance(book, Unread):
            return book
        seen = _read(lambda: self._through(book))
        if isinstance(seen, Unread):
            return seen
        return (seen if run is None else seen.proved(run.moment, run.round_trip)).probed()

    def _through(self, book: WatchdogState) -> WatchdogState:
        return book.measured(self._ledger.came_through)


def _read(reading: Callable[[], T]) -> T | Unread:
    try:
        return reading()
    except UnreadableError as error:
        return Unread(str(error))
    except BootstrapError as error:
        return Unread(error.what)  # no credentials, or the role cannot be assumed


def _identity(now: TableState | Unread | None, first: str) -> Identity | Unread:
    return now if isinstance(now, Unread) else Identity(now, first or None)


def _function(book: WatchdogState | Unread, at: float) -> FunctionState | Unread | None:
    """Return the function as the watchdog saw it, while that is recent."""
    if isinstance(book, Unread):
        return book
    seen = book.function
    if seen is None:
        return Unread("the watchdog has not read it yet")
    if at - seen.at > RECENT_SECONDS:
        return Unread(f"the watchdog read it last at {instant(seen.at)}")
    return seen.state
