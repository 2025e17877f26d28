"""One invocation: from an event's records to their outcomes, and from those to the report.

Lambda never redelivers what comes before the lowest sequence number of the report. So a record
counts as failed until its outcome is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from replicator.call_context import CallContext
from replicator.change import Change, Probe
from replicator.consumer.decode import Content, Decoder, Foreign, Record, Unusable
from replicator.consumer.ended_writer import EndedWriter
from replicator.consumer.foreign import ForeignTables
from replicator.consumer.key_queue import KeyQueue, QuarantineCandidate, RecordState
from replicator.consumer.lanes import Lanes
from replicator.consumer.late_writes import LateWrites
from replicator.consumer.metrics import InvocationStats
from replicator.consumer.outcome import (
    Applied,
    Ignored,
    LeftToTtl,
    Outcome,
    Quarantined,
    Reason,
    Retry,
    Superseded,
)
from replicator.consumer.probe_rows import ProbeRows
from replicator.consumer.quarantine import QuarantineStore
from replicator.consumer.quarantine_share import Breakers, QuarantineShares, Share
from replicator.consumer.stream_records import record_order
from replicator.consumer.unended import UnendedNotes
from replicator.consumer.writer import ConditionalWriter
from replicator.names import (
    CHANGES_APPLIED,
    CHANGES_FOREIGN,
    CHANGES_QUARANTINED,
    CHANGES_RECEIVED,
    CHANGES_RETRIED,
    CHANGES_SUPERSEDED,
    DELETIONS_LEFT_TO_TTL,
    LATE_WRITES,
    ORDER_CONTRADICTED,
    QUARANTINE_REFUSED,
)
from replicator.runtime import Runtime
from replicator.settings import ConsumerSettings

BURST = (
    "Too many records for quarantine: nothing more is quarantined, the batch failed.\n"
    "Try: find the common cause; if each is bad in its own way, raise the table's quarantineBurst "
    "in the stack file and run pulumi up."
)
NAMELESS_BURST = (
    "Too many records for quarantine that do not name the table: nothing more is quarantined, the "
    "batch failed.\n"
    "Try: find the application that puts them into the adopted stream, and stop it; to quarantine "
    "them all, raise the table's quarantineBurst in the stack file and run pulumi up."
)
Report = dict[str, Any]
"""`batchItemFailures`, as Lambda reads it: the sequence number from which to deliver again."""


@dataclass(frozen=True)
class ConsumerParts:
    """The parts of a container that every batch uses."""

    source_table: str
    decoder: Decoder
    writer: ConditionalWriter
    store: QuarantineStore
    probes: ProbeRows
    foreign: ForeignTables
    lanes: Lanes
    late_writes: LateWrites
    runtime: Runtime
    breakers: Breakers
    adopted_stream: bool = False
    """The stream is an adopted one: other tables' records are to be expected."""
    ended: EndedWriter | None = None
    """None where the stream carries probes."""
    unended: UnendedNotes | None = None
    """None like `ended`."""
    patience_seconds: float | None = None
    """The age of a record from which it goes to quarantine however many do, because its stream will
    forget it. None: the stream keeps it for long enough."""


