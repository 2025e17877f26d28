"""The repair of differences: the source's item, or its absence, written through the guard.

The version is the export's time minus two minutes, or a read's minus one. Changes applied since
then are newer and stay. A later version could mask a change that is still on its way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from bootstrap.core.errors import BlockedError
from bootstrap.core.ledger_settings import LedgerSettings
from bootstrap.core.ports import LedgerEntries
from bootstrap.core.suggestions import Command, suggest
from bootstrap.verify.compare.partitions import Difference
from bootstrap.verify.judge.attributes import DifferenceDetail
from bootstrap.verify.judge.classify import Judgement
from replicator.call_context import CallContext
from replicator.change import MICROSECOND, ORDER_ZERO, Change, Entry, Version
from replicator.consumer.ledger_entry import from_item
from replicator.consumer.outcome import Applied, Rejected, Result, Retry, Superseded
from replicator.consumer.writer import ABSENT, Attempt, ConditionalWriter
from replicator.runtime import Deadline, Runtime
from replicator.settings import ARMED_SECONDS

AT_ONCE = 100
BYTES_AT_ONCE = 8 << 20
CALL_MILLIS = 120_000
"""The Lambda's time limit for a batch."""
MOST_UNCONFIRMED = 1_000
"""More differences than this hint at another cause than gaps: their repair needs --yes."""

APPLIED = "applied"
CHANGED = "not applied: the key changed since; a later verification, or --read-source, repairs it"
REFUSED = "not applied: the target rejects the item"
SAME_TIME = "not applied: a change has the same time; a later verification repairs it"


@dataclass(eq=False)
class Repair(Change):
    """A change to the source's item. The target's item may be missing: its digest is enough."""

    difference: Difference

    @cached_property
    def entry(self) -> Entry:
        """The ledger entry, with the compared images."""
        ours, theirs = self.difference.source_image, self.difference.target_image
        return Entry(self.version, image=ours, previous=theirs)


@dataclass(frozen=True)
class Repairer:
    """The guard in the operator's process. `settings`: reads the settings row.

    `numbered` reads the ledger where a stream's numbers order its entries; None where times do.
    """

    guard: ConditionalWriter
    runtime: Runtime
    settings: Callable[[], LedgerSettings]
    numbered: LedgerEntries | None = None

    def apply(self, changes: Sequence[Change]) -> list[str]:
        """Apply the changes, and return a text for each result.

        Raises:
            BlockedError: a switch or a promotion has closed the target to replication.
        """
        settings = self.settings()
        if settings.closed is not None:
            raise BlockedError(
                "The target takes no more changes of the source: a switch or a promotion "
                f"({settings.closed}) has closed it.",
                fix=suggest(Command("status"), " shows how far it is"),
            )
        errors: list[str] = []

        def report_error(operation: str, code: str, message: str) -> None:
            errors.append(f"{operation}: {code} {message}".strip())

        deadline = Deadline(self.runtime, CALL_MILLIS)
        if settings.armed is not None:
            deadline.shorten(ARMED_SECONDS)
        context = CallContext(deadline, report_error, settings.expire)
        if self.numbered is not None:
            results = self._restored(changes, self.numbered, context)
        else:
            results = self.guard.apply([Attempt(change) for change in changes], context)
        return [_describe(result, errors) for result in results]

    def _restored(
        self, changes: Sequence[Change], ledger: LedgerEntries, context: CallContext
    ) -> list[Result]:
        """Write each item over the entry that judges it, which gives it its place in the stream.

        An entry of a later time supersedes the item. A change that comes in between voids the
        judgement, and the key is judged anew.
        """
        results: dict[int, Result] = {}
        for _ in range(ROUNDS):
            waiting = [
                n
                for n in range(len(changes))
                if isinstance(found := results.get(n, MOVED), Retry) and found is not UNREADABLE
            ]
            if not waiting or not context.deadline.allows_call():
                break
            items = ledger.entries([changes[n].key for n in waiting])
            attempts: dict[int, Attempt] = {}
            for n in waiting:
                item = items.get(changes[n].key)
                try:
                    entry = None if item is None else from_item(item)
                except ValueError as error:
                    context.report_error("BatchGetItem", "LedgerEntryUnreadable", str(error))
                    results[n] = UNREADABLE
                    continue
                attempt = _pinned(changes[n], entry)
                if attempt is None:
                    results[n] = Superseded()
                else:
                    attempts[n] = attempt
            applied = self.guard.apply(list(attempts.values()), context) if attempts else []
            results.update(zip(attempts, applied, strict=True))
        return [results.get(n, MOVED) for n in range(len(changes))]


ROUNDS = 5
"""How often a key is judged anew whose entry moves between judging and writing."""
MOVED = Retry("its key changes faster than it is judged")
UNREADABLE = Retry("its ledger entry cannot be read")


def _pinned(change: Change, entry: Entry | None) -> Attempt | None:
    """Make the attempt to restore an item over this entry; None if the entry is of a later time."""
    if entry is None:
        return Attempt(_with_order(change, ORDER_ZERO), ABSENT)
    if entry.version.latest > change.version.micros:
        return None
    return Attempt(_with_order(change, entry.version.order), entry)


def _with_order(change: Change, order: str) -> Change:
    return replace(change, version=replace(change.version, order=order))


def apply_repairs(
    differences: Iterable[tuple[DifferenceDetail, Judgement, int]], repairer: Repairer
) -> Iterator[tuple[DifferenceDetail, Judgement, str]]:
    """Apply the source's items in batches, each with its version in µs, and yield the results."""
    group: list[tuple[DifferenceDetail, Judgement, Change]] = []
    size = 0
    for each, judgement, micros in differences:
        version = Version(micros, MICROSECOND)
        images = (each.target, each.source)
        change = Repair(each.key, *images, version, version.micros / 1e6, each.difference)
        group.append((each, judgement, change))
        size += change.size
        if len(group) >= AT_ONCE or size >= BYTES_AT_ONCE:
            yield from _apply(repairer, group)
            group, size = [], 0
    if group:
        yield from _apply(repairer, group)


def _apply(
    repairer: Repairer, group: list[tuple[DifferenceDetail, Judgement, Change]]
) -> Iterator[tuple[DifferenceDetail, Judgement, str]]:
    outcomes = repairer.apply([change for _, _, change in group])
    for (each, judgement, _), outcome in zip(group, outcomes, strict=True):
        yield each, judgement, outcome


def _describe(result: Result, errors: Sequence[str]) -> str:
    if isinstance(result, Applied):
        return APPLIED
    if isinstance(result, Superseded):
        return CHANGED
    if isinstance(result, Rejected):
        return REFUSED
    if isinstance(result, Retry):
        return f"not applied: {result.why}; {'; '.join(dict.fromkeys(errors))}".rstrip("; ")
    return SAME_TIME
