"""Keys that the stack file names, for a stack that lives: all of it is updated in place."""

from __future__ import annotations

import pytest

from infra.local.cloud import SOURCE, TARGET
from tests.pulumi_engine.engine import OPEN_COROUTINES, Engine, RefusedError

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings(*OPEN_COROUTINES)]

ORDERS = {"source": "orders", "target": "orders-replica"}
UPDATED = {
    "BucketServerSideEncryptionConfiguration replicate-orders-quarantine-encryption",
    "Stream replicate-orders-buffer-stream",
    "Table replicate-orders-ledger",
    "Table replication-journal",
}


@pytest.mark.promise("C3")
def test_given_keys_are_set_in_place_the_made_one_stays_and_they_are_not_taken_back(
    engine: Engine,
) -> None:
    stack, cloud = engine.stack("given-keys"), engine.cloud
    stack.configure(engine.config(ORDERS))
    stack.up()
    kept = cloud.client("kms", TARGET).create_key()["KeyMetadata"]["Arn"]
    of_stream = cloud.client("kms", SOURCE).create_key()["KeyMetadata"]["Arn"]
    table = {**ORDERS, "streamKeyArn": of_stream}
    stack.configure({**engine.config(table), "keys": {"target": kept}})
    changed = stack.up().by_operation
    assert changed.keys() == {"update"}  # the key that the stack made is not deleted
    assert changed["update"] >= UPDATED

    lane = stack.outputs()["tables"][0]
    ledger = cloud.client("dynamodb", TARGET).describe_table(TableName=lane["ledgerTable"])
    assert ledger["Table"]["SSEDescription"]["KMSMasterKeyArn"] == kept
    stream = cloud.client("kinesis", SOURCE).describe_stream_summary(StreamName=lane["streamName"])
    assert stream["StreamDescriptionSummary"]["KeyId"] == of_stream

    stack.configure(engine.config(ORDERS))
    with pytest.raises(RefusedError, match=r"(?s)A key that was given stays.*streamKeyArn.*keys"):
        stack.preview()
