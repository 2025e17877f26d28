"""Mends what differs: the source's item, or its absence, through the consumer's guard.

The version is the export's time less two minutes, or that of a read less one: whatever the consumer
has applied since is newer and stays. A later version could mask a change that is still on its way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from bootstrap.verify.compare.partitions import Difference
from bootstrap.verify.judge.attributes import DifferenceDetail
from bootstrap.verify.judge.classify import Judgement
from replicator.call_context import CallContext
from replicator.change import MICROSECOND, Change, Entry, Version
from replicator.consumer.outcome import Applied, Rejected, Result, Retry, Superseded
from replicator.consumer.writer import Attempt, ConditionalWriter
from replicator.runtime import Deadline, Runtime

AT_ONCE = 100
BYTES_AT_ONCE = 8 << 20
CALL_MILLIS = 120_000
"""As long as the Lambda has for a batch."""
MOST_UNCONFIRMED = 1_000
"""More differences than this are a sign of something else than gaps: they are mended on request."""

APPLIED = "applied"
CHANGED = "not applied: the key was changed since; a later verification, or --read-source, mends it"
REFUSED = "not applied: the target refuses the item"
SAME_TIME = "not applied: a change of the very same time; a later verification mends it"


@dataclass(eq=False)
class Repair(Change):
    """A change to the source's item. Of the target's item, only the digest has to be there."""

    difference: Difference

    @cached_property
    def entry(self) -> Entry:
        """With the images that were compared."""
        ours, theirs = self.difference.source_image, self.difference.target_image
        return Entry(self.version, image=ours, previous=theirs)


@dataclass(frozen=True)
class Repairer:
    """The guard, in the operator's process. `expire`: whether ledger entries may expire."""

    guard: ConditionalWriter
    effects: Runtime
    expire: Callable[[], bool]

    def apply(self, changes: Sequence[Change]) -> list[str]:
        """What became of each change, in words."""
        heard: list[str] = []

        def trouble(operation: str, code: str, message: str) -> None:
            heard.append(f"{operation}: {code} {message}".strip())

        terms = CallContext(Deadline(self.effects, CALL_MILLIS), trouble, self.expire())
        results = self.guard.apply([Attempt(change) for change in changes], terms)
        return [_describe(result, heard) for result in results]


def apply_repairs(
    told: Iterable[tuple[DifferenceDetail, Judgement, int]], repairer: Repairer
) -> Iterator[tuple[DifferenceDetail, Judgement, str]]:
    """Applies the source's items, some at a time, each with a version in µs; says what became of
    each.

    """
    group: list[tuple[DifferenceDetail, Judgement, Change]] = []
    size = 0
    for each, judgement, micros in told:
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


def _describe(result: Result, heard: Sequence[str]) -> str:
    if isinstance(result, Applied):
        return APPLIED
    if isinstance(result, Superseded):
        return CHANGED
    if isinstance(result, Rejected):
        return REFUSED
    if isinstance(result, Retry):
        return f"not applied: {result.why}; {'; '.join(dict.fromkeys(heard))}".rstrip("; ")
    return SAME_TIME
