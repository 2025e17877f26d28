"""Redriving past the stream: the consumer itself, in the operator's process.

The same guard and the same decoding as in the Lambda. What differs is where a record is kept that
still cannot be applied, that nothing is parked, and that a probe proves nothing here.
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
from replicator.consumer.batch import BatchFailedError, Consumer
from replicator.consumer.decode import Record
from replicator.consumer.foreign import ForeignTables
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
"""As long as the Lambda has for a batch."""


@dataclass(frozen=True)
class Processed:
    """Every record of the object has ended somewhere else than in this object."""

    how: str


@dataclass(frozen=True)
class Unresolved:
    """The object stays open. `passing`: the same command may succeed later."""

    why: str
    passing: bool


class DirectConsumer:
    """Runs what was kept through a `Consumer`, one object at a time."""

    def __init__(self, config: ConsumerConfig, *, dynamodb: Any, s3: Any, effects: Runtime) -> None:
        # The operator asked for each object, and there is no stream to leave it in.
        config = dataclasses.replace(config, quarantine_burst=sys.maxsize)
        self._heard = _LogCollector()
        self._counted = _StatsCollector()
        built = Consumer.build(
            config,
            dynamodb=dynamodb,
            s3=s3,
            effects=effects,
            logger=self._heard.logger,
            meter=self._counted,
        )
        store = built.store
        self._store = _RedriveStore(**vars(store))
        self._consumer = dataclasses.replace(
            built,
            store=self._store,
            settings=_SettingsWithoutParks(dynamodb, config.ledger_table, effects.clock),
            probes=_SilentProbeRows(dynamodb, config.ledger_table, effects.clock),
            foreign=_SilentForeignTables(dynamodb, config.ledger_table, effects.clock),
        )

    def run(self, kept: QuarantinedObject, holding: ObjectContent) -> Processed | Unresolved:
        """Has the guard judge an object's records, and says what became of them."""
        self._heard.lines.clear()
        subject = self._store.subject
        subject.kept, subject.keys = kept, []
        subject.record = None if kept.is_event else holding.records[0]
        try:
            report = self._consumer.handle(holding.event, CALL_MILLIS)
        except BatchFailedError:
            heard = "; ".join(self._heard.lines)
            return Unresolved(f"the guard could not end it: {heard}", passing=False)
        if report["batchItemFailures"]:
            heard = "; ".join(self._heard.lines) or "it did not end in time"
            return Unresolved(f"the guard could not end it: {heard}", passing=True)
        counts = self._counted.tally.counts
        if kept.key in subject.keys:
            if counts[CHANGES_APPLIED]:
                return Unresolved(
                    "applied to a tie that it leaves in doubt: it stays as a note", False
                )
            return Unresolved(f"it still cannot be applied ({kept.reason})", passing=False)
        words = (
            (CHANGES_APPLIED, "applied"),
            (CHANGES_SUPERSEDED, "superseded"),
            (CHANGES_QUARANTINED, "quarantined one by one"),
            (CHANGES_FOREIGN, "of another table"),
        )
        how = ", ".join(f"{counts[name]} {word}" for name, word in words if counts[name])
        return Processed(how or "nothing in it")


class _CurrentObject:
    """The object that is being run, and the keys under which its records are kept (again)."""

    def __init__(self) -> None:
        self.kept: QuarantinedObject | None = None
        self.record: Record | None = None
        self.keys: list[str] = []


@dataclass(frozen=True)
class _RedriveStore(QuarantineStore):
    """Keeps what comes from an object under its own name, and does not write that object again."""

    subject: _CurrentObject = field(default_factory=_CurrentObject)

    def put(self, record: Record, reason: Reason, detail: str, terms: CallContext) -> bool:
        known = self.subject.record
        if known is not None and not record.aggregated:
            # The event cannot say that this was part of an aggregate; under sub-sequence 0 it would
            # overwrite another part.
            record = dataclasses.replace(
                record, sub_sequence=known.sub_sequence, aggregated=known.aggregated
            )
        key = object_key(record, reason)
        self.subject.keys.append(key)
        if self.subject.kept is not None and key == self.subject.kept.key:
            return True
        return super().put(record, reason, detail, terms)


class _SettingsWithoutParks(SettingsRow):
    """The operator has asked for this very record: whether it is parked does not matter."""

    def read(self, terms: CallContext) -> ConsumerSettings | None:
        settings = super().read(terms)
        return None if settings is None else dataclasses.replace(settings, parks=frozenset())


class _SilentProbeRows(ProbeRows):
    """A probe proves that everything before it in its shard is through, and here nothing is."""

    def write(self, probe: Probe, terms: CallContext) -> bool:
        return True


class _SilentForeignTables(ForeignTables):
    """The stream holds none of these now: a row would report their destination as still on."""

    def write(self, context: CallContext) -> None:
        return


class _StatsCollector:
    """A meter that emits nothing: these changes were counted when they came the first time."""

    def __init__(self) -> None:
        self.tally = InvocationStats(None)

    def emit(self, tally: InvocationStats) -> None:
        self.tally = tally


class _LogCollector(logging.Handler):
    """Keeps what the consumer warns of. It never says anything of an item's content."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self.logger = logging.Logger("direct")
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage().replace("\n", " ")
        if text not in self.lines:
            self.lines.append(text)
