"""What a change of the configuration may not do by itself: replace what holds data."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.infra.recording_engine import CONFIG, Deployment, Registered, record, statements

pytestmark = pytest.mark.slow

# The inputs whose change replaces a resource. A copy by hand, which nothing here can check: the
# Python package of pulumi_aws (7.51.1) has no schema in it; the one that says so (ForceNew) is in
# the provider's plugin, made from the Terraform AWS provider, resources aws_kinesis_stream,
# aws_dynamodb_kinesis_streaming_destination, aws_lambda_event_source_mapping, aws_dynamodb_table,
# aws_s3_bucket and aws_kms_key. To be read again when the provider's major version changes. Of the
# destination it is all of them; of a table, its keys.
REPLACING: dict[str, set[str]] = {
    "Stream": {"name", "region"},
    "KinesisStreamingDestination": {
        "approximateCreationDateTimePrecision",
        "region",
        "streamArn",
        "tableName",
    },
    "EventSourceMapping": {
        "eventSourceArn",
        "region",
        "startingPosition",
        "startingPositionTimestamp",
    },
    "Table": {"hashKey", "name", "rangeKey", "region"},
    "Bucket": {"bucket", "region"},
    "Key": {"region"},
}
TABLE = CONFIG["tables"][0]
EMPTY = '{"Statement": []}'
SHARED = {
    "replication-dashboard",
    "replication-exporter-grants",
    "replication-importer-grants",
    "replication-operator-source-grants",
    "replication-operator-target-grants",
}


def with_table(**settings: Any) -> dict[str, Any]:
    return {**CONFIG, "tables": [{**TABLE, **settings}]}


CHANGES: dict[str, dict[str, Any]] = {
    "startAt": with_table(startAt="2026-11-23T10:00:00Z"),
    "source": with_table(source="customers"),
    "streamMode": with_table(streamMode="PROVISIONED", shards=4),
    "retentionHours": {**CONFIG, "retentionHours": 24},
    "batchSize": with_table(batchSize=100),
    "source Region": {**CONFIG, "source": {**CONFIG["source"], "region": "eu-central-1"}},
    "target Region": {**CONFIG, "target": {**CONFIG["target"], "region": "us-east-1"}},
    "snapshotKey": {**CONFIG, "snapshotKey": True},
}
# What each change would replace, or take away: Pulumi refuses both while it is protected.
TAKEN: dict[str, set[str]] = {
    "startAt": {"EventSourceMapping"},
    "source": {"Bucket", "EventSourceMapping", "Key", "KinesisStreamingDestination", "Stream"},
    "source Region": {"Bucket", "EventSourceMapping"},
    "target Region": {"Bucket", "Table"},
}


def taken(before: Deployment, after: Deployment) -> list[Registered]:
    """What is in one deployment and not, or not without being replaced, in the other."""
    found = {(r.kind, r.name): r for r in after.resources}
    return [
        resource
        for resource in before.resources
        if resource.kind in REPLACING
        and not _stays(resource, found.get((resource.kind, resource.name)))
    ]


def _stays(resource: Registered, again: Registered | None) -> bool:
    replacing = REPLACING[resource.kind]
    return again is not None and all(
        resource.inputs.get(key) == again.inputs.get(key) for key in replacing
    )


@pytest.mark.parametrize("change", CHANGES)
def test_pulumi_refuses_every_change_that_would_replace_what_holds_data(
    change: str, stack: Deployment, tmp_path: Path
) -> None:
    gone = taken(stack, record(CHANGES[change], tmp_path / "archive"))
    assert {resource.kind for resource in gone} >= TAKEN.get(change, set())
    assert bool(gone) is (change in TAKEN)
    assert [resource.name for resource in gone if not resource.protect] == []


def test_whatever_a_change_could_replace_at_a_loss_is_protected(stack: Deployment) -> None:
    for resource in stack.resources:
        assert resource.protect or resource.kind not in REPLACING, resource.name


def grants(deployed: Deployment) -> set[str]:
    """Every action on every resource that any policy of the stack speaks of, with its terms."""
    found = set()
    for resource in deployed.aws:
        for statement in statements(str(resource.inputs.get("policy", EMPTY))):
            actions, resources = statement.pop("Action"), statement.pop("Resource")
            terms = json.dumps(statement, sort_keys=True)
            found |= {f"{resource.name} {a} on {r} {terms}" for a in actions for r in resources}
    return found


def comparable(resource: Registered) -> Registered:
    """A resource as the engine compares it: an archive by its path, dependencies in no order."""
    inputs = {**resource.inputs, "code": getattr(resource.inputs.get("code"), "path", None)}
    return replace(resource, inputs=inputs, depends_on=tuple(sorted(resource.depends_on)))


def test_one_table_more_or_less_leaves_the_others_and_their_grants_as_they_are(
    tmp_path: Path,
) -> None:
    names = ["customers", "invoices", "orders"]
    three, two = (
        record({**CONFIG, "tables": [{"source": name} for name in some]}, tmp_path / "archive")
        for some in (names, [name for name in names if name != "invoices"])
    )
    left = {(r.kind, r.name): r for r in three.resources}
    for resource in two.resources:
        if resource.name in SHARED:
            continue
        again = left.pop((resource.kind, resource.name))
        assert comparable(again) == comparable(resource)
    assert {name for _, name in left if "invoices" not in name} == SHARED
    gone = grants(three) - grants(two)
    assert grants(two) < grants(three)
    assert [grant for grant in gone if "invoices" not in grant] == []


def test_a_new_mapping_begins_where_the_configuration_says(tmp_path: Path) -> None:
    moment = "2026-11-23T10:00:00Z"
    inputs = (
        record(with_table(startAt=moment), tmp_path / "archive").one("EventSourceMapping").inputs
    )
    assert inputs["startingPosition"] == "AT_TIMESTAMP"
    assert inputs["startingPositionTimestamp"] == moment
    assert inputs["enabled"] is False
