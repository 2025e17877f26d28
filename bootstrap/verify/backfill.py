"""The `backfill` command: a gap closed from exports, through the consumer's guard.

Each line of an incremental export is the last write of a key in its window, with its time: a change
like any other, applied only where nothing newer has been. Whether that time is by the stream's
clock is undocumented. So two different changes close in time have no certain order: the change is
quarantined as `ambiguous-order`, and a verification settles it.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

from bootstrap.core.durations import Timing
from bootstrap.core.errors import AccountError, BlockedError, Side, UnavailableError, UsageError
from bootstrap.core.export_search import begin_window, start_or_find, token_is_valid
from bootstrap.core.facts import ExportFacts, ExportSpec
from bootstrap.core.formatting import duration, moment
from bootstrap.core.objects import ObjectReader, ObjectReaderFactory
from bootstrap.core.outcome import Acted, Done, Outcome, Pending
from bootstrap.core.poller import Poller
from bootstrap.core.ports import ExportService, LedgerEntries
from bootstrap.core.stack_outputs import Outputs, TableOutputs
from bootstrap.core.suggestions import Command, suggest
from bootstrap.journal.journal import Journal
from bootstrap.journal.lease import Lease
from bootstrap.run.goals import new_run_id
from bootstrap.verify.export_pair import (
    read_export_of,
    refuse_without_recovery,
)
from bootstrap.verify.exports.files import read_blocks, refuse_damaged
from bootstrap.verify.exports.lines import parse_change, parse_item
from bootstrap.verify.exports.manifest import Export, ExportedFile
from bootstrap.verify.judge.classify import MARGIN
from bootstrap.verify.repair import (
    APPLIED,
    AT_ONCE,
    BYTES_AT_ONCE,
    CHANGED,
    REFUSED,
    SAME_TIME,
    Repairer,
)
from replicator.change import MICROSECOND, Change, Version
from replicator.consumer.ledger_entry import from_item

NEAR_MICROS = 2_000_000
"""The distance in µs below which the order of two changes is uncertain."""

SHORTEST, LONGEST = 15 * 60, 24 * 3600
"""Limits in seconds for the window of an incremental export (developer guide, ServiceQuotas:
"between 15 minutes and 24 hours")."""

SUPERSEDED, AMBIGUOUS, ALREADY_THERE = "superseded", "ambiguous-order", "there already"
REFUSED_BY_TARGET = "refused by the target"
OUTCOMES = (APPLIED, SUPERSEDED, ALREADY_THERE, AMBIGUOUS, REFUSED_BY_TARGET)

# SAME_TIME: a change of the same time was applied after the ledger was read. It stays.
_ENDED = {
    APPLIED: APPLIED,
    CHANGED: SUPERSEDED,
    SAME_TIME: SUPERSEDED,
    REFUSED: REFUSED_BY_TARGET,
}


def row_name(table: str) -> str:
    """Return the name of the journal's row of a table's backfill."""
    return f"backfill/{table}"


def split_windows(begin: float, end: float, scale: float = 1.0) -> list[tuple[int, int]]:
    """Split the gap into consecutive windows [from, to) in whole seconds.

    A gap shorter than the shortest window is extended backwards, which is harmless: changes already
    replicated are superseded. `scale` is the clock's.
    """
    last = math.ceil(end)
    first = min(math.floor(begin), last - math.ceil(SHORTEST * scale))
    count = math.ceil((last - first) / (LONGEST * scale))
    cuts = [first + (last - first) * n // count for n in range(count + 1)]
    return list(itertools.pairwise(cuts))


@dataclass(frozen=True)
class BackfillRecord:
    """A backfill in progress: windows are done in turn; `arn` is the current window's export."""

    key: ClassVar[str] = "backfill"

    run: str
    begin: float
    end: float
    window: int = 0
    attempt: int = 1
    token: str = ""
    intended_at: float = 0
    arn: str = ""
    over: bool = False


class NoteWriter(Protocol):
    """The quarantine, for changes of uncertain order."""

    def ambiguous(self, change: Change, place: str, line: int) -> bool:
        """Quarantine a change of uncertain order; return False if that failed."""


@dataclass(frozen=True)
class BackfillContext:
    """The dependencies of one table's backfill."""

    outputs: Outputs
    table: TableOutputs
    source: ExportService
    ledger: LedgerEntries
    journal: Journal
    lease: Lease
    opener: ObjectReaderFactory
    repairer: Callable[[], Repairer]
    notes: Callable[[], NoteWriter]
    timing: Timing
    poller: Poller
    say: Callable[[str], None]


