"""The judgement of a differing key while writers continue, as pure functions.

The source's export is the truth as of its time Ts. It cannot judge keys changed later. The ledger
shows which keys those are, because the consumer writes it with each item.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from bootstrap.core.durations import EXPORT_FUZZ
from bootstrap.verify.compare.partitions import Difference
from replicator.change import MICROSECOND, Entry, Version

FUZZ = round(EXPORT_FUZZ * 1e6)
"""µs by which an export's content may be earlier or later than its time."""

MARGIN = 2 * FUZZ
"""A key whose entry is later than Ts minus this was changed since: the fuzz, and as much again for
the undocumented distance between a change's timestamp and the export's clock."""


class Judgement(Enum):
    """The result for a key whose items differ."""

    DIFFERENCE = "difference"
    """The target's item is not the source's, and no change explains that."""
    CHANGED_SINCE = "changed-since"
    """Changed, or perhaps changed, after these exports. A later export can judge it."""
    FOREIGN = "foreign"
    """The target's item is not what the consumer wrote: another writer changed it."""
    FOREIGN_SINCE = "foreign-since"
    """Foreign, and changed after the source's export, which is too old to repair it."""
    REPAIRED = "repaired"
    """An interrupted repair by these same exports has written the source's item."""

    @property
    def foreign(self) -> bool:
        return self in (Judgement.FOREIGN, Judgement.FOREIGN_SINCE)


@dataclass(frozen=True)
class Moments:
    """The times that judging depends on, in µs since 1970 by AWS's clock.

    `source`, `target`: ExportTime of both.
    `applied_by_target`: every change made up to this moment was applied at least one `fuzz` before
    the target's export. None if unknown, as with existing exports: then only keys without an entry
    can be judged different.
    `applied_by_now`: every change made up to this moment was applied when the ledger's entries were
    read, which must be after the target's export.
    """

    source: int
    target: int
    applied_by_target: int | None
    applied_by_now: int
    fuzz: int = FUZZ
    margin: int = MARGIN
    repairing: bool = False
    """True if a repair by these exports has begun. It is later than both of them."""

    @property
    def repair_version(self) -> int:
        """The version of the changes that a repair by these exports applies."""
        return self.source - self.margin

    @property
    def judgeable(self) -> bool:
        """True if the consumer has applied everything that the source's export can contain."""
        return self.applied_by_now >= self.source + self.fuzz

    def complete_until(self, *, all_judged: bool) -> int:
        """Return the µs up to which no change is missing in the target; 0 if unknown.

        Assumes that no difference is left. A key changed since has a later entry: that newer change
        has replaced whatever was missing before. If the content of the target's export is not
        known, even equal keys prove nothing: both sides may lack a change that is on its way.
        """
        certain = self.source - self.margin
        if self.applied_by_target is None or not self.judgeable:
            return 0
        if all_judged:
            return certain
        return min(certain, self.applied_by_target, self.target - self.fuzz)


def judge(difference: Difference, entry: Entry | None, moments: Moments) -> Judgement:
    """Judge a differing key by its ledger entry (None: it has none).

    - Not caught up past the source's export: changed since. The missing change may be on its way.
    - Changed after the source's export minus the margin: changed since. But an entry applied before
      the target's export must describe the target's item; otherwise the item is foreign.
    - The entry is exactly what a repair by these exports writes, and one has begun: repaired.
    - Not changed since, and applied before the target's export: a difference. If the entry agrees
      with the source, the consumer applied the change and another writer replaced it: foreign.
    """
    if not moments.judgeable:
        return Judgement.CHANGED_SINCE
    if entry is None:
        return Judgement.DIFFERENCE
    micros = entry.version.latest
    known = moments.applied_by_target
    applied = known is not None and micros <= min(known, moments.target - moments.fuzz)
    if not applied:
        # The target's export may be earlier or later than this change.
        return Judgement.CHANGED_SINCE
    # Equal to the microsecond and in its image: a real change could match only by chance.
    made = Version(entry.version.micros, entry.version.precision)
    ours = moments.repairing and made == Version(moments.repair_version, MICROSECOND)
    if ours and difference.source_image == entry.image:
        return Judgement.REPAIRED
    changed = micros > moments.source - moments.margin
    if difference.target_image == entry.image:
        return Judgement.CHANGED_SINCE if changed else Judgement.DIFFERENCE
    if changed:
        return Judgement.FOREIGN_SINCE
    return Judgement.FOREIGN if difference.source_image == entry.image else Judgement.DIFFERENCE
