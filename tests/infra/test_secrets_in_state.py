"""Secrets of the configuration among the inputs of resources."""

from __future__ import annotations

from pathlib import Path

import pulumi
import pulumi_aws as aws
import pytest
from pulumi.runtime import set_all_config
from pulumi.runtime.config import _SECRET_KEYS, CONFIG

from infra.refused_changes import RefusedChangeError
from infra.secrets_in_state import KEPT, SecretTexts
from tests.support.infra.recording_engine import CONFIG as OF_THE_STACK
from tests.support.infra.recording_engine import SOURCE, TARGET, record

CONFIGURATION_KEYS = (
    Path(__file__).resolve().parent.parent / "contracts" / "lists" / "configuration_keys.txt"
)
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
"""How the engine marks a value as secret."""
NAMING = {
    *(f"{side}.{key}" for side in ("source", "target") for key in ("accountId", "region")),
    *(f"{side}.{key}" for side in ("source", "target") for key in ("rolePath", "stsRegion")),
    "tables[].source",
    "tables[].target",
}
"""Resources are named by these, or AWS's provider by its Region."""
COMMON = {
    *("architecture", "buckets.blockPublicAccess", "iam.managedPolicies", "lambdaArchive"),
    *("logRetentionDays", "operators.readItems", "protect", "retentionHours", "snapshotKey"),
    *(f"verification.{key}" for key in ("engine", "maxHours", "package", "workerType", "workers")),
    "switch.mfa",
}
"""Numbers, switches, choices, and paths of this machine."""
COMMON_OF_TABLES = {
    *(
        "adopt",
        "batchSize",
        "batchWindow",
        "buffer",
        "denyOtherWriters",
        "ledgerRetentionDays",
        "load",
    ),
    *("makeDestination", "maxWriteRequestUnits", "performanceTier"),
    *("memory", "ordering", "parallelizationFactor", "protect", "quarantineBurst"),
    *("reservedConcurrency", "shards", "startAt", "streamMode"),
}
KEY = "arn:aws:kms:eu-west-1:222222222222:key/1"
VALUES = {
    "operators": {"source": ["account"], "externalId": "a-word"},
    "switch": {"source": ["arn:aws:iam::111111111111:role/dba"], "mfa": True},
    "tags": {"owner": "dev"},
    "tables": [{"source": "orders", "targetKeyArn": KEY, "batchSize": 100}],
    "buckets": {"accessLogs": {"target": "logs-of-the-security-team"}},
    "alarms": {"emails": ["one@example.com"]},
}


def texts(*secret: str) -> frozenset[str]:
    """Return what is kept where these top-level keys hold a secret."""
    before, keys = CONFIG.get(), _SECRET_KEYS.get()
    try:
        set_all_config({}, [f"test:{key}" for key in secret])
        return SecretTexts.of(pulumi.Config("test"), VALUES).texts
    finally:
        CONFIG.set(before)
        _SECRET_KEYS.set(keys)


def test_what_no_secret_is_in_is_not_kept() -> None:
    assert texts() == frozenset()
    assert texts("alarms") == {"one@example.com"}
    assert texts("buckets") == {"logs-of-the-security-team"}
    assert texts("switch") == {"arn:aws:iam::111111111111:role/dba"}


def test_names_numbers_and_the_word_account_are_not_kept() -> None:
    assert texts("tables", "operators", "tags") == {KEY, "a-word", "dev"}


@pytest.mark.parametrize(
    ("value", "secret"),
    [
        ("dev", True),
        ("device", False),
        ('{"owner": "dev"}', True),
        (["x", {"y": "dev"}], True),
        (f'{{"Resource": ["{KEY}/*"]}}', True),
        (aws.dynamodb.TableServerSideEncryptionArgs(enabled=True, kms_key_arn=KEY), True),
        (aws.lambda_.FunctionVpcConfigArgs(subnet_ids=["x", "dev"], security_group_ids=[]), True),
        (aws.dynamodb.TableServerSideEncryptionArgs(enabled=True, kms_key_arn="x"), False),
        (12, False),
        (None, False),
    ],
)
def test_a_short_text_is_found_whole_and_a_long_one_within_another(
    value: object, secret: bool
) -> None:
    assert SecretTexts(frozenset({"dev", KEY})).in_(value) is secret


def test_every_key_of_the_configuration_is_kept_unless_it_is_known_why_not() -> None:
    keys = CONFIGURATION_KEYS.read_text().split()
    leaves = [key for key in keys if not any(k.startswith((f"{key}.", f"{key}[")) for k in keys)]
    shown = {key for key in leaves if not kept(key)}
    thresholds = {key for key in leaves if key.startswith("alarms.thresholds.")}
    of_tables = {f"tables[].{key}" for key in COMMON_OF_TABLES}
    assert shown == NAMING | COMMON | of_tables | thresholds


def kept(key: str) -> bool:
    """Tell whether the value of a key, or what lies in it, is kept."""
    path = key.replace("[]", "[0]")
    return any(KEPT.fullmatch(each) for each in (path, f"{path}[0]", f"{path}.x"))


def test_a_given_key_that_the_state_has_as_a_secret_is_compared_as_its_value(
    tmp_path: Path,
) -> None:
    def given(key: str) -> dict[str, object]:
        table = {"source": "orders", "streamKeyArn": key}
        return {**OF_THE_STACK, "tables": [table]}

    stream_key = "arn:aws:kms:eu-west-1:111111111111:key/1"
    table = {"sourceTable": "orders", "streamKeyArn": {**SECRET, "value": stream_key}}
    before = {"source": SOURCE, "target": TARGET, "tables": [table]}
    assert record(given(stream_key), tmp_path / "archive", before=before).of("Stream")
    with pytest.raises(RefusedChangeError, match=f'the stream has "{stream_key}"'):
        record(given(f"{stream_key}0"), tmp_path / "archive", before=before)