class Batch:
    """The records of one invocation, from decoding to the report."""

    def __init__(
        self,
        parts: ConsumerParts,
        records: Sequence[Record],
        settings: ConsumerSettings,
        context: CallContext,
        stats: InvocationStats,
        seen: frozenset[str],
    ) -> None:
        self._parts = parts
        self._settings = settings
        self._context = context
        self._stats = stats
        self._seen = seen
        self._states = [state for record in records for state in self._unpack(record)]
        self._queues: list[KeyQueue] = []
        self._parked: list[QuarantineCandidate] = []
        self._suspects: list[QuarantineCandidate] = []
        self._forgotten_soon = self._is_forgotten_soon()
        self._shares = QuarantineShares(parts.breakers, parts.source_table, self._states)
        self._tripped = False
        self._foreign: dict[str, list[Record]] = {}
        self._late: list[tuple[RecordState, Change]] = []
        self._expired: list[tuple[RecordState, Change]] = []
        self._held: list[tuple[RecordState, Change]] = []
        self._sort()

    def run(self) -> Report:
        self._hold_back()
        self._round()
        while not self._tripped and any(queue.attempt() for queue in self._queues):
            self._round()
        if not self._tripped:
            self._note_late_writes()
            self._prove()
            self._remove_notes()
            self._write_ended_row()
            self._shares.ended(state for state in self._states if state.ended)
        for table, records in self._foreign.items():
            self._stats.foreign(table, records[0], len(records))
        self._parts.lanes.ended(self._ended_prefix())
        # Last: these rows may not delay a change.
        self._parts.foreign.write(self._context)
        self._parts.lanes.write(self._context)
        self._count()
        failed = [state for state in self._states if self._tripped or not state.ended]
        if failed:
            first = self._first(failed)
            self._stats.waits(first.record, self._why(first))
            if self._parts.unended is not None:
                self._parts.unended.note(first.record, self._context)
            return report_from([first.record.sequence_number])
        self._measure_age()
        return report_from([])

    def _first(self, failed: Sequence[RecordState]) -> RecordState:
        """Return the record from which Lambda has to deliver again."""
        if self._parts.decoder.IN_ORDER:
            return failed[0]
        return min(failed, key=lambda state: int(state.record.sequence_number))

    def _why(self, state: RecordState) -> str:
        if self._tripped:
            return "too many records for quarantine"
        return state.outcome.why if isinstance(state.outcome, Retry) else "a record before it waits"

    # Reading.

    def _unpack(self, record: Record) -> list[RecordState]:
        decoder, table = self._parts.decoder, self._parts.source_table
        if decoder.park_name(record) in self._settings.parks:
            return [RecordState(record, Unusable(Reason.PARKED, "parked by an operator"))]
        found = decoder.user_records(record)
        if isinstance(found, Unusable):
            return [RecordState(record, found)]
        return [
            RecordState(user_record, decoder.content(user_record, table)) for user_record in found
        ]

    def _sort(self) -> None:
        """Send each record to quarantine or to its key's queue, or give it an outcome at once."""
        keys: dict[bytes, list[tuple[RecordState, Change]]] = {}
        floor = self._settings.floor
        for state in self._states:
            content = state.content
            if isinstance(content, Change):
                if floor is not None and content.version.latest < floor:
                    state.outcome = Superseded()  # the snapshot has it, or something newer
                elif self._settings.closed is not None:
                    self._held.append((state, content))
                else:
                    keys.setdefault(content.key, []).append((state, content))
                    if self._is_late(content):
                        self._late.append((state, content))
            elif isinstance(content, Foreign):
                state.outcome = Ignored()
                if self._parts.adopted_stream:
                    continue  # they are to be expected, and as many as those tables' changes
                self._foreign.setdefault(content.table, []).append(state.record)
                self._parts.foreign.add(content.table, state.record)
            elif isinstance(content, Unusable):
                candidate = QuarantineCandidate(state, content.reason, content.detail)
                parked = content.reason is Reason.PARKED
                (self._parked if parked else self._suspects).append(candidate)
        self._queues = [
            KeyQueue(changes, self._seen, self._forgotten_soon) for changes in keys.values()
        ]
        self._check_burst()

    def _is_late(self, change: Change) -> bool:
        settings = self._settings
        if settings.armed is None or settings.mark is None or change.expired:
            return False
        return change.version.latest > settings.mark

    # A switch.

    def _hold_back(self) -> None:
        """End each change without writing an item, if a switch has closed the gate.

        What the ledger does not prove superseded goes whole to quarantine, but for deletions by the
        source's time to live, which the target's own repeats.
        """
        if not self._held:
            return
        changes = [change for _, change in self._held]
        superseded = self._parts.writer.superseded(changes, self._context)
        for (state, change), known in zip(self._held, superseded, strict=True):
            if known is None:
                state.outcome = Retry("the ledger cannot be read")
            elif known:
                state.outcome = Superseded()
            elif change.expired:
                state.outcome = LeftToTtl()
                self._expired.append((state, change))
            else:
                self._late.append((state, change))
                detail = "arrived when a switch had closed the consumer: not applied"
                self._suspects.append(QuarantineCandidate(state, Reason.LATE_WRITE, detail))
        self._check_burst()

    def _note_late_writes(self) -> None:
        """Note late changes, and deletions that were left out; without the note none has ended."""
        attempt = self._settings.attempt
        if attempt is None:
            return
        late, expired = self._ended_of(self._late), self._ended_of(self._expired)
        noted = self._parts.late_writes.note(
            attempt,
            [(state.record, change) for state, change in late],
            [(state.record, change) for state, change in expired],
            self._context,
        )
        if noted:
            self._stats.counts[LATE_WRITES] += len(late)
            return
        for state, _ in [*late, *expired]:
            state.outcome = Retry("a late write cannot be noted")

    def _ended_of(
        self, changes: Sequence[tuple[RecordState, Change]]
    ) -> list[tuple[RecordState, Change]]:
        return [(state, change) for state, change in changes if state.ended]

    # Writing.

    def _round(self) -> None:
        """Attempt one change per waiting queue, then quarantine what cannot be applied."""
        if self._tripped:
            return
        waiting = [queue for queue in self._queues if queue.attempt()]
        attempts = [attempt for queue in waiting if (attempt := queue.attempt())]
        results = self._parts.writer.apply(attempts, self._context) if attempts else []
        for queue, result in zip(waiting, results, strict=True):
            candidate = queue.settle(result)
            if candidate is not None:
                self._suspects.append(candidate)
        self._check_burst()
        if not self._tripped:
            self._quarantine()

    def _check_burst(self) -> None:
        """Trip the breaker if there are too many bad records: the fault is systematic then.

        An ambiguous order never counts, because no fix makes it go away: a batch with many such
        changes would block its shard for ever.
        """
        refused = self._shares.refused(self._faulty())
        if refused is not None and not self._forgotten_soon:
            self._tripped = True
            self._report_burst(*refused)

    def _faulty(self) -> list[QuarantineCandidate]:
        return [each for each in self._suspects if each.reason is not Reason.AMBIGUOUS]

    def _quarantine(self) -> None:
        candidates = self._parked + self._suspects
        self._shares.quarantine(self._faulty())
        self._parked, self._suspects = [], []
        if not candidates:
            return
        stored = self._parts.runtime.executor.run_all(
            [partial(self._store, candidate) for candidate in candidates]
        )
        for candidate, kept in zip(candidates, stored, strict=True):
            queue = candidate.queue
            if not kept:
                retry = Retry("quarantine cannot be written")
                if queue is None:
                    candidate.state.outcome = retry
                else:
                    queue.block(retry)
                continue
            self._stats.quarantined(candidate.state.record, candidate.reason.value)
            if queue is None:
                candidate.state.outcome = Quarantined(candidate.reason)
            else:
                queue.quarantined(candidate)

    def _store(self, candidate: QuarantineCandidate) -> bool:
        record, reason = candidate.state.record, candidate.reason
        return self._parts.store.put(record, reason, candidate.detail, self._context)

    def _report_burst(self, share: Share, suspected: int) -> None:
        self._stats.counts[QUARANTINE_REFUSED] = suspected
        self._stats.failed(
            NAMELESS_BURST if share.nameless else BURST,
            records=suspected,
            reasons=sorted({candidate.reason.value for candidate in self._faulty()}),
        )

    def _is_forgotten_soon(self) -> bool:
        patience = self._parts.patience_seconds
        if patience is None:
            return False
        # An unknown arrival is no proof of age: a fault that hides it may be in every record.
        known = [state.record.arrival for state in self._states if state.record.arrival > 0]
        now = self._parts.runtime.clock.now_micros() / 1_000_000
        return bool(known) and now - min(known) >= patience

    # Proving and reporting.

    def _prove(self) -> None:
        """Write the rows of probes, each only if every record before it in the batch has ended."""
        for state in self._states:
            if isinstance(state.content, Probe):
                written = self._parts.probes.write(state.content, self._settings, self._context)
                state.outcome = Superseded() if written else Retry("probe row not written")
            if not state.ended:
                break

    def _write_ended_row(self) -> None:
        """Write the row of the last record before which everything has ended.

        The record counts as failed until its row is there: without another change of its shard no
        later row would prove it.
        """
        if self._parts.ended is None:
            return
        last: RecordState | None = None
        for state in self._states:
            if not state.ended:
                break
            last = state
        if last is not None and not self._parts.ended.write(
            record_order(last.record), self._settings, self._context
        ):
            last.outcome = Retry("the row of an ended record cannot be written")

    def _remove_notes(self) -> None:
        """Remove the notes of records that have ended by now; until then they count as failed."""
        if self._parts.unended is None:
            return
        ended = [record for record, _ in self._ended_prefix()]
        left = {id(record) for record in self._parts.unended.remove(ended, self._context)}
        for state in self._states:
            if id(state.record) in left:
                state.outcome = Retry("the note of a record that had not ended cannot be removed")

    def _measure_age(self) -> None:
        """Measure how old the first record was: all of the batch has ended."""
        if self._parts.ended is None or not self._states:
            return
        arrival = self._states[0].record.arrival
        if arrival > 0:
            now = self._parts.runtime.clock.now_micros() / 1_000_000
            self._stats.ended_age = max(0.0, now - arrival)

    def _ended_prefix(self) -> Iterator[tuple[Record, Content | None]]:
        """Yield the records before the first that has not ended."""
        for state in self._states:
            if self._tripped or not state.ended:
                return
            yield state.record, state.content

    def _count(self) -> None:
        counts = self._stats.counts
        for state in self._states:
            if isinstance(state.content, Probe):
                continue
            if isinstance(state.content, Foreign):
                counts[CHANGES_FOREIGN] += 1
                continue
            counts[CHANGES_RECEIVED] += 1
            counts[_counter(state.outcome)] += 1
            if isinstance(state.outcome, Retry) and state.outcome.contradicted:
                counts[ORDER_CONTRADICTED] += 1
            if isinstance(state.outcome, Applied) and isinstance(state.content, Change):
                lag = state.outcome.micros - state.content.version.micros
                self._stats.lags.append(lag / 1000)


def _counter(outcome: Outcome | None) -> str:
    if isinstance(outcome, Applied):
        return CHANGES_APPLIED
    if isinstance(outcome, Superseded):
        return CHANGES_SUPERSEDED
    if isinstance(outcome, Quarantined):
        return CHANGES_QUARANTINED
    if isinstance(outcome, LeftToTtl):
        return DELETIONS_LEFT_TO_TTL
    return CHANGES_RETRIED


def report_from(failed: Any) -> Report:
    """Report the lowest failed sequence number, from which Lambda redelivers.

    Numbers are compared as integers: as text "9…" comes after "10…", and the records between them
    would be lost.
    """
    lowest = min(failed, key=int, default=None)
    return {"batchItemFailures": [] if lowest is None else [{"itemIdentifier": lowest}]}
