"""Exports: real objects, as of their time, refused where AWS refuses them."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.cloud import SOURCE, TARGET, LocalCloud
from tests.support.infra.bulk_puts import ended
from tests.support.infra.clouds import (
    as_role,
    bulk_client,
    make_bucket,
    make_role,
    make_table,
    policy,
    until,
)

pytestmark = pytest.mark.slow

SCALE = 0.002
LAG = 300 * SCALE  # of LatestRestorableDateTime, in seconds

WRITES = ["s3:PutObject", "s3:PutObjectAcl", "s3:AbortMultipartUpload"]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud"), time_scale=SCALE) as running:
        make_bucket(running, SOURCE, "own-bucket")
        yield running


@pytest.fixture(scope="module")
def dynamodb(cloud: LocalCloud) -> Any:
    return cloud.client("dynamodb", SOURCE)


@pytest.fixture(scope="module")
def s3(cloud: LocalCloud) -> Any:
    return cloud.client("s3", SOURCE)


def recoverable(dynamodb: Any, name: str) -> str:
    arn = make_table(dynamodb, name)
    dynamodb.update_continuous_backups(
        TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    return arn


def window(dynamodb: Any, name: str) -> tuple[float, float]:
    described = dynamodb.describe_continuous_backups(TableName=name)
    recovery = described["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    return (
        recovery["EarliestRestorableDateTime"].timestamp(),
        recovery["LatestRestorableDateTime"].timestamp(),
    )


def put(dynamodb: Any, table: str, key: str, value: int) -> None:
    dynamodb.put_item(TableName=table, Item={"pk": {"S": key}, "v": {"N": str(value)}})


def whole_second() -> int:
    """Return a whole second between what was written before and what is written after."""
    time.sleep(1.05)
    moment = int(time.time())
    time.sleep(1.05)
    return moment


def finished(dynamodb: Any, arn: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = dynamodb.describe_export(ExportArn=arn)["ExportDescription"]
        return found if found["ExportStatus"] != "IN_PROGRESS" else None

    return until(look, "the export's end")


def exported(s3: Any, description: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the lines of an export's data files, found through its manifest."""
    bucket = description["S3Bucket"]
    summary = json.loads(read(s3, bucket, description["ExportManifest"]))
    files = read(s3, bucket, summary["manifestFilesS3Key"]).splitlines()
    found = []
    for entry in map(json.loads, files):
        lines = gzip.decompress(read(s3, bucket, entry["dataFileS3Key"])).splitlines()
        assert len(lines) == entry["itemCount"]
        found += [json.loads(line) for line in lines]
    assert len(found) == summary["itemCount"] == description["ItemCount"]
    return found


def read(s3: Any, bucket: str, key: str) -> bytes:
    body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def test_an_export_of_an_earlier_time_has_nothing_of_a_bulk_put(
    cloud: LocalCloud, dynamodb: Any, s3: Any
) -> None:
    """Also where bulk puts make no change records, exports know when they were made."""
    arn = recoverable(dynamodb, "bulk")
    put(dynamodb, "bulk", "k0", 1)
    moment = whole_second()
    s3.put_object(Bucket="own-bucket", Key="bulk/in", Body=b'{"Item": {"pk": {"S": "k1"}}}')
    client = bulk_client(cloud, SOURCE)
    begun = client.start_bulk_put_items(
        TableName="bulk",
        InputS3Configuration={
            "S3Bucket": "own-bucket",
            "S3KeyPrefix": "bulk/in",
            "InputFormat": "DYNAMODB_JSON",
        },
        OutputS3Configuration={
            "S3Bucket": "own-bucket",
            "S3KeyPrefix": "bulk/out/",
            "OutputType": ["ERROR"],
        },
    )["BulkOperationDescription"]
    ended(client, begun["BulkOperationArn"])
    for at, keys in ((moment, {"k0"}), (whole_second(), {"k0", "k1"})):

        def restorable(wanted: int = at) -> bool:
            return window(dynamodb, "bulk")[1] >= wanted

        until(restorable, "the time to be restorable")
        export = dynamodb.export_table_to_point_in_time(
            TableArn=arn, S3Bucket="own-bucket", S3Prefix=f"bulk/{at}", ExportTime=at
        )["ExportDescription"]
        lines = exported(s3, finished(dynamodb, export["ExportArn"]))
        assert {line["Item"]["pk"]["S"] for line in lines} == keys


