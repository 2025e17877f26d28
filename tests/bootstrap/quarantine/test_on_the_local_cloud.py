"""The commands as processes, on the deployed stack with its roles enforced."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.local.cloud import REPOSITORY, SOURCE, TARGET, LocalCloud
from infra.local.deploy import deploy
from tests.support.infra.clouds import make_table, until
from tests.support.replicator.consumer_harness import document, event, item

pytestmark = [pytest.mark.slow, pytest.mark.promise("C3", "C7", "C8")]

SECRET = "hunter2"


@dataclass(frozen=True)
class Stack:
    """A deployed stack whose target table takes no item of the source: its key is a number."""

    cloud: LocalCloud
    outputs: dict[str, Any]
    file: Path

    @property
    def table(self) -> dict[str, Any]:
        return dict(self.outputs["tables"][0])

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bootstrap", *arguments, "--outputs", str(self.file)]
        command += ["--source-profile", "source", "--target-profile", "target"]
        return subprocess.run(
            command,
            cwd=REPOSITORY,
            env=self.cloud.environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def kept(self) -> dict[str, str]:
        """Reason by key of what is open, as the tool says."""
        shown = self.run("quarantine", "list", "--json")
        assert shown.returncode == 0, shown.stderr
        return {each["key"]: each["reason"] for each in json.loads(shown.stdout)["objects"]}

    def target(self, key: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = (
            self.cloud.client("dynamodb", TARGET)
            .get_item(TableName=self.table["targetTable"], Key={"pk": {"S": key}})
            .get("Item")
        )
        return found

    def mend_the_target(self) -> None:
        dynamodb = self.cloud.client("dynamodb", TARGET)
        dynamodb.delete_table(TableName=self.table["targetTable"])
        dynamodb.get_waiter("table_not_exists").wait(TableName=self.table["targetTable"])
        make_table(dynamodb, self.table["targetTable"], "pk:S")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with LocalCloud(tmp_path / "cloud") as cloud:
        make_table(cloud.client("dynamodb", SOURCE), "orders", "pk:S")
        make_table(cloud.client("dynamodb", TARGET), "orders-replica", "pk:N")
        config = {
            "source": {"accountId": SOURCE.account_id, "region": SOURCE.region},
            "target": {"accountId": TARGET.account_id, "region": TARGET.region},
            "tables": [{"source": "orders", "target": "orders-replica"}],
        }
        outputs = deploy(cloud, config)
        file = tmp_path / "outputs.json"
        file.write_text(json.dumps(outputs))
        yield Stack(cloud, outputs, file)


def test_the_whole_life_of_what_cannot_be_applied(stack: Stack) -> None:
    """C3, C8: quarantined, parked, seen, redriven, run direct, discarded."""
    table = stack.table
    kinesis = stack.cloud.client("kinesis", SOURCE)
    kinesis.put_record(StreamName=table["streamName"], Data=b"garbage", PartitionKey="a")
    deadly = kinesis.put_record(
        StreamName=table["streamName"],
        Data=json.dumps(document(None, item("parked", 2))).encode(),
        PartitionKey="b",
    )
    stack.cloud.client("dynamodb", SOURCE).put_item(
        TableName="orders", Item=item("rejected", 1, word={"S": SECRET})
    )

    parked = stack.run("park", deadly["ShardId"], deadly["SequenceNumber"])
    assert parked.returncode == 0, parked.stderr
    assert deadly["SequenceNumber"] in stack.run("park", "--list").stdout

    stack.cloud.client("lambda", TARGET).update_event_source_mapping(
        UUID=table["mappingUuid"], Enabled=True
    )
    kept = until(lambda: len(found := stack.kept()) == 3 and found, "three in quarantine", 60)
    assert isinstance(kept, dict)
    assert sorted(kept.values()) == ["parked", "rejected-by-target", "unreadable"]
    by_reason = {reason: key for key, reason in kept.items()}

    shown = stack.run("quarantine", "show", by_reason["rejected-by-target"])
    assert shown.returncode == 0, shown.stderr
    assert "keyDigest" in shown.stdout
    assert SECRET not in shown.stdout + stack.run("quarantine", "list").stdout
    with_values = stack.run("quarantine", "show", by_reason["rejected-by-target"], "--show-values")
    assert SECRET in with_values.stdout

    stack.mend_the_target()
    redriven = stack.run("quarantine", "redrive", "--all")
    assert "1 back on the stream in 1 records, 2 left open" in redriven.stdout, redriven.stderr
    assert redriven.returncode == 1
    until(lambda: stack.target("rejected"), "the redriven item in the target")

    failed = json.dumps({"payload": json.dumps(event(document(None, item("event", 3))))})
    key = "aws/lambda/uuid/shardId-000000000000/2026/01/01/2026-01-01T00.00.00-1"
    stack.cloud.client("s3", TARGET).put_object(
        Bucket=table["onFailureBucket"], Key=key, Body=failed.encode()
    )
    assert stack.kept()[f"on-failure/{key}"] == "on-failure"
    direct = stack.run("quarantine", "redrive", "--all", "--direct")
    assert "2 through the guard, 1 left open" in direct.stdout, direct.stderr
    assert [stack.target(key) for key in ("parked", "event")] == [
        item("parked", 2),
        item("event", 3),
    ]

    assert list(stack.kept()) == [by_reason["unreadable"]]
    assert stack.run("quarantine", "discard", "--all").returncode == 2
    assert stack.run("quarantine", "discard", "--all", "--yes").returncode == 0
    assert stack.kept() == {}
    assert stack.run("unpark", deadly["ShardId"], deadly["SequenceNumber"]).returncode == 0
    resolved = stack.cloud.client("s3", TARGET).list_objects_v2(
        Bucket=table["quarantineBucket"], Prefix="resolved/"
    )
    assert resolved["KeyCount"] == 4


def test_a_batch_that_lambda_gave_up_on_is_listed_and_redriven_from_its_event(
    stack: Stack,
) -> None:
    """C3, C7: what a mapping of other settings gives up after its retries is still all there."""
    table, functions = stack.table, stack.cloud.client("lambda", TARGET)
    functions.update_event_source_mapping(UUID=table["mappingUuid"], MaximumRetryAttempts=1)
    batch = [document(None, item(f"k{n:02}", n)) for n in range(12)]
    stack.cloud.client("kinesis", SOURCE).put_records(
        StreamName=table["streamName"],
        Records=[{"Data": json.dumps(each).encode(), "PartitionKey": "k"} for each in batch],
    )
    until(lambda: mapping_state(stack) == "Disabled", "the mapping's update")
    functions.update_event_source_mapping(UUID=table["mappingUuid"], Enabled=True)

    kept = until(stack.kept, "the event that was given up", 60)
    (key,) = kept
    assert kept[key] == "on-failure"
    assert re.fullmatch(
        rf"on-failure/aws/lambda/{table['mappingUuid']}/shardId-\d{{12}}/\d{{4}}/\d\d/\d\d/"
        r"\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d-[0-9a-f-]{36}",
        key,
    )
    s3 = stack.cloud.client("s3", TARGET)
    stored = s3.get_object(Bucket=table["onFailureBucket"], Key=key.removeprefix("on-failure/"))
    failed = json.loads(stored["Body"].read())
    assert failed["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert failed["requestContext"]["approximateInvokeCount"] == 2
    assert failed["KinesisBatchInfo"]["batchSize"] == 12
    numbers = [
        each["kinesis"]["sequenceNumber"] for each in json.loads(failed["payload"])["Records"]
    ]
    info = failed["KinesisBatchInfo"]
    assert (info["startSequenceNumber"], info["endSequenceNumber"]) == (numbers[0], numbers[-1])
    shown = json.loads(stack.run("quarantine", "show", key, "--json").stdout)
    assert (shown["detail"], len(shown["records"])) == ("RetryAttemptsExhausted", 12)

    stack.mend_the_target()
    through_the_stream = stack.run("quarantine", "redrive", "--all")
    assert through_the_stream.returncode == 1
    assert "--direct" in through_the_stream.stdout
    direct = stack.run("quarantine", "redrive", "--all", "--direct")
    assert "1 through the guard" in direct.stdout, direct.stderr
    assert "12 applied" in direct.stdout
    assert stack.target("k11") == item("k11", 11)
    assert stack.kept() == {}


def mapping_state(stack: Stack) -> str:
    functions = stack.cloud.client("lambda", TARGET)
    found = functions.get_event_source_mapping(UUID=stack.table["mappingUuid"])
    return str(found["State"])
