"""LOCAL_CHAOS: requested faults happen, and no others."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from infra.local.cloud import SOURCE, TARGET, LocalCloud, LocalCloudError
from infra.local.emulator.change_capture import CapturedChange, PendingRecord
from infra.local.emulator.chaos.rates import NO_CHAOS, ON, Chaos, parse
from infra.local.emulator.chaos.record_faults import ChaosStreamWriter, broken
from infra.local.emulator.replication_metrics import TableOf
from tests.support.infra.clouds import (
    STREAM_READS,
    capture,
    changes,
    make_function,
    make_stream,
    make_table,
    messages,
    policy,
    raw_records,
    until,
)

LOGS = (["logs:PutLogEvents", "logs:CreateLogStream"], ["arn:aws:logs:*:*:*"])


# -- settings --------------------------------------------------------------------------------------


def test_no_chaos_is_asked_for_by_default() -> None:
    assert parse("") == parse("off") == NO_CHAOS == Chaos()


def test_a_list_starts_from_on_or_from_nothing() -> None:
    assert parse("kill=0.5") == Chaos(kill=0.5)
    assert parse("on, kill=0.5, kill_calls=2").kill_calls == 2
    assert parse("on,kill=0.5").duplicate == ON.duplicate


def test_json_is_read_too() -> None:
    assert parse('{"duplicate": 0.5, "seed": 7}') == Chaos(duplicate=0.5, seed=7)


@pytest.mark.parametrize("text", ["kil=1", "kill=2", "kill=often", "kill=-1", "{nonsense"])
def test_what_cannot_be_read_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"(?m)^Try: on,"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    ["kill=nan", "delay_seconds=inf", "seed=inf", "seed=1.5", "kill_calls=0.5", '{"kill": true}'],
)
def test_a_number_that_would_mean_something_else_is_refused(text: str) -> None:
    """`nan` as a rate is a good day that looks like a bad one, and an endless delay never ends."""
    with pytest.raises(ValueError, match=r"(?m)^Try: on,"):
        parse(text)


@pytest.mark.parametrize("text", ["throttle=1", "lost=1", "throttle=0.5,lost=0.5"])
def test_rates_at_which_nothing_can_ever_get_through_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"(?s)could ever succeed.*\nTry: on,"):
        parse(text)
    assert parse(text.replace("1", "0.9").replace("0.5", "0.49")) != NO_CHAOS


# -- change records --------------------------------------------------------------------------------


class Spy:
    """A stream writer that records what it writes."""

    def __init__(self) -> None:
        self.handed: list[PendingRecord] = []

    def write(self, pending: PendingRecord) -> None:
        self.handed.append(pending)


RECORD = {
    "eventName": "INSERT",
    "tableName": "t",
    "dynamodb": {"Keys": {"pk": {"S": "a"}}, "NewImage": {"pk": {"S": "a"}}},
}
CHANGE = CapturedChange(1, TableOf("1", "r", "t"), "INSERT", {"pk": {"S": "a"}}, None, None)
HANDOVER = PendingRecord(CHANGE, "arn", "KEY", json.dumps(RECORD).encode())


def deliver(
    chaos: Chaos, times: int = 1
) -> tuple[list[PendingRecord], list[PendingRecord], Counter[str]]:
    """Return the records written at once, those written again at once, and the counts."""
    spy, again, counts = Spy(), Spy(), Counter[str]()
    writer = ChaosStreamWriter(
        chaos,
        spy,
        again=again.write,
        held=lambda pending: counts.update(["held"]),
        count=lambda what: counts.update([what]),
    )
    for _ in range(times):
        writer.write(HANDOVER)
    return spy.handed, again.handed, counts


def test_on_a_good_day_every_record_goes_out_once_and_unchanged() -> None:
    assert deliver(NO_CHAOS, 3) == ([HANDOVER] * 3, [], Counter())


def test_rates_are_kept_and_a_seed_repeats_them() -> None:
    chaos = Chaos(duplicate=0.3, delay=0.5, seed=7)
    counts = [deliver(chaos, 1000)[2] for _ in range(2)]
    assert counts[0] == counts[1]
    assert 250 < counts[0]["Duplicated"] < 350
    assert 450 < counts[0]["Delayed"] == counts[0]["held"] < 550


def test_a_scattered_record_has_another_partition_key_of_the_same_shape() -> None:
    handed, _again, _counts = deliver(Chaos(scatter=1), 20)
    keys = {pending.partition_key for pending in handed}
    assert len(keys) == 20
    assert all(len(key) == 32 for key in keys)
    assert {pending.data for pending in handed} == {HANDOVER.data}


def test_poison_comes_beside_the_record_and_never_instead_of_it() -> None:
    handed, again, _counts = deliver(Chaos(poison=1), 20)
    assert [pending.data for pending in handed] == [HANDOVER.data] * 20
    assert all(pending.data != HANDOVER.data for pending in again)
    assert len(again) == 20


def test_a_broken_record_is_never_a_change_that_could_be_applied() -> None:
    for seed in range(50):
        try:
            record = json.loads(broken(HANDOVER.data, Random(seed)))
        except ValueError:
            continue
        images = {"NewImage", "OldImage"} & set(record["dynamodb"])
        assert record["eventName"] not in ("INSERT", "MODIFY", "REMOVE") or not images


# -- on a running cloud ----------------------------------------------------------------------------


def test_chaos_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(LocalCloudError, match=r"(?m)^Try: on,"):
        LocalCloud(tmp_path, chaos="mayhem").start()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    chaos = (
        "duplicate=0.5,delay=0.5,delay_seconds=1,scatter=0.5,overlap=0.5,redeliver=0.3,kill=0.2,"
        "kill_calls=2,throttle=0.15,lost=0.1,seed=11"
    )
    with LocalCloud(tmp_path_factory.mktemp("cloud"), chaos=chaos) as running:
        yield running


def caused(cloud: LocalCloud, what: str, account: Any = SOURCE) -> int:
    found = cloud.client("cloudwatch", account).get_metric_statistics(
        Namespace="LocalChaos",
        MetricName=what,
        StartTime=time.time() - 600,
        EndTime=time.time() + 60,
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    return int(sum(point["Sum"] for point in found))


@pytest.mark.slow
def test_records_come_twice_late_and_on_other_shards_but_none_is_missing(
    cloud: LocalCloud,
) -> None:
    dynamodb, kinesis = cloud.client("dynamodb", SOURCE), cloud.client("kinesis", SOURCE)
    make_table(dynamodb, "chaotic")
    arn = make_stream(kinesis, "chaotic", shards=4)
    capture(cloud, "chaotic", arn)
    for n in range(100):
        dynamodb.put_item(TableName="chaotic", Item={"pk": {"S": "a"}, "n": {"N": str(n)}})
    copies = until(lambda: caused(cloud, "Duplicated"), "duplicates")
    until(lambda: len(raw_records(kinesis, arn)) == 100 + copies, "every record and copy", 5)
    found = [int(r["dynamodb"]["NewImage"]["n"]["N"]) for r in changes(kinesis, arn)]
    assert set(found) == set(range(100))
    assert caused(cloud, "Delayed") > 20
    shards = {r["PartitionKey"] for r in raw_records(kinesis, arn)}
    assert len(shards) > 20
    arrivals = sorted(raw_records(kinesis, arn), key=lambda r: r["SequenceNumber"])
    stamps = [json.loads(r["Data"])["dynamodb"]["ApproximateCreationDateTime"] for r in arrivals]
    assert stamps != sorted(stamps)


@pytest.mark.slow
def test_batches_overlap_come_again_and_die_and_every_record_is_finished_in_the_end(
    cloud: LocalCloud,
) -> None:
    kinesis = cloud.client("kinesis", SOURCE)
    table = make_table(cloud.client("dynamodb", TARGET), "received")
    arn = make_stream(kinesis, "battered")
    code = """
