"""The program, deployed for real on the local cloud: it is there, and its roles can work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.local.cloud import SOURCE, TARGET, LocalAccount, LocalCloud
from infra.local.deploy import deploy

pytestmark = [pytest.mark.slow, pytest.mark.promise("C5", "C8")]

FAR = LocalAccount(TARGET.account_id, "us-east-1")


@dataclass(frozen=True)
class Deployed:
    cloud: LocalCloud
    outputs: dict[str, Any]

    @property
    def table(self) -> dict[str, Any]:
        [table] = self.outputs["tables"]
        return dict(table)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as running:
        for name in ("orders", "customers"):
            running.client("dynamodb", SOURCE).create_table(
                TableName=name,
                BillingMode="PAY_PER_REQUEST",
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            )
        yield running


@pytest.fixture(scope="module")
def deployed(cloud: LocalCloud) -> Deployed:
    config = {
        "source": {"accountId": SOURCE.account_id, "region": SOURCE.region},
        "target": {"accountId": TARGET.account_id, "region": TARGET.region},
        "tables": [{"source": "orders", "target": "orders-replica"}],
    }
    return Deployed(cloud, deploy(cloud, config))


def test_the_stream_buffers_the_tables_changes_from_now_on(deployed: Deployed) -> None:
    kinesis = deployed.cloud.client("kinesis", SOURCE)
    stream = kinesis.describe_stream_summary(StreamName=deployed.table["streamName"])
    summary = stream["StreamDescriptionSummary"]
    assert summary["StreamARN"] == deployed.table["streamArn"]
    assert summary["RetentionPeriodHours"] == 8760
    assert summary["EncryptionType"] == "KMS"
    dynamodb = deployed.cloud.client("dynamodb", SOURCE)
    [destination] = dynamodb.describe_kinesis_streaming_destination(TableName="orders")[
        "KinesisDataStreamDestinations"
    ]
    assert destination["DestinationStatus"] == "ACTIVE"
    assert destination["ApproximateCreationDateTimePrecision"] == "MICROSECOND"


def test_the_mapping_is_there_and_off(deployed: Deployed) -> None:
    mapping = deployed.cloud.client("lambda", TARGET).get_event_source_mapping(
        UUID=deployed.table["mappingUuid"]
    )
    assert mapping["State"] == "Disabled"
    assert mapping["EventSourceArn"] == deployed.table["streamArn"]
    assert mapping["FunctionArn"] == deployed.table["functionArn"]
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["MaximumRetryAttempts"] == -1


def test_ledger_and_journal_are_there_as_declared(deployed: Deployed) -> None:
    dynamodb = deployed.cloud.client("dynamodb", TARGET)
    ledger = dynamodb.describe_table(TableName=deployed.table["ledgerTable"])["Table"]
    assert ledger["KeySchema"] == [{"AttributeName": "k", "KeyType": "HASH"}]
    expiry = dynamodb.describe_time_to_live(TableName=deployed.table["ledgerTable"])
    assert expiry["TimeToLiveDescription"]["AttributeName"] == "x"
    journal = dynamodb.describe_table(TableName=deployed.outputs["journalTable"])["Table"]
    assert [key["AttributeName"] for key in journal["KeySchema"]] == ["pk", "sk"]
    assert journal["DeletionProtectionEnabled"] is True


def test_the_function_runs_the_built_consumer(deployed: Deployed) -> None:
    lambda_ = deployed.cloud.client("lambda", TARGET)
    answer = lambda_.invoke(
        FunctionName=deployed.table["functionName"], Payload=json.dumps({"Records": []})
    )
    assert "FunctionError" not in answer
    assert json.loads(answer["Payload"].read()) == {"batchItemFailures": []}


def test_a_second_deployment_in_this_process_stands_beside_the_first(
    deployed: Deployed, cloud: LocalCloud
) -> None:
    """In another Region, too: Lambda stays with the source, the rest goes with the target."""
    config = {
        "source": {"accountId": SOURCE.account_id, "region": SOURCE.region},
        "target": {"accountId": FAR.account_id, "region": FAR.region},
        "tables": [{"source": "customers"}],
    }
    outputs = deploy(cloud, config, stack="far")
    [table] = outputs["tables"]
    assert cloud.client("lambda", TARGET).get_function(FunctionName=table["functionName"])
    assert cloud.client("dynamodb", FAR).describe_table(TableName=table["ledgerTable"])
    assert cloud.client("dynamodb", FAR).describe_table(TableName=outputs["journalTable"])
    for bucket, region in (
        (table["onFailureBucket"], SOURCE.region),
        (table["quarantineBucket"], FAR.region),
        (outputs["snapshotBucket"], FAR.region),
    ):
        place = cloud.client("s3", TARGET).get_bucket_location(Bucket=bucket)
        assert (place["LocationConstraint"] or "us-east-1") == region
    assert Path.cwd().name != "infra"


def role(cloud: LocalCloud, account: LocalAccount, arn: str, service: str) -> Any:
    """A client that acts as a role of the stack."""
    import boto3
    from botocore.config import Config

    credentials = cloud.client("sts", account).assume_role(RoleArn=arn, RoleSessionName="test")
    keys = credentials["Credentials"]
    return boto3.client(
        service,
        endpoint_url=cloud.endpoint,
        region_name=account.region,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
        config=Config(s3={"addressing_style": "path"}),
    )


def test_the_exporter_can_do_its_work_and_sees_no_item(deployed: Deployed) -> None:
    """C5, C8: enforced, not only declared."""

    def exporter(service: str) -> Any:
        return role(deployed.cloud, SOURCE, deployed.outputs["source"]["exporterRoleArn"], service)

    dynamodb, table = exporter("dynamodb"), deployed.table
    dynamodb.describe_table(TableName="orders")
    dynamodb.describe_continuous_backups(TableName="orders")
    dynamodb.describe_kinesis_streaming_destination(TableName="orders")
    dynamodb.list_exports(TableArn=table["sourceTableArn"])
    kinesis = exporter("kinesis")
    kinesis.list_shards(StreamName=table["streamName"])
    kinesis.put_records(
        StreamName=table["streamName"], Records=[{"Data": b"{}", "PartitionKey": "probe"}]
    )
    bucket = deployed.outputs["snapshotBucket"]
    exporter("s3").put_object(Bucket=bucket, Key="orders/run/data.json.gz", Body=b"")
    for forbidden in (
        lambda: dynamodb.scan(TableName="orders"),
        lambda: dynamodb.get_item(TableName="orders", Key={"pk": {"S": "a"}}),
        lambda: dynamodb.put_item(TableName="orders", Item={"pk": {"S": "a"}}),
        lambda: dynamodb.describe_table(TableName="customers"),
        lambda: exporter("s3").get_object(Bucket=bucket, Key="orders/run/data.json.gz"),
    ):
        with pytest.raises(Exception, match="AccessDenied"):
            forbidden()


def test_the_importer_can_do_its_work_and_no_more(deployed: Deployed) -> None:
    """C8."""

    def importer(service: str) -> Any:
        return role(deployed.cloud, TARGET, deployed.outputs["target"]["importerRoleArn"], service)

    table, bucket = deployed.table, deployed.outputs["snapshotBucket"]
    importer("s3").list_objects_v2(Bucket=bucket)
    importer("lambda").get_event_source_mapping(UUID=table["mappingUuid"])
    dynamodb = importer("dynamodb")
    dynamodb.list_imports()
    dynamodb.put_item(
        TableName=deployed.outputs["journalTable"], Item={"pk": {"S": "a"}, "sk": {"S": "b"}}
    )
    dynamodb.get_item(TableName=table["ledgerTable"], Key={"k": {"B": b"settings"}})
    importer("s3").list_objects_v2(Bucket=table["quarantineBucket"])
    importer("s3").list_objects_v2(Bucket=table["onFailureBucket"])
    importer("s3").put_object(Bucket=table["quarantineBucket"], Key="resolved/a", Body=b"{}")
    key = [{"pk": {"S": "a"}}]
    for forbidden in (
        lambda: dynamodb.scan(TableName=deployed.outputs["journalTable"]),
        lambda: importer("s3").put_object(Bucket=bucket, Key="a", Body=b""),
        # One item, for `explain`; never more than the one that it is asked about.
        lambda: dynamodb.scan(TableName="orders-replica"),
        lambda: dynamodb.batch_get_item(RequestItems={"orders-replica": {"Keys": key}}),
        lambda: importer("s3").delete_object(Bucket=bucket, Key="verify/a"),
        lambda: importer("s3").get_object(Bucket=table["quarantineBucket"], Key="resolved/a"),
        lambda: importer("s3").put_object(Bucket=table["onFailureBucket"], Key="a", Body=b""),
        lambda: importer("lambda").invoke(FunctionName=table["functionName"]),
        lambda: importer("sts").assume_role(
            RoleArn=deployed.outputs["source"]["exporterRoleArn"], RoleSessionName="no"
        ),
    ):
        with pytest.raises(Exception, match="AccessDenied"):
            forbidden()
