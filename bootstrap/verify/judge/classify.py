"""What a differing key means while writers go on. Pure: no AWS, no clock.

The source's export is the truth as of its time Ts. What was changed after that cannot be judged by
it: the ledger knows which keys those are, because the consumer writes it with each item.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from bootstrap.core.durations import EXPORT_FUZZ
from bootstrap.verify.compare.partitions import Difference
from replicator.change import MICROSECOND, Entry, Version

FUZZ = round(EXPORT_FUZZ * 1e6)
"""µs by which an export may reach beyond or fall short of its time."""

MARGIN = 2 * FUZZ
"""An entry later than Ts less this was changed since: the fuzz, and as much again for the distance
between a change's timestamp and the export's clock, which is undocumented."""


class Judgement(Enum):
    """What is known of a key whose items differ."""

    DIFFERENCE = "difference"
    """The target is not what the source was, and no change explains it."""
    CHANGED_SINCE = "changed-since"
    """These exports cannot say: it was, or may have been, changed after them. A later one can."""
    FOREIGN = "foreign"
    """The target's item is not what the consumer wrote there: somebody else wrote it."""
    FOREIGN_SINCE = "foreign-since"
    """The same of a key changed after the source's export, which is too old to mend it."""
    REPAIRED = "repaired"
    """A repair by these very exports, which was stopped, has put the source's item there."""

    @property
    def foreign(self) -> bool:
        return self in (Judgement.FOREIGN, Judgement.FOREIGN_SINCE)


@dataclass(frozen=True)
class Moments:
    """When things were. µs since 1970, by AWS's clock; `fuzz` and `margin` scale with it.

    `source`, `target`: ExportTime of both.
    `applied_by_target`: every change made up to this moment had been applied one `fuzz` or more
    before the target's export. None where nobody knows, as with exports that were there before:
    then only keys without an entry can be told to differ.
    `applied_by_now`: every change made up to this moment had been applied when the ledger's entries
    were read. They have to be read after the target's export.
    """

    source: int
    target: int
    applied_by_target: int | None
    applied_by_now: int
    fuzz: int = FUZZ
    margin: int = MARGIN
    repairing: bool = False
    """Whether a repair by these exports has begun before. It is later than both of them."""

    @property
    def repair_version(self) -> int:
        """The version of what a repair by these exports applies."""
        return self.source - self.margin

    @property
    def judgeable(self) -> bool:
        """Whether the consumer was caught up past all that the source's export can hold."""
        return self.applied_by_now >= self.source + self.fuzz

    def complete_until(self, *, all_judged: bool) -> int:
        """Up to when (µs) no change is missing in the target, once no difference is left; 0: it
        cannot be said.

        A key that was changed since has an entry of after that: what it lacked from before, that
        newer change has replaced. Where it is not known what the target's export can hold, even
        equal keys say nothing: both sides may lack the same, and a change be on its way.
        """
        certain = self.source - self.margin
        if self.applied_by_target is None or not self.judgeable:
            return 0
        if all_judged:
            return certain
        return min(certain, self.applied_by_target, self.target - self.fuzz)


def judge(difference: Difference, entry: Entry | None, moments: Moments) -> Judgement:
    """Judges a key that differs by its ledger entry (None: it has none).

    - Not caught up past the source's export: the missing change may be on its way.
    - Changed after the source's export, less the margin: that export cannot judge it. Its item has
      to be what its entry says, though, if that was applied before the target's export: foreign.
    - Its entry is exactly what a repair by these exports writes, and one has begun: mended.
    - Not changed since, and applied before the target's export: it differs. Where the entry says
      what the source says, the consumer did its part, and somebody else wrote to the target.
    """
    if not moments.judgeable:
        return Judgement.CHANGED_SINCE
    if entry is None:
        return Judgement.DIFFERENCE
    micros = entry.version.micros
    known = moments.applied_by_target
    applied = known is not None and micros <= min(known, moments.target - moments.fuzz)
    if not applied:
        # The target's export may be from before this change, or from after it.
        return Judgement.CHANGED_SINCE
    # To the microsecond: no change has that time but by an odd chance, and then its image, too.
    ours = moments.repairing and entry.version == Version(moments.repair_version, MICROSECOND)
    if ours and difference.source_image == entry.image:
        return Judgement.REPAIRED
    changed = micros > moments.source - moments.margin
    if difference.target_image == entry.image:
        return Judgement.CHANGED_SINCE if changed else Judgement.DIFFERENCE
    if changed:
        return Judgement.FOREIGN_SINCE
    return Judgement.FOREIGN if difference.source_image == entry.image else Judgement.DIFFERENCE
