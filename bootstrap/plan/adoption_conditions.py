"""The conditions on a table of the user's own that a bulk load may fill.

`plan` asks for them, and so does the run, just before it journals the table's id: what counts is
that answer, not the plan's. The table's owner makes each change.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

from bootstrap.core.facts import Destinations, TableFacts, TtlStatus
from bootstrap.core.formatting import number
from bootstrap.plan.blocker import Blocker
from bootstrap.plan.indexes import key_definition
from bootstrap.plan.replication import Replication
from replicator.aws_commands import table_option

BY_TARGET = "with the target account's credentials"
ACCEPT = "--accept-target-stream"
"""The option that confirms what reads the table's changes."""


def missing(source: TableFacts | None, replication: Replication) -> Blocker:
    """Return the blocker of a table that its owner has not made yet."""
    keys = f", with the key {key_definition(source)}" if source is not None else ""
    return Blocker(
        f"There is no table {replication.target_table} in the target account, and the stack adopts "
        "one.",
        f"make it with your own code{keys}; or let the run make it: "
        f"{replication.unconfigure('adopt')}, then: {replication.up}",
    )


def not_empty(target: TableFacts, replication: Replication) -> Blocker:
    """Return the blocker of a table in which an item was found."""
    return Blocker(
        f"Table {replication.target_table} has items (DynamoDB counted {number(target.items)} "
        "last). A bulk put would write over some, and those that the source has not would stay.",
        "delete its items, or make it anew with your own code; or adopt another table",
    )


def lasting_blockers(
    source: TableFacts, target: TableFacts, replication: Replication
) -> Iterator[Blocker]:
    """List what a load cannot wait for, by the tables' descriptions."""
    if target.status == "DELETING":
        yield Blocker(
            f"Table {replication.target_table} is DELETING.",
            "wait until it is gone, and make it again with your own code; or adopt another one",
        )
    yield from _keys(source, target, replication)
    yield from _replicas(target, replication)
    yield from _encryption(target, replication)


def _keys(source: TableFacts, target: TableFacts, replication: Replication) -> Iterator[Blocker]:
    here, there = key_definition(source), key_definition(target)
    if here != there:
        yield Blocker(
            f"The key of {replication.target_table} is {there}, and that of "
            f"{replication.source_table} is {here}.",
            "make the table anew with the source's key, or adopt another table",
        )


def _replicas(target: TableFacts, replication: Replication) -> Iterator[Blocker]:
    name = replication.target_table
    if target.replicas:
        first = json.dumps([{"Delete": {"RegionName": target.replicas[0]}}])
        yield Blocker(
            f"Table {name} is a global table (also in {', '.join(target.replicas)}). DynamoDB "
            "starts no bulk put into one, and its other replicas would let writers in.",
            "remove each replica, and add them again after the switch: "
            f"{_update(replication, f'--replica-updates {shlex.quote(first)}')}",
        )
    elif target.global_version:
        yield Blocker(
            f"Table {name} is a global table of version {target.global_version}, and DynamoDB "
            "starts no bulk put into one.",
            "adopt another table, which is no global table",
        )


def expiry_blockers(ttl: TtlStatus, replication: Replication) -> Iterator[Blocker]:
    """Refuse a table that expires items: it would race with the source, and with the load."""
    if not ttl.enabled:
        return
    name = replication.target_table
    attribute = ttl.attribute or "NAME"
    change = shlex.quote(f"Enabled=false,AttributeName={attribute}")
    yield Blocker(
        f"Time to live of {name} is on (attribute {attribute}). While both tables expire items "
        "they race; a switch sets it.",
        f"aws dynamodb update-time-to-live {table_option(name)} "
        f"--time-to-live-specification {change} --region {replication.target_region}, {BY_TARGET}",
    )


def _encryption(target: TableFacts, replication: Replication) -> Iterator[Blocker]:
    wanted = replication.target_key_arn
    if not wanted or target.key_arn == wanted:
        return
    has = target.key_arn or "the key that DynamoDB owns"
    other = (
        replication.configure("targetKeyArn", target.key_arn)
        if target.key_arn
        else replication.unconfigure("targetKeyArn")
    )
    yield Blocker(
        f"Table {replication.target_table} is encrypted with {has}, and targetKeyArn is {wanted}: "
        "the roles may use that key alone.",
        f"{other}, then: {replication.up}",
    )


def reader_blockers(
    target: TableFacts, destinations: Destinations | None, replication: Replication
) -> Iterator[Blocker]:
    """Refuse to wake what reads the table's changes.

    AWS does not document whether the writes of a bulk put appear in a stream. Those of the consumer
    do.
    """
    name = replication.target_table
    may = (
        "AWS does not say whether the puts of a load appear there: what reads them may see every "
        "item of the table, and it sees every change from then on."
    )
    if target.stream_view:
        yield Blocker(
            f"The DynamoDB stream of {name} is on ({target.stream_view}). {may}",
            _update(replication, "--stream-specification StreamEnabled=false"),
        )
    for each in destinations.all if destinations is not None else ():
        if not each.is_off:
            yield Blocker(
                f"Table {name} streams its changes to {each.stream_arn}. {may}",
                "aws dynamodb disable-kinesis-streaming-destination "
                f"{table_option(name)} --stream-arn {each.stream_arn} --region "
                f"{replication.target_region}, {BY_TARGET}",
            )


def _update(replication: Replication, change: str) -> str:
    return (
        f"aws dynamodb update-table {table_option(replication.target_table)} {change} "
        f"--region {replication.target_region}, {BY_TARGET}"
    )
