"""The changes that a source table makes, minute by minute, as its metrics of a day show them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest

from bootstrap.plan.cost_inputs import BILLED_CHUNK, record_bytes
from bootstrap.plan.inspection import Inspection

UPDATE_SHARE = 0.25
"""Assumed: changes that modify an item rather than make or delete one."""
UNKNOWN_ITEM_BYTES = 1_024
MINUTE = 60.0


@dataclass(frozen=True)
class Workload:
    """Changes a second. Deletions by time to live are changes too, and cost the source nothing."""

    item_bytes: int
    """Of the average item."""
    minutes: tuple[float, ...] = ()
    """Each minute of the day: writes and deletions by time to live."""
    writes: float = 0.0
    """On average, without deletions by time to live."""
    expired: float = 0.0
    """Deletions by time to live, on average."""

    @property
    def mean(self) -> float:
        return self.writes + self.expired

    @property
    def peak(self) -> float:
        """The busiest minute."""
        return max(self.minutes, default=0.0)

    @property
    def record_bytes(self) -> float:
        """The size of the average change record on the stream."""
        return record_bytes(self.item_bytes, UPDATE_SHARE)

    def longest_delay(self, most: float) -> float:
        """Return the seconds that a change waits at worst where `most` changes a second get in.

        What arrives beyond that waits, as DynamoDB keeps it and tries again, in its order.
        """
        waiting = longest = 0.0
        for arriving in self.minutes:
            waiting = max(0.0, waiting + (arriving - most) * MINUTE)
            longest = max(longest, waiting)
        return longest / most


def derive_workload(inspection: Inspection) -> Workload:
    """Derive the changes from the write units and the deletions of the last day."""
    source, metrics = inspection.source.table, inspection.source.writes
    item_bytes = UNKNOWN_ITEM_BYTES
    if source is not None and source.items:
        item_bytes = max(1, round(source.size_bytes / source.items))
    units = max(1, -(-item_bytes // BILLED_CHUNK))
    pairs = zip_longest(metrics.minutes, metrics.expired, fillvalue=0.0)
    return Workload(
        item_bytes=item_bytes,
        minutes=tuple(written / units + expired for written, expired in pairs),
        writes=metrics.mean / units,
        expired=sum(metrics.expired) / max(1, len(metrics.expired)),
    )
