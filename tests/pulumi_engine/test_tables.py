"""A stack that gains a table, keeps a secret, and is taken down while its buckets hold objects."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.pulumi_engine.engine import OPEN_COROUTINES, Engine, EngineStack, RefusedError

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings(*OPEN_COROUTINES)]

ORDERS = {"source": "orders", "target": "orders-replica"}
CUSTOMERS = {"source": "customers"}
UNPROTECTED = {**CUSTOMERS, "protect": False}
PREFIX = "acme-"
WORD = "open-sesame-4711"
SECRET = {
    "operators.externalId": WORD,
    "alarms.emails[0]": "hidden-address@example.com",
    "tags.owner": "hid7",
    "tables[0].sourceKeyArn": "arn:aws:kms:eu-west-1:111111111111:key/hidden-key-4711",
    "tables[0].streamKeyArn": "arn:aws:kms:eu-west-1:111111111111:key/hidden-key-4712",
    "keys.target": "arn:aws:kms:eu-west-1:222222222222:key/hidden-key-4713",
    "source.permissionsBoundaryArn": "arn:aws:iam::111111111111:policy/hidden-boundary",
}
ROLES = (("source", "exporter"), ("target", "importer"), ("target", "operator"))
SHARED = {
    "Dashboard replication-dashboard",
    "RolePolicy replication-exporter-grants",
    "RolePolicy replication-importer-grants",
    "RolePolicy replication-operator-source-grants",
    "RolePolicy replication-operator-target-grants",
}
"""What names every table of a stack."""


@pytest.fixture(scope="module")
def stack(engine: Engine) -> EngineStack:
    """A stack of one table with a company's prefix, whose operators present a secret word."""
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    engine.cloud.client("iam", engine.cloud.source).create_policy(
        PolicyName=SECRET["source.permissionsBoundaryArn"].rpartition("/")[2],
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [everything]}),
    )
    stack = engine.stack("tables")
    stack.configure(engine.config(ORDERS, snapshotKey=True), SECRET)
    stack.name_by(f"{PREFIX}${{name}}-${{hex(7)}}")
    stack.up()
    return stack


def test_no_secret_of_the_configuration_is_in_clear_in_the_state(
    engine: Engine, stack: EngineStack
) -> None:
    kept = [path for path in (engine.folder / "state").rglob("*") if path.is_file()]
    assert kept
    texts = {path: path.read_text(errors="replace") for path in kept}
    for secret in SECRET.values():
        assert [path for path, text in texts.items() if secret in text] == []
    iam = engine.cloud.client("iam", engine.cloud.source)
    [role] = [r for r in iam.list_roles()["Roles"] if "replication-exporter" in r["RoleName"]]
    assert WORD in json.dumps(role["AssumeRolePolicyDocument"])


def test_everything_that_the_stack_names_has_the_companys_prefix(stack: EngineStack) -> None:
    outputs = stack.outputs()
    [table] = outputs["tables"]
    roles = [outputs[side][f"{who}RoleArn"] for side, who in ROLES]
    arns = [table["streamArn"], table["functionArn"], table["consumerRoleArn"], *roles]
    names = [outputs["snapshotBucket"], outputs["journalTable"], table["ledgerTable"]]
    names += [table["quarantineBucket"], table["onFailureBucket"]]
    names += [re.split("[/:]", arn)[-1] for arn in arns]
    assert [name for name in names if not name.startswith(f"{PREFIX}replica")] == []


def test_a_table_more_changes_only_what_names_every_table(
    engine: Engine, stack: EngineStack
) -> None:
    stack.configure(engine.config(ORDERS, CUSTOMERS, snapshotKey=True), SECRET)
    up = stack.up()
    assert up.by_operation.keys() == {"create", "update"}
    assert up.by_operation["update"] == SHARED
    assert [made for made in up.by_operation["create"] if "replicate-customers" not in made] == []
    assert [table["sourceTable"] for table in up.outputs["tables"]] == ["orders", "customers"]


def test_a_table_less_is_refused_while_it_is_protected(engine: Engine, stack: EngineStack) -> None:
    engine.log.forget()
    stack.configure(engine.config(ORDERS, snapshotKey=True), SECRET)
    with pytest.raises(RefusedError, match=r"(?s)replicate-customers.*is protected"):
        stack.preview()
    assert engine.log.calls() == []


def test_another_account_or_region_is_refused(engine: Engine, stack: EngineStack) -> None:
    values = engine.config(ORDERS, CUSTOMERS, snapshotKey=True)
    values["target"] = {"accountId": "333333333333", "region": "us-east-1", "profile": "target"}
    there = {key: word for key, word in SECRET.items() if key != "keys.target"}
    stack.configure(values, there)
    with pytest.raises(RefusedError, match=r'target\.accountId: got "333333333333"') as raised:
        stack.preview()
    assert 'target.region: got "us-east-1"; the stack is in "eu-west-1"' in str(raised.value)


