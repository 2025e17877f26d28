"""`keys`: one customer-managed key for each place, given or made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.refused_changes import RefusedChangeError
from tests.support.infra.recording_engine import (
    CONFIG,
    TARGET,
    Deployment,
    arn,
    record,
    role_statements,
    statements,
)

HERE, THERE = "eu-west-1", "eu-central-1"
SOURCES = "arn:aws:kms:eu-west-1:111111111111:key/sources"
CONSUMERS = "arn:aws:kms:eu-west-1:222222222222:key/consumers"
TARGETS = "arn:aws:kms:eu-central-1:222222222222:key/targets"
GIVEN = {"source": SOURCES, "consumer": CONSUMERS, "target": TARGETS}
CREATED = dict.fromkeys(GIVEN, "create")
NOTHING: Mapping[str, Any] = {}
ENCRYPTION = "ServerSideEncryptionConfiguration"
LIVING: Mapping[str, Any] = {
    "tables": [{"sourceTable": "orders", "streamArn": "arn:of-it", "stackOwnsTargetDeny": False}]
}
"""Outputs of a stack without keys."""


def up(
    folder: Path,
    keys: Mapping[str, str] = NOTHING,
    before: Mapping[str, Any] | None = None,
    held: Mapping[str, Any] = NOTHING,
    **more: Any,
) -> Deployment:
    """Run the program with these keys, in two Regions."""
    config = {**CONFIG, "target": {**TARGET, "region": THERE}, "keys": keys, **more}
    return record(config, folder / "archive", before=before, held=held)


def encrypted(stack: Deployment) -> dict[str, str]:
    """The key of everything that has one, by the resource's name."""
    found = {}
    for each in stack.resources:
        inputs = each.inputs
        rules = inputs.get("rules", ()) if "Encryption" in each.kind else ()
        key = (
            inputs.get("kmsKeyId")
            or inputs.get("kmsKeyArn")
            or inputs.get("kmsMasterKeyId")
            or inputs.get("serverSideEncryption", {}).get("kmsKeyArn")
            or next(
                (r["applyServerSideEncryptionByDefault"].get("kmsMasterKeyId") for r in rules), None
            )
        )
        if key:
            found[each.name] = str(key)
    return found


IN_PLACE = {
    "source": {"replicate-orders-buffer-stream", "replication-alarms-source"},
    "consumer": {
        "replicate-orders-consumer",
        "replicate-orders-consumer-logs",
        "replicate-orders-on-failure-encryption",
        "replicate-orders-watchdog",
        "replicate-orders-watchdog-logs",
        "replication-alarms-consumer",
    },
    "target": {
        "replicate-orders-ledger",
        "replicate-orders-quarantine-encryption",
        "replication-alarms-target",
        "replication-journal",
        "replication-snapshot-encryption",
    },
}


@pytest.mark.promise("C8")
def test_the_key_of_a_place_encrypts_everything_there(tmp_path: Path) -> None:
    stack = up(tmp_path, GIVEN)
    assert encrypted(stack) == {
        name: GIVEN[place] for place, names in IN_PLACE.items() for name in names
    }
    assert stack.of("Key") == []
    assert stack.outputs["keys"] == GIVEN
    assert stack.outputs["snapshotKeyArn"] == TARGETS
    assert stack.outputs["tables"][0]["targetKeyArn"] == TARGETS
    variables = stack.one("Function", "consumer").inputs["environment"]["variables"]
    assert variables["QUARANTINE_KEY"] == TARGETS


@pytest.mark.parametrize("place", GIVEN)
def test_a_place_without_a_key_keeps_the_keys_of_aws(place: str, tmp_path: Path) -> None:
    stack = up(tmp_path, {key: value for key, value in GIVEN.items() if key != place})
    others = {name for each in IN_PLACE if each != place for name in IN_PLACE[each]}
    made = {"replicate-orders-buffer-stream"} if place == "source" else set()
    assert encrypted(stack).keys() == others | made


def test_a_stack_without_keys_declares_nothing_for_them(tmp_path: Path) -> None:
    stack = up(tmp_path)
    assert encrypted(stack).keys() == {"replicate-orders-buffer-stream"}
    assert [each.name for each in stack.resources if each.name.endswith("-keys")] == []
    assert "keys" not in stack.outputs


def test_a_topic_that_both_places_share_has_the_key_of_the_consumers(tmp_path: Path) -> None:
    keys = {"consumer": CONSUMERS, "target": TARGETS.replace(THERE, HERE)}
    stack = up(tmp_path, keys, target=TARGET)
    topics = {each.name: each.inputs.get("kmsMasterKeyId") for each in stack.of("Topic")}
    assert topics == {"replication-alarms-source": None, "replication-alarms-consumer": CONSUMERS}


