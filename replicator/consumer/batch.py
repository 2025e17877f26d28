"""One invocation: an event's records to outcomes, and the outcomes to a report.

The report is what Lambda goes by: everything before the lowest sequence number in it is never
delivered again. So a record counts as failed until it is known how it ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from replicator.call_context import CallContext
from replicator.change import Change, Probe
from replicator.consumer import decode
from replicator.consumer.circuit_breaker import CircuitBreaker
from replicator.consumer.decode import EnvelopeError, Foreign, Record, Unusable
from replicator.consumer.foreign import ForeignTables
from replicator.consumer.key_queue import KeyQueue, QuarantineCandidate, RecordState
from replicator.consumer.ledger import LedgerWriter
from replicator.consumer.metrics import InvocationStats
from replicator.consumer.outcome import (
    Applied,
    Ignored,
    Outcome,
    Quarantined,
    Reason,
    Retry,
    Superseded,
)
from replicator.consumer.probe_rows import ProbeRows
from replicator.consumer.quarantine import QuarantineStore
from replicator.consumer.writer import ConditionalWriter
from replicator.names import (
    CHANGES_APPLIED,
    CHANGES_FOREIGN,
    CHANGES_QUARANTINED,
    CHANGES_RECEIVED,
    CHANGES_RETRIED,
    CHANGES_SUPERSEDED,
    QUARANTINE_REFUSED,
)
from replicator.runtime import Deadline, Runtime
from replicator.settings import ConsumerConfig, ConsumerSettings, SettingsRow

Report = dict[str, Any]
"""`batchItemFailures`, as Lambda reads it: the sequence number from which to deliver again."""


class BatchFailedError(Exception):
    """The whole batch failed; nothing is known of how its records ended."""


class Emitter(Protocol):
    def emit(self, tally: InvocationStats) -> None: ...


@dataclass
class Consumer:
    """Handles events of one table's stream; lives as long as its container, keeps only caches."""

    config: ConsumerConfig
    guard: ConditionalWriter
    store: QuarantineStore
    settings: SettingsRow
    probes: ProbeRows
    foreign: ForeignTables
    effects: Runtime
    logger: Any
    meter: Emitter
    breaker: CircuitBreaker
    _recent: deque[frozenset[str]] = field(default_factory=partial(deque, maxlen=8))

    @classmethod
    def build(
        cls,
        config: ConsumerConfig,
        *,
        dynamodb: Any,
        s3: Any,
        effects: Runtime,
        logger: Any,
        meter: Emitter,
    ) -> Consumer:
        """A consumer on two clients with boto3's methods."""
        guard = LedgerWriter(
            dynamodb,
            target_table=config.target_table,
            ledger_table=config.ledger_table,
            effects=effects,
            retention_days=config.ledger_retention_days,
        )
        return cls(
            config=config,
            guard=guard,
            store=QuarantineStore(
                s3,
                config.quarantine_bucket,
                config.stack,
                config.source_table,
                config.ledger_retention_days,
                effects,
            ),
            settings=SettingsRow(dynamodb, config.ledger_table, effects.clock),
            probes=ProbeRows(dynamodb, config.ledger_table, effects.clock),
            foreign=ForeignTables(dynamodb, config.ledger_table, effects.clock),
            effects=effects,
            logger=logger,
            meter=meter,
            breaker=CircuitBreaker(effects.clock, config.quarantine_burst),
        )

    def handle(self, event: Any, remaining_millis: float) -> Report:
        """Applies an event's records; never returns None.

        `remaining_millis` is what is left of the invocation's time.

        Raises:
            BatchFailedError: the event is none, or a bug was met. Lambda halves the batch of an
                invocation that failed, down to the record that does it, and counts an error; of a
                report that names no record it promises neither (Lambda Developer Guide,
                services-kinesis-batchfailurereporting).
        """
        tally = InvocationStats(self.logger)
        deadline = Deadline(self.effects, remaining_millis)
        if (place := decode.single(event)) is not None:
            tally.single(place)
        try:
            report = self._applied(event, deadline, tally)
            tally.ended()
            self.meter.emit(tally)
            return report
        except EnvelopeError as error:
            tally.failed(f"Not an event of a Kinesis mapping: {error}")
            failure = "not an event of a Kinesis mapping"
        except Exception as error:
            tally.crashed(error)
            failure = type(error).__name__
        # Out here it has no context: Lambda logs it, and the cause's message may hold an item.
        raise BatchFailedError(failure)

    def _applied(self, event: Any, deadline: Deadline, tally: InvocationStats) -> Report:
        records = decode.envelope(event)
        terms = CallContext(deadline, tally.trouble)
        seen = self._seen(records)
        settings = self.settings.read(terms)
        if settings is None:
            return self._fail(records, tally, "The settings row cannot be read")
        terms.expire = settings.expire
        return _Batch(self, records, settings, terms, tally, seen).run()

    def _seen(self, records: Sequence[Record]) -> frozenset[str]:
        """The sequence numbers of those records that this container was given before."""
        numbers = frozenset(record.sequence_number for record in records)
        seen: set[str] = set()
        for earlier in self._recent:
            # Lambda redelivers from a record that it has delivered, so the first one tells.
            if records and records[0].sequence_number in earlier:
                seen |= numbers & earlier
        self._recent.append(numbers)
        return frozenset(seen)

    def _fail(self, records: Sequence[Record], tally: InvocationStats, why: str) -> Report:
        tally.counts[CHANGES_RECEIVED] = tally.counts[CHANGES_RETRIED] = len(records)
        tally.failed(why, records=len(records))
        return report_from(record.sequence_number for record in records)


