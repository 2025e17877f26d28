"""The consumer of one table's events: settings, the batch, and what is reported of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from replicator.call_context import CallContext
from replicator.consumer import decode
from replicator.consumer.batch import Batch, ConsumerParts, Report, report_from
from replicator.consumer.decode import EnvelopeError, Record
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
from replicator.names import CHANGES_RECEIVED, CHANGES_RETRIED
from replicator.runtime import Deadline, Runtime
from replicator.settings import ARMED_SECONDS, ConsumerConfig, SettingsRow


class BatchFailedError(Exception):
    """The whole batch failed; the outcomes of its records are unknown."""


class Emitter(Protocol):
    def emit(self, stats: InvocationStats) -> None: ...


@dataclass
class Consumer:
    """The handler of one table's events: one per container, with nothing but caches in memory."""

    parts: ConsumerParts
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
        )
        parts = ConsumerParts(
            source_table=config.source_table,
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
        )
        settings = SettingsRow(dynamodb, config.ledger_table, runtime.clock)
        return cls(parts, settings, logger, meter)

    def handle(self, event: Any, remaining_millis: float) -> Report:
        """Apply an event's records; never return None, which Lambda reads as success.

        `remaining_millis` is the rest of the invocation's time.

        Raises:
            BatchFailedError: the event is not one of a Kinesis mapping, or the consumer has a bug.
                Lambda halves the batch of a failed invocation, down to the record that causes it,
                and counts an error. It documents neither for a report that names no record
                (Lambda Developer Guide, services-kinesis-batchfailurereporting).
        """
        stats = InvocationStats(self.logger)
        deadline = Deadline(self.parts.runtime, remaining_millis)
        if (place := decode.single(event)) is not None:
            stats.single(place)
        try:
            report = self._applied(event, deadline, stats)
            stats.ended()
            self.meter.emit(stats)
            return report
        except EnvelopeError as error:
            stats.failed(f"Not an event of a Kinesis mapping: {error}")
            failure = "not an event of a Kinesis mapping"
        except Exception as error:
            stats.crashed(error)
            failure = type(error).__name__
        # Raised without its cause: Lambda logs it, and the cause's message may hold an item.
        raise BatchFailedError(failure)

    def _applied(self, event: Any, deadline: Deadline, stats: InvocationStats) -> Report:
        records = decode.envelope(event)
        context = CallContext(deadline, stats.report_error)
        seen = self._seen(records)
        settings = self.settings.read(context)
        if settings is None:
            return self._fail(records, stats, "The settings row cannot be read")
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