def test_an_export_holds_the_state_as_of_export_time(dynamodb: Any, s3: Any) -> None:
    arn = recoverable(dynamodb, "past")
    for n in range(30):
        put(dynamodb, "past", f"k{n}", 1)
    moment = whole_second()
    put(dynamodb, "past", "k0", 2)
    put(dynamodb, "past", "new", 1)
    dynamodb.delete_item(TableName="past", Key={"pk": {"S": "k1"}})
    until(lambda: window(dynamodb, "past")[1] >= moment, "the time to be restorable")
    begun = dynamodb.export_table_to_point_in_time(
        TableArn=arn, S3Bucket="own-bucket", S3Prefix="past/run", ExportTime=moment
    )["ExportDescription"]
    assert begun["ExportStatus"] == "IN_PROGRESS"
    description = finished(dynamodb, begun["ExportArn"])
    assert description["ExportStatus"] == "COMPLETED"
    lines = exported(s3, description)
    expected = [{"Item": {"pk": {"S": f"k{n}"}, "v": {"N": "1"}}} for n in range(30)]
    assert sorted(map(json.dumps, lines)) == sorted(map(json.dumps, expected))


def test_without_export_time_the_export_lies_in_the_past(dynamodb: Any, s3: Any) -> None:
    arn = recoverable(dynamodb, "default")
    put(dynamodb, "default", "old", 1)
    time.sleep(LAG + 0.5)
    begin, latest = window(dynamodb, "default")
    assert begin < latest < time.time() - LAG / 2
    put(dynamodb, "default", "young", 1)
    begun = dynamodb.export_table_to_point_in_time(TableArn=arn, S3Bucket="own-bucket")
    description = finished(dynamodb, begun["ExportDescription"]["ExportArn"])
    assert [line["Item"]["pk"]["S"] for line in exported(s3, description)] == ["old"]


def test_the_layout_is_that_of_a_full_export(dynamodb: Any, s3: Any) -> None:
    arn = recoverable(dynamodb, "layout")
    begun = dynamodb.export_table_to_point_in_time(
        TableArn=arn, S3Bucket="own-bucket", S3Prefix="layout"
    )
    description = finished(dynamodb, begun["ExportDescription"]["ExportArn"])
    root = f"layout/AWSDynamoDB/{description['ExportArn'].rsplit('/', 1)[1]}/"
    listed = s3.list_objects_v2(Bucket="own-bucket", Prefix="layout/")["Contents"]
    names = {entry["Key"].removeprefix(root) for entry in listed}
    data = {name for name in names if name.startswith("data/")}
    assert names - data == {
        *("_started", "manifest-files.json", "manifest-files.md5"),
        *("manifest-summary.json", "manifest-summary.md5"),
    }
    assert len(data) > 1
    assert all(name.endswith(".json.gz") for name in data)
    summary = json.loads(read(s3, "own-bucket", root + "manifest-summary.json"))
    assert summary["version"] == "2020-06-30"
    assert summary["exportArn"] == description["ExportArn"]
    assert "exportType" not in summary


@pytest.mark.parametrize("shift", [-3600, 3600])
def test_a_time_outside_the_window_is_refused(dynamodb: Any, shift: int) -> None:
    name = f"outside{shift}"
    arn = recoverable(dynamodb, name)
    with pytest.raises(dynamodb.exceptions.InvalidExportTimeException):
        dynamodb.export_table_to_point_in_time(
            TableArn=arn, S3Bucket="own-bucket", ExportTime=time.time() + shift
        )


def test_a_time_between_latest_restorable_and_now_is_refused(dynamodb: Any) -> None:
    arn = recoverable(dynamodb, "tooearly")
    time.sleep(LAG + 1)
    moment = time.time() // 1 + 1  # requests carry whole seconds
    time.sleep(max(0.0, moment + 0.1 - time.time()))
    assert window(dynamodb, "tooearly")[0] < moment < time.time()
    with pytest.raises(dynamodb.exceptions.InvalidExportTimeException):
        dynamodb.export_table_to_point_in_time(
            TableArn=arn, S3Bucket="own-bucket", ExportTime=moment
        )


def test_without_recovery_there_is_no_export(dynamodb: Any) -> None:
    arn = make_table(dynamodb, "off")
    with pytest.raises(dynamodb.exceptions.PointInTimeRecoveryUnavailableException):
        dynamodb.export_table_to_point_in_time(TableArn=arn, S3Bucket="own-bucket")


