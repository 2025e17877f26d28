"""What the tests of the local cloud share: waiting, tables, streams, roles, functions."""

from __future__ import annotations

import contextlib
import io
import json
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from botocore.config import Config

from bootstrap.aws.sdk import sdk_session
from infra.local.cloud import SECRET, SOURCE, TARGET, LocalAccount, LocalCloud

T = TypeVar("T")

STREAM_READS = [
    "kinesis:DescribeStream",
    "kinesis:DescribeStreamSummary",
    "kinesis:GetRecords",
    "kinesis:GetShardIterator",
    "kinesis:ListShards",
]


def until(look: Callable[[], T | None], what: str, seconds: float = 20) -> T:
    """What `look` returns, as soon as it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


def make_table(dynamodb: Any, name: str, key: str = "pk:S") -> str:
    """A table with keys like "pk:S,sk:B"; returns its ARN."""
    pairs = [part.split(":") for part in key.split(",")]
    response = dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": t} for n, t in pairs],
        KeySchema=[
            {"AttributeName": n, "KeyType": kind}
            for (n, _t), kind in zip(pairs, ("HASH", "RANGE"), strict=False)
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    arn: str = response["TableDescription"]["TableArn"]
    return arn


def make_stream(kinesis: Any, name: str, shards: int = 1, **options: Any) -> str:
    """A provisioned stream; returns its ARN."""
    kinesis.create_stream(StreamName=name, ShardCount=shards, **options)
    summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    arn: str = summary["StreamARN"]
    return arn


def capture(cloud: LocalCloud, table: str, stream_arn: str, precision: str = "MICROSECOND") -> None:
    """Stream a table's changes, and wait until the destination is ACTIVE."""
    dynamodb = cloud.client("dynamodb", SOURCE)
    dynamodb.enable_kinesis_streaming_destination(
        TableName=table,
        StreamArn=stream_arn,
        EnableKinesisStreamingConfiguration={"ApproximateCreationDateTimePrecision": precision},
    )
    until(
        lambda: destination(dynamodb, table)["DestinationStatus"] == "ACTIVE", "destination ACTIVE"
    )


def destination(dynamodb: Any, table: str) -> dict[str, Any]:
    """The table's last streaming destination."""
    described = dynamodb.describe_kinesis_streaming_destination(TableName=table)
    found: dict[str, Any] = described["KinesisDataStreamDestinations"][-1]
    return found


def raw_records(kinesis: Any, stream_arn: str) -> list[dict[str, Any]]:
    """Every record of a stream, shard after shard, in order within each."""
    found: list[dict[str, Any]] = []
    for shard in kinesis.list_shards(StreamARN=stream_arn)["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamARN=stream_arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator:
            answer = kinesis.get_records(StreamARN=stream_arn, ShardIterator=iterator)
            found += answer["Records"]
            iterator = answer.get("NextShardIterator") if answer["Records"] else None
    return found


def changes(kinesis: Any, stream_arn: str) -> list[dict[str, Any]]:
    """The change records of a stream, decoded from JSON."""
    return [json.loads(record["Data"]) for record in raw_records(kinesis, stream_arn)]


def policy(*statements: tuple[Sequence[str], Sequence[str]], principal: str | None = None) -> str:
    """A policy that allows actions on resources; with a principal it is a resource's own."""
    allowed = [
        {
            "Effect": "Allow",
            **({"Principal": {"AWS": principal}} if principal else {}),
            "Action": list(actions),
            "Resource": list(resources),
        }
        for actions, resources in statements
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": allowed})


def make_role(
    cloud: LocalCloud,
    account: LocalAccount,
    name: str,
    permissions: str,
    service: str | None = None,
) -> str:
    """A role that its own account (or a service) may assume; returns its ARN."""
    iam = cloud.client("iam", account)
    principal = (
        {"Service": service} if service else {"AWS": f"arn:aws:iam::{account.account_id}:root"}
    )
    trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    iam.put_role_policy(RoleName=name, PolicyName="permissions", PolicyDocument=permissions)
    return f"arn:aws:iam::{account.account_id}:role/{name}"


def as_role(cloud: LocalCloud, account: LocalAccount, role_arn: str, service: str) -> Any:
    """A client of a service with a role's credentials."""
    sts = cloud.client("sts", account)
    keys = sts.assume_role(RoleArn=role_arn, RoleSessionName="test")["Credentials"]
    return sdk_session().create_client(
        service,
        region_name=account.region,
        endpoint_url=cloud.endpoint,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )


def bulk_client(cloud: LocalCloud, account: LocalAccount, **config: Any) -> Any:
    """A client of DynamoDB with the account's root credentials that knows the bulk operations."""
    return sdk_session().create_client(
        "dynamodb",
        region_name=account.region,
        endpoint_url=cloud.endpoint,
        aws_access_key_id=account.account_id,
        aws_secret_access_key=SECRET,
        config=Config(**config),
    )


def make_bucket(cloud: LocalCloud, account: LocalAccount, name: str) -> Any:
    """A bucket in the account; returns the S3 client."""
    s3 = cloud.client("s3", account)
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": account.region})
    return s3


def archive(code: str) -> bytes:
    """A function's archive with one module, `function`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("function.py", code)
    return buffer.getvalue()


def make_function(
    cloud: LocalCloud, name: str, code: str, permissions: str, **options: Any
) -> tuple[str, str]:
    """A function in the target account with its own role; returns its name and its role's ARN."""
    role = make_role(cloud, TARGET, f"{name}-role", permissions, service="lambda.amazonaws.com")
    lambda_client = cloud.client("lambda", TARGET)
    lambda_client.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role,
        Handler="function.handler",
        Code={"ZipFile": archive(code)},
        **{"Timeout": 10, **options},
    )
    return name, role


def messages(cloud: LocalCloud, group: str) -> list[str]:
    """Every line of a log group in the target account."""
    logs = cloud.client("logs", TARGET)
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
    return [event["message"] for page in pages for event in page["events"]]


def processes_below(path: Path) -> list[str]:
    """List the command lines of this machine's processes that name something below a directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_text().replace("\0", " ")
            if f"{path}/" in command:
                found.append(command)
    return found
