"""The witness of a switch: the answers that the application got, beside what the tables hold.

It shares no code with the product. It knows each attempt of the application, each write that took
effect at the server, and both tables as they are in the end, read with root credentials.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.local.data.compare import fingerprint
from infra.local.data.items import Item, TableShape
from infra.local.workload.attempts import Outcome, WriteAttempt
from infra.local.workload.place import Side
from infra.local.workload.server_writes import ServerWrite

Contents = Mapping[str, str]
"""Digests of items by digests of keys."""
ABSENT = ""


@dataclass(frozen=True)
class Evidence:
    """All that the witness knows. Instants in seconds of the machine's monotonic clock."""

    attempts: Sequence[WriteAttempt]
    moving: frozenset[str]
    """The writers that write where the place file says."""
    writes: Mapping[Side, Sequence[ServerWrite]]
    """The writes that each table took since the application began, by any caller, in order."""
    callers: frozenset[str]
    """The application's, in both accounts."""
    contents: Mapping[Side, Contents]
    """Both tables in the end."""
    fenced: bool = True
    """Whether a policy refused the writers. False: they were stopped, and none was left behind."""

    def taken(self, side: Side) -> list[ServerWrite]:
        """Return the application's writes that a table took."""
        return [write for write in self.writes[side] if write.caller in self.callers]

    def acknowledged(self, side: Side) -> list[WriteAttempt]:
        """Return the writes of one side that were acknowledged."""
        return [
            each for each in self.attempts if each.side == side and each.outcome == "acknowledged"
        ]


@dataclass(frozen=True)
class Stretch:
    """The time in which a writer was moved and could not write."""

    writer: str
    start: float
    """Of the first attempt that failed; where none did, the end of the write before."""
    end: float
    """Of the first that was acknowledged again."""

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(frozen=True)
class SwitchVerdict:
    """The judgement of a switch. Without findings, the switch was clean."""

    findings: tuple[str, ...]
    """A sentence each."""
    acknowledged: Mapping[Side, int]
    outcomes: Mapping[Outcome, int]
    stretches: tuple[Stretch, ...] = field(default=())
    """One of each writer that has moved."""
    source_closed: float | None = None
    """The last write that the source took from the application."""
    target_opened: float | None = None
    """The first write that the target took from it."""

    @property
    def refused_since(self) -> float | None:
        """The first moment at which a writer that moves could not write."""
        return min((each.start for each in self.stretches), default=None)

    @property
    def longest_seconds(self) -> float:
        """The longest time for which one writer could not write."""
        return max((each.seconds for each in self.stretches), default=0.0)

    @property
    def all_moved(self) -> float | None:
        """The time at which the last writer was let into the target."""
        return max((each.end for each in self.stretches), default=None)


def judge(evidence: Evidence) -> SwitchVerdict:
    """Judge a switch that is over."""
    closed = max((write.at for write in evidence.taken("source")), default=None)
    opened = min((write.at for write in evidence.taken("target")), default=None)
    findings = (
        *_lost(evidence),
        *_both_open(evidence, closed, opened),
        *_untraced(evidence),
        *_others(evidence, opened),
        *_differing_elsewhere(evidence),
        *_unproved(evidence),
    )
    return SwitchVerdict(
        findings=findings,
        acknowledged={
            "source": len(evidence.acknowledged("source")),
            "target": len(evidence.acknowledged("target")),
        },
        outcomes=Counter(each.outcome for each in evidence.attempts),
        stretches=tuple(_stretches(evidence)),
        source_closed=closed,
        target_opened=opened,
    )


def contents(dynamodb: Any, table: str, shape: TableShape, now: float) -> Contents:
    """Return the digests of all items of a table, read consistently.

    Items that have expired by `now` (epoch seconds) are left out: they may be there or not.
    """
    pages = dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return {
        fingerprint(shape.keys.key_of(item)).hex(): fingerprint(item).hex()
        for page in pages
        for item in page["Items"]
        if not _has_expired(item, shape.expiry, now)
    }


def _has_expired(item: Item, attribute: str, now: float) -> bool:
    at = item.get(attribute, {}).get("N")
    return at is not None and float(at) <= now


