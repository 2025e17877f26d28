"""What a run will do, and what keeps it from starting: a value, made of observations alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bootstrap.accounts import (
    Backups,
    Destinations,
    EventSource,
    Expiry,
    Limits,
    SourceAccount,
    StreamFacts,
    TableFacts,
    TargetAccount,
)
from bootstrap.errors import BlockedError
from bootstrap.outputs import TableOutputs
from bootstrap.parity import WRITE_FACTOR, wanted
from bootstrap.states import Wanted
from bootstrap.timing import Timing

LEAST_RETENTION_HOURS = 168
"""A week. Export and import may take a day or more each, and the consumer reads only then."""


@dataclass(frozen=True)
class Observed:
    """Both sides as they are before anything was done."""

    source: TableFacts | None
    destinations: Destinations
    stream: StreamFacts
    backups: Backups | None
    target: TableFacts | None
    mapping: EventSource | None
    tags: Mapping[str, str]
    expiry: Expiry
    """The source's time to live."""
    limits: Limits
    """The target account's."""
    peak_writes: float
    """The source's, in units a second: its busiest minute of the last day."""


@dataclass(frozen=True)
class Blocker:
    """A reason not to start, and what removes it."""

    what: str
    fix: str


@dataclass(frozen=True)
class Action:
    """What a step will do."""

    step: str
    what: str


@dataclass(frozen=True)
class Plan:
    """The way from here to a replica."""

    table: str
    blockers: tuple[Blocker, ...]
    actions: tuple[Action, ...]
    notes: tuple[str, ...]
    wanted: Wanted

    def refuse_blocked(self) -> None:
        """Raises:
        BlockedError: naming every blocker with its fix.
        """
        if not self.blockers:
            return
        several = "\n".join(
            f"  {n}. {blocker.what}\n     Try: {blocker.fix}"
            for n, blocker in enumerate(self.blockers, 1)
        )
        if len(self.blockers) == 1:
            raise BlockedError(self.blockers[0].what, fix=self.blockers[0].fix)
        raise BlockedError(
            f"Table {self.table} cannot be replicated as things are:\n{several}",
            fix="remove what blocks, and run again: nothing has been done yet",
        )


DATAPOINTS = 1_400
"""CloudWatch answers 1,440 a call: a day of minutes, nearly."""


def observe(
    source: SourceAccount,
    target: TargetAccount,
    table: TableOutputs,
    timing: Timing,
    now: float,
) -> Observed:
    """Looks at both sides. Changes nothing. `now` is AWS's time."""
    facts = source.table(table.source_table)
    period = timing.metric_period
    since = now // period * period - DATAPOINTS * period
    writes = source.consumed_writes(table.source_table, since, now, period) if facts else ()
    return Observed(
        source=facts,
        destinations=source.destinations(table.source_table) if facts else Destinations((), 0),
        stream=source.stream(table.stream_name),
        backups=source.backups(table.source_table) if facts else None,
        target=target.table(table.target_table),
        mapping=target.mapping(table.mapping_uuid),
        tags=source.tags(facts.arn) if facts else {},
        expiry=source.expiry(table.source_table) if facts else Expiry(False),
        limits=target.limits(),
        peak_writes=max((point.value for point in writes), default=0.0) / period,
    )


def make(observed: Observed, table: TableOutputs) -> Plan:
    """The plan for a table of which no export has begun."""
    return Plan(
        table=table.source_table,
        blockers=tuple(_blockers(observed, table)),
        actions=tuple(_actions(observed, table)),
        notes=tuple(_notes(observed)),
        wanted=wanted(
            observed.source,
            observed.tags,
            observed.expiry,
            observed.peak_writes,
            observed.limits,
        )
        if observed.source
        else Wanted(),
    )