class _Batch:
    """The records of one invocation on their way."""

    def __init__(
        self,
        consumer: Consumer,
        records: Sequence[Record],
        settings: ConsumerSettings,
        terms: CallContext,
        tally: InvocationStats,
        seen: frozenset[str],
    ) -> None:
        self._consumer = consumer
        self._settings = settings
        self._terms = terms
        self._tally = tally
        self._seen = seen
        self._slots = [slot for record in records for slot in self._unpack(record)]
        self._lines: list[KeyQueue] = []
        self._parked: list[QuarantineCandidate] = []
        self._suspects: list[QuarantineCandidate] = []
        self._suspected: set[str] = set()
        self._received = len(
            {
                slot.record.sequence_number
                for slot in self._slots
                if not isinstance(slot.content, Probe | Foreign)
            }
        )
        self._tripped = False
        self._foreign: dict[str, list[Record]] = {}
        self._sort()

    def run(self) -> Report:
        self._round()
        while not self._tripped and any(line.attempt() for line in self._lines):
            self._round()
        if not self._tripped:
            self._prove()
            ended = dict.fromkeys(
                slot.record.sequence_number
                for slot in self._slots
                if slot.ended and not isinstance(slot.content, Probe | Foreign)
            )
            self._consumer.breaker.ended(ended, self._suspected)
        for table, records in self._foreign.items():
            self._tally.foreign(table, records[0], len(records))
        self._consumer.foreign.write(self._terms)  # last: it may not delay a change
        self._count()
        failed = [slot for slot in self._slots if self._tripped or not slot.ended]
        if failed:
            first = min(failed, key=lambda slot: int(slot.record.sequence_number))
            self._tally.waits(first.record, self._why(first))
        return report_from(slot.record.sequence_number for slot in failed)

    def _why(self, slot: RecordState) -> str:
        if self._tripped:
            return "too many records for quarantine"
        return slot.outcome.why if isinstance(slot.outcome, Retry) else "a record before it waits"

    # Reading.

    def _unpack(self, record: Record) -> list[RecordState]:
        if f"{record.shard_id}:{record.sequence_number}" in self._settings.parks:
            return [RecordState(record, Unusable(Reason.PARKED, "parked by an operator"))]
        found = decode.user_records(record)
        if isinstance(found, Unusable):
            return [RecordState(record, found)]
        table = self._consumer.config.source_table
        return [
            RecordState(user_record, decode.content(user_record, table)) for user_record in found
        ]

    def _sort(self) -> None:
        """Gives each slot its way: to quarantine, to a line, or an outcome at once."""
        keys: dict[bytes, list[tuple[RecordState, Change]]] = {}
        floor, fence = self._settings.floor, self._settings.fence
        for slot in self._slots:
            content = slot.content
            if isinstance(content, Change):
                if fence is not None and content.version.micros > fence:
                    slot.outcome = Retry("behind the fence")
                elif floor is not None and content.version.micros < floor:
                    slot.outcome = Superseded()  # the snapshot has it, or something newer
                else:
                    keys.setdefault(content.key, []).append((slot, content))
            elif isinstance(content, Foreign):
                slot.outcome = Ignored()
                self._foreign.setdefault(content.table, []).append(slot.record)
                self._consumer.foreign.add(content.table, slot.record)
            elif isinstance(content, Unusable):
                candidate = QuarantineCandidate(slot, content.reason, content.detail)
                parked = content.reason is Reason.PARKED
                (self._parked if parked else self._suspects).append(candidate)
        self._lines = [KeyQueue(changes, self._seen) for changes in keys.values()]
        self._check_burst()

    # Writing.

    def _round(self) -> None:
        """One attempt for every waiting line, then the quarantine of what cannot be applied."""
        if self._tripped:
            return
        waiting = [line for line in self._lines if line.attempt()]
        attempts = [attempt for line in waiting if (attempt := line.attempt())]
        results = self._consumer.guard.apply(attempts, self._terms) if attempts else []
        for line, result in zip(waiting, results, strict=True):
            candidate = line.settle(result)
            if candidate is not None:
                self._suspects.append(candidate)
        self._check_burst()
        if not self._tripped:
            self._quarantine()

    def _check_burst(self) -> None:
        """Too many to be exceptions: a systematic fault, and the stream keeps records better.

        An ambiguous order is no fault that somebody could mend, so it never counts: a batch whose
        items went back within one timestamp, or one of ties that comes again, would stand in its
        lane for ever.
        """
        suspected = self._suspected | self._now_suspected()
        if self._consumer.breaker.trips(self._received, suspected):
            self._tripped = True
            self._tell_burst(len(suspected))

    def _now_suspected(self) -> set[str]:
        return {candidate.slot.record.sequence_number for candidate in self._faulty()}

    def _faulty(self) -> list[QuarantineCandidate]:
        return [each for each in self._suspects if each.reason is not Reason.AMBIGUOUS]

    def _quarantine(self) -> None:
        candidates = self._parked + self._suspects
        self._suspected |= self._now_suspected()
        self._parked, self._suspects = [], []
        if not candidates:
            return
        stored = self._consumer.effects.executor.run_all(
            [partial(self._store, candidate) for candidate in candidates]
        )
        for candidate, kept in zip(candidates, stored, strict=True):
            line = candidate.line
            if not kept:
                retry = Retry("quarantine cannot be written")
                if line is None:
                    candidate.slot.outcome = retry
                else:
                    line.block(retry)
                continue
            self._tally.quarantined(candidate.slot.record, candidate.reason.value)
            if line is None:
                candidate.slot.outcome = Quarantined(candidate.reason)
            else:
                line.quarantined(candidate)

    def _store(self, candidate: QuarantineCandidate) -> bool:
        record, reason = candidate.slot.record, candidate.reason
        return self._consumer.store.put(record, reason, candidate.detail, self._terms)

    def _tell_burst(self, suspected: int) -> None:
        self._tally.counts[QUARANTINE_REFUSED] = suspected
        self._tally.failed(
            "Too many records for quarantine: nothing more is quarantined, the batch failed.\n"
            "Try: find the common cause; if each is bad in its own way, raise the table's "
            "quarantineBurst in the stack file and run pulumi up.",
            records=suspected,
            reasons=sorted({candidate.reason.value for candidate in self._faulty()}),
        )

    # Proving and reporting.

    def _prove(self) -> None:
        """Writes the rows of probes, each only if every record before it in the batch has ended."""
        for slot in self._slots:
            if isinstance(slot.content, Probe):
                written = self._consumer.probes.write(slot.content, self._terms)
                slot.outcome = Superseded() if written else Retry("probe row not written")
            if not slot.ended:
                break

    def _count(self) -> None:
        counts = self._tally.counts
        for slot in self._slots:
            if isinstance(slot.content, Probe):
                continue
            if isinstance(slot.content, Foreign):
                counts[CHANGES_FOREIGN] += 1
                continue
            counts[CHANGES_RECEIVED] += 1
            counts[_counter(slot.outcome)] += 1
            if isinstance(slot.outcome, Applied) and isinstance(slot.content, Change):
                lag = slot.outcome.micros - slot.content.version.micros
                self._tally.lags.append(lag / 1000)


def _counter(outcome: Outcome | None) -> str:
    if isinstance(outcome, Applied):
        return CHANGES_APPLIED
    if isinstance(outcome, Superseded):
        return CHANGES_SUPERSEDED
    if isinstance(outcome, Quarantined):
        return CHANGES_QUARANTINED
    return CHANGES_RETRIED


def report_from(failed: Any) -> Report:
    """What Lambda is told: the lowest failed sequence number; it redelivers from there.

    As text "9…" would come after "10…", and what lies between would be lost.
    """
    lowest = min(failed, key=int, default=None)
    return {"batchItemFailures": [] if lowest is None else [{"itemIdentifier": lowest}]}