class Backfill:
    """A backfill from exports of the source. `counts` has the results of the lines."""

    def __init__(self, context: BackfillContext) -> None:
        self._context = context
        self.counts: Counter[str] = Counter()

    # -- a gap -----------------------------------------------------------------------------------

    def gap(self, begin: float, end: float, take_over: bool = False) -> None:
        """Close the gap [begin, end) in epoch seconds, or resume an interrupted backfill of it."""
        if begin >= end:
            raise UsageError(
                f"The gap from {moment(begin)} to {moment(end)} is empty.",
                fix="--from with the earlier time, --to with the later one",
            )
        context, journal = self._context, self._context.journal
        context.lease.acquire(take_over)
        try:
            journal.refresh()
            record = journal.get(BackfillRecord)
            same = (
                record is not None
                and not record.over
                and (record.begin, record.end) == (begin, end)
            )
            if not same:
                self._refuse_unreachable(begin, end)
                self._refuse_forgotten(begin)
                journal.begin(new_run_id(journal.now()))
                journal.put(BackfillRecord(journal.run_id, begin, end), "a backfill begins")
            context.poller.wait(self._advance)
        finally:
            context.lease.release()

    def _refuse_unreachable(self, begin: float, end: float) -> None:
        context = self._context
        backups = context.source.backups()
        refuse_without_recovery(context.source, backups)
        if end > context.journal.now() + 1:
            raise UsageError(
                f"The gap ends at {moment(end)}, in the future.", fix="--to with a time in the past"
            )
        first = split_windows(begin, end, context.timing.scale)[0][0]
        if backups.earliest is not None and first < backups.earliest:
            raise BlockedError(
                f"The gap begins at {moment(first)}, but point-in-time recovery of the source "
                f"reaches back only to {moment(backups.earliest)}.",
                fix=suggest(Command("verify", "--repair"), ", which needs no export of the past"),
            )

    def _refuse_forgotten(self, since: float) -> None:
        """Refuse changes older than the ledger's entries.

        Without the entry of a newer change, the guard would apply the old one over it, or over a
        delete.
        """
        context = self._context
        kept = context.table.ledger_retention_days * 86_400
        if context.journal.now() - since > kept:
            raise BlockedError(
                f"The ledger keeps a key's entry for {duration(kept)}, so changes from "
                f"{moment(since)} could overwrite newer ones.",
                fix=suggest(Command("verify", "--repair"), ", which needs no export of the past"),
            )

    def _advance(self) -> Outcome:
        """Do one act for the current window."""
        context, journal = self._context, self._context.journal
        record = journal.get(BackfillRecord)
        assert record is not None
        cut = split_windows(record.begin, record.end, context.timing.scale)
        if record.window >= len(cut):
            journal.put(replace(record, over=True), "the backfill is over")
            return Done()
        window = cut[record.window]
        prefix = (
            f"verify/{context.table.snapshot_prefix}/{record.run}/{record.window}-{record.attempt}"
        )
        if not record.token:
            token = f"{record.run}-fill-{record.window}-{record.attempt}"
            intended = replace(record, token=token, intended_at=journal.now())
            journal.put(intended, f"exporting what was written from {moment(window[0])}")
            return Acted()
        if not record.arn:
            return self._begin(record, window, prefix)
        return self._follow(record, window)

    def _begin(self, record: BackfillRecord, window: tuple[int, int], prefix: str) -> Outcome:
        context, journal = self._context, self._context.journal
        if (context.source.backups().latest or 0) < window[1]:
            what = f"point-in-time recovery of the source to reach {moment(window[1])}"
            return Pending(what, context.timing.poll(10))
        arn = context.table.source_table_arn
        between = begin_window(record.intended_at)
        if token_is_valid(record.intended_at, journal.now()):
            wanted = ExportSpec(record.token, prefix, window=window)
            facts = start_or_find(
                lambda: context.source.start(arn, wanted),
                lambda: context.source.find(arn, prefix, between),
            )
        else:
            facts = context.source.find(arn, prefix, between)
            if facts is None:
                journal.put(_next_attempt(record), "the intended export never began")
                return Acted()
        if facts is None:
            return Pending("DynamoDB to accept the window", context.timing.poll(10))
        journal.put(replace(record, arn=facts.arn), f"export {facts.export_id} runs")
        return Acted()

    def _follow(self, record: BackfillRecord, window: tuple[int, int]) -> Outcome:
        context, journal = self._context, self._context.journal
        facts = context.source.describe(record.arn)
        if facts is None or facts.status == "FAILED":
            journal.put(_next_attempt(record), "the export failed")
            why = facts.failure if facts else "DynamoDB does not know it any more"
            raise AccountError(
                context.source.side,
                f"The export {record.arn} failed: {why or 'without a reason'}.",
                fix="fix the cause, then run again: that starts another export",
            )
        if facts.status != "COMPLETED":
            return Pending("the source's incremental export", context.timing.poll(20))
        self._apply(facts)
        done = BackfillRecord(record.run, record.begin, record.end, record.window + 1)
        journal.put(done, f"applied what was written until {moment(window[1])}")
        return Acted()

    # -- a full export ---------------------------------------------------------------------------

    def full(self, arn: str, take_over: bool = False) -> None:
        """Apply a full export with its time minus two minutes. It contains no deletes."""
        context = self._context
        context.lease.acquire(take_over)
        try:
            context.journal.refresh()
            facts = context.source.describe(arn)
            of_ours = arn.startswith(f"{context.table.source_table_arn}/export/")
            if facts is None or facts.status != "COMPLETED" or not of_ours:
                raise UsageError(
                    f"{arn} is not a complete export of {context.table.source_table}.",
                    fix=f"aws dynamodb list-exports --table-arn {context.table.source_table_arn} "
                    f"--region {context.table.consumer_region}, and name one that is COMPLETED",
                )
            self._apply(facts)
        finally:
            context.lease.release()

    # -- applying --------------------------------------------------------------------------------

    def _apply(self, facts: ExportFacts) -> None:
        context = self._context
        objects = context.opener()
        export = read_export_of(facts, context.outputs, objects)
        since = export.time if export.window is None else export.window[0]
        self._refuse_forgotten((since or 0) / 1e6)
        context.say(f"Applying the {export.items:,} lines of export {facts.export_id}.")
        key = _key_attributes(context.source)
        repairer, notes = context.repairer(), context.notes()
        for file in export.files:
            # Verify the whole file before applying any of it.
            for _ in read_blocks(objects, export.bucket, file):
                context.lease.check()
            changes = _read_changes(
                objects, export, file, key, round(MARGIN * context.timing.scale)
            )
            for group in _group_changes(changes):
                context.lease.check()
                self._apply_group(group, repairer, notes, f"{facts.export_id}-{file.number}")

    def _apply_group(
        self, group: Sequence[tuple[int, Change]], repairer: Repairer, notes: NoteWriter, place: str
    ) -> None:
        found = self._context.ledger.entries([change.key for _, change in group])
        todo: list[Change] = []
        for line, change in group:
            what = self._near(found.get(change.key), change)
            if what is None:
                todo.append(change)
                continue
            order = from_item(found[change.key]).version.order
            noted = replace(change, version=replace(change.version, order=order))
            if what == AMBIGUOUS and not notes.ambiguous(noted, place, line):
                raise _unfinished_error(
                    "a change of uncertain order could not be quarantined", self._context
                )
            self.counts[what] += 1
        for outcome in (
            repairer.apply([_without_old_image(change) for change in todo]) if todo else ()
        ):
            if outcome not in _ENDED:
                raise _unfinished_error(outcome, self._context)
            self.counts[_ENDED[outcome]] += 1

    def _near(self, item: Mapping[str, Any] | None, change: Change) -> str | None:
        """Return the result for a change close in time to its key's entry, or None."""
        if item is None:
            return None
        entry = from_item(item)
        # A whole second is the least distance from the exact time to any moment in it.
        distance = max(
            entry.version.micros - change.version.micros,
            change.version.micros - entry.version.latest,
            0,
        )
        if distance > NEAR_MICROS * self._context.timing.scale:
            return None
        return ALREADY_THERE if entry.image == change.entry.image else AMBIGUOUS


