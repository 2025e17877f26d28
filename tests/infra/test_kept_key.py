"""`keys.target`: a key of the operator's own for ledgers, journal and quarantine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.refused_changes import RefusedChangeError
from tests.support.infra.recording_engine import CONFIG, Deployment, record, statements

KEY = "arn:aws:kms:eu-west-1:222222222222:key/kept"
SERVICES = ("dynamodb.eu-west-1.amazonaws.com", "s3.eu-west-1.amazonaws.com")


def up(folder: Path, key: str | None = KEY, before: Mapping[str, Any] | None = None) -> Deployment:
    """Run the program with this key."""
    config = {**CONFIG, **({"keys": {"target": key}} if key else {})}
    return record(config, folder / "archive", before=before)


def uses(stack: Deployment, role: str) -> set[tuple[str, str]]:
    """What a role may do with the key, and through which service."""
    policy = stack.one("RolePolicy", f"{role}-grants").inputs["policy"]
    return {
        (action, each.get("Condition", {}).get("StringEquals", {}).get("kms:ViaService", ""))
        for each in statements(policy)
        if KEY in each["Resource"]
        for action in each["Action"]
    }


@pytest.mark.promise("C8")
def test_the_key_encrypts_ledger_journal_and_quarantine_and_nothing_else(tmp_path: Path) -> None:
    stack = up(tmp_path)
    for table in stack.of("Table"):
        assert table.inputs["serverSideEncryption"] == {"enabled": True, "kmsKeyArn": KEY}
    assert {table.name for table in stack.of("Table")} == {
        "replicate-orders-ledger",
        "replication-journal",
    }
    named = {
        each.inputs["bucket"]
        for each in stack.of("BucketServerSideEncryptionConfiguration")
        if KEY in str(each.inputs)
    }
    assert named == {"replicate-orders-quarantine"}
    function = stack.one("Function", "consumer")
    assert function.inputs["environment"]["variables"]["QUARANTINE_KEY"] == KEY
    assert stack.outputs["keptKeyArn"] == KEY


@pytest.mark.promise("C8")
def test_each_role_uses_the_key_through_the_services_that_it_calls(tmp_path: Path) -> None:
    stack = up(tmp_path)
    tables = {("kms:Decrypt", SERVICES[0])}
    objects = {(action, SERVICES[1]) for action in ("kms:Decrypt", "kms:GenerateDataKey")}
    looks = {(action, "") for action in ("kms:DescribeKey", "kms:GetKeyPolicy")}
    assert uses(stack, "consumer") == tables | objects
    assert uses(stack, "watchdog") == tables
    assert uses(stack, "replication-importer") == tables | objects | looks
    assert uses(stack, "replication-operator-target") == tables
    assert uses(stack, "replication-exporter") == set()


@pytest.mark.promise("C3")
def test_a_given_key_is_not_exchanged_for_another(tmp_path: Path) -> None:
    before = {"keptKeyArn": KEY}
    with pytest.raises(RefusedChangeError, match=r"keys\.target: got nothing") as caught:
        up(tmp_path, None, before)
    assert "put keys.target back; or replicate with another key in another stack" in str(
        caught.value
    )
    assert "take the table out" not in str(caught.value), "the key stays the stack's"
    with pytest.raises(RefusedChangeError, match=f'the stack has "{KEY}"'):
        up(tmp_path, f"{KEY}-2", before)
    up(tmp_path, KEY, before)


def test_without_a_key_tables_and_buckets_are_as_ever(tmp_path: Path) -> None:
    stack = up(tmp_path, None)
    assert not any("serverSideEncryption" in table.inputs for table in stack.of("Table"))
    assert "keptKeyArn" not in stack.outputs
    assert "QUARANTINE_KEY" not in str(stack.one("Function", "consumer").inputs)
