"""The state of both accounts before anything is done. Reads only."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from bootstrap.core.bulk_facts import BulkFacts
from bootstrap.core.durations import Timing
from bootstrap.core.errors import AccessDeniedError, AccountError
from bootstrap.core.facts import (
    Backups,
    Datapoint,
    Destinations,
    EventSource,
    Limits,
    Surroundings,
    TableFacts,
    TtlStatus,
)
from bootstrap.core.ports import BulkLoads, ItemScanner, SourceAccount, TargetAccount
from bootstrap.core.table_stream_facts import VIEW
from bootstrap.plan.key_inspection import KeyInspection, inspect_keys
from bootstrap.plan.replication import AdoptedStream, Deployment, Replication
from replicator.stream import StreamFacts

T = TypeVar("T")

DATAPOINTS = 1_400
"""Nearly a day of minutes. CloudWatch returns up to 1,440 a call."""


@dataclass(frozen=True)
class WriteMetrics:
    """The source's writes over the last day, in units a second."""

    peak: float
    """The busiest minute."""
    mean: float
    throttled_partitions: int
    """Writes that a partition refused because it was too busy."""
    minutes: tuple[float, ...] = ()
    """Each minute in turn."""
    expired: tuple[float, ...] = ()
    """Items that time to live deleted, a second, in the same minutes. They cost no write units."""


@dataclass(frozen=True)
class IndexWrites:
    """The writes of an index over the last day, in units a second."""

    peak: float
    """The busiest minute."""
    mean: float


@dataclass(frozen=True)
class SourceInspection:
    """The source table and what belongs to it."""

    table: TableFacts | None
    destinations: Destinations
    backups: Backups | None
    tags: Mapping[str, str]
    ttl: TtlStatus
    writes: WriteMetrics
    running_exports: int | None
    """Of the whole account; None: unknown."""
    index_writes: Mapping[str, IndexWrites] = field(default_factory=dict)
    """By global secondary index."""
    surroundings: Surroundings = field(default_factory=Surroundings)
    """Read by a full inspection only."""
    stream_policy: str | None = None
    """Of the table's own stream, where it is the buffer and on. Read by a full inspection only.
    None: it has none, or it is unread."""


@dataclass(frozen=True)
class TargetInspection:
    """The target table, if it exists, and the account's limits."""

    table: TableFacts | None
    limits: Limits
    running_imports: int | None
    """Of the whole account; None: unknown."""
    concurrency: int | None
    """Invocations that functions without a reservation share; None if it could not be read."""
    backups: Backups | None = None
    """Like tags and TTL, read by a full inspection only."""
    tags: Mapping[str, str] = field(default_factory=dict)
    ttl: TtlStatus = field(default_factory=lambda: TtlStatus(False))


@dataclass(frozen=True)
class PipelineInspection:
    """The deployed stream and mapping."""

    stream: StreamFacts
    mapping: EventSource | None
    """None: the mapping is gone."""
    shards: int
    """Open ones."""


@dataclass(frozen=True)
class AdoptedInspection:
    """An adopted stream, and its resource policy."""

    stream: StreamFacts
    shards: int
    """Open ones."""
    policy: str | None
    """None: it has none, or it is unread."""
    refused: str = ""
    """AWS's code, if the policy may not be read."""


@dataclass(frozen=True)
class AdoptedTableInspection:
    """An adopted target table before its load. None: unknown."""

    empty: bool | None = None
    """By a strongly consistent read of at most one item."""
    destinations: Destinations | None = None
    loads: Sequence[BulkFacts] | None = None
    """Bulk puts into the table that have not ended, of any caller."""


@dataclass(frozen=True)
class AdoptedTableClients:
    """Readers of a target table that is to be loaded."""

    items: ItemScanner
    loads: BulkLoads


@dataclass(frozen=True)
class Inspection:
    """A table's replication as both accounts show it."""

    source: SourceInspection
    target: TargetInspection
    pipeline: PipelineInspection | None
    """None before the stack is deployed, and where the buffer is the table's own stream."""
    keys: KeyInspection = field(default_factory=KeyInspection)
    unread: tuple[AccountError, ...] = ()
    """Listings that failed, where the reader tolerates it: what they list is unknown."""
    adopted: AdoptedInspection | None = None
    """None: the stream is the stack's."""
    adopted_table: AdoptedTableInspection | None = None
    """None: the target table is not adopted, does not exist, or was not asked."""

    @property
    def shards(self) -> int:
        """Open shards of the stream. 0 before there is one."""
        if self.adopted:
            return self.adopted.shards
        return self.pipeline.shards if self.pipeline else 0


def inspect(
    source: SourceAccount,
    target: TargetAccount,
    replication: Replication,
    timing: Timing,
    now: float,
    *,
    load: AdoptedTableClients | None = None,
    full: bool = False,
    tolerant: bool = False,
) -> Inspection:
    """Read both accounts. Change nothing.

    `now` is approximate, in epoch seconds: AWS returns the exact time. `full` also reads settings
    that no blocker depends on. `tolerant` continues where a listing fails, and says so in `unread`.
    `load`: what reads an adopted target table before its load; None: it is not asked.
    """
    listings = _Listings(tolerant)
    seen = _source(source, replication, timing, now, listings, full=full)
    deployment = replication.deployment
    there = _target(target, replication, listings, full=full)
    return Inspection(
        source=seen,
        target=there,
        pipeline=_pipeline(source, target, deployment, listings)
        if deployment and not replication.reads_table_stream
        else None,
        keys=inspect_keys(source, target, replication, seen.table),
        adopted=_adopted(source, replication.adopted, listings) if replication.adopted else None,
        adopted_table=_adopted_table(target, there.table, replication, load, listings),
        unread=tuple(listings.unread),
    )


