"""Keys of places, for a stack that lives: all of it is updated in place, and none is let go."""

from __future__ import annotations

import pytest

from infra.local.cloud import SOURCE, TARGET
from tests.pulumi_engine.engine import OPEN_COROUTINES, Engine, RefusedError

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings(*OPEN_COROUTINES)]

ORDERS = {"source": "orders", "target": "orders-replica"}
CUSTOMERS = {"source": "customers", "target": "customers-replica"}
ENCRYPTED = {
    "BucketServerSideEncryptionConfiguration replicate-orders-on-failure-encryption",
    "BucketServerSideEncryptionConfiguration replicate-orders-quarantine-encryption",
    "BucketServerSideEncryptionConfiguration replication-snapshot-encryption",
    "Function replicate-orders-consumer",
    "Function replicate-orders-watchdog",
    "LogGroup replicate-orders-consumer-logs",
    "LogGroup replicate-orders-watchdog-logs",
    "Stream replicate-orders-buffer-stream",
    "Table replicate-orders-ledger",
    "Table replication-journal",
    "Topic replication-alarms-consumer",
    "Topic replication-alarms-source",
}
"""Updated where each place gets a key."""
RIGHTS = {
    "RolePolicy replicate-orders-consumer-keys",
    "RolePolicy replicate-orders-observer-keys",
    "RolePolicy replicate-orders-watchdog-keys",
    "RolePolicyAttachment replication-importer-keys-attachment",
}


@pytest.mark.promise("C3")
def test_keys_of_places_are_set_in_place_with_the_rights_to_them_and_are_not_let_go(
    engine: Engine,
) -> None:
    stack, cloud = engine.stack("given-keys"), engine.cloud
    stack.configure(engine.config(ORDERS))
    stack.up()
    of_source = cloud.client("kms", SOURCE).create_key()["KeyMetadata"]["Arn"]
    of_target = cloud.client("kms", TARGET).create_key()["KeyMetadata"]["Arn"]
    keys = {"source": of_source, "consumer": "create", "target": of_target}
    stack.configure({**engine.config(ORDERS), "keys": keys})
    changed = stack.up().by_operation
    assert changed.keys() == {"create", "update"}  # the key that the stack made is not deleted
    assert changed["update"] >= ENCRYPTED
    assert changed["create"] >= RIGHTS | {
        "Alias replication-consumer-alias",
        "Key replication-consumer-key",
    }

    outputs = stack.outputs()
    [lane] = outputs["tables"]
    made = outputs["keys"]["consumer"]
    ledger = cloud.client("dynamodb", TARGET).describe_table(TableName=lane["ledgerTable"])
    assert ledger["Table"]["SSEDescription"]["KMSMasterKeyArn"] == of_target
    stream = cloud.client("kinesis", SOURCE).describe_stream_summary(StreamName=lane["streamName"])
    assert stream["StreamDescriptionSummary"]["KeyId"] == of_source
    function = cloud.client("lambda", TARGET).get_function_configuration(
        FunctionName=lane["functionName"]
    )
    assert function["KMSKeyArn"] == made
    groups = cloud.client("logs", TARGET).describe_log_groups(logGroupNamePrefix=lane["logGroup"])
    assert groups["logGroups"][0]["kmsKeyId"] == made
    failures = cloud.client("s3", TARGET).get_bucket_encryption(Bucket=lane["onFailureBucket"])
    assert made in str(failures["ServerSideEncryptionConfiguration"])
    assert stack.up().unchanged

    stack.configure(engine.config(ORDERS))
    with pytest.raises(
        RefusedError, match=r"(?s)A key that encrypts.*streamKeyArn.*keys\.consumer.*keys\.target"
    ):
        stack.preview()


def test_the_key_that_was_made_for_the_sources_topic_leaves_the_stack_and_stays_in_aws(
    engine: Engine,
) -> None:
    stack = engine.stack("source-key")
    stack.configure({**engine.config(CUSTOMERS), "keys": {"source": "create"}})
    stack.up()
    made = stack.outputs()["keys"]["source"]
    stack.configure(engine.config(CUSTOMERS))
    changed = stack.up().by_operation
    assert "Topic replication-alarms-source" in changed["update"]
    assert stack.outputs().get("keys") is None
    kms = engine.cloud.client("kms", SOURCE)
    assert kms.describe_key(KeyId=made)["KeyMetadata"]["KeyState"] == "Enabled"
