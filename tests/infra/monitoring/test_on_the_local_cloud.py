"""C7, for real: the watchdog runs, a fault is made, and the alarm on it fires and stays."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.cloud import SOURCE, TARGET, LocalCloud
from infra.local.deploy import deploy

pytestmark = [pytest.mark.slow, pytest.mark.promise("C7")]

PATIENCE = 90.0
KEYS = {
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
}


class Stack:
    """A deployed stack whose table counts as replicating."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        cloud.client("dynamodb", SOURCE).create_table(TableName="orders", **KEYS)
        config = {
            "source": {"accountId": SOURCE.account_id, "region": SOURCE.region},
            "target": {"accountId": TARGET.account_id, "region": TARGET.region},
            "tables": [{"source": "orders", "target": "orders-replica"}],
        }
        [self.table] = deploy(cloud, config)["tables"]
        self.target("dynamodb").create_table(TableName="orders-replica", **KEYS)
        self.target("dynamodb").put_item(
            TableName=self.table["ledgerTable"],
            Item={"k": {"B": b"settings"}, "expire": {"BOOL": True}},
        )
        self.switch(on=True)

    def target(self, service: str) -> Any:
        return self.cloud.client(service, TARGET)

    def switch(self, *, on: bool) -> None:
        """The consumer."""
        self.target("lambda").update_event_source_mapping(
            UUID=self.table["mappingUuid"], Enabled=on
        )
        wanted = "Enabled" if on else "Disabled"
        deadline = time.monotonic() + PATIENCE
        while self.mapping() != wanted:
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def mapping(self) -> str:
        uuid = self.table["mappingUuid"]
        return str(self.target("lambda").get_event_source_mapping(UUID=uuid)["State"])

    def alarm(self, name: str) -> dict[str, Any]:
        [found] = self.target("cloudwatch").describe_alarms(
            AlarmNamePrefix=f"replicate-orders-alarm-{name}-"
        )["MetricAlarms"]
        return dict(found)

    def wait_for(self, name: str, state: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while (found := self.alarm(name))["StateValue"] != state:
            assert time.monotonic() < deadline, found["StateReason"]
            time.sleep(0.5)

    def stays(self, name: str, state: str, seconds: float) -> None:
        """For longer than the alarm looks back."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.alarm(name)["StateValue"] == state
            time.sleep(0.5)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield Stack(cloud)


def test_a_healthy_stack_comes_to_rest_with_every_alarm_quiet(stack: Stack) -> None:
    for side in (SOURCE, TARGET):
        cloudwatch = stack.cloud.client("cloudwatch", side)
        deadline = time.monotonic() + PATIENCE
        while True:
            found = cloudwatch.describe_alarms(MaxRecords=100)["MetricAlarms"]
            loud = {each["AlarmName"]: each["StateReason"] for each in found}
            loud = {
                name: why
                for name, why in loud.items()
                if next(e for e in found if e["AlarmName"] == name)["StateValue"] == "ALARM"
            }
            if found and not loud:
                break
            assert time.monotonic() < deadline, loud
            time.sleep(0.5)
    stack.wait_for("watchdog-silent", "OK")
    stack.wait_for("watchdog-blind", "OK")
    stack.wait_for("probes-late", "OK")


def test_a_probe_comes_back_through_the_consumer(stack: Stack) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        row = stack.target("dynamodb").get_item(
            TableName=stack.table["ledgerTable"], Key={"k": {"B": b"watchdog"}}
        )
        book = json.loads(row.get("Item", {}).get("book", {}).get("S", "{}"))
        if book.get("through"):
            break
        assert time.monotonic() < deadline, book
        time.sleep(0.5)
    assert set(book["tables"]) == {"source", "target"}


def test_switching_the_consumer_off_fires_until_it_is_on_again(stack: Stack) -> None:
    stack.switch(on=False)
    stack.wait_for("mapping-off", "ALARM")
    stack.stays("mapping-off", "ALARM", 20)
    stack.switch(on=True)
    stack.wait_for("mapping-off", "OK")


def test_a_consumer_that_is_paused_on_purpose_wakes_nobody(stack: Stack) -> None:
    dynamodb = stack.target("dynamodb")
    request = {
        "TableName": stack.table["ledgerTable"],
        "Key": {"k": {"B": b"settings"}},
        "UpdateExpression": "SET paused = :paused",
    }
    dynamodb.update_item(**request, ExpressionAttributeValues={":paused": {"BOOL": True}})
    stack.switch(on=False)
    stack.stays("mapping-off", "OK", 20)
    stack.switch(on=True)
    dynamodb.update_item(**request, ExpressionAttributeValues={":paused": {"BOOL": False}})


def test_a_record_in_quarantine_fires_until_it_is_resolved(stack: Stack) -> None:
    s3, bucket = stack.target("s3"), stack.table["quarantineBucket"]
    s3.put_object(Bucket=bucket, Key="resolved/unreadable/a.json", Body=b"{}")
    stack.stays("quarantine-not-empty", "OK", 12)
    s3.put_object(Bucket=bucket, Key="open/unreadable/a.json", Body=b"{}")
    stack.wait_for("quarantine-not-empty", "ALARM")
    stack.stays("quarantine-not-empty", "ALARM", 20)
    s3.delete_object(Bucket=bucket, Key="open/unreadable/a.json")
    stack.wait_for("quarantine-not-empty", "OK")


def test_a_watchdog_that_does_not_run_is_missed(stack: Stack) -> None:
    events = stack.target("events")
    [rule] = events.list_rules(NamePrefix="replicate-orders-watchdog")["Rules"]
    events.disable_rule(Name=rule["Name"])
    stack.wait_for("watchdog-silent", "ALARM")
    stack.stays("watchdog-silent", "ALARM", 20)
    events.enable_rule(Name=rule["Name"])
    stack.wait_for("watchdog-silent", "OK")


def test_the_people_in_the_topic_are_told(stack: Stack) -> None:
    sqs, sns = stack.target("sqs"), stack.target("sns")
    queue = sqs.create_queue(QueueName="pager")["QueueUrl"]
    [topic] = [each["TopicArn"] for each in sns.list_topics()["Topics"]]
    shown = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    arn = shown["Attributes"]["QueueArn"]
    admits = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [admits]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    stack.wait_for("on-failure-objects", "OK")
    stack.target("s3").put_object(
        Bucket=stack.table["onFailureBucket"], Key="aws/lambda/a/b/c", Body=b"{}"
    )
    stack.wait_for("on-failure-objects", "ALARM")
    deadline = time.monotonic() + PATIENCE
    received: dict[str, str] = {}
    while not any("on-failure-objects" in name for name in received):
        assert time.monotonic() < deadline, received
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for each in messages.get("Messages", []):
            message = json.loads(json.loads(each["Body"])["Message"])
            received[message["AlarmName"]] = message["AlarmDescription"]
    assert all("First: " in description for description in received.values())


def test_a_consumer_that_lambda_cannot_run_fires_with_lambdas_own_words(stack: Stack) -> None:
    stack.wait_for("function-unhealthy", "OK")
    functions, name = stack.target("lambda"), stack.table["functionName"]
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    stack.wait_for("function-unhealthy", "ALARM")
    functions.delete_function_concurrency(FunctionName=name)
    stack.wait_for("function-unhealthy", "OK")


@pytest.mark.promise("C9")
def test_a_write_to_the_old_source_fires_once_the_target_is_the_primary(stack: Stack) -> None:
    """And the consumer that a switch has turned off does not."""
    stack.wait_for("source-written", "OK")
    ledger = {"TableName": stack.table["ledgerTable"], "Key": {"k": {"B": b"settings"}}}
    since = int(time.time()) // 60 * 60  # no test here has written to the source before
    stack.target("dynamodb").update_item(
        **ledger,
        UpdateExpression="SET armed = :nonce, closed = :nonce, #primary = :since",
        ExpressionAttributeNames={"#primary": "primary"},
        ExpressionAttributeValues={":nonce": {"S": "n1"}, ":since": {"N": f"{since}000000"}},
    )
    stack.switch(on=False)
    stack.stays("mapping-off", "OK", 12)
    stack.stays("source-written", "OK", 1)
    stack.cloud.client("dynamodb", SOURCE).put_item(TableName="orders", Item={"pk": {"S": "late"}})
    stack.wait_for("source-written", "ALARM")
    stack.stays("source-written", "ALARM", 12)
    stack.stays("watchdog-silent", "OK", 1)
    stack.target("dynamodb").update_item(
        **ledger,
        UpdateExpression="REMOVE armed, closed, #primary",
        ExpressionAttributeNames={"#primary": "primary"},
    )
    stack.wait_for("source-written", "OK")
    stack.switch(on=True)
    stack.wait_for("mapping-off", "OK")


# Last: what they lose cannot be put back.
def test_a_batch_that_the_on_failure_bucket_does_not_take_fires_for_good(stack: Stack) -> None:
    stack.wait_for("batches-lost", "OK")
    s3, bucket = stack.target("s3"), stack.table["onFailureBucket"]
    for each in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
        s3.delete_object(Bucket=bucket, Key=each["Key"])
    s3.delete_bucket(Bucket=bucket)
    # Base64 makes it larger than an invocation takes.
    stack.cloud.client("kinesis", SOURCE).put_record(
        StreamName=stack.table["streamName"], Data=b"x" * 5_000_000, PartitionKey="k"
    )
    stack.wait_for("delivery-failed", "ALARM")
    stack.wait_for("batches-lost", "ALARM")
    stack.wait_for("delivery-failed", "OK")
    stack.stays("batches-lost", "ALARM", 20)


def test_a_destination_that_somebody_disables_fires_for_good(stack: Stack) -> None:
    stack.wait_for("destination-gone", "OK")
    stack.cloud.client("dynamodb", SOURCE).disable_kinesis_streaming_destination(
        TableName="orders", StreamArn=stack.table["streamArn"]
    )
    stack.wait_for("destination-gone", "ALARM")
    stack.stays("destination-gone", "ALARM", 20)
