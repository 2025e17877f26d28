"""A stack's whole life, deployed by a role in each account: every change that a file can make."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from infra.local.cloud import LocalAccount
from tests.pulumi_engine.engine import Engine, EngineStack

KEYS = {"keys": dict.fromkeys(("source", "consumer", "target"), "create")}
ROLE, EXTERNAL_ID = "deployer", "the-deployers-word"
ORDERS = {"source": "orders", "target": "orders-replica"}
CUSTOMERS = {"source": "customers"}
CHANGED = {
    **ORDERS,
    "batchSize": 100,
    "memory": 512,
    "reservedConcurrency": 5,
    "quarantineBurst": 20,
    "startAt": "TRIM_HORIZON",
}
PROVISIONED = {**ORDERS, "streamMode": "PROVISIONED", "shards": 2}


def make_role(engine: Engine, account: LocalAccount, **policies: Mapping[str, Any]) -> None:
    """Make a role with these policies alone, which the account's root may assume with a word."""
    iam = engine.cloud.client("iam", account)
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": f"arn:aws:iam::{account.account_id}:root"},
        "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}},
    }
    iam.create_role(
        RoleName=ROLE,
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    allow(engine, account, **policies)


def allow(engine: Engine, account: LocalAccount, **policies: Mapping[str, Any]) -> None:
    """Put policies of the role in the place of those of the same names."""
    iam = engine.cloud.client("iam", account)
    for name, policy in policies.items():
        iam.put_role_policy(RoleName=ROLE, PolicyName=name, PolicyDocument=json.dumps(policy))


def live(stack: EngineStack) -> None:
    """Preview, create, change, shrink and destroy a stack as the roles. Raises `RefusedError`."""
    engine = stack.engine
    stack.configure(_config(engine, ORDERS, CUSTOMERS))
    stack.preview()
    stack.up()
    assert stack.up().unchanged
    alarms = {"emails": ["team@example.com"], "thresholds": {"replicationLagSeconds": 45}}
    buckets = {"accessLogs": dict.fromkeys(("consumer", "target"), "access-logs")}
    rules = {"alarms": alarms, "buckets": buckets, "logRetentionDays": 365}
    stack.configure(_config(engine, CHANGED, CUSTOMERS, **rules, **KEYS, retentionHours=8000))
    stack.up()
    everyone = f"arn:aws:iam::{engine.cloud.target.account_id}:role/operator"
    operators = {"source": ["account"], "target": ["account", everyone]}
    unprotected = {**CUSTOMERS, "protect": False}
    stack.configure(
        _config(engine, PROVISIONED, unprotected, operators=operators, switch=True, **KEYS)
    )
    stack.up()
    stack.configure(_config(engine, PROVISIONED, **KEYS))
    stack.up()
    stack.configure(_config(engine, ORDERS, protect=False, **KEYS))
    stack.up()
    stack.destroy()
    assert stack.resources() == []


def _config(engine: Engine, *tables: Mapping[str, Any], **values: Any) -> dict[str, Any]:
    sides = {"source": engine.cloud.source, "target": engine.cloud.target}
    config = engine.config(
        *tables, snapshotKey=True, tags={"team": "payments", "stack": None}, **values
    )
    for side, account in sides.items():
        config[side] = {
            **config[side],
            "roleArn": f"arn:aws:iam::{account.account_id}:role/{ROLE}",
            "externalId": EXTERNAL_ID,
            "sessionName": "pipeline",
            "stsRegion": "eu-central-1",
        }
    return config
