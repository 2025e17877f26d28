"""Names and descriptions that AWS accepts, for tables with any legal name and all options on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.config_validation import ConfigError
from infra.local.size_limits import ENVIRONMENT_BYTES
from infra.policy_sizes import TRUST_POLICY_LIMIT, trust_policy_size
from infra.stack_config import StackConfig
from tests.support.infra.recording_engine import CONFIG, SOURCE, TARGET, record

pytestmark = pytest.mark.slow

PULUMI_SUFFIX = len("-0a1b2c3")
NAME_LIMITS = {
    "EventRule": 64,
    "EventTarget": 64,
    "Function": 64,
    "Role": 64,
    "Bucket": 63,
    "Stream": 128,
    "MetricAlarm": 255,
    "Table": 255,
    "Topic": 256,
    "RolePolicy": 128,
    "Permission": 100,
    "LogGroup": 512,
}
DESCRIPTION_LIMITS = {"EventRule": 512, "Function": 256, "Role": 1000, "Key": 8192}

TABLE_NAMES = [
    "orders",
    "customer_orders_production",
    "user_profile_settings_v2",
    "prod.Customer.Orders.v2",
    "...",
    "a-b",
    "x" * 255,
    "A_.-" * 63,
]


def all_options(name: str) -> dict[str, Any]:
    """One table under keys of its own, with its target under a name as long as its own."""
    table: dict[str, Any] = {"source": name, "target": name[::-1]}
    for side, account in (("source", SOURCE), ("target", TARGET)):
        place = f"{account['region']}:{account['accountId']}"
        table[f"{side}KeyArn"] = f"arn:aws:kms:{place}:key/1234abcd"
    return {**CONFIG, "tables": [table, {"source": "other"}], "snapshotKey": True, "switch": True}


@pytest.mark.parametrize("name", TABLE_NAMES, ids=range(len(TABLE_NAMES)))
def test_a_table_with_any_legal_name_gets_names_and_descriptions_that_aws_accepts(
    name: str, tmp_path: Path
) -> None:
    deployed = record(all_options(name), tmp_path / "archive")
    seen = set()
    for resource in deployed.aws:
        seen.add(resource.kind)
        limit = NAME_LIMITS.get(resource.kind)
        if limit is not None:
            assert len(resource.name) + PULUMI_SUFFIX <= limit, (resource.kind, resource.name)
        limit = DESCRIPTION_LIMITS.get(resource.kind)
        if limit is not None:
            assert len(resource.inputs["description"]) <= limit, resource.name
        if resource.kind == "Function":
            variables = json.dumps(resource.inputs["environment"]["variables"])
            # Each may hold one more suffix, and the longer ARN of another partition.
            assert len(variables) + 20 * 2 * PULUMI_SUFFIX <= ENVIRONMENT_BYTES
    assert seen >= NAME_LIMITS.keys() - {"Topic"}


def test_a_name_that_fits_is_the_name_of_the_releases_before(tmp_path: Path) -> None:
    """It is part of the resource's URN."""
    names = {
        each.name
        for each in record(all_options("orders"), tmp_path / "archive").of("EventRule")
        if "watchdog" in each.name
    }
    assert names == {
        "replicate-orders-watchdog-schedule",
        "replicate-other-watchdog-schedule",
    }


def operators(count: int, external_id: str | None = None) -> dict[str, Any]:
    roles = [f"arn:aws:iam::111111111111:role/operator-{n:03}" for n in range(count)]
    return {"source": roles, "target": ["account"], "externalId": external_id}


@pytest.mark.parametrize(("count", "external_id"), [(1, None), (3, None), (3, "x" * 900)])
def test_the_size_of_a_trust_policy_is_known_from_the_configuration(
    count: int, external_id: str | None, tmp_path: Path
) -> None:
    config = {**CONFIG, "operators": operators(count, external_id)}
    deployed = record(config, tmp_path / "archive")
    (role,) = (each for each in deployed.of("Role") if each.name == "replication-exporter")
    written = json.dumps(json.loads(role.inputs["assumeRolePolicy"]), separators=(",", ":"))
    trusted = StackConfig.parse(config).operators
    assert trust_policy_size(trusted.source, trusted.external_id) == len(written)


def test_more_operators_than_a_trust_policy_may_name_are_a_mistake() -> None:
    parsed = [StackConfig.parse({**CONFIG, "operators": operators(n)}).operators for n in (1, 30)]
    assert trust_policy_size(parsed[1].source, None) <= TRUST_POLICY_LIMIT
    with pytest.raises(ConfigError) as raised:
        StackConfig.parse({**CONFIG, "operators": operators(60)})
    (mistake,) = raised.value.mistakes
    assert mistake.key == "operators.source"
    assert str(TRUST_POLICY_LIMIT) in mistake.allowed
    with pytest.raises(ConfigError, match=r"operators\.source"):
        StackConfig.parse({**CONFIG, "operators": operators(20, "x" * 1224)})