def test_what_has_a_key_of_its_own_keeps_it(tmp_path: Path) -> None:
    own = f"{TARGETS}-own"
    table = {**CONFIG["tables"][0], "targetKeyArn": own}
    stack = up(tmp_path, GIVEN, tables=[table], snapshotKey=True)
    assert stack.outputs["tables"][0]["targetKeyArn"] == own
    snapshots = stack.one("Key")
    assert snapshots.name == "replication-snapshot-key"
    assert stack.outputs["snapshotKeyArn"] == stack.arn(snapshots)
    plain = up(tmp_path, GIVEN, snapshotKey=False)
    assert "replication-snapshot-encryption" not in encrypted(plain)
    assert "snapshotKeyArn" not in plain.outputs


def uses(stack: Deployment, role: str, key: str) -> set[tuple[str, str]]:
    """What a role may do with the key, and through which service or for which functions."""
    found = set()
    for each in role_statements(stack, role):
        conditions = [
            value for found in each.get("Condition", {}).values() for value in found.values()
        ]
        how = conditions[0] if conditions else ""
        if key in each["Resource"]:
            found |= {(action, str(how)) for action in each["Action"]}
    return found


@pytest.mark.promise("C8")
def test_each_role_uses_the_keys_through_the_services_that_it_calls(tmp_path: Path) -> None:
    stack = up(tmp_path, GIVEN)
    by_dynamodb, by_s3 = (f"{each}.{THERE}.amazonaws.com" for each in ("dynamodb", "s3"))
    tables = {("kms:Decrypt", by_dynamodb)}
    objects = {(action, by_s3) for action in ("kms:Decrypt", "kms:GenerateDataKey")}
    looks = {(action, "") for action in ("kms:DescribeKey", "kms:GetKeyPolicy")}
    assert uses(stack, "consumer", TARGETS) == tables | objects
    assert uses(stack, "watchdog", TARGETS) == tables
    assert uses(stack, "replication-exporter", TARGETS) == objects
    assert uses(stack, "replication-importer", TARGETS) >= tables | objects | looks
    assert ("kms:CreateGrant", by_dynamodb) in uses(stack, "replication-importer", TARGETS)
    assert uses(stack, "replication-operator-target", TARGETS) == tables

    failures = f"s3.{HERE}.amazonaws.com"
    function = "arn:aws:lambda:eu-west-1:222222222222:function:replicate-orders-{}-*"
    starts = {
        each: ("kms:Decrypt", str([function.format(each)])) for each in ("consumer", "watchdog")
    }
    assert uses(stack, "consumer", CONSUMERS) == {
        ("kms:Decrypt", failures),
        ("kms:GenerateDataKey", failures),
        starts["consumer"],
    }
    assert uses(stack, "watchdog", CONSUMERS) == {starts["watchdog"]}
    assert uses(stack, "replication-importer", CONSUMERS) == {("kms:Decrypt", failures)} | looks
    assert uses(stack, "replication-operator-target", CONSUMERS) == set()
    assert uses(stack, "observer", SOURCES) == {("kms:GenerateDataKey", "")}
    assert uses(stack, "replication-exporter", SOURCES) == {("kms:GenerateDataKey", "")} | looks


@pytest.mark.promise("C8")
@pytest.mark.parametrize("keys", [GIVEN, CREATED], ids=["given", "made"])
def test_roles_may_use_a_key_before_anything_is_encrypted_with_it(
    keys: Mapping[str, str], tmp_path: Path
) -> None:
    stack = up(tmp_path, keys)
    of_table = {"replicate-orders-consumer-keys", "replicate-orders-watchdog-keys"}
    of_operators = {f"replication-{role}-keys-attachment" for role in ("importer", "exporter")}
    for name in (
        "replicate-orders-ledger",
        "replicate-orders-quarantine-encryption",
        "replicate-orders-on-failure-encryption",
        "replicate-orders-consumer",
        "replicate-orders-watchdog",
    ):
        [resource] = [each for each in stack.resources if each.name == name and each.custom]
        mine = (
            of_table
            if name != "replicate-orders-watchdog"
            else {*of_table} - {"replicate-orders-consumer-keys"}
        )
        assert mine <= {*resource.depends_on}, name
    for name in ("replication-journal", "replication-snapshot-encryption"):
        [resource] = [each for each in stack.resources if each.name == name]
        assert of_operators <= {*resource.depends_on}, name
    # And a role that has its rights in the policy of its other grants loses them there last.
    assert of_operators <= {*stack.one("RolePolicy", "importer-grants").depends_on}
    assert "replicate-orders-consumer-keys" in stack.one("RolePolicy", "consumer-grants").depends_on


