"""A table with its own stream for a buffer, deployed on the local cloud: its roles can work."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from infra.local.cloud import SOURCE, TARGET, LocalCloud
from infra.local.deploy import deploy
from infra.shared_actions import TABLE_STREAM_READING_ACTIONS
from tests.support.infra.clouds import as_role, make_table, until

pytestmark = [pytest.mark.slow, pytest.mark.promise("C5", "C8")]

VIEW = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


@dataclass
class Deployed:
    cloud: LocalCloud
    outputs: dict[str, Any]
    stream: str
    """The ARN of the table's own stream, which the exporter has switched on."""

    @property
    def table(self) -> dict[str, Any]:
        return next(t for t in self.outputs["tables"] if t["sourceTable"] == "orders")

    @property
    def other(self) -> dict[str, Any]:
        return next(t for t in self.outputs["tables"] if t["sourceTable"] == "parts")

    def exporter(self, service: str) -> Any:
        return as_role(self.cloud, SOURCE, self.outputs["source"]["exporterRoleArn"], service)

    def importer(self, service: str) -> Any:
        return as_role(self.cloud, TARGET, self.outputs["target"]["importerRoleArn"], service)

    def mapping(self, function: str) -> dict[str, Any]:
        return {
            "EventSourceArn": self.stream,
            "FunctionName": function,
            "StartingPosition": "TRIM_HORIZON",
            "Enabled": False,
        }


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        source = cloud.client("dynamodb", SOURCE)
        key = cloud.client("kms", SOURCE).create_key()["KeyMetadata"]["Arn"]
        for name in ("orders", "parts"):
            make_table(source, name)
        source.update_table(
            TableName="orders",
            SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
        )
        config = {
            "source": {"accountId": SOURCE.account_id, "region": SOURCE.region},
            "target": {"accountId": TARGET.account_id, "region": TARGET.region},
            "tables": [
                {"source": "orders", "buffer": "streams", "sourceKeyArn": key},
                {"source": "parts"},
            ],
        }
        found = Deployed(cloud, deploy(cloud, config), "")
        found.stream = _switched_on(found)
        reads = {
            "Effect": "Allow",
            "Principal": {"AWS": found.table["consumerRoleArn"]},
            "Action": list(TABLE_STREAM_READING_ACTIONS),
            "Resource": "*",
        }
        found.exporter("dynamodb").put_resource_policy(
            ResourceArn=found.stream,
            Policy=json.dumps({"Version": "2012-10-17", "Statement": [reads]}),
        )
        _let_decrypt(cloud, key, found)
        yield found


def _switched_on(deployed: Deployed) -> str:
    dynamodb = deployed.exporter("dynamodb")
    dynamodb.update_table(TableName="orders", StreamSpecification=VIEW)
    arn = dynamodb.describe_table(TableName="orders")["Table"]["LatestStreamArn"]
    streams = deployed.exporter("dynamodbstreams")

    def enabled() -> bool:
        found = streams.describe_stream(StreamArn=arn)["StreamDescription"]
        return bool(found["StreamStatus"] == "ENABLED")

    until(enabled, "the stream ENABLED")
    return str(arn)


def _let_decrypt(cloud: LocalCloud, key: str, deployed: Deployed) -> None:
    """Add to the policy of the table's key what its owner has to."""
    kms = cloud.client("kms", SOURCE)
    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    policy["Statement"].append(
        {
            "Effect": "Allow",
            "Principal": {"AWS": deployed.table["consumerRoleArn"]},
            "Action": "kms:Decrypt",
            "Resource": "*",
        }
    )
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))


def refused(*calls: Callable[[], Any]) -> None:
    for call in calls:
        with pytest.raises(Exception, match="AccessDenied"):
            call()


def test_the_stack_makes_no_stream_and_no_mapping(deployed: Deployed) -> None:
    names = deployed.cloud.client("kinesis", SOURCE).list_streams()["StreamNames"]
    assert names == [deployed.other["streamName"]]
    functions = deployed.cloud.client("lambda", TARGET)
    [mapping] = functions.list_event_source_mappings()["EventSourceMappings"]
    assert mapping["UUID"] == deployed.other["mappingUuid"]
    assert not {"streamName", "streamArn", "mappingUuid"} & deployed.table.keys()


def test_the_exporter_reads_this_stream_and_changes_no_other_table(deployed: Deployed) -> None:
    deployed.cloud.client("dynamodb", SOURCE).put_item(TableName="orders", Item={"pk": {"S": "a"}})
    streams, dynamodb = deployed.exporter("dynamodbstreams"), deployed.exporter("dynamodb")
    assert _read(streams, deployed.stream) == ["a"]
    dynamodb.get_resource_policy(ResourceArn=deployed.stream)
    refused(
        lambda: dynamodb.update_table(TableName="parts", StreamSpecification=VIEW),
        lambda: dynamodb.put_resource_policy(
            ResourceArn=deployed.table["sourceTableArn"], Policy="{}"
        ),
        lambda: dynamodb.scan(TableName="orders"),
        lambda: dynamodb.put_item(TableName="orders", Item={"pk": {"S": "b"}}),
    )


def _read(streams: Any, arn: str) -> list[str]:
    found = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        token = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        for record in streams.get_records(ShardIterator=token)["Records"]:
            found.append(record["dynamodb"]["Keys"]["pk"]["S"])
    return found


def test_the_importer_makes_and_ends_a_mapping_of_this_function_alone(
    deployed: Deployed,
) -> None:
    functions = deployed.importer("lambda")
    this, another = deployed.table["functionArn"], deployed.other["functionArn"]

    def made() -> str | None:
        # Lambda checks the function's role: its policies, the stream's, which spreads late, and the
        # key's.
        try:
            answer = functions.create_event_source_mapping(**deployed.mapping(this))
        except functions.exceptions.InvalidParameterValueException:
            return None
        return str(answer["UUID"])

    uuid = until(made, "a mapping")

    def state() -> str:
        return str(functions.get_event_source_mapping(UUID=uuid)["State"])

    until(lambda: state() == "Disabled", "the mapping Disabled")
    [found] = functions.list_event_source_mappings(FunctionName=this)["EventSourceMappings"]
    assert (found["UUID"], found["EventSourceArn"]) == (uuid, deployed.stream)
    functions.update_event_source_mapping(UUID=uuid, BatchSize=10)
    refused(
        lambda: functions.create_event_source_mapping(**deployed.mapping(another)),
        lambda: functions.delete_event_source_mapping(UUID=deployed.other["mappingUuid"]),
    )
    until(lambda: state() == "Disabled", "the mapping Disabled")
    functions.delete_event_source_mapping(UUID=uuid)
