"""The keys of places: what uses them may, each through its service, and no role may more."""

from __future__ import annotations

from typing import Any

import pytest

from tests.infra.least_privilege import dry_run_policies, evaluate
from tests.infra.least_privilege.declared import Declared
from tests.infra.least_privilege.needs import Need, all_needs
from tests.support.infra.recording_engine import CONFIG, TARGET

pytestmark = [pytest.mark.slow, pytest.mark.promise("C8")]

FAR = "eu-central-1"
CREATED = dict.fromkeys(("source", "consumer", "target"), "create")
GIVEN = {
    "source": "arn:aws:kms:eu-west-1:111111111111:key/sources",
    "consumer": "arn:aws:kms:eu-west-1:222222222222:key/consumers",
    "target": f"arn:aws:kms:{FAR}:222222222222:key/targets",
}
CALLS: dict[str, dict[str, tuple[str, ...]]] = {
    "replicate-orders-consumer-role": {
        "dynamodb:PutItem": ("replicate-orders-ledger", "target"),
        "kinesis:GetRecords": ("replicate-orders-buffer-stream",),
        "s3:PutObject": ("replicate-orders-quarantine", "replicate-orders-on-failure"),
    },
    "replicate-orders-watchdog-role": {"dynamodb:GetItem": ("replicate-orders-ledger",)},
    "replicate-orders-observer": {"kinesis:PutRecords": ("replicate-orders-buffer-stream",)},
    "replication-exporter": {
        "kinesis:PutRecords": ("replicate-orders-buffer-stream",),
        "s3:PutObject": ("replication-snapshot",),
    },
    "replication-importer": {
        "dynamodb:GetItem": ("replicate-orders-ledger", "replication-journal", "target"),
        "dynamodb:ImportTable": ("target",),
        "s3:GetObject": (
            *("replication-snapshot", "replicate-orders-quarantine"),
            "replicate-orders-on-failure",
        ),
        "s3:PutObject": ("replicate-orders-quarantine", "replication-snapshot"),
    },
    "replication-operator-target": {"dynamodb:GetItem": ("replication-journal",)},
    "replication-switch-target": {"dynamodb:DeleteItem": ("target",)},
}
"""What the roles call of what has a key; by role, by the name that the program gives the rest."""


def stack(keys: dict[str, str]) -> Declared:
    """The policies of a stack with these keys and a switch, in two Regions."""
    config: dict[str, Any] = {
        **CONFIG,
        "target": {**TARGET, "region": FAR},
        "keys": keys,
        "switch": True,
    }
    there = dry_run_policies.declare(config)
    key = there.outputs["tables"][0]["targetKeyArn"]
    return there.declared.replicating(there.declared.tables, {_target(): key})


def _target() -> str:
    return f"arn:aws:dynamodb:{FAR}:222222222222:table/orders-replica"


def uses(declared: Declared) -> list[Need]:
    """The uses of keys that these calls mean, and those that no call of the stack shows."""
    calls = [
        Need(_session(declared.arns[role]), action, _resource(declared, part, action))
        for role, called in CALLS.items()
        for action, parts in called.items()
        for part in parts
    ]
    needs = all_needs(calls, declared, "")
    return [need for need in needs if need.action.startswith("kms:") and need.resource != "*"]


def _session(role: str) -> str:
    return f"arn:aws:sts::{role.split(':')[4]}:assumed-role/{role.rpartition('/')[2]}/s"


def _resource(declared: Declared, part: str, action: str) -> str:
    if part == "target":
        return _target()
    if action.startswith("s3:"):
        [bucket] = [arn for arn in declared.buckets if arn.startswith(f"arn:aws:s3:::{part}-")]
        return f"{bucket}/any"
    return declared.arns[part]


@pytest.mark.parametrize("keys", [CREATED, GIVEN], ids=["made", "given"])
def test_every_use_of_a_places_key_is_allowed_and_nothing_else(keys: dict[str, str]) -> None:
    declared = stack(keys)
    needs = uses(declared)
    assert {need.resource for need in needs} >= {
        key for arn, key in declared.keys.items() if ":kinesis:" not in arn and ":sns:" not in arn
    }
    assert [str(need) for need in evaluate.broken(declared, needs)] == []
    for policy in declared.policies:
        if policy.name.endswith("-keys") or ":kms:" in policy.on:
            found = list(evaluate.superfluous(declared.looking_at(policy.name), needs))
            assert found == [], policy.name
    assert list(evaluate.wide(declared)) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("function:replicate-orders-", "function:replicate-customers-"),
        ("log-group:replicate-orders-", "log-group:replicate-customers-"),
        ('"aws:SourceAccount": "222222222222"', '"aws:SourceAccount": "999999999999"'),
        (f"dynamodb.{FAR}.amazonaws", "dynamodb.eu-west-1.amazonaws"),
        (f"s3.{FAR}.amazonaws", "s3.eu-west-1.amazonaws"),
        ("s3.eu-west-1.amazonaws", f"s3.{FAR}.amazonaws"),
        ("lambda.eu-west-1.amazonaws", f"lambda.{FAR}.amazonaws"),
    ],
)
def test_a_condition_for_another_place_or_part_is_found(right: str, wrong: str) -> None:
    declared = stack(CREATED)
    needs, changed = uses(declared), 0
    for policy in declared.policies:
        if ":kms:" in policy.on and right in policy.document:
            changed += 1
            assert evaluate.broken(declared.with_text(policy.name, right, wrong), needs)
    assert changed
