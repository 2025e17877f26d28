"""Direct redrive: the consumer itself, in the operator's process instead of behind the stream.

Guard and decoding are those of the Lambda. Three things differ: a record that still cannot be
applied stays in its object, parks are ignored, and probes are not recorded.
"""

from __future__ import annotations

import dataclasses
import logging
import sys
from dataclasses import dataclass, field
from typing import Any

from bootstrap.quarantine.store import ObjectContent, QuarantinedObject
from replicator.call_context import CallContext
from replicator.change import Probe
from replicator.consumer.consumer import BatchFailedError, Consumer
from replicator.consumer.decode import Record
from replicator.consumer.foreign import ForeignTables
from replicator.consumer.lanes import Lanes
from replicator.consumer.late_writes import LateWrites
from replicator.consumer.metrics import InvocationStats
from replicator.consumer.outcome import Reason
from replicator.consumer.probe_rows import ProbeRows
from replicator.consumer.quarantine import QuarantineStore, object_key
from replicator.names import (
    CHANGES_APPLIED,
    CHANGES_FOREIGN,
    CHANGES_QUARANTINED,
    CHANGES_SUPERSEDED,
)
from replicator.runtime import Runtime
from replicator.settings import ConsumerConfig, ConsumerSettings, SettingsRow

CALL_MILLIS = 120_000
"""The Lambda's time limit for a batch."""


@dataclass(frozen=True)
class Processed:
    """Every record of the object was applied, superseded or quarantined elsewhere."""

    how: str


@dataclass(frozen=True)
class Unresolved:
    """The object stays open. `passing`: the same command may succeed later."""

    why: str
    passing: bool


class DirectConsumer:
    """A `Consumer` that processes quarantined objects one at a time."""

    def __init__(self, config: ConsumerConfig, *, dynamodb: Any, s3: Any, runtime: Runtime) -> None:
        # No burst limit: the operator chose each object, and no stream keeps it meanwhile.
        config = dataclasses.replace(config, quarantine_burst=sys.maxsize)
        self._heard = _LogCollector()
        self._counted = _StatsCollector()
        built = Consumer.build(
            config,
            dynamodb=dynamodb,
            s3=s3,
            runtime=runtime,
            logger=self._heard.logger,
            meter=self._counted,
        )
        self._store = _RedriveStore(**vars(built.parts.store))
        rows, shards = built.parts.lanes.rows, built.parts.lanes.shards
        parts = dataclasses.replace(
            built.parts,
            store=self._store,
            probes=_SilentProbeRows(dynamodb, config.ledger_table, runtime.clock),
            foreign=_SilentForeignTables(rows, runtime.clock),
            lanes=_SilentLanes(rows, runtime.clock, shards),
            late_writes=_SilentLateWrites(rows, runtime.clock, shards),
            ended=None,  # it says nothing about the records before it in its shard
        )
        settings = _SettingsWithoutParks(dynamodb, config.ledger_table, runtime.clock)
        self._consumer = dataclasses.replace(built, parts=parts, settings=settings)

    def run(self, stored: QuarantinedObject, content: ObjectContent) -> Processed | Unresolved:
        """Process an object's records through the guard, and return the result."""
        self._heard.lines.clear()
        subject = self._store.subject
        subject.stored, subject.keys = stored, []
        subject.record = None if stored.is_event else content.records[0]
        try:
            report = self._consumer.handle(content.event, CALL_MILLIS)
        except BatchFailedError:
            heard = "; ".join(self._heard.lines)
            return Unresolved(f"the guard could not apply it: {heard}", passing=False)
        if report["batchItemFailures"]:
            heard = "; ".join(self._heard.lines) or "out of time"
            return Unresolved(f"the guard could not apply it: {heard}", passing=True)
        counts = self._counted.stats.counts
        if stored.key in subject.keys:
            if counts[CHANGES_APPLIED]:
                return Unresolved(
                    "applied, but its order is still ambiguous: the note stays open", False
                )
            return Unresolved(f"it still cannot be applied ({stored.reason})", passing=False)
        words = (
            (CHANGES_APPLIED, "applied"),
            (CHANGES_SUPERSEDED, "superseded"),
            (CHANGES_QUARANTINED, "quarantined one by one"),
            (CHANGES_FOREIGN, "of another table"),
        )
        how = ", ".join(f"{counts[name]} {word}" for name, word in words if counts[name])
        return Processed(how or "the object was empty")


class _CurrentObject:
    """The object in process, and the keys under which its records are quarantined again."""

    def __init__(self) -> None:
        self.stored: QuarantinedObject | None = None
        self.record: Record | None = None
        self.keys: list[str] = []


@dataclass(frozen=True)
class _RedriveStore(QuarantineStore):
    """A quarantine store that keeps the records of an object under that object's name."""

    subject: _CurrentObject = field(default_factory=_CurrentObject)

    def put(self, record: Record, reason: Reason, detail: str, context: CallContext) -> bool:
        known = self.subject.record
        if known is not None and not record.aggregated:
            # An event has no field for a part of an aggregate. Sub-sequence 0 would overwrite
            # another part of the same aggregate. Nor has it one for the place of a backfill's note.
            record = dataclasses.replace(
                record,
                shard_id=known.shard_id,
                sequence_number=known.sequence_number,
                sub_sequence=known.sub_sequence,
                aggregated=known.aggregated,
            )
        key = object_key(record, reason)
        self.subject.keys.append(key)
        if self.subject.stored is not None and key == self.subject.stored.key:
            return True
        return super().put(record, reason, detail, context)


class _SettingsWithoutParks(SettingsRow):
    """Settings without parks: the operator chose this record, parked or not."""

    def read(self, context: CallContext) -> ConsumerSettings | None:
        settings = super().read(context)
        return None if settings is None else dataclasses.replace(settings, parks=frozenset())


class _SilentProbeRows(ProbeRows):
    """No probe rows: a probe here proves nothing about the records before it in its shard."""

    def write(self, probe: Probe, settings: ConsumerSettings, context: CallContext) -> bool:
        return True


class _SilentForeignTables(ForeignTables):
    """The stream holds none of these now: a row would report their destination as still on."""

    def write(self, context: CallContext) -> None:
        return


class _SilentLanes(Lanes):
    """The object's records are behind their lane, or before it."""

    def write(self, context: CallContext) -> None:
        return


class _SilentLateWrites(LateWrites):
    """The switch has seen this record's note when the stream delivered it."""

    def note(self, *args: object) -> bool:
        return True


class _StatsCollector:
    """A meter without output: these changes were counted when they first arrived."""

    def __init__(self) -> None:
        self.stats = InvocationStats(None)

    def emit(self, stats: InvocationStats) -> None:
        self.stats = stats


class _LogCollector(logging.Handler):
    """The consumer's warnings, which never contain item content."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self.logger = logging.Logger("direct")
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage().replace("\n", " ")
        if text not in self.lines:
            self.lines.append(text)