def _lost(evidence: Evidence) -> Iterator[str]:
    """Compare the target's item of each key with the last content that was acknowledged."""
    lost: Counter[str] = Counter()
    refused = never = 0
    for key, attempts in _by_key(evidence.attempts).items():
        there = evidence.contents["target"].get(key, ABSENT)
        done = [each for each in attempts if each.outcome == "acknowledged"]
        last = max(done, key=lambda each: each.count, default=None)
        later = [each for each in attempts if last is None or each.count > last.count]
        possible = {each.content for each in later if each.outcome == "unknown"}
        if there in possible | {last.content if last else ABSENT}:
            continue
        if there in {each.content for each in later}:
            refused += 1
        elif last is None:
            never += 1
        else:
            lost[last.writer] += 1
    for writer, keys in sorted(lost.items()):
        yield (
            f"Acknowledged writes are lost: {keys:,} keys of {writer} do not hold in the target "
            "what was acknowledged last."
        )
    if refused:
        yield f"Refused writes took effect: {refused:,} keys hold in the target what was refused."
    if never:
        yield f"{never:,} keys hold in the target what the application has never written."


def _both_open(evidence: Evidence, closed: float | None, opened: float | None) -> Iterator[str]:
    """Look for a write in the source that is no earlier than one in the target."""
    if closed is not None and opened is not None and closed >= opened:
        late = sum(write.at >= opened for write in evidence.taken("source"))
        yield (
            f"Both tables took writes: the source took {late:,}, up to {closed - opened:.3f} s "
            "after the target's first."
        )
    began = max((each.start for each in evidence.acknowledged("source")), default=None)
    ended = min((each.end for each in evidence.acknowledged("target")), default=None)
    if began is not None and ended is not None and began > ended:
        yield (
            "Both tables took writes, as the application saw it: a write of the source began "
            f"{began - ended:.3f} s after one of the target was acknowledged."
        )


def _untraced(evidence: Evidence) -> Iterator[str]:
    """Look for acknowledged writes that the table they were sent to did not take then."""
    for side in ("source", "target"):
        instants: defaultdict[str, list[float]] = defaultdict(list)
        for write in evidence.taken(side):
            instants[write.key].append(write.at)
        missing = sum(
            not any(each.start <= at <= each.end for at in instants[each.key])
            for each in evidence.acknowledged(side)
        )
        if missing:
            yield f"The {side} did not take {missing:,} of the writes that were acknowledged there."


def _others(evidence: Evidence, opened: float | None) -> Iterator[str]:
    """Look for writers of the target besides the application, once that writes there."""
    if opened is None:
        return
    late = Counter(
        write.caller
        for write in evidence.writes["target"]
        if write.at > opened and write.caller not in evidence.callers
    )
    for caller, count in sorted(late.items()):
        yield f"{caller} wrote {count:,} items in the target while the application wrote there."


def _differing_elsewhere(evidence: Evidence) -> Iterator[str]:
    """Compare the items that the application has not written: nothing changes them."""
    attempted = {each.key for each in evidence.attempts}
    source, target = evidence.contents["source"], evidence.contents["target"]
    others = (source.keys() | target.keys()) - attempted
    differing = sum(source.get(key) != target.get(key) for key in others)
    if differing:
        yield f"{differing:,} items that the application has not written are not equal."


def _unproved(evidence: Evidence) -> Iterator[str]:
    """Name what was not tried, so that nothing is proved of it."""
    moving = [each for each in evidence.attempts if each.writer in evidence.moving]
    fixed = [each for each in evidence.attempts if each.writer not in evidence.moving]
    refusals = (
        (moving, "source", "refused", "No moving writer was ever refused in the source."),
        (fixed, "source", "refused", "No write was tried in the source once it was closed."),
    )
    tried = (
        (moving, "source", "acknowledged", "No moving writer wrote into the source."),
        (moving, "target", "acknowledged", "No moving writer wrote into the target."),
        (fixed, "target", "refused", "No write was tried in the target while it was closed."),
        *(refusals if evidence.fenced else ()),
    )
    for attempts, side, outcome, sentence in tried:
        if not any(each.side == side and each.outcome == outcome for each in attempts):
            yield f"Not proved. {sentence}"


def _stretches(evidence: Evidence) -> Iterator[Stretch]:
    """Yield each moving writer's time from its last write in the source to its first in the target.

    Earlier times, those of switches that were taken back, are not among them.
    """
    for writer in sorted(evidence.moving):
        mine = [each for each in evidence.attempts if each.writer == writer]
        there = [each for each in mine if (each.side, each.outcome) == ("target", "acknowledged")]
        if not there:
            continue
        first = min(there, key=lambda each: each.start)
        before = [each for each in mine if each.end <= first.start]
        ends = [each.end for each in before if each.outcome == "acknowledged"]
        if ends:
            failed = [each.start for each in before if each.start >= max(ends)]
            yield Stretch(writer, min(failed, default=max(ends)), first.end)


def _by_key(attempts: Iterable[WriteAttempt]) -> Mapping[str, Sequence[WriteAttempt]]:
    found: defaultdict[str, list[WriteAttempt]] = defaultdict(list)
    for each in attempts:
        found[each.key].append(each)
    return found