def test_a_table_whose_run_goes_on_cannot_be_left_out_not_even_unprotected(
    engine: Engine, stack: EngineStack
) -> None:
    outputs = stack.outputs()
    [_, table] = outputs["tables"]
    journal = outputs["journalTable"]
    engine.record_state(journal, "customers", "REPLICATING")
    stack.configure(engine.config(ORDERS, UNPROTECTED, snapshotKey=True), SECRET)
    up = stack.up()
    assert up.by_operation == {"update": {"Table replicate-customers-ledger"}}
    stack.configure(engine.config(ORDERS, snapshotKey=True), SECRET)
    engine.log.forget()
    with pytest.raises(RefusedError, match="cannot leave the stack tables") as raised:
        stack.preview()
    said = " ".join(str(raised.value).split())
    assert f"REPLICATING (journal table {journal}, pk customers, sk run)" in said
    assert table["streamArn"] in said
    assert table["mappingUuid"] in said
    assert "python -m bootstrap abandon --stack tables --table customers" in said
    assert "Traceback" not in said
    assert engine.log.calls() == []


def test_a_table_whose_run_cannot_be_looked_up_cannot_be_left_out(
    engine: Engine, stack: EngineStack
) -> None:
    engine.log.order(fail={"getTableItem": "AccessDeniedException: not authorized to GetItem"})
    with pytest.raises(RefusedError, match=r"a run that cannot be looked up: .*AccessDenied"):
        stack.preview()
    engine.log.forget()


def test_an_unprotected_table_leaves_once_its_run_is_abandoned_and_the_others_stay(
    engine: Engine, stack: EngineStack
) -> None:
    engine.record_state(stack.outputs()["journalTable"], "customers", "ABANDONED")
    held = {r["urn"] for r in stack.resources() if r.get("protect") and "customers" not in r["urn"]}
    up = stack.up()
    assert up.by_operation.keys() == {"delete", "update"}
    assert up.by_operation["update"] == SHARED
    assert [gone for gone in up.by_operation["delete"] if "replicate-customers" not in gone] == []
    assert held <= {r["urn"] for r in stack.resources() if r.get("protect")}
    assert [r["urn"] for r in stack.resources() if "replicate-customers" in r["urn"]] == []
    tables = engine.cloud.client("dynamodb", engine.cloud.target).list_tables()["TableNames"]
    assert [name for name in tables if "customers" in name] == []
    stack.configure(engine.config(ORDERS, CUSTOMERS, snapshotKey=True), SECRET)
    stack.up()


def test_a_destroy_that_fails_for_objects_leaves_the_bucket_guarded_and_can_be_repeated(
    engine: Engine, stack: EngineStack
) -> None:
    stack.configure(engine.config(ORDERS, CUSTOMERS, snapshotKey=True, protect=False), SECRET)
    up = stack.up()
    # Both ledgers and the journal lose AWS's deletion protection.
    assert up.by_operation["update"] == {
        "Table replicate-customers-ledger",
        "Table replicate-orders-ledger",
        "Table replication-journal",
    }
    s3, bucket = engine.cloud.client("s3", engine.cloud.target), up.outputs["snapshotBucket"]
    s3.put_object(Bucket=bucket, Key="orders/data.json.gz", Body=b"items")
    guards = guards_of(s3, bucket)
    with pytest.raises(RefusedError, match="BucketNotEmpty"):
        stack.destroy()
    assert guards_of(s3, bucket) == guards
    # And what it holds can still be read.
    key = engine.cloud.client("kms", engine.cloud.target).describe_key(KeyId=key_of(guards))
    assert key["KeyMetadata"]["KeyState"] == "Enabled"
    s3.delete_object(Bucket=bucket, Key="orders/data.json.gz")
    stack.destroy()
    assert stack.resources() == []
    assert left(engine) == {"streams": [], "functions": [], "roles": [], "buckets": []}


def guards_of(s3: Any, bucket: str) -> dict[str, Any]:
    """Return what keeps a bucket private."""
    return {
        "block": s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"],
        "policy": s3.get_bucket_policy(Bucket=bucket)["Policy"],
        "ownership": s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"],
        "lifecycle": s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"],
        "encryption": s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"],
    }


def key_of(guards: dict[str, Any]) -> str:
    """Return the key that encrypts a bucket."""
    [rule] = guards["encryption"]["Rules"]
    return str(rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"])


def left(engine: Engine) -> dict[str, list[Any]]:
    """Return what costs money or grants access and is still there, in both accounts."""
    found: dict[str, list[Any]] = {"streams": [], "functions": [], "roles": [], "buckets": []}
    for account in (engine.cloud.source, engine.cloud.target):
        found["streams"] += engine.cloud.client("kinesis", account).list_streams()["StreamNames"]
        found["functions"] += engine.cloud.client("lambda", account).list_functions()["Functions"]
        found["roles"] += engine.cloud.client("iam", account).list_roles()["Roles"]
        found["buckets"] += engine.cloud.client("s3", account).list_buckets()["Buckets"]
    return found


def test_the_tables_of_the_operator_are_still_there(engine: Engine, stack: EngineStack) -> None:
    dynamodb = engine.cloud.client("dynamodb", engine.cloud.source)
    assert set(dynamodb.list_tables()["TableNames"]) == {"orders", "customers"}
    with pytest.raises(ClientError, match="orders-replica"):
        engine.cloud.client("dynamodb", engine.cloud.target).describe_table(
            TableName="orders-replica"
        )
