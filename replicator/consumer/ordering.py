"""The rule that decides which of two changes is newer. Every promise rests on it; it calls no AWS.

Kinesis Data Streams for DynamoDB delivers unordered and more than once, so the order is made at the
target: a change is judged against the ledger entry of its key, atomically with the write. The
timestamp decides. Two changes of a key may carry the same timestamp, and then the images tell them
apart: each says what it found and what it left.

A DynamoDB stream numbers the changes of an item, and there the number decides; times to the second
only have to agree with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Protocol, TypeVar

from replicator.change import SECOND, Entry, Version, compare, contradicts


class Verdict(Enum):
    """The decision on a change, given the entry of its key."""

    NEWER = "no entry, or an older one: apply"
    SUCCESSOR = "same timestamp, and it continues from the entry's image: apply"
    OLDER = "a newer change has been applied: superseded"
    SAME = "this very change has been applied: superseded, or applied if this attempt did it"
    PREDECESSOR = "same timestamp, and the entry continues from its image: superseded"
    DOUBTFUL = (
        "same timestamp, back to the image before: note it first, then apply to this entry only"
    )
    AMBIGUOUS = "same timestamp, and no image connects the two: quarantine, apply nothing"
    CONTRADICTED = "older by its number and made in a later second: neither apply nor supersede"

    @property
    def applies(self) -> bool:
        return self in (Verdict.NEWER, Verdict.SUCCESSOR)


def decide(entry: Entry | None, change: Entry) -> Verdict:
    """Judge a change (in the form of the entry it would leave) against the entry of its key."""
    if entry is None:
        return Verdict.NEWER
    if contradicts(change.version, entry.version):
        return Verdict.CONTRADICTED
    order = compare(change.version, entry.version)
    if order > 0:
        return Verdict.NEWER
    if order < 0:
        return Verdict.OLDER
    if entry.version.precision == change.version.precision == SECOND:
        return Verdict.SAME  # of one number there is one change
    if entry.image == change.image and entry.previous == change.previous:
        return Verdict.SAME
    if entry.image == change.previous:
        # An item that went back to what it was within one timestamp, and a late duplicate of the
        # first of the two changes, look exactly alike. So may any, to an entry that does not know
        # what was before it: a backfill's names its own image.
        back = entry.previous in (change.image, entry.image)
        return Verdict.DOUBTFUL if back else Verdict.SUCCESSOR
    if entry.previous == change.image:
        return Verdict.PREDECESSOR
    return Verdict.AMBIGUOUS


class Ordered(Protocol):
    """Anything with a version."""

    @property
    def version(self) -> Version: ...


C = TypeVar("C", bound=Ordered)


def schedule(changes: Sequence[C]) -> tuple[list[C], list[C]]:
    """Split a batch's changes of one key (in order of delivery) into `(newest, older)`.

    `newest` is what has to be attempted, one after the other, in order of delivery: the changes of
    the newest timestamp, nearly always one. They are not folded into one write: only the sequence
    of writes meets an entry of the same timestamp exactly as unbatched delivery would. `older`,
    in order of delivery, is what may be skipped: superseded as soon as one of `newest` is applied
    or superseded, and scheduled in its turn if all of those are quarantined.

    Where precisions mix in the newest millisecond no change in it is known to be the newest: all of
    them are attempted. Numbered changes of a batch are of one shard, where the highest number is
    the newest change, whatever the times say.
    """
    if len(changes) == 1:
        return [changes[0]], []
    if any(change.version.order for change in changes):
        highest = max(change.version.order for change in changes)
        newest = [change for change in changes if change.version.order == highest]
        return newest, [change for change in changes if change.version.order != highest]
    last = max(change.version.millisecond for change in changes)
    newest = [change for change in changes if change.version.millisecond == last]
    if len({change.version.precision for change in newest}) == 1:
        micros = max(change.version.micros for change in newest)
        newest = [change for change in newest if change.version.micros == micros]
    chosen = {id(change) for change in newest}
    return newest, [change for change in changes if id(change) not in chosen]
