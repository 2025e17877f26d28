"""The warnings of an `up` that puts something under another key of the stack file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pulumi

from infra.held_resources import last_table, last_tables
from infra.key_config import PLACES
from infra.key_services import CLOUDWATCH, topics_of
from infra.stack_config import StackConfig


def warn_of_new_keys(config: StackConfig, before: Mapping[str, Any]) -> None:
    """Warn where what a living stack has gets another key, whose policy no call of `up` needs.

    SNS and Kinesis take any key. One whose policy lacks the service that uses it stops alarms, or
    the stream, without an error here.
    """
    if not last_tables(before):
        return
    changes = [*_topics(config, before), *_streams(config, before), *_joining(config, before)]
    if changes:
        stack = pulumi.get_stack()
        pulumi.log.warn(
            f"These get another key, and nothing here checks that its policy allows their use: "
            f"{' '.join(changes)} Try: python -m infra.review keys --config Pulumi.{stack}.yaml "
            "(prints the statements that each key's policy needs), and after this: "
            f"python -m bootstrap plan --stack {stack} (judges the policies)"
        )


def _topics(config: StackConfig, before: Mapping[str, Any]) -> Iterator[str]:
    last = before.get("keys") or {}
    for place in PLACES:
        key = config.keys.given(place)
        if key and key != last.get(place) and topics_of(place, config):
            owner, region = config.owner_of(place).account_id, config.region_of(place)
            yield (
                f"the alarms' topic of account {owner} in {region}: {key}; unless its policy names "
                f"{CLOUDWATCH}, no alarm there reaches a reader."
            )


def _streams(config: StackConfig, before: Mapping[str, Any]) -> Iterator[str]:
    for table in config.tables:
        last = last_table(table, before)
        key = table.stream_key if table.stream is None else None
        if key and last.get("streamArn") and key != last.get("streamKeyArn"):
            yield (
                f"the stream of {table.source}: {key}; unless its policy lets the source account "
                "write and the consumer read, no change goes through."
            )


def _joining(config: StackConfig, before: Mapping[str, Any]) -> Iterator[str]:
    """Name what an older program left out of the key of the target's place."""
    key = config.keys.given("target")
    if key is None or before.get("keptKeyArn") != key or before.get("keys"):
        return
    if config.snapshots_under_place_key:
        yield (
            f"the snapshot bucket: {key}, which the exporter of account "
            f"{config.source.account_id} has to use; `snapshotKey: false` leaves the bucket out."
        )
    for table in config.tables:
        if table.target_key == key != last_table(table, before).get("targetKeyArn"):
            yield (
                f"the target table of {table.source}, if it is made anew: {key}; one that exists "
                "keeps its key, and a `targetKeyArn` of its own names that."
            )
