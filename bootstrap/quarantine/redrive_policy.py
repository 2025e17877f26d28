"""Whether something may be redriven: data in, data out.

A redriven record is one more delivery of an old change. The guard refuses it if the ledger knows of
a newer one, so all that can go wrong is what the ledger cannot know: it forgets a key's entry some
time after the key's last change, and an old change that comes even later would be applied over a
newer one, for good. And a tie that the images could not decide is not decided by another delivery.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bootstrap.core.formatting import duration, moment
from bootstrap.quarantine.store import ObjectContent, QuarantinedObject
from replicator.change import Change
from replicator.consumer.decode import Foreign, Unusable
from replicator.consumer.ledger import from_item
from replicator.consumer.ordering import Verdict, decide
from replicator.consumer.outcome import Reason

DAY = 86_400
PLAIN_BYTES = 4 * 1024 * 1024
"""A record of the stream reaches the function in base64 within Lambda's 6 MB; a larger one goes to
the on-failure bucket (AWS Lambda Developer Guide, Kinesis)."""

Entries = Callable[[Sequence[bytes]], Mapping[bytes, Mapping[str, Any]]]
"""Ledger items by key digest, read now; those that exist."""


@dataclass(frozen=True)
class RetentionWindow:
    """How far back a table's ledger remembers.

    `expires`: entries have an expiry, because the table is replicating. Before that none is ever
    forgotten. `now` in seconds since 1970 (AWS refuses the calls of a machine whose clock is wrong
    by more than minutes, so the machine's is good enough for days).
    """

    retention_days: int
    expires: bool
    now: float

    @property
    def retention(self) -> float:
        return float(self.retention_days * DAY)

    def as_of(self, document: Mapping[str, Any]) -> RetentionWindow:
        """For what was kept when entries were written to last for less long.

        A newer change's entry may be from before the setting was raised. What Lambda keeps does
        not tell, and is judged by the setting of today.
        """
        then = document.get("ledgerRetentionDays")
        days = then if isinstance(then, int) else self.retention_days
        return dataclasses.replace(self, retention_days=min(days, self.retention_days))

    def margin(self, direct: bool) -> float:
        """How long before the end of the retention a change is too old.

        A change that goes through the stream waits there as long as the consumer lags, and an alarm
        tells of that at a quarter of the retention. Direct, only clocks can differ.
        """
        return DAY if direct else max(DAY, self.retention / 4)


@dataclass(frozen=True)
class Send:
    """The guard may judge it."""


@dataclass(frozen=True)
class Resolved:
    """There is nothing left to send: the ledger proves that it is superseded."""

    why: str


@dataclass(frozen=True)
class Refused:
    """Not redriven, and what to do instead."""

    why: str
    fix: str


RedriveDecision = Send | Resolved | Refused

COMPARE = (
    "compare the item in both tables; if they differ, write it again in the source (any update: "
    "its change is the newest, and carries the whole item); then discard this"
)


def decide_redrive(
    kept: QuarantinedObject,
    holding: ObjectContent,
    table: str,
    memory: RetentionWindow,
    entries: Entries,
    *,
    direct: bool,
    named: bool,
) -> RedriveDecision:
    """Judges one open object. `named`: asked for by its key, and not by --all."""
    contents = holding.contents(table)
    changes = [content for content in contents if isinstance(content, Change)]
    refusal = (
        _refuse_by_content(contents, changes, table)
        or _refuse_by_kind(kept, direct, named)
        or _refuse_by_size(holding, direct)
    )
    if refusal is not None:
        return refusal
    if kept.reason == Reason.AMBIGUOUS:
        return _decide_tie(changes, entries(_keys(changes)))
    return _decide_by_age(changes, memory.as_of(holding.document), entries, direct)


def _keys(changes: Sequence[Change]) -> list[bytes]:
    return [change.key for change in changes]


def _refuse_by_content(
    contents: Sequence[object], changes: Sequence[Change], table: str
) -> Refused | None:
    foreign = next((each for each in contents if isinstance(each, Foreign)), None)
    if foreign is not None:
        why = f"it holds a change of table {foreign.table!r}, and this is the stream of {table!r}"
        if not changes:
            return Refused(why, "discard it")
        return Refused(f"{why}; beside it are {len(changes)} of this table", COMPARE)
    if changes:
        return None
    unusable = next((each for each in contents if isinstance(each, Unusable)), None)
    if unusable is None:
        return Refused("it is a probe: it proves nothing any more", "discard it")
    return Refused(
        f"no change can be read from it ({unusable.reason}), so its age is unknown, and the "
        "consumer would only quarantine it again",
        "bring a version that reads it (update, build, pulumi up) and redrive then, or discard it",
    )


def _refuse_by_kind(kept: QuarantinedObject, direct: bool, named: bool) -> Refused | None:
    if kept.is_event and not direct:
        return Refused(
            "it is an event that Lambda could not hand to the function, and the stream would lead "
            "it to the same end",
            "the same command with --direct",
        )
    if kept.reason == Reason.PARKED and not direct and not named:
        return Refused(
            "it was parked because it may end the function, and then it blocks its shard again",
            "the same command with --direct (it can end only that), or name its KEY",
        )
    return None


def _refuse_by_size(holding: ObjectContent, direct: bool) -> Refused | None:
    size = max(len(record.data) for record in holding.records)
    if direct or size <= PLAIN_BYTES:
        return None
    return Refused(
        f"its record has {size:,} bytes, and Lambda hands no more than {PLAIN_BYTES:,} to the "
        "function",
        "the same command with --direct",
    )


def _decide_tie(
    changes: Sequence[Change], found: Mapping[bytes, Mapping[str, Any]]
) -> RedriveDecision:
    """A note of `ambiguous-order`: redriven only where that is more than another delivery.

    Whether it was applied or not, the doubt is between two changes of one timestamp. It is over
    when a later change has been applied, or when the entry connects with this one; as long as the
    entry is of the same timestamp and does not, delivering one of them again decides nothing, and
    could turn the item from the right one of two states to the wrong one.
    """
    verdicts = []
    for change in changes:
        item = found.get(change.key)
        verdicts.append(decide(from_item(item) if item else None, change.entry))
    if any(verdict in _UNDECIDED for verdict in verdicts) or Verdict.NEWER in verdicts:
        return Refused(
            "two changes of its key have the same timestamp, the ledger knows of no later one, and "
            "another delivery tells nothing about which of the two came last",
            COMPARE,
        )
    if all(verdict in _PAST for verdict in verdicts):
        return Resolved("a later change of the key has been applied")
    return Send()


_UNDECIDED = (Verdict.SAME, Verdict.DOUBTFUL, Verdict.AMBIGUOUS)
_PAST = (Verdict.OLDER, Verdict.PREDECESSOR)


def _decide_by_age(
    changes: Sequence[Change], memory: RetentionWindow, entries: Entries, direct: bool
) -> Send | Refused:
    """Refuses a change that may be older than what the ledger has forgotten of its key.

    A newer change was applied after this one was made, so its entry stands until this one's
    timestamp plus the retention at least. Later than that, only an entry that is still there, and
    stays for a while, proves that nothing was forgotten: a key has one, and each replaces the last.
    """
    if not memory.expires:
        return Send()
    margin = memory.margin(direct)
    old = [
        change for change in changes if _made_at(change) + memory.retention - margin < memory.now
    ]
    if not old:
        return Send()
    found = entries(_keys(old))
    forgotten = [
        change for change in old if not _outlives(found.get(change.key), memory.now + margin)
    ]
    if not forgotten:
        return Send()
    made = min(_made_at(change) for change in forgotten)
    why = (
        f"its change was made {duration(memory.now - made)} ago ({moment(made)}), the ledger keeps "
        f"a key for {memory.retention_days} days after its last change, and knows nothing of this "
        "one any more: a newer change may have been applied and forgotten, and this one would be "
        "applied over it"
    )
    if not direct and made + memory.retention - memory.margin(direct=True) > memory.now:
        return Refused(
            why.replace("knows nothing of this one any more", "may forget this one while it waits"),
            "the same command with --direct, which does not wait in the stream",
        )
    return Refused(why, COMPARE)


def _made_at(change: Change) -> float:
    return change.version.micros / 1_000_000


def _outlives(item: Mapping[str, Any] | None, until: float) -> bool:
    """Whether a key's entry exists and has no expiry before then."""
    return item is not None and ("x" not in item or int(item["x"]["N"]) > until)
