"""An estimate of time and cost: ranges, from an inspection alone."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from bootstrap.core.facts import TableFacts
from bootstrap.plan.bulk_units import bulk_rates, local_index_bytes, write_units
from bootstrap.plan.cost_inputs import CostInputs
from bootstrap.plan.cost_model import CostLine, bill, unpriced
from bootstrap.plan.indexes import carried_indexes
from bootstrap.plan.inspection import Inspection
from bootstrap.plan.prices import PRICES, Prices
from bootstrap.plan.replication import Replication
from bootstrap.plan.stream_throughput import (
    NEW_ON_DEMAND_SHARDS,
    SHARD_READ_BYTES,
    StreamThroughput,
    shards_for,
    throughput,
)
from bootstrap.plan.verification_estimate import VerificationEstimate, estimate_verification
from bootstrap.plan.workload import UPDATE_SHARE, Workload, derive_workload

GB = 1e9
RETENTIONS = (365, 30, 7)
"""Days of retention that costs are shown for."""
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
    bill: tuple[CostLine, ...] = ()
    """Line by line, at the first of these retentions."""
    load_evidence: str = ""
    """Where the time of the load comes from."""
    unpriced: tuple[str, ...] = ()
    """What the costs lack, because its price is unknown."""
    other_month: float | None = None
    """A month with the other buffer; None: not asked."""
    verification: VerificationEstimate | None = None
    """Of one comparison of both tables; their exports take as long as the export above."""

    @property
    def until_read(self) -> Span:
        """From the first change in the stream until the consumer has read it."""
        return self.export + self.load + (self.catch_up or Span(0, 0))


def estimate(inspection: Inspection, replication: Replication, price: Prices = PRICES) -> Estimate:
    """Estimate times and costs of a run and of the months after it."""
    source, made = inspection.source.table, derive_workload(inspection)
    size = source.size_bytes if source else 0
    inputs = cost_inputs_of(inspection, replication)
    retentions = (1,) if replication.reads_table_stream else RETENTIONS
    export = _span(size / GB, EXPORT_PACE)
    load_time, evidence = _load_time(inspection, replication)
    return Estimate(
        items=source.items if source else 0,
        size_bytes=size,
        changes_per_second=made.mean,
        export=export,
        load=load_time,
        catch_up=_catch_up(export + load_time, made, throughput(inspection, replication)),
        once=sum(line.once for line in bill(inputs, price)),
        monthly=tuple((days, _month(inputs, days, price)) for days in retentions),
        bill=tuple(bill(dataclasses.replace(inputs, retention_days=retentions[0]), price)),
        load_evidence=evidence,
        unpriced=tuple(unpriced(inputs, price)),
        other_month=_month(_with_other_buffer(inputs), RETENTIONS[0], price),
        verification=estimate_verification(
            source.items if source else 0,
            size,
            workers=replication.glue_workers,
            dpus=replication.glue_dpus,
            price=price,
        ),
    )


def cost_inputs_of(inspection: Inspection, replication: Replication) -> CostInputs:
    """Return what a bill depends on: the source's size and changes, and the stack's settings."""
    source, made = inspection.source.table, derive_workload(inspection)
    stream = throughput(inspection, replication)
    # A stream on demand splits for what arrives.
    shards = max(stream.shards, math.ceil(shards_for(made.mean, made)) if stream.on_demand else 0)
    return CostInputs(
        changes_per_second=made.writes,
        expired_per_second=made.expired,
        item_bytes=made.item_bytes,
        table_gb=source.size_bytes / GB if source else 0.0,
        update_share=UPDATE_SHARE,
        index_units_per_second=sum(index.mean for index in inspection.source.index_writes.values()),
        index_gb=index_bytes(source) / GB if source else 0.0,
        local_index_gb=local_index_bytes(source) / GB if source else 0.0,
        bulk=replication.load.is_bulk,
        infrequent_access=source is not None and source.table_class != "STANDARD",
        shards=int(shards),
        provisioned=not stream.on_demand,
        parallelization_factor=replication.parallelization_factor,
        keys=(0 if replication.stream_key_arn or replication.reads_table_stream else 1)
        + replication.made_key_count,
        table_stream=replication.reads_table_stream,
        other_region=replication.target_region != replication.consumer_region,
    )


def _with_other_buffer(inputs: CostInputs) -> CostInputs:
    """Return the inputs of the same replication with the other buffer, and AWS's defaults for it.

    A stream that the stack makes has a key that it makes, too.
    """
    if not inputs.table_stream:
        return dataclasses.replace(inputs, table_stream=True, keys=max(0, inputs.keys - 1))
    return dataclasses.replace(
        inputs,
        table_stream=False,
        provisioned=False,
        keys=inputs.keys + 1,
        shards=max(inputs.shards, NEW_ON_DEMAND_SHARDS),
    )


def index_bytes(source: TableFacts) -> int:
    """Return the size of the global indexes that the target gets, as DynamoDB counted it last."""
    return sum(int(index.get("IndexSizeBytes", 0)) for index in carried_indexes(source))


def _load_time(inspection: Inspection, replication: Replication) -> tuple[Span, str]:
    """Return the time of the load, and what it is estimated from."""
    source = inspection.source.table
    if not replication.load.is_bulk:
        size = source.size_bytes if source else 0
        return _span(size / GB, IMPORT_PACE), "AWS documents no rate of imports: assumed"
    units, rates = write_units(source), bulk_rates(inspection, replication)
    least, most = IMPORT_PACE[:2]
    return (
        Span(least + units / rates.fast, most + units / rates.slow),
        f"{rates.evidence}; AWS documents no rate of bulk puts: assumed",
    )


def _span(gb: float, pace: tuple[float, float, float, float]) -> Span:
    least, most, fast, slow = pace
    return Span(least + gb / fast * 3600, most + gb / slow * 3600)


def _catch_up(behind: Span, workload: Workload, stream: StreamThroughput) -> Span | None:
    """Return the time to read a backlog, or None if it never shrinks.

    It shrinks by what is read beyond what arrives meanwhile. A stream on demand has shards for what
    arrives, now or soon.
    """
    filled = shards_for(workload.mean, workload)
    if filled >= stream.most:
        return None
    shards = max(stream.shards, filled)
    arriving = workload.mean * workload.record_bytes / shards
    share = arriving / (SHARD_READ_BYTES - arriving)
    return Span(60 + behind.least * share, 600 + behind.most * share)


def _month(inputs: CostInputs, days: int, price: Prices) -> float:
    lines = bill(dataclasses.replace(inputs, retention_days=days), price)
    return sum(line.monthly or 0.0 for line in lines)