@pytest.mark.promise("C8")
@pytest.mark.parametrize("keys", [GIVEN, CREATED, {}], ids=["given", "made", "none"])
def test_a_target_is_used_with_the_key_that_it_had_after_another_is_set(
    keys: Mapping[str, str], tmp_path: Path
) -> None:
    own, first = f"{TARGETS}-own", f"{TARGETS}-first"
    entry = {**LIVING["tables"][0], "targetKeyArn": own, "earlierTargetKeyArns": [first]}
    before = {"tables": [entry]}
    stack = up(tmp_path, keys, before, switch=True)
    by_dynamodb = f"dynamodb.{THERE}.amazonaws.com"
    for role in ("orders-consumer", "replication-importer", "replication-switch-target"):
        for key in (own, first):
            assert uses(stack, role, key) == {("kms:Decrypt", by_dynamodb)}, (role, key)
    assert stack.outputs["tables"][0]["earlierTargetKeyArns"] == [first, own]
    table = {**CONFIG["tables"][0], "targetKeyArn": own}
    again = up(tmp_path, keys, before, tables=[table])
    assert again.outputs["tables"][0]["earlierTargetKeyArns"] == [first]


def test_the_key_that_the_stack_made_is_no_earlier_one_of_a_target(tmp_path: Path) -> None:
    entry = {**LIVING["tables"][0], "targetKeyArn": MADE}
    before = {"tables": [entry], "keys": {"target": MADE}}
    held = {URN.format("replication-target-key"): {"outputs": {"arn": MADE}}}
    stack = up(tmp_path, {"target": "create"}, before, held)
    assert "earlierTargetKeyArns" not in stack.outputs["tables"][0]


def made_keys(stack: Deployment) -> dict[str, list[dict[str, Any]]]:
    """The statements of the keys that the stack makes for places, by place."""
    return {
        each.name.split("-")[1]: statements(each.inputs["policy"])
        for each in stack.of("Key")
        if each.name.startswith("replication-")
    }


@pytest.mark.promise("C8")
def test_a_made_key_is_kept_rotated_named_and_allows_each_service_its_own(
    tmp_path: Path,
) -> None:
    stack = up(tmp_path, CREATED, switch=True)
    for place, names in IN_PLACE.items():
        key = stack.one("Key", f"replication-{place}-key")
        assert key.inputs["enableKeyRotation"] is True
        # The source's may change; the target tables outlive the stack.
        assert key.protect is (place != "source")
        assert key.retain_on_delete is (place != "consumer")
        assert stack.region(key) == (THERE if place == "target" else HERE)
        assert key.side == ("source" if place == "source" else "target")
        alias = stack.one("Alias", f"replication-{place}-alias")
        assert alias.inputs["name"] == f"alias/replication-{place}-uuid-of-"
        under = {name for name, found in encrypted(stack).items() if found == stack.arn(key)}
        assert under | {"replicate-orders-buffer-stream"} == names | {
            "replicate-orders-buffer-stream"
        }
    services = {
        place: {
            each["Principal"]["Service"]: each.get("Condition")
            for each in found
            if "Service" in each["Principal"]
        }
        for place, found in made_keys(stack).items()
    }
    alarms = {"StringEquals": {"aws:SourceAccount": "222222222222"}}
    groups = "arn:aws:logs:eu-west-1:222222222222:log-group:replicate-orders-{}-logs-*"
    assert services == {
        "source": {
            "cloudwatch.amazonaws.com": {"StringEquals": {"aws:SourceAccount": "111111111111"}},
            "events.amazonaws.com": None,
        },
        "consumer": {
            "cloudwatch.amazonaws.com": alarms,
            "logs.eu-west-1.amazonaws.com": {
                "ArnLike": {
                    "kms:EncryptionContext:aws:logs:arn": [
                        groups.format("consumer"),
                        groups.format("watchdog"),
                    ]
                }
            },
        },
        "target": {"cloudwatch.amazonaws.com": alarms, "events.amazonaws.com": None},
    }
    [exporter] = [each for each in made_keys(stack)["target"] if each["Sid"] == "ExporterWrites"]
    assert exporter["Principal"]["AWS"] == arn("Role", "replication-exporter")


def test_topics_of_your_own_need_no_key_of_the_stack(tmp_path: Path) -> None:
    topic = "arn:aws:sns:{}:222222222222:ops"
    topics = {"source": HERE, "consumer": HERE, "target": THERE}
    stack = up(
        tmp_path,
        CREATED,
        alarms={"topics": {place: topic.format(region) for place, region in topics.items()}},
    )
    assert made_keys(stack).keys() == {"consumer", "target"}
    assert "cloudwatch" not in json.dumps(made_keys(stack))


URN = "urn:pulumi:test::dynamodb-replication::replication:index:PlaceKey$aws:kms/key:Key::{}"
MADE = "arn:aws:kms:eu-central-1:222222222222:key/made"