def _without_old_image(change: Change) -> Change:
    """Make the change its own predecessor.

    The export's old image is the item before the window, not before this write. An entry with that
    image could not be ordered against the stream's record of the same write, which would then be
    quarantined. An entry that is its own predecessor supersedes that record.
    """
    return replace(change, old=change.new)


def _next_attempt(record: BackfillRecord) -> BackfillRecord:
    return replace(record, attempt=record.attempt + 1, token="", arn="", intended_at=0)


def _unfinished_error(what: str, context: BackfillContext) -> UnavailableError:
    return UnavailableError(
        Side.TARGET,
        f"The backfill of {context.table.source_table} could not apply a change: {what}.",
        fix="run the same command again: changes already applied are superseded",
    )


def _key_attributes(source: ExportService) -> tuple[str, ...]:
    facts = source.table()
    assert facts is not None
    return tuple(str(each["AttributeName"]) for each in facts.keys)


def _read_changes(
    objects: ObjectReader, export: Export, file: ExportedFile, key: Sequence[str], margin: int
) -> Iterator[tuple[int, Change]]:
    """Parse the lines of a file into changes, each with its line number."""
    lines = itertools.chain.from_iterable(read_blocks(objects, export.bucket, file))
    for number, line in enumerate(lines):
        try:
            change = _parse_line(line, export, key, margin)
        except ValueError as error:
            refuse_damaged(file, f"line {number + 1} is unreadable ({error})")
        yield number, change


def _parse_line(line: bytes, export: Export, key: Sequence[str], margin: int) -> Change:
    if export.time is None:
        found = parse_change(line)
        version = Version(found.micros, MICROSECOND)
        return Change(found.keys, found.old, found.new, version, version.micros / 1e6)
    item = parse_item(line)
    if not item.keys() >= set(key):
        raise ValueError("the item lacks a key attribute")
    version = Version(export.time - margin, MICROSECOND)
    keys = {name: item[name] for name in key}
    return Change(keys, None, item, version, version.micros / 1e6)


def _group_changes(changes: Iterator[tuple[int, Change]]) -> Iterator[list[tuple[int, Change]]]:
    group: list[tuple[int, Change]] = []
    size = 0
    for number, change in changes:
        group.append((number, change))
        size += change.size
        if len(group) >= AT_ONCE or size >= BYTES_AT_ONCE:
            yield group
            group, size = [], 0
    if group:
        yield group