def test_off_and_on_again_resets_the_window_and_so_does_a_new_table(dynamodb: Any) -> None:
    recoverable(dynamodb, "reset")
    first = window(dynamodb, "reset")[0]
    for enabled in (False, True):
        dynamodb.update_continuous_backups(
            TableName="reset",
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": enabled},
        )
    assert window(dynamodb, "reset")[0] > first
    dynamodb.delete_table(TableName="reset")
    make_table(dynamodb, "reset")
    described = dynamodb.describe_continuous_backups(TableName="reset")
    recovery = described["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery == {"PointInTimeRecoveryStatus": "DISABLED"}


def test_a_client_token_is_one_export(dynamodb: Any) -> None:
    arn = recoverable(dynamodb, "token")
    request = {"TableArn": arn, "S3Bucket": "own-bucket", "ClientToken": "once"}
    first = dynamodb.export_table_to_point_in_time(**request)["ExportDescription"]
    again = dynamodb.export_table_to_point_in_time(**request)["ExportDescription"]
    assert first["ExportArn"] == again["ExportArn"]
    with pytest.raises(dynamodb.exceptions.ExportConflictException):
        dynamodb.export_table_to_point_in_time(**request, S3Prefix="elsewhere")
    summaries = dynamodb.list_exports(TableArn=arn)["ExportSummaries"]
    assert [each["ExportArn"] for each in summaries] == [first["ExportArn"]]


def test_a_missing_bucket_fails_the_export(dynamodb: Any) -> None:
    arn = recoverable(dynamodb, "nobucket")
    begun = dynamodb.export_table_to_point_in_time(TableArn=arn, S3Bucket="no-such-bucket")
    description = finished(dynamodb, begun["ExportDescription"]["ExportArn"])
    assert (description["ExportStatus"], description["FailureCode"]) == ("FAILED", "S3NoSuchBucket")


def test_only_the_tables_account_may_export(cloud: LocalCloud, dynamodb: Any) -> None:
    arn = recoverable(dynamodb, "foreign")
    with pytest.raises(ClientError, match="not authorized to perform: dynamodb:ExportTable"):
        cloud.client("dynamodb", TARGET).export_table_to_point_in_time(
            TableArn=arn, S3Bucket="own-bucket"
        )


def test_an_export_into_another_account_needs_the_role_the_bucket_and_its_owner(
    cloud: LocalCloud, dynamodb: Any
) -> None:
    arn = recoverable(dynamodb, "across")
    target = make_bucket(cloud, TARGET, "across-bucket")
    objects = "arn:aws:s3:::across-bucket/*"
    may_export = (["dynamodb:ExportTableToPointInTime"], [arn])
    role = make_role(cloud, SOURCE, "across", policy(may_export))
    exporter = as_role(cloud, SOURCE, role, "dynamodb")

    def outcome(**owner: str) -> str | None:
        begun = exporter.export_table_to_point_in_time(
            TableArn=arn, S3Bucket="across-bucket", **owner
        )
        found: str | None = finished(dynamodb, begun["ExportDescription"]["ExportArn"]).get(
            "FailureCode"
        )
        return found

    owner = {"S3BucketOwner": TARGET.account_id}
    assert outcome(**owner) == "S3AccessDenied", "neither the role nor the bucket allow it"
    cloud.client("iam", SOURCE).put_role_policy(
        RoleName="across",
        PolicyName="permissions",
        PolicyDocument=policy(may_export, (WRITES, [objects])),
    )
    assert outcome(**owner) == "S3AccessDenied", "the bucket does not allow it"
    target.put_bucket_policy(
        Bucket="across-bucket", Policy=policy((WRITES, [objects]), principal=role)
    )
    assert outcome() == "S3AccessDenied", "the owner is not named"
    assert outcome(**owner) is None
    assert target.list_objects_v2(Bucket="across-bucket")["KeyCount"] > 5


def test_an_incremental_export_has_a_line_for_each_changed_key(dynamodb: Any, s3: Any) -> None:
    arn = recoverable(dynamodb, "increment")
    put(dynamodb, "increment", "same", 1)
    put(dynamodb, "increment", "changed", 1)
    begin = whole_second()
    put(dynamodb, "increment", "changed", 2)
    put(dynamodb, "increment", "new", 1)
    end = whole_second()
    put(dynamodb, "increment", "later", 1)
    until(lambda: window(dynamodb, "increment")[1] >= end, "the time to be restorable")
    begun = dynamodb.export_table_to_point_in_time(
        TableArn=arn,
        S3Bucket="own-bucket",
        S3Prefix="increment",
        ExportType="INCREMENTAL_EXPORT",
        IncrementalExportSpecification={"ExportFromTime": begin, "ExportToTime": end},
    )
    description = finished(dynamodb, begun["ExportDescription"]["ExportArn"])
    lines = {line["Keys"]["pk"]["S"]: line for line in exported(s3, description)}
    assert set(lines) == {"changed", "new"}
    assert lines["changed"]["OldImage"]["v"] == {"N": "1"}
    assert lines["changed"]["NewImage"]["v"] == {"N": "2"}
    assert "OldImage" not in lines["new"]
    assert begin * 1e6 <= int(lines["new"]["Metadata"]["WriteTimestampMicros"]) < end * 1e6
    summary = json.loads(read(s3, "own-bucket", description["ExportManifest"]))
    assert summary["exportType"] == "INCREMENTAL_EXPORT"
    assert "exportTime" not in summary
