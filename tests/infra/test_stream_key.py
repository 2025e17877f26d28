"""The key of a stream: the stack's own, or one that the stack file names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.refused_changes import RefusedChangeError
from tests.support.infra.recording_engine import CONFIG, Deployment, record, role_statements

KEY = "arn:aws:kms:eu-west-1:111111111111:key/of-streams"
OTHER = "arn:aws:kms:eu-west-1:111111111111:key/another"
MADE = "replicate-orders-buffer-key"
HELD = f"urn:pulumi:test::dynamodb-replication::replication:index:Buffer$aws:kms/key:Key::{MADE}"
NOTHING: Mapping[str, Any] = {}
LIVING = {
    "tables": [{"sourceTable": "orders", "streamArn": "arn:of-it", "stackOwnsTargetDeny": False}]
}


def up(
    folder: Path,
    key: str | None,
    before: Mapping[str, Any] | None = None,
    held: Mapping[str, Any] = NOTHING,
) -> Deployment:
    """Run the program with this key for the stream."""
    table = CONFIG["tables"][0] | ({"streamKeyArn": key} if key else {})
    return record({**CONFIG, "tables": [table]}, folder / "archive", before=before, held=held)


def keys_of(stack: Deployment, role: str, action: str) -> set[str]:
    """The keys that a role may use with this action."""
    return {
        arn
        for each in role_statements(stack, role)
        if action in each["Action"]
        for arn in each["Resource"]
        if not each.get("Condition")
    }


@pytest.mark.promise("C8")
def test_a_given_key_encrypts_the_stream_and_the_stack_makes_none(tmp_path: Path) -> None:
    stack = up(tmp_path, KEY)
    assert stack.of("Key") == []
    assert stack.one("Stream").inputs["kmsKeyId"] == KEY
    assert stack.outputs["tables"][0]["streamKeyArn"] == KEY
    assert keys_of(stack, "consumer", "kms:Decrypt") == {KEY}
    for role in ("observer", "replication-exporter"):
        assert keys_of(stack, role, "kms:GenerateDataKey") == {KEY}
    # `plan` looks at it.
    assert keys_of(stack, "replication-exporter", "kms:GetKeyPolicy") == {KEY}


@pytest.mark.promise("C8")
def test_every_role_may_use_a_given_key_before_the_stream_is_encrypted_with_it(
    tmp_path: Path,
) -> None:
    stream = up(tmp_path, KEY).one("Stream")
    assert {"replicate-orders-consumer-keys", "replicate-orders-observer-keys"} <= {
        *stream.depends_on
    }


def test_the_key_of_the_source_is_that_of_streams_without_one_of_their_own(tmp_path: Path) -> None:
    tables = [{"source": "orders"}, {"source": "customers", "streamKeyArn": OTHER}]
    stack = record({**CONFIG, "tables": tables, "keys": {"source": KEY}}, tmp_path / "archive")
    assert stack.of("Key") == []
    assert {each.name: each.inputs["kmsKeyId"] for each in stack.of("Stream")} == {
        "replicate-orders-buffer-stream": KEY,
        "replicate-customers-buffer-stream": OTHER,
    }
    assert [each["streamKeyArn"] for each in stack.outputs["tables"]] == [KEY, OTHER]
    assert keys_of(stack, "orders-consumer", "kms:Decrypt") == {KEY}
    assert keys_of(stack, "customers-observer", "kms:GenerateDataKey") == {OTHER}
    assert keys_of(stack, "replication-exporter", "kms:GenerateDataKey") == {KEY, OTHER}
    assert stack.one("Topic", "alarms-source").inputs["kmsMasterKeyId"] == KEY
    # One of the stack's own is in place of none: each stream has its key.
    made = record({**CONFIG, "tables": tables, "keys": {"source": "create"}}, tmp_path / "archive")
    assert made.one("Stream", "orders").inputs["kmsKeyId"] == made.arn(
        made.one("Key", "orders-buffer-key")
    )


@pytest.mark.promise("C3")
def test_the_key_that_the_stack_made_stays_for_the_records_that_it_encrypted(
    tmp_path: Path,
) -> None:
    stack = up(tmp_path, KEY, LIVING, {HELD: {}})
    made = stack.one("Key")
    assert made.name == MADE
    assert made.protect
    assert stack.one("Stream").inputs["kmsKeyId"] == KEY
    assert keys_of(stack, "consumer", "kms:Decrypt") == {KEY, stack.arn(made)}
    assert keys_of(stack, "observer", "kms:GenerateDataKey") == {KEY}
    # Once it has been deleted by hand it is not made anew.
    assert up(tmp_path, KEY, LIVING).of("Key") == []


@pytest.mark.promise("C3")
@pytest.mark.parametrize("now", [OTHER, None])
def test_a_given_key_is_not_exchanged_for_another(tmp_path: Path, now: str | None) -> None:
    before = {"tables": [LIVING["tables"][0] | {"streamKeyArn": KEY}]}
    with pytest.raises(RefusedChangeError, match=f'the stream has "{KEY}"'):
        up(tmp_path, now, before)
    assert up(tmp_path, KEY, before).one("Stream").inputs["kmsKeyId"] == KEY


STREAM = (
    "urn:pulumi:test::dynamodb-replication::replication:index:Buffer$aws:kinesis/stream:Stream::"
    "replicate-orders-buffer-stream"
)
OWN = "arn:aws:kms:eu-west-1:111111111111:key/made-by-the-stack"


def state(key: str, made: str | None = None) -> dict[str, Any]:
    """What an `up` left that failed before it had outputs."""
    left = {STREAM: {"outputs": {"kmsKeyId": key}}}
    return left | ({HELD: {"outputs": {"arn": made}}} if made else {})


@pytest.mark.promise("C3")
@pytest.mark.parametrize("before", [None, {"tables": [{"sourceTable": "orders"}]}, {"tables": []}])
@pytest.mark.parametrize("now", [OTHER, None])
def test_a_given_key_of_an_up_that_failed_is_not_exchanged_either(
    tmp_path: Path, now: str | None, before: Mapping[str, Any] | None
) -> None:
    with pytest.raises(RefusedChangeError, match=f'the stream has "{KEY}"'):
        up(tmp_path, now, before, state(KEY))
    assert up(tmp_path, KEY, before, state(KEY)).one("Stream").inputs["kmsKeyId"] == KEY


@pytest.mark.promise("C3")
def test_the_made_key_of_an_up_that_failed_stays_beside_a_given_one(tmp_path: Path) -> None:
    stack = up(tmp_path, KEY, None, state(OWN, made=OWN))
    assert keys_of(stack, "consumer", "kms:Decrypt") == {KEY, stack.arn(stack.one("Key"))}
    again = up(tmp_path, None, None, state(OWN, made=OWN))
    assert again.one("Key").name == MADE


def test_without_the_setting_nothing_changes_for_a_stack_that_lives(tmp_path: Path) -> None:
    stack = up(tmp_path, None, LIVING, {HELD: {}})
    made = stack.one("Key")
    assert made.name == MADE
    assert stack.one("Stream").inputs["kmsKeyId"] == stack.arn(made)
    assert "streamKeyArn" not in stack.outputs["tables"][0]