def _blockers(observed: Observed, table: TableOutputs) -> list[Blocker]:
    blockers: list[Blocker] = []

    def block(what: str, fix: str) -> None:
        blockers.append(Blocker(what, fix))

    if observed.source is None:
        block(
            f"There is no table {table.source_table} in the source account.",
            "check the table's name, account and Region in the stack configuration",
        )
    elif observed.source.local_indexes:
        block(
            f"Table {table.source_table} has local secondary indexes "
            f"({', '.join(observed.source.local_indexes)}), and an import cannot make them.",
            "replicate it with global tables, or turn them into global secondary indexes first",
        )
    elsewhere = observed.destinations.elsewhere(table.stream_arn)
    if elsewhere is not None:
        block(
            f"Table {table.source_table} streams its changes to {elsewhere.stream_arn}, and a "
            "table has one destination.",
            "disable that one if nobody needs it, then: pulumi up --refresh",
        )
    if observed.stream.retention_hours < LEAST_RETENTION_HOURS:
        block(
            f"Stream {table.stream_name} forgets changes after {observed.stream.retention_hours} "
            "hours, which an export and its import may outlast.",
            "set retentionHours in the stack configuration (8760 is 365 days), then: "
            "pulumi up --refresh",
        )
    if observed.stream.distribution == "AUTO":
        block(
            f"Stream {table.stream_name} distributes records by itself (AUTO): probes could not be "
            "put where they belong, and changes of one item would be dealt out at random.",
            "pulumi up --refresh, which sets USER_PARTITION_KEY",
        )
    if observed.target is not None:
        block(
            f"A table {table.target_table} exists already in the target account, and an import "
            "makes a new one.",
            "delete it yourself if it is not needed, or choose another target name in the stack",
        )
    needed = round(observed.peak_writes * WRITE_FACTOR)
    if needed > observed.limits.table_writes:
        block(
            f"Table {table.source_table} takes up to {observed.peak_writes:.0f} write units a "
            f"second, which cost {needed} in the target, and a table there may take "
            f"{observed.limits.table_writes} (quota of the account).",
            "raise the quota: aws service-quotas request-service-quota-increase "
            "--service-code dynamodb --quota-code L-CF0CBE56 --desired-value N, "
            "with the target account's credentials",
        )
    blockers += _mapping_blockers(observed, table)
    return blockers


def _mapping_blockers(observed: Observed, table: TableOutputs) -> list[Blocker]:
    mapping = observed.mapping
    if mapping is None:
        return [
            Blocker(
                f"The event source mapping {table.mapping_uuid} of function "
                f"{table.function_name} is gone.",
                "pulumi up --refresh",
            )
        ]
    if mapping.running:
        return [
            Blocker(
                f"The consumer of table {table.source_table} is switched on already (event source "
                f"mapping {mapping.uuid} is {mapping.state}); it may start only after the import.",
                f"aws lambda update-event-source-mapping --uuid {mapping.uuid} --no-enabled "
                f"--region {table.consumer_region}, with the target account's credentials",
            )
        ]
    return []


def _actions(observed: Observed, table: TableOutputs) -> list[Action]:
    recovery_off = observed.backups is not None and not observed.backups.enabled
    before = "switch point-in-time recovery on, then " if recovery_off else ""
    return [
        Action("buffer", f"see stream {table.stream_name} catch the changes"),
        Action("export", f"{before}export {table.source_table} as of two minutes later"),
        Action("import", f"import it into a new table {table.target_table}"),
        Action(
            "settings", "store the floor; deletion protection and recovery for the target table"
        ),
        Action("enable", f"switch the consumer {table.function_name} on"),
        Action("catch-up", "wait until all that was buffered has been applied"),
    ]


def _notes(observed: Observed) -> list[str]:
    notes = []
    if observed.source is not None and observed.source.encryption == "KMS":
        notes.append(
            "The source is encrypted with a KMS key, which stays in its account: the target "
            "gets the key that AWS manages for DynamoDB there (aws/dynamodb)."
        )
    return notes


def creation_parameters(source: TableFacts, name: str, key: str = "") -> Mapping[str, Any]:
    """TableCreationParameters of the target (API reference, ImportTable).

    `key` is the customer-managed key for it; without one it is encrypted with a key of AWS's, and
    never with the source's, which stays in its account.

    On demand and without a maximum, whatever the source has: while it replicates, each change costs
    double in a transaction, and the source's capacity would throttle the replica for ever.
    """
    keys = [*source.keys, *(key for index in source.global_indexes for key in index["KeySchema"])]
    used = {key["AttributeName"] for key in keys}
    parameters: dict[str, Any] = {
        "TableName": name,
        # Only what keys use: the API counts them.
        "AttributeDefinitions": [
            dict(each) for each in source.attributes if each["AttributeName"] in used
        ],
        "KeySchema": [dict(key) for key in source.keys],
        "BillingMode": "PAY_PER_REQUEST",
    }
    if source.global_indexes:
        parameters["GlobalSecondaryIndexes"] = [
            {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
            for index in source.global_indexes
        ]
    if key:
        parameters["SSESpecification"] = {
            "Enabled": True,
            "SSEType": "KMS",
            "KMSMasterKeyId": key,
        }
    elif source.encryption == "KMS":
        parameters["SSESpecification"] = {"Enabled": True, "SSEType": "KMS"}
    return parameters