class _Listings:
    """Reads listings. A tolerant reader keeps their errors."""

    def __init__(self, tolerant: bool) -> None:
        self._tolerant = tolerant
        self.unread: list[AccountError] = []

    def read(self, listing: Callable[[], T], otherwise: T) -> T:
        try:
            return listing()
        except AccountError as error:
            if not self._tolerant:
                raise
            self.unread.append(error)
            return otherwise


def _source(
    source: SourceAccount,
    replication: Replication,
    timing: Timing,
    now: float,
    listings: _Listings,
    *,
    full: bool,
) -> SourceInspection:
    name = replication.source_table
    facts = source.table(name)
    running = source.running_exports()
    if facts is None:
        return SourceInspection(
            table=None,
            destinations=Destinations((), now),
            backups=None,
            tags={},
            ttl=TtlStatus(False),
            writes=WriteMetrics(0, 0, 0),
            running_exports=running,
        )
    # Where the buffer is the table's own stream, no destination matters, nor may be listed.
    own = replication.reads_table_stream
    destinations = Destinations((), now) if own else source.destinations(name)
    return SourceInspection(
        table=facts,
        destinations=destinations,
        backups=source.backups(name),
        tags=listings.read(lambda: source.tags(facts.arn), {}),
        ttl=source.expiry(name),
        # AWS's own time: this machine's clock may be hours off.
        writes=_writes(source, name, timing.metric_period, destinations.at),
        running_exports=running,
        index_writes=_index_writes(source, facts, name, timing.metric_period, destinations.at),
        surroundings=source.surroundings(name, facts.arn) if full else Surroundings(),
        stream_policy=_stream_policy(source, facts) if full and own else None,
    )


def _stream_policy(source: SourceAccount, facts: TableFacts) -> str | None:
    # No blocker depends on it, and the plan names the commands that show a stream's readers.
    with contextlib.suppress(AccountError):
        if facts.stream_view == VIEW and facts.stream_arn:
            return source.policy(facts.stream_arn).document
    return None


def _writes(source: SourceAccount, name: str, period: int, now: float) -> WriteMetrics:
    since = now // period * period - DATAPOINTS * period

    minutes = _rates(source.consumed_writes(name, since, now, period), since, period)
    return WriteMetrics(
        peak=max(minutes),
        mean=sum(minutes) / DATAPOINTS,
        throttled_partitions=source.throttled_partitions(name, since, now, period),
        minutes=minutes,
        expired=_rates(source.expired_items(name, since, now, period), since, period),
    )


def _index_writes(
    source: SourceAccount, facts: TableFacts, name: str, period: int, now: float
) -> Mapping[str, IndexWrites]:
    since = now // period * period - DATAPOINTS * period
    found = {}
    for index in (str(each["IndexName"]) for each in facts.global_indexes):
        points = source.consumed_writes(name, since, now, period, index=index)
        units = _rates(points, since, period)
        found[index] = IndexWrites(max(units), sum(units) / DATAPOINTS)
    return found


def _rates(points: Sequence[Datapoint], since: float, period: int) -> tuple[float, ...]:
    """Return a rate for each period. One without a datapoint had nothing to count."""
    values = [0.0] * DATAPOINTS
    for point in points:
        place = int((point.begin - since) // period)
        if 0 <= place < DATAPOINTS:
            values[place] += point.value / period
    return tuple(values)


def _target(
    target: TargetAccount, replication: Replication, listings: _Listings, *, full: bool
) -> TargetInspection:
    name = replication.target_table
    facts = target.table(name)
    always = TargetInspection(
        table=facts,
        limits=target.limits(),
        running_imports=target.running_imports(),
        concurrency=target.concurrency(),
    )
    if facts is None:
        return always
    if not full:
        expiry = target.expiry(name) if replication.load.adopt else always.ttl
        return replace(always, ttl=expiry)
    return TargetInspection(
        table=facts,
        limits=always.limits,
        running_imports=always.running_imports,
        concurrency=always.concurrency,
        backups=target.backups(name),
        tags=listings.read(lambda: target.tags(facts.arn), {}),
        ttl=target.expiry(name),
    )


def _pipeline(
    source: SourceAccount, target: TargetAccount, deployment: Deployment, listings: _Listings
) -> PipelineInspection:
    name = deployment.stream_name
    return PipelineInspection(
        stream=source.stream(name),
        mapping=target.mapping(deployment.mapping_uuid),
        shards=listings.read(lambda: len(source.open_shards(name).shards), 0),
    )


def _adopted(
    source: SourceAccount, adopted: AdoptedStream, listings: _Listings
) -> AdoptedInspection:
    stream = source.stream(adopted.name)
    shards = listings.read(lambda: len(source.open_shards(adopted.name).shards), 0)
    try:
        return AdoptedInspection(stream, shards, source.stream_policy(adopted.arn))
    except AccessDeniedError as error:
        return AdoptedInspection(stream, shards, None, refused=error.code or "access denied")


def _adopted_table(
    target: TargetAccount,
    facts: TableFacts | None,
    replication: Replication,
    load: AdoptedTableClients | None,
    listings: _Listings,
) -> AdoptedTableInspection | None:
    if not replication.load.adopt or load is None or facts is None or not facts.is_readable:
        return None
    return AdoptedTableInspection(
        empty=_is_empty(load.items),
        destinations=listings.read(lambda: target.destinations(replication.target_table), None),
        loads=listings.read(lambda: load.loads.on_table(facts.arn), None),
    )


def _is_empty(items: ItemScanner) -> bool | None:
    try:
        return items.empty()
    except AccessDeniedError:
        return None  # the run's own role is asked again, before the load
