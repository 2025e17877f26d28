"""Redriving: through the stream, or past it through the guard in this process.

An object is marked resolved only after the stream has accepted its record, or the guard has ended
it. Killed in between, it is open still, and is redriven again: the guard finds the change applied
and calls it superseded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from bootstrap.core.errors import BlockedError, Side, UnavailableError
from bootstrap.quarantine.context import QuarantineContext
from bootstrap.quarantine.direct import Processed
from bootstrap.quarantine.packing import PutRecordsBatch, pack_records, split_calls
from bootstrap.quarantine.redrive_policy import Refused, Resolved, Send, decide_redrive
from bootstrap.quarantine.store import ObjectContent, QuarantinedObject
from replicator.consumer import decode
from replicator.consumer.decode import Record
from replicator.consumer.outcome import Reason

ATTEMPTS = 10
"""Answers in a row in which the stream takes nothing, before this gives up."""
READ_AT_ONCE = 32
"""Objects; each may hold 10 MiB of records."""
FIRST_WAIT, LONGEST_WAIT = 0.2, 10.0


@dataclass(frozen=True)
class Remaining:
    """An object that stays open, and why. `passing`: the same command may succeed later."""

    kept: QuarantinedObject
    why: str
    fix: str
    passing: bool = False


@dataclass
class RedriveOutcome:
    """What a redrive has done, as far as it came."""

    asked: int = 0
    sent: int = 0
    """Objects whose record the stream has accepted."""
    records: int = 0
    """Kinesis records that took."""
    ended: list[tuple[QuarantinedObject, str]] = field(default_factory=list)
    """Objects that the guard has ended, or that the ledger showed to be superseded."""
    left: list[Remaining] = field(default_factory=list)
    gone: int = 0
    """Resolved by somebody else meanwhile."""


@dataclass(frozen=True)
class RedriveItem:
    """An object to redrive, and what it holds."""

    kept: QuarantinedObject
    holding: ObjectContent


def redrive(
    desk: QuarantineContext,
    chosen: Sequence[QuarantinedObject],
    outcome: RedriveOutcome,
    *,
    direct: bool,
    named: bool,
) -> None:
    """Redrives these objects. `outcome` is kept up to date, also when this ends by an error.

    Raises:
        AccountError and its kin: when an account refuses; what was accepted until then is resolved.
    """
    outcome.asked = len(chosen)
    judged = _redrivable(desk, chosen, outcome, direct, named)
    if direct:
        _redrive_direct(desk, judged, outcome)
    else:
        _redrive_to_stream(desk, judged, outcome)


def _redrivable(
    desk: QuarantineContext,
    chosen: Sequence[QuarantinedObject],
    outcome: RedriveOutcome,
    direct: bool,
    named: bool,
) -> Iterator[RedriveItem]:
    """Those that the guard may judge, one after the other; the others go into the outcome."""
    memory = desk.memory()
    for kept, holding in _read(desk, chosen):
        if isinstance(holding, BlockedError):
            outcome.left.append(Remaining(kept, holding.what, holding.fix))
            continue
        if holding is None:
            outcome.gone += 1
            continue
        judgement = decide_redrive(
            kept,
            holding,
            desk.table.source_table,
            memory,
            desk.ledger.entries,
            direct=direct,
            named=named,
        )
        if isinstance(judgement, Send):
            yield RedriveItem(kept, holding)
        elif isinstance(judgement, Resolved):
            note = desk.note("superseded", detail=judgement.why)
            desk.shelf.resolve(kept, holding.document, note)
            outcome.ended.append((kept, f"superseded: {judgement.why}"))
        elif isinstance(judgement, Refused):
            outcome.left.append(Remaining(kept, judgement.why, judgement.fix))


def _read(
    desk: QuarantineContext, chosen: Sequence[QuarantinedObject]
) -> Iterator[tuple[QuarantinedObject, ObjectContent | BlockedError | None]]:
    """The objects with what they hold, some at a time."""

    def content(kept: QuarantinedObject) -> ObjectContent | BlockedError | None:
        try:
            return desk.shelf.content(kept)
        except BlockedError as error:
            return error

    for start in range(0, len(chosen), READ_AT_ONCE):
        some = chosen[start : start + READ_AT_ONCE]
        found = desk.executor.run_all([partial(content, kept) for kept in some])
        yield from zip(some, found, strict=True)


# -- past the stream ---------------------------------------------------------------------------


def _redrive_direct(
    desk: QuarantineContext, items: Iterator[RedriveItem], outcome: RedriveOutcome
) -> None:
    consumer = desk.consumer()
    for item in items:
        result = consumer.run(item.kept, item.holding)
        if isinstance(result, Processed):
            note = desk.note("direct", detail=result.how)
            desk.shelf.resolve(item.kept, item.holding.document, note)
            outcome.ended.append((item.kept, result.how))
            continue
        fix = "run the same command again" if result.passing else "mend what refuses it, or discard"
        outcome.left.append(Remaining(item.kept, result.why, fix, result.passing))


# -- through the stream ------------------------------------------------------------------------


def _redrive_to_stream(
    desk: QuarantineContext, items: Iterator[RedriveItem], outcome: RedriveOutcome
) -> None:
    to_pack = (
        (item, record, _is_sent_alone(item.kept, record)) for item, record in _records(items)
    )
    stream = desk.stream()
    for batch in split_calls(pack_records(to_pack)):
        waiting, failures = batch, 0
        while waiting:
            try:
                codes = stream.put([parcel.record for parcel in waiting])
            except UnavailableError as error:
                # Taken or not, nobody knows: put again, as a duplicate changes nothing.
                codes = [error.code or "no answer"] * len(waiting)
            refused: list[PutRecordsBatch[RedriveItem]] = []
            for parcel, code in zip(waiting, codes, strict=True):
                if code:
                    refused.append(parcel)
                else:
                    _record_accepted(desk, parcel, outcome)
            failures = failures + 1 if len(refused) == len(waiting) else 1
            waiting = refused
            if waiting:
                _wait(desk, failures, codes, outcome)


def _records(items: Iterator[RedriveItem]) -> Iterator[tuple[RedriveItem, Record]]:
    for item in items:
        (record,) = item.holding.records  # events never come here
        yield item, record


def _is_sent_alone(kept: QuarantinedObject, record: Record) -> bool:
    return kept.reason == Reason.PARKED or decode.user_records(record) != [record]


def _record_accepted(
    desk: QuarantineContext, parcel: PutRecordsBatch[RedriveItem], outcome: RedriveOutcome
) -> None:
    outcome.records += 1
    marked: list[RedriveItem] = []

    def mark(item: RedriveItem) -> None:
        desk.shelf.resolve(item.kept, item.holding.document, desk.note("redriven"))
        marked.append(item)

    try:
        desk.executor.run_all([partial(mark, item) for item in parcel.owners])
    finally:
        outcome.sent += len(marked)


def _wait(
    desk: QuarantineContext, failures: int, codes: Sequence[str], outcome: RedriveOutcome
) -> None:
    """Backs off with full jitter, or gives up.

    Raises:
        UnavailableError: when the stream has taken nothing for a while.
    """
    if failures >= ATTEMPTS:
        told = ", ".join(sorted({code for code in codes if code}))
        raise UnavailableError(
            Side.SOURCE,
            f"The stream {desk.table.stream_name} takes no more records ({told}); "
            f"{outcome.sent} objects went through, and the others are open still.",
            fix="run the same command again in a while",
        )
    longest = min(LONGEST_WAIT, FIRST_WAIT * 2**failures)
    desk.clock.sleep(desk.chance.uniform(0, longest))