@pytest.mark.promise("C3")
@pytest.mark.parametrize("before", [{"keptKeyArn": TARGETS}, {"keys": {"target": TARGETS}}])
def test_a_given_key_is_not_exchanged_for_another(
    before: Mapping[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(RefusedChangeError, match=r"keys\.target: got nothing") as caught:
        up(tmp_path, {}, before)
    assert "put keys.target back; or replicate with another key in another stack" in str(
        caught.value
    )
    assert "take the table out" not in str(caught.value), "the key stays the stack's"
    for other in (f"{TARGETS}-2", "create"):
        with pytest.raises(RefusedChangeError, match=f'the stack has "{TARGETS}"'):
            up(tmp_path, {"target": other}, before)
    up(tmp_path, {"target": TARGETS}, before)
    # A place that had none may get one.
    up(tmp_path, {"target": TARGETS, "consumer": "create"}, before)


@pytest.mark.promise("C3")
def test_a_made_key_is_never_let_go(tmp_path: Path) -> None:
    before = {"keys": {"target": MADE}}
    held = {URN.format("replication-target-key"): {"outputs": {"arn": MADE}}}
    for keys in ({}, {"target": TARGETS}):
        with pytest.raises(RefusedChangeError, match=r"keys\.target: got .*one that it made"):
            up(tmp_path, keys, before, held)
        with pytest.raises(RefusedChangeError):  # an `up` that failed left no outputs
            up(tmp_path, keys, None, held)
    assert up(tmp_path, {"target": "create"}, before, held).one("Key", "replication-target-key")


@pytest.mark.promise("C3")
def test_the_key_that_was_made_for_snapshots_is_never_let_go(tmp_path: Path) -> None:
    before = {"snapshotKeyArn": MADE}
    with pytest.raises(RefusedChangeError, match="snapshotKey: got nothing; the stack has made"):
        up(tmp_path, GIVEN, before)
    assert up(tmp_path, GIVEN, before, snapshotKey=True)
    # The key of the place is not one of those.
    known = {"snapshotKeyArn": TARGETS, "keys": {"target": TARGETS}}
    assert up(tmp_path, {"target": TARGETS}, known, snapshotKey=False)


KEEPERS: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "log group": ("aws:cloudwatch/logGroup:LogGroup", "orders-consumer-logs", {"kmsKeyId": MADE}),
    "failures": (
        f"aws:s3/bucket{ENCRYPTION}:Bucket{ENCRYPTION}",
        "orders-on-failure-encryption",
        {"rules": [{"applyServerSideEncryptionByDefault": {"kmsMasterKeyId": MADE}}]},
    ),
    "journal": (
        "aws:dynamodb/table:Table",
        "replication-journal",
        {"serverSideEncryption": {"enabled": True, "kmsKeyArn": MADE}},
    ),
    "ledger": (
        "aws:dynamodb/table:Table",
        "replicate-orders-ledger",
        {"serverSideEncryption": {"enabled": True, "kmsKeyArn": MADE}},
    ),
    "quarantine": (
        f"aws:s3/bucket{ENCRYPTION}:Bucket{ENCRYPTION}",
        "replicate-orders-quarantine-encryption",
        {"rules": [{"applyServerSideEncryptionByDefault": {"kmsMasterKeyId": MADE}}]},
    ),
}


@pytest.mark.promise("C3")
@pytest.mark.parametrize("keeper", KEEPERS)
def test_a_key_that_an_up_which_was_killed_has_used_is_not_let_go(
    keeper: str, tmp_path: Path
) -> None:
    type_, name, outputs = KEEPERS[keeper]
    place = "consumer" if keeper in ("log group", "failures") else "target"
    # The outputs are those of the `up` before it: nothing in them wants the state.
    urn = f"urn:pulumi:test::dynamodb-replication::{type_}::{name}"
    with pytest.raises(RefusedChangeError, match=rf'keys\.{place}: got nothing.*"{MADE}"'):
        up(tmp_path, {}, LIVING, {urn: {"outputs": outputs}})
    up(tmp_path, {}, LIVING, {urn: {"outputs": {}}})


@pytest.mark.promise("C3")
def test_keys_that_an_up_which_was_killed_has_made_are_not_let_go(tmp_path: Path) -> None:
    held = {
        URN.format(f"replication-{name}-key"): {"outputs": {"arn": MADE}}
        for name in ("snapshot", "target")
    }
    with pytest.raises(
        RefusedChangeError, match=r"(?s)keys\.target: got nothing.*snapshotKey: got nothing"
    ):
        up(tmp_path, {}, LIVING, held)
    assert up(tmp_path, {"target": "create"}, LIVING, held, snapshotKey=True)


def test_the_key_of_the_sources_topic_may_change(tmp_path: Path) -> None:
    before = {"keys": {"source": SOURCES}}
    assert up(tmp_path, {"source": f"{SOURCES}-2"}, before)
