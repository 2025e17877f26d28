"""Both sides as they are before anything is done. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bootstrap.core.durations import Timing
from bootstrap.core.facts import (
    Backups,
    Destinations,
    EventSource,
    KeyFacts,
    Limits,
    Surroundings,
    TableFacts,
    TtlStatus,
)
from bootstrap.core.ports import SourceAccount, TargetAccount
from bootstrap.core.stack_outputs import Outputs, TableOutputs
from replicator.stream import StreamFacts

DATAPOINTS = 1_400
"""CloudWatch answers 1,440 a call: a day of minutes, nearly."""


@dataclass(frozen=True)
class ObservedKeys:
    """The customer-managed keys that the stack names, and who is to use them. None: no such key."""

    exporter_arn: str = ""
    importer_arn: str = ""
    """Empty before the stack is deployed."""
    source_account: str = ""
    target_account: str = ""
    source: KeyFacts | None = None
    source_is_awss: bool | None = None
    """Whether the source is encrypted with the key that AWS manages; None if that is unknown."""
    target: KeyFacts | None = None
    snapshot: KeyFacts | None = None


@dataclass(frozen=True)
class Inspection:
    """What was seen of a table and of what belongs to it."""

    source: TableFacts | None
    destinations: Destinations
    stream: StreamFacts | None
    """None before the stack is deployed."""
    backups: Backups | None
    target: TableFacts | None
    mapping: EventSource | None
    tags: Mapping[str, str]
    expiry: TtlStatus
    """The source's time to live."""
    limits: Limits
    """The target account's."""
    peak_writes: float
    """The source's, in units a second: its busiest minute of the last day."""
    mean_writes: float = 0
    """The same, over the whole day."""
    throttled_partitions: int = 0
    """Writes of that day that a partition of the source refused because it was too busy."""
    deployed: bool = True
    shards: int = 0
    """Open ones."""
    concurrency: int | None = None
    """Invocations at once; None if it could not be read."""
    running_exports: int = 0
    running_imports: int = 0
    target_region: str = ""
    target_backups: Backups | None = None
    target_tags: Mapping[str, str] = field(default_factory=dict)
    target_expiry: TtlStatus = field(default_factory=lambda: TtlStatus(False))
    surroundings: Surroundings = field(default_factory=Surroundings)
    keys: ObservedKeys = field(default_factory=ObservedKeys)


def observe(
    source: SourceAccount,
    target: TargetAccount,
    table: TableOutputs,
    timing: Timing,
    now: float,
    *,
    stack: Outputs | None = None,
    region: str = "",
    whole: bool = False,
) -> Inspection:
    """Looks at both sides. Changes nothing. `now` is about the time: AWS says it exactly.

    `stack` says whose keys are to be looked at; `region` is the target's.

    `whole` also looks at settings that no blocker depends on.
    """
    facts = source.table(table.source_table)
    made = target.table(table.target_table)
    destinations = source.destinations(table.source_table) if facts else Destinations((), now)
    now = destinations.at  # AWS's own: this machine's clock may be hours off
    period = timing.metric_period
    since = now // period * period - DATAPOINTS * period
    writes = source.consumed_writes(table.source_table, since, now, period) if facts else ()
    throttled = source.throttled_partitions(table.source_table, since, now, period) if facts else 0
    deployed = bool(table.stream_name)
    return Inspection(
        source=facts,
        destinations=destinations,
        stream=source.stream(table.stream_name) if deployed else None,
        backups=source.backups(table.source_table) if facts else None,
        target=made,
        mapping=target.mapping(table.mapping_uuid) if deployed else None,
        tags=source.tags(facts.arn) if facts else {},
        expiry=source.expiry(table.source_table) if facts else TtlStatus(False),
        limits=target.limits(),
        peak_writes=max((point.value for point in writes), default=0.0) / period,
        mean_writes=sum(point.value for point in writes) / (DATAPOINTS * period),
        throttled_partitions=throttled,
        deployed=deployed,
        shards=len(source.open_shards(table.stream_name).shards) if deployed else 0,
        concurrency=target.concurrency(),
        running_exports=source.running_exports(),
        running_imports=target.running_imports(),
        target_region=region,
        target_backups=target.backups(table.target_table) if made and whole else None,
        target_tags=target.tags(made.arn) if made and whole else {},
        target_expiry=target.expiry(table.target_table) if made and whole else TtlStatus(False),
        surroundings=(
            source.surroundings(table.source_table, facts.arn)
            if facts and whole
            else Surroundings()
        ),
        keys=_keys(source, target, table, facts, stack) if stack else ObservedKeys(),
    )


def _keys(
    source: SourceAccount,
    target: TargetAccount,
    table: TableOutputs,
    facts: TableFacts | None,
    stack: Outputs,
) -> ObservedKeys:
    used = facts.key_arn if facts else None
    deployed = bool(table.stream_name)

    def look(side: SourceAccount | TargetAccount, arn: str) -> KeyFacts | None:
        found = side.key(arn) if arn else None
        # Before there are roles, the operator's own credentials ask, and their refusal says nothing
        # of the roles to come.
        return None if found and found.refused and not deployed else found

    return ObservedKeys(
        exporter_arn=stack.source.role_arn if deployed else "",
        importer_arn=stack.target.role_arn if deployed else "",
        source_account=stack.source.account_id,
        target_account=stack.target.account_id,
        source=look(source, table.source_key_arn),
        source_is_awss=source.awss_own_key(used) if used else None,
        target=look(target, table.target_key_arn),
        snapshot=look(target, stack.snapshot_key_arn),
    )
