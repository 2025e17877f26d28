"""An estimate of time and cost: ranges, from an inspection alone."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from bootstrap.plan import cost_model
from bootstrap.plan.cost_model import Load, Prices, bill
from bootstrap.plan.inspection import Inspection

GB = 1e9
RETENTIONS = (365, 30, 7)
"""Days of retention that costs are shown for."""
SHARD_FILL = 1e6
SHARD_READ = 2e6
"""Bytes a second that a shard takes and gives (Kinesis developer guide, quotas)."""

# AWS documents no rate. Assumed, from small tables that take minutes to large ones that AWS exports
# in parallel: (least seconds, most seconds, most GB an hour, least GB an hour).
EXPORT_PACE = (300.0, 1_800.0, 1_000.0, 50.0)
IMPORT_PACE = (300.0, 1_800.0, 500.0, 40.0)


@dataclass(frozen=True)
class Span:
    """From the least to the most, in seconds."""

    least: float
    most: float

    def __add__(self, other: Span) -> Span:
        return Span(self.least + other.least, self.most + other.most)


@dataclass(frozen=True)
class Estimate:
    """Sizes as DynamoDB last counted them, which may be six hours ago; costs in US dollars."""

    items: int
    size_bytes: int
    changes_per_second: float
    export: Span
    load: Span
    catch_up: Span | None
    """None: the stream fills faster than it can be read."""
    once: float
    monthly: tuple[tuple[int, float], ...]
    """By days of retention."""

    @property
    def until_read(self) -> Span:
        """From the first change in the stream until the consumer has read it."""
        return self.export + self.load + (self.catch_up or Span(0, 0))


def estimate(inspection: Inspection, price: Prices = cost_model.PRICES) -> Estimate:
    """Estimate times and costs of a run and of the months after it."""
    source = inspection.source.table
    items = source.items if source else 0
    size = source.size_bytes if source else 0
    item_bytes = max(1, round(size / items)) if items else 1_024
    changes = inspection.source.writes.mean / max(1, -(-item_bytes // cost_model.BILLED_CHUNK))
    load = Load(changes_per_second=changes, item_bytes=item_bytes, table_gb=size / GB)
    export, load_time = _span(size / GB, EXPORT_PACE), _span(size / GB, IMPORT_PACE)
    filled = changes * cost_model.record_bytes(item_bytes, load.update_share)
    return Estimate(
        items=items,
        size_bytes=size,
        changes_per_second=changes,
        export=export,
        load=load_time,
        catch_up=_catch_up(export + load_time, filled / max(1, inspection.shards)),
        once=sum(line.once for line in bill(load, price)),
        monthly=tuple((days, _month(load, days, price)) for days in RETENTIONS),
    )


def _span(gb: float, pace: tuple[float, float, float, float]) -> Span:
    least, most, fast, slow = pace
    return Span(least + gb / fast * 3600, most + gb / slow * 3600)


def _catch_up(behind: Span, filled: float) -> Span | None:
    """Return the time to read a backlog, or None if it never shrinks.

    It shrinks by what is read beyond what arrives meanwhile. `filled`: bytes a second and shard.
    """
    if filled >= SHARD_READ:
        return None
    share = filled / (SHARD_READ - filled)
    return Span(60 + behind.least * share, 600 + behind.most * share)


def _month(load: Load, days: int, price: Prices) -> float:
    lines = bill(dataclasses.replace(load, retention_days=days), price)
    return sum(line.monthly or 0.0 for line in lines)
