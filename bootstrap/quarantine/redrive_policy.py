"""The rules of redrive, as pure functions.

A redriven record is one more delivery of an old change, which the guard refuses if the ledger has a
newer one. Two dangers are left. The ledger's entry of a newer change may have expired: then the old
change would overwrite it for good. And another delivery does not settle an ambiguous order.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bootstrap.core.formatting import duration, moment
from bootstrap.core.suggestions import Command, suggest
from bootstrap.quarantine.store import ObjectContent, QuarantinedObject
from replicator.change import Change
from replicator.consumer.decode import Foreign, Unusable
from replicator.consumer.ledger_entry import from_item
from replicator.consumer.ordering import Verdict, decide
from replicator.consumer.outcome import Reason

DAY = 86_400
PLAIN_BYTES = 4 * 1024 * 1024
"""The largest record that fits into Lambda's 6 MB payload in base64. A larger one goes to the
on-failure bucket (AWS Lambda Developer Guide, Kinesis)."""

Entries = Callable[[Sequence[bytes]], Mapping[bytes, Mapping[str, Any]]]
"""Reads the ledger items that exist, by key digest."""


@dataclass(frozen=True)
class RetentionWindow:
    """The time for which a table's ledger keeps entries.

    `expires`: entries expire, because the table is replicating. `now` is in seconds since 1970, by
    the machine's clock: AWS refuses calls from a machine whose clock is off by more than minutes,
    and this window counts days.
    """

    retention_days: int
    expires: bool
    now: float

    @property
    def retention(self) -> float:
        return float(self.retention_days * DAY)

    def as_of(self, document: Mapping[str, Any]) -> RetentionWindow:
        """Return the window for an object written under a shorter retention.

        The entry of a newer change may date from before the setting was raised. Lambda's objects
        do not record the setting: today's applies to them.
        """
        then = document.get("ledgerRetentionDays")
        days = then if isinstance(then, int) else self.retention_days
        return dataclasses.replace(self, retention_days=min(days, self.retention_days))

    def margin(self, direct: bool) -> float:
        """Return the seconds before the end of the retention from which a change is too old.

        In the stream a change waits as long as the consumer lags, for which an alarm fires at a
        quarter of the retention. A direct redrive only has to allow for clocks.
        """
        return DAY if direct else max(DAY, self.retention / 4)


@dataclass(frozen=True)
class Send:
    """May be redriven: the guard decides."""


@dataclass(frozen=True)
class Resolved:
    """Superseded according to the ledger: nothing is left to send."""

    why: str


@dataclass(frozen=True)
class Refused:
    """Not redriven, with an alternative."""

    why: str
    fix: str
    """In the notation of `Suggestion.parse`."""


RedriveDecision = Send | Resolved | Refused

COMPARE = (
    "compare the item in both tables; if they differ, write it again in the source (any update "
    "works: its change is the newest and carries the whole item); then discard this object"
)


def decide_redrive(
    stored: QuarantinedObject,
    content: ObjectContent,
    table: str,
    window: RetentionWindow,
    entries: Entries,
    *,
    direct: bool,
    named: bool,
) -> RedriveDecision:
    """Decide about one open object. `named`: chosen by its key, not by --all."""
    contents = content.contents(table)
    changes = [content for content in contents if isinstance(content, Change)]
    refusal = (
        _refuse_by_content(contents, changes, table)
        or _refuse_by_kind(stored, direct, named)
        or _refuse_by_size(stored, content, direct)
    )
    if refusal is not None:
        return refusal
    if stored.reason == Reason.AMBIGUOUS:
        return _decide_tie(changes, entries(_keys(changes)))
    return _decide_by_age(stored, changes, window.as_of(content.document), entries, direct)


def _direct(stored: QuarantinedObject) -> str:
    command = Command("quarantine redrive", f"{shlex.quote(stored.key)} --direct")
    return suggest(command).notation


def _keys(changes: Sequence[Change]) -> list[bytes]:
    return [change.key for change in changes]


def _refuse_by_content(
    contents: Sequence[object], changes: Sequence[Change], table: str
) -> Refused | None:
    foreign = next((each for each in contents if isinstance(each, Foreign)), None)
    if foreign is not None:
        why = f"it holds a change of table {foreign.table!r}, but this stream belongs to {table!r}"
        if not changes:
            return Refused(why, "discard it")
        return Refused(f"{why}; it also holds {len(changes)} changes of this table", COMPARE)
    if changes:
        return None
    unusable = next((each for each in contents if isinstance(each, Unusable)), None)
    if unusable is None:
        return Refused("it is an old probe, which proves nothing", "discard it")
    return Refused(
        f"it holds no readable change ({unusable.reason}), so its age is unknown, and the consumer "
        "would quarantine it again",
        "deploy a version that can read it (update, build, pulumi up), then redrive; or discard it",
    )


def _refuse_by_kind(stored: QuarantinedObject, direct: bool, named: bool) -> Refused | None:
    if stored.is_event and not direct:
        return Refused(
            "it is an event that Lambda could not pass to the function, and a redrive through the "
            "stream would end the same way",
            _direct(stored),
        )
    if stored.reason == Reason.PARKED and not direct and not named:
        return Refused(
            "it was parked because it may crash the function, and would block its shard again",
            f"{_direct(stored)} (only that process could crash), or name its KEY without --direct",
        )
    return None


def _refuse_by_size(
    stored: QuarantinedObject, content: ObjectContent, direct: bool
) -> Refused | None:
    size = max(len(record.data) for record in content.records)
    if direct or size <= PLAIN_BYTES:
        return None
    return Refused(
        f"its record has {size:,} bytes, and Lambda passes at most {PLAIN_BYTES:,} to the function",
        _direct(stored),
    )


def _decide_tie(
    changes: Sequence[Change], found: Mapping[bytes, Mapping[str, Any]]
) -> RedriveDecision:
    """Decide about an `ambiguous-order` note.

    Applied or not, it concerns two changes with one timestamp. The order is settled once a later
    change has been applied, or once the ledger's entry connects with this change. While the entry
    has the same timestamp and does not connect, another delivery settles nothing, and could replace
    the right state of the item with the wrong one.
    """
    verdicts = []
    for change in changes:
        item = found.get(change.key)
        verdicts.append(decide(from_item(item) if item else None, change.entry))
    if any(verdict in _UNDECIDED for verdict in verdicts) or Verdict.NEWER in verdicts:
        return Refused(
            "two changes of its key are too close, the ledger has no later one, and another "
            "delivery does not show which of the two came last",
            COMPARE,
        )
    if all(verdict in _PAST for verdict in verdicts):
        return Resolved("a later change of the key has been applied")
    return Send()


_UNDECIDED = (Verdict.SAME, Verdict.DOUBTFUL, Verdict.AMBIGUOUS, Verdict.CONTRADICTED)
_PAST = (Verdict.OLDER, Verdict.PREDECESSOR)


def _decide_by_age(
    stored: QuarantinedObject,
    changes: Sequence[Change],
    window: RetentionWindow,
    entries: Entries,
    direct: bool,
) -> Send | Refused:
    """Refuse a change whose newer successors the ledger may have forgotten.

    A newer change was applied after this one was made, so its entry exists at least until this
    one's timestamp plus the retention. After that, only an entry that still exists, and will exist
    for a while, proves that nothing was forgotten: a key has one entry, and each replaces the last.
    """
    if not window.expires:
        return Send()
    margin = window.margin(direct)
    old = [
        change for change in changes if _made_at(change) + window.retention - margin < window.now
    ]
    if not old:
        return Send()
    found = entries(_keys(old))
    forgotten = [
        change for change in old if not _outlives(found.get(change.key), window.now + margin)
    ]
    if not forgotten:
        return Send()
    made = min(_made_at(change) for change in forgotten)
    why = (
        f"its change was made {duration(window.now - made)} ago ({moment(made)}), the ledger keeps "
        f"a key for {window.retention_days} days after its last change, and has no entry of this "
        "key: a newer change may have been applied and forgotten, and this one would overwrite it"
    )
    if not direct and made + window.retention - window.margin(direct=True) > window.now:
        return Refused(
            why.replace("has no entry of this key", "may forget this key while the record waits"),
            f"{_direct(stored)}, which does not wait in the stream",
        )
    return Refused(why, COMPARE)


def _made_at(change: Change) -> float:
    return change.version.micros / 1_000_000


def _outlives(item: Mapping[str, Any] | None, until: float) -> bool:
    """Return True if a key's entry exists and does not expire before then."""
    return item is not None and ("x" not in item or int(item["x"]["N"]) > until)
