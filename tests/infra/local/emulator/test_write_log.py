"""The write log: each write that took effect, with its caller and instant, without content."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from infra.local.cloud import SOURCE, LocalCloud
from infra.local.data.compare import fingerprint
from infra.local.emulator.settings import EmulatorSettings
from infra.local.workload.server_writes import read_server_writes
from tests.support.infra.clouds import as_role, make_role, make_table, policy


def test_the_file_is_the_one_of_the_environment() -> None:
    assert EmulatorSettings.from_environment({"LOCAL_WRITE_LOG": ""}).write_log is None
    chosen = EmulatorSettings.from_environment({"LOCAL_WRITE_LOG": "/tmp/writes"})
    assert chosen.write_log == Path("/tmp/writes")


@pytest.mark.slow
def test_a_write_that_took_effect_is_logged_at_its_instant_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "writes"
    with LocalCloud(tmp_path / "cloud", write_log=file) as cloud:
        root = cloud.client("dynamodb", SOURCE)
        arn = make_table(root, "orders", "pk:B")
        role = make_role(cloud, SOURCE, "writer", policy((["dynamodb:PutItem"], [arn])))
        writer = as_role(cloud, SOURCE, role, "dynamodb")
        keys = [{"pk": {"B": f"a secret {n}".encode()}} for n in range(4)]

        begin = time.monotonic()
        writer.put_item(TableName="orders", Item=keys[0])
        between = time.monotonic()
        puts = [{"Put": {"TableName": "orders", "Item": key}} for key in keys[1:3]]
        root.transact_write_items(TransactItems=puts)
        root.put_item(TableName="orders", Item=keys[0])  # which changes nothing
        root.delete_item(TableName="orders", Key=keys[2])
        end = time.monotonic()

        with pytest.raises(ClientError, match="not authorized"):
            writer.delete_item(TableName="orders", Key=keys[0])
        with pytest.raises(ClientError, match="ConditionalCheckFailed"):
            root.put_item(
                TableName="orders", Item=keys[3], ConditionExpression="attribute_exists(pk)"
            )
        root.get_item(TableName="orders", Key=keys[0])
    writes = read_server_writes(file)
    logged = [0, 1, 2, 0, 2]
    assert [write.key for write in writes] == [fingerprint(keys[n]).hex() for n in logged]
    assert {(write.account, write.table) for write in writes} == {(SOURCE.account_id, "orders")}
    assert ["assumed-role/writer" in write.caller for write in writes] == [True] + 4 * [False]
    instants = [write.at for write in writes]
    assert begin < instants[0] < between < instants[1]
    assert instants == sorted(instants)
    assert instants[-1] < end
    assert "secret" not in file.read_text()
