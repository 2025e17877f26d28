"""The consumer of one table's events: settings, the batch, and what is reported of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from replicator.buffers import KINESIS, STREAMS
from replicator.call_context import CallContext
from replicator.consumer.batch import Batch, ConsumerParts, Report, report_from
from replicator.consumer.decode import EnvelopeError, Record
from replicator.consumer.decoders import DECODERS
from replicator.consumer.ended_writer import EndedWriter
from replicator.consumer.foreign import ForeignTables
from replicator.consumer.lane_shards import LaneShards
from replicator.consumer.lanes import Lanes
from replicator.consumer.late_writes import LateWrites
from replicator.consumer.ledger import LedgerWriter
from replicator.consumer.metrics import InvocationStats
from replicator.consumer.probe_rows import ProbeRows
from replicator.consumer.quarantine import QuarantineStore
from replicator.consumer.quarantine_share import Breakers
from replicator.consumer.shared_rows import SharedRows
from replicator.consumer.unended import UnendedNotes
from replicator.names import CHANGES_RECEIVED, CHANGES_RETRIED
from replicator.runtime import Deadline, Runtime
from replicator.settings import ARMED_SECONDS, ConsumerConfig, SettingsRow

STREAM_PATIENCE_SECONDS = 12 * 3600.0
"""The age of a DynamoDB stream's record from which quarantine keeps it better than the stream,
which forgets it after 24 hours."""
NAMES = {KINESIS: "a Kinesis stream", STREAMS: "a DynamoDB stream"}
OTHER_BUFFER = (
    "The ledger's entries are of the buffer {0}, this function is deployed for {1}: nothing is "
    "written, the batch failed.\n"
    "Try: set the table's buffer to {0} in the stack file again and run pulumi up; where the "
    "ledger is new, bootstrap run, which writes its settings."
)


class BatchFailedError(Exception):
    """The whole batch failed; the outcomes of its records are unknown."""


class Emitter(Protocol):
    def emit(self, stats: InvocationStats) -> None: ...


@dataclass
class Consumer:
    """The handler of one table's events: one per container, with nothing but caches in memory."""

    parts: ConsumerParts
    buffer: str
    settings: SettingsRow
    logger: Any
    meter: Emitter
    _recent: deque[frozenset[str]] = field(default_factory=partial(deque, maxlen=8))

    @classmethod
    def build(
        cls,
        config: ConsumerConfig,
        *,
        dynamodb: Any,
        s3: Any,
        runtime: Runtime,
        logger: Any,
        meter: Emitter,
    ) -> Consumer:
        """Build a consumer on two clients with boto3's methods."""
        writer = LedgerWriter(
            dynamodb,
            target_table=config.target_table,
            ledger_table=config.ledger_table,
            runtime=runtime,
            retention_days=config.ledger_retention_days,
        )
        rows = SharedRows(dynamodb, config.ledger_table)
        shards = LaneShards(rows, runtime.clock)
        store = QuarantineStore(
            s3,
            config.quarantine_bucket,
            config.stack,
            config.source_table,
            config.ledger_retention_days,
            runtime,
            config.quarantine_key,
            config.buffer,
        )
        parts = ConsumerParts(
            source_table=config.source_table,
            decoder=DECODERS[config.buffer],
            writer=writer,
            store=store,
            probes=ProbeRows(dynamodb, config.ledger_table, runtime.clock),
            foreign=ForeignTables(rows, runtime.clock),
            lanes=Lanes(rows, runtime.clock, shards),
            late_writes=LateWrites(rows, runtime.clock, shards),
            runtime=runtime,
            breakers=Breakers.of(
                runtime.clock, config.quarantine_burst, adopted_stream=config.adopted_stream
            ),
            adopted_stream=config.adopted_stream,
            ended=(
                EndedWriter(dynamodb, config.ledger_table, runtime.clock)
                if config.buffer == STREAMS
                else None
            ),
            unended=UnendedNotes(rows, runtime.clock) if config.buffer == STREAMS else None,
            patience_seconds=STREAM_PATIENCE_SECONDS if config.buffer == STREAMS else None,
        )
        settings = SettingsRow(dynamodb, config.ledger_table, runtime.clock)
        return cls(parts, config.buffer, settings, logger, meter)

    def handle(self, event: Any, remaining_millis: float) -> Report:
        """Apply an event's records; never return None, which Lambda reads as success.

        `remaining_millis` is the rest of the invocation's time.

        Raises:
            BatchFailedError: the event is not one of its buffer's mapping, or the consumer has a
                bug.
                Lambda halves the batch of a failed invocation, down to the record that causes it,
                and counts an error. It documents neither for a report that names no record
                (Lambda Developer Guide, services-kinesis-batchfailurereporting).
        """
        stats = InvocationStats(self.logger)
        deadline = Deadline(self.parts.runtime, remaining_millis)
        if (place := self.parts.decoder.single(event)) is not None:
            stats.single(*place)
        try:
            report = self._applied(event, deadline, stats)
            stats.ended()
            self.meter.emit(stats)
            return report
        except EnvelopeError as error:
            failure = f"not an event of a mapping of {NAMES[self.buffer]}"
            stats.failed(f"{failure[0].upper()}{failure[1:]}: {error}")
        except Exception as error:
            stats.crashed(error)
            failure = type(error).__name__
        # Raised without its cause: Lambda logs it, and the cause's message may hold an item.
        raise BatchFailedError(failure)

    def _applied(self, event: Any, deadline: Deadline, stats: InvocationStats) -> Report:
        records = self.parts.decoder.envelope(event)
        context = CallContext(deadline, stats.report_error)
        seen = self._seen(records)
        settings = self.settings.read(context)
        if settings is None:
            return self._fail(records, stats, "The settings row cannot be read")
        if settings.buffer != self.buffer:
            return self._fail(records, stats, OTHER_BUFFER.format(settings.buffer, self.buffer))
        context.expire = settings.expire
        if settings.attempt is not None:
            deadline.shorten(ARMED_SECONDS)
        return Batch(self.parts, records, settings, context, stats, seen).run()

    def _seen(self, records: Sequence[Record]) -> frozenset[str]:
        """Return the sequence numbers that this container has received before."""
        numbers = frozenset(record.sequence_number for record in records)
        seen: set[str] = set()
        for earlier in self._recent:
            # A redelivered batch begins with a record of an earlier one.
            if records and records[0].sequence_number in earlier:
                seen |= numbers & earlier
        self._recent.append(numbers)
        return frozenset(seen)

    def _fail(self, records: Sequence[Record], stats: InvocationStats, why: str) -> Report:
        stats.counts[CHANGES_RECEIVED] = stats.counts[CHANGES_RETRIED] = len(records)
        stats.failed(why, records=len(records))
        return report_from(record.sequence_number for record in records)
