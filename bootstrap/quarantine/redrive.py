"""Redrive: through the stream, or directly through the guard in this process.

An object is resolved only after the stream has accepted its record, or the guard has finished with
it. After a crash in between it is still open and is redriven again, and the guard then reports the
change superseded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from bootstrap.core.errors import BlockedError, Side, UnavailableError, UsageError
from bootstrap.core.refusals import DIRECT, REDRIVE
from bootstrap.core.suggestions import Command, suggest
from bootstrap.quarantine.context import QuarantineContext
from bootstrap.quarantine.direct import Processed
from bootstrap.quarantine.packing import PutRecordsBatch, pack_records, split_calls
from bootstrap.quarantine.redrive_policy import Refused, Resolved, Send, decide_redrive
from bootstrap.quarantine.store import ObjectContent, QuarantinedObject
from replicator.consumer import kinesis_records
from replicator.consumer.decode import Record
from replicator.consumer.outcome import Reason

ATTEMPTS = 10
"""Consecutive answers without an accepted record before the redrive fails."""
READ_AT_ONCE = 32
"""Objects; each may hold 10 MiB of records."""
FIRST_WAIT, LONGEST_WAIT = 0.2, 10.0
RECHECK_SECONDS = 30.0
"""The age at which the look for a switch is repeated. One closes the consumer no earlier than
minutes after it has armed it."""


@dataclass(frozen=True)
class Remaining:
    """An object that stays open, and why. `passing`: the same command may succeed later."""

    stored: QuarantinedObject
    why: str
    fix: str
    passing: bool = False


@dataclass
class RedriveOutcome:
    """The results of a redrive so far."""

    asked: int = 0
    sent: int = 0
    """Objects whose record the stream has accepted."""
    records: int = 0
    """Kinesis records used for them."""
    ended: list[tuple[QuarantinedObject, str]] = field(default_factory=list)
    """Objects applied by the guard, or superseded according to the ledger."""
    left: list[Remaining] = field(default_factory=list)
    gone: int = 0
    """Objects that another process resolved meanwhile."""


@dataclass(frozen=True)
class RedriveItem:
    """An object to redrive, with its content."""

    stored: QuarantinedObject
    content: ObjectContent


def redrive(
    context: QuarantineContext,
    chosen: Sequence[QuarantinedObject],
    outcome: RedriveOutcome,
    *,
    direct: bool,
    named: bool,
) -> None:
    """Redrive these objects. `outcome` is up to date even after an error.

    Raises:
        BlockedError: a switch is under way, or the target is the primary.
        UsageError: not direct, and the buffer takes no records.
        AccountError, UnavailableError: an account refuses. Objects accepted before are resolved.
    """
    if context.table.reads_table_stream and not direct:
        raise UsageError(
            f"The changes of {context.table.source_table} come from its own stream, and only "
            "DynamoDB puts records there.",
            fix=suggest(
                Command("quarantine redrive", "--all --direct"),
                ", which applies them through the guard in this process",
            ),
        )
    outcome.asked = len(chosen)
    context.refuse(DIRECT if direct else REDRIVE)
    judged = _redrivable(context, chosen, outcome, direct, named)
    if direct:
        _redrive_direct(context, judged, outcome)
    else:
        _redrive_to_stream(context, judged, outcome)


def _redrivable(
    context: QuarantineContext,
    chosen: Sequence[QuarantinedObject],
    outcome: RedriveOutcome,
    direct: bool,
    named: bool,
) -> Iterator[RedriveItem]:
    """Yield the objects that may be redriven; put the others into the outcome."""
    window = context.retention_window()
    for stored, content in _read(context, chosen):
        if isinstance(content, BlockedError):
            outcome.left.append(Remaining(stored, content.what, content.fix))
            continue
        if content is None:
            outcome.gone += 1
            continue
        judgement = decide_redrive(
            stored,
            content,
            context.table.source_table,
            window,
            context.ledger.entries,
            direct=direct,
            named=named,
        )
        if isinstance(judgement, Send):
            yield RedriveItem(stored, content)
        elif isinstance(judgement, Resolved):
            note = context.note("superseded", detail=judgement.why)
            context.store.resolve(stored, content.document, note)
            outcome.ended.append((stored, f"superseded: {judgement.why}"))
        elif isinstance(judgement, Refused):
            outcome.left.append(Remaining(stored, judgement.why, judgement.fix))


def _read(
    context: QuarantineContext, chosen: Sequence[QuarantinedObject]
) -> Iterator[tuple[QuarantinedObject, ObjectContent | BlockedError | None]]:
    """Read the objects in batches."""

    def content(stored: QuarantinedObject) -> ObjectContent | BlockedError | None:
        try:
            return context.store.content(stored)
        except BlockedError as error:
            return error

    for start in range(0, len(chosen), READ_AT_ONCE):
        some = chosen[start : start + READ_AT_ONCE]
        found = context.executor.run_all([partial(content, stored) for stored in some])
        yield from zip(some, found, strict=True)


# -- past the stream ---------------------------------------------------------------------------


def _redrive_direct(
    context: QuarantineContext, items: Iterator[RedriveItem], outcome: RedriveOutcome
) -> None:
    consumer, looked = context.consumer(), context.now()
    for item in items:
        if context.now() - looked >= RECHECK_SECONDS:
            context.refuse(DIRECT)
            looked = context.now()
        result = consumer.run(item.stored, item.content)
        if isinstance(result, Processed):
            note = context.note("direct", detail=result.how)
            context.store.resolve(item.stored, item.content.document, note)
            outcome.ended.append((item.stored, result.how))
            continue
        fix = "run the same command again" if result.passing else "fix the cause, or discard"
        outcome.left.append(Remaining(item.stored, result.why, fix, result.passing))


# -- through the stream ------------------------------------------------------------------------


def _redrive_to_stream(
    context: QuarantineContext, items: Iterator[RedriveItem], outcome: RedriveOutcome
) -> None:
    to_pack = (
        (item, record, _is_sent_alone(item.stored, record)) for item, record in _records(items)
    )
    stream = context.stream()
    for batch in split_calls(pack_records(to_pack)):
        waiting, failures = batch, 0
        while waiting:
            # Before each put: the switch's last look at the stream comes minutes after it has armed
            # the consumer, and this object is resolved as soon as the stream has its record.
            context.refuse(REDRIVE)
            try:
                codes = stream.put([entry.record for entry in waiting])
            except UnavailableError as error:
                # Accepted or not is unknown. Put it again: a duplicate changes nothing.
                codes = [error.code or "no answer"] * len(waiting)
            refused: list[PutRecordsBatch[RedriveItem]] = []
            for entry, code in zip(waiting, codes, strict=True):
                if code:
                    refused.append(entry)
                else:
                    _record_accepted(context, entry, outcome)
            failures = failures + 1 if len(refused) == len(waiting) else 1
            waiting = refused
            if waiting:
                _wait(context, failures, codes, outcome)


def _records(items: Iterator[RedriveItem]) -> Iterator[tuple[RedriveItem, Record]]:
    for item in items:
        (record,) = item.content.records  # events are redriven directly
        yield item, record


def _is_sent_alone(stored: QuarantinedObject, record: Record) -> bool:
    return stored.reason == Reason.PARKED or kinesis_records.user_records(record) != [record]


def _record_accepted(
    context: QuarantineContext, entry: PutRecordsBatch[RedriveItem], outcome: RedriveOutcome
) -> None:
    outcome.records += 1
    marked: list[RedriveItem] = []

    def mark(item: RedriveItem) -> None:
        context.store.resolve(item.stored, item.content.document, context.note("redriven"))
        marked.append(item)

    try:
        context.executor.run_all([partial(mark, item) for item in entry.owners])
    finally:
        outcome.sent += len(marked)


def _wait(
    context: QuarantineContext, failures: int, codes: Sequence[str], outcome: RedriveOutcome
) -> None:
    """Back off with full jitter.

    Raises:
        UnavailableError: the stream has accepted nothing for ATTEMPTS answers.
    """
    if failures >= ATTEMPTS:
        codes_text = ", ".join(sorted({code for code in codes if code}))
        raise UnavailableError(
            Side.SOURCE,
            f"The stream {context.table.stream_name} accepts no more records ({codes_text}); "
            f"{outcome.sent} objects went through, and the others are still open.",
            fix="run the same command again in a while",
        )
    longest = min(LONGEST_WAIT, FIRST_WAIT * 2**failures)
    context.clock.sleep(context.chance.uniform(0, longest))
