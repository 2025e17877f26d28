"""A fault that no record is to blame for, behind a real event source mapping: the stream stands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.local.cloud import SOURCE, TARGET, LocalCloud
from infra.local.deploy import deploy
from tests.support.infra.clouds import make_table, messages, until
from tests.support.replicator.consumer_harness import item

pytestmark = [pytest.mark.slow, pytest.mark.promise("C3")]

ITEMS = 120
BATCH = 20  # so that each of two shards holds several batches
REPLICA = "orders-replica"


def wrong_key(dynamodb: Any) -> Callable[[], None]:
    """The target's key is a number: it takes no item at all. Returns what fixes it."""
    make_table(dynamodb, REPLICA, "pk:N")

    def mend() -> None:
        dynamodb.delete_table(TableName=REPLICA)
        dynamodb.get_waiter("table_not_exists").wait(TableName=REPLICA)
        make_table(dynamodb, REPLICA, "pk:S")

    return mend


def wrong_index(dynamodb: Any) -> Callable[[], None]:
    """An index of the target wants a number where most items have a word."""
    make_table(dynamodb, REPLICA, "pk:S")
    index = {
        "IndexName": "by-word",
        "KeySchema": [{"AttributeName": "word", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    dynamodb.update_table(
        TableName=REPLICA,
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "word", "AttributeType": "N"},
        ],
        GlobalSecondaryIndexUpdates=[{"Create": index}],
    )

    def mend() -> None:
        dynamodb.update_table(
            TableName=REPLICA,
            GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-word"}}],
        )

    return mend


def words(n: int) -> dict[str, Any]:
    return {"word": {"S": f"word-{n}"}} if n % 4 else {}


class Lanes:
    """A deployed stack with two shards, and what its consumer says."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        make_table(cloud.client("dynamodb", SOURCE), "orders", "pk:S")
        table = {"source": "orders", "target": REPLICA, "batchSize": BATCH}
        config = {
            "source": {"accountId": SOURCE.account_id, "region": SOURCE.region},
            "target": {"accountId": TARGET.account_id, "region": TARGET.region},
            "tables": [{**table, "streamMode": "PROVISIONED", "shards": 2}],
        }
        [self.table] = deploy(cloud, config)["tables"]

    def enable(self) -> None:
        self.cloud.client("lambda", TARGET).update_event_source_mapping(
            UUID=self.table["mappingUuid"], Enabled=True
        )

    def said(self, message: str) -> list[dict[str, Any]]:
        function = self.cloud.client("lambda", TARGET).get_function_configuration(
            FunctionName=self.table["functionName"]
        )
        group = function["LoggingConfig"]["LogGroup"]
        lines = [line for line in messages(self.cloud, group) if line.startswith("{")]
        logged = [json.loads(line) for line in lines]
        return [each for each in logged if str(each.get("message", "")).startswith(message)]

    def waiting(self) -> dict[str, list[str]]:
        """The record that each shard waited for, attempt after attempt."""
        found: dict[str, list[str]] = {}
        for line in self.said("Ended"):
            if line.get("why") == "too many records for quarantine":
                found.setdefault(line["shardId"], []).append(line["sequenceNumber"])
        return found

    def kept(self) -> int:
        bucket = self.table["quarantineBucket"]
        count: int = self.cloud.client("s3", TARGET).list_objects_v2(Bucket=bucket)["KeyCount"]
        return count

    def alarm(self) -> str:
        [found] = self.cloud.client("cloudwatch", TARGET).describe_alarms(
            AlarmNamePrefix="replicate-orders-alarm-burst-breaker-"
        )["MetricAlarms"]
        return str(found["StateValue"])

    def replica(self) -> list[dict[str, Any]]:
        found = self.cloud.client("dynamodb", TARGET).scan(TableName=REPLICA)["Items"]
        return sorted(found, key=lambda each: str(each["pk"]["S"]))


@pytest.mark.parametrize("fault", [wrong_key, wrong_index])
def test_a_systematic_fault_leaves_the_stream_standing_until_it_is_mended(
    tmp_path: Path, fault: Callable[[Any], Callable[[], None]]
) -> None:
    """C3: nothing is drained into quarantine, each lane says why it waits, and nothing is lost."""
    with LocalCloud(tmp_path / "cloud") as cloud:
        lanes = Lanes(cloud)
        mend = fault(cloud.client("dynamodb", TARGET))
        items = [item(f"k{n:03}", n, **words(n)) for n in range(ITEMS)]
        for each in items:
            cloud.client("dynamodb", SOURCE).put_item(TableName="orders", Item=each)
        lanes.enable()

        def both_wait() -> bool:
            waiting = lanes.waiting()
            return len(waiting) == 2 and min(map(len, waiting.values())) >= 3

        until(both_wait, "several attempts of both shards", 60)
        for shard, attempts in lanes.waiting().items():
            assert len(set(attempts)) == 1, f"{shard} has moved on"
        assert lanes.kept() == 0
        assert "rejected-by-target" in lanes.said("Too many records")[0]["reasons"]
        assert "\nTry: " in lanes.said("Too many records")[0]["message"]
        until(lambda: lanes.alarm() == "ALARM", "the alarm", 60)

        mend()
        until(lambda: lanes.replica() == items, "all changes in the target", 60)
        assert lanes.kept() == 0
        until(lambda: lanes.alarm() == "OK", "the alarm's end", 60)