import base64, os, time
import boto3
from botocore.config import Config
client = boto3.client("dynamodb", config=Config(retries={"total_max_attempts": 1}))
def handler(event, context):
    failures = []
    for record in event["Records"]:
        number = base64.b64decode(record["kinesis"]["data"]).decode()
        try:
            client.update_item(
                TableName="received", Key={"pk": {"S": number}}, UpdateExpression="ADD n :n",
                ExpressionAttributeValues={":n": {"N": "1"}})
            print("applied", number)
        except client.exceptions.ClientError as error:
            print("refused", error.response["Error"]["Code"])
            failures.append({"itemIdentifier": record["kinesis"]["sequenceNumber"]})
    return {"batchItemFailures": failures}
"""
    statements = ((STREAM_READS, [arn]), (["dynamodb:UpdateItem"], [table]), LOGS)
    name, role = make_function(cloud, "battered", code, policy(*statements))
    kinesis.put_resource_policy(
        ResourceARN=arn, Policy=policy((STREAM_READS, [arn]), principal=role)
    )
    for n in range(40):
        kinesis.put_record(StreamARN=arn, Data=str(n).encode(), PartitionKey="k")
    cloud.client("lambda", TARGET).create_event_source_mapping(
        EventSourceArn=arn,
        FunctionName=name,
        StartingPosition="TRIM_HORIZON",
        BatchSize=4,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    dynamodb = cloud.client("dynamodb", TARGET)

    def received() -> dict[str, int]:
        items = dynamodb.scan(TableName="received")["Items"]
        return {item["pk"]["S"]: int(item["n"]["N"]) for item in items}

    until(lambda: len(received()) == 40, "every record", 60)
    assert max(received().values()) > 1, "nothing came twice"
    for what in ("Overlapped", "Redelivered", "Killed", "Throttled", "Lost"):
        assert caused(cloud, what, TARGET), what
    assert f"{name} failed on" in cloud.log.read_text(), "no process died within an invocation"
    codes = {
        line.split()[1] for line in messages(cloud, f"/aws/lambda/{name}") if "refused" in line
    }
    assert len(codes) > 1
    dynamodb.put_item(TableName="received", Item={"pk": {"S": "undisturbed"}})
