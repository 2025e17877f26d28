"""A DynamoDB stream as the tests of the local cloud use it: switched on, read, and waited for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from infra.local.cloud import SOURCE, TARGET, LocalAccount, LocalCloud
from tests.support.infra.clouds import make_function, make_table, messages, policy, until

TABLE_STREAM_READS = [
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
]


class TableStream:
    """A table, and the stream that is or was the latest one."""

    def __init__(
        self,
        cloud: LocalCloud,
        name: str,
        view: str = "NEW_AND_OLD_IMAGES",
        account: LocalAccount = SOURCE,
        key: str = "pk:S",
    ) -> None:
        self.name = name
        self.dynamodb = cloud.client("dynamodb", account)
        self.api = cloud.client("dynamodbstreams", account)
        self.table_arn = make_table(self.dynamodb, name, key)
        self.arn = ""
        self.switch_on(view)

    def switch_on(self, view: str = "NEW_AND_OLD_IMAGES") -> None:
        self.update(StreamEnabled=True, StreamViewType=view)
        self.arn = self.table()["LatestStreamArn"]
        until(lambda: self.status() == "ENABLED", "the stream ENABLED")

    def switch_off(self) -> None:
        self.update(StreamEnabled=False)
        until(lambda: self.status() == "DISABLED", "the stream DISABLED")

    def update(self, **specification: Any) -> dict[str, Any]:
        until(lambda: self.table()["TableStatus"] == "ACTIVE", "the table ACTIVE")
        answer: dict[str, Any] = self.dynamodb.update_table(
            TableName=self.name, StreamSpecification=specification
        )["TableDescription"]
        return answer

    def table(self) -> dict[str, Any]:
        found: dict[str, Any] = self.dynamodb.describe_table(TableName=self.name)["Table"]
        return found

    def described(self, **options: Any) -> dict[str, Any]:
        answer = self.api.describe_stream(StreamArn=self.arn, **options)
        found: dict[str, Any] = answer["StreamDescription"]
        return found

    def status(self) -> str:
        return str(self.described()["StreamStatus"])

    def shards(self) -> dict[str, dict[str, Any]]:
        return {shard["ShardId"]: shard for shard in self.described()["Shards"]}

    def put(self, key: str, **attributes: Any) -> None:
        self.dynamodb.put_item(TableName=self.name, Item={"pk": {"S": key}, **attributes})

    def iterator(self, shard_id: str, kind: str = "TRIM_HORIZON", number: str | None = None) -> str:
        start = {"SequenceNumber": number} if number else {}
        token: str = self.api.get_shard_iterator(
            StreamArn=self.arn, ShardId=shard_id, ShardIteratorType=kind, **start
        )["ShardIterator"]
        return token

    def read(self, shard_id: str, kind: str = "TRIM_HORIZON", number: str | None = None) -> Any:
        """The records of one shard from here on, in their order."""
        token: str | None = self.iterator(shard_id, kind, number)
        found: list[dict[str, Any]] = []
        while token:
            answer = self.api.get_records(ShardIterator=token)
            found += answer["Records"]
            token = answer.get("NextShardIterator") if answer["Records"] else None
        return found

    def records(self) -> list[dict[str, Any]]:
        """Every record, shard after shard, parents before their children."""
        return [record for shard_id in self.shards() for record in self.read(shard_id)]


def numbers(records: list[dict[str, Any]]) -> Iterator[int]:
    """The sequence numbers of records as numbers: they have 21 to 40 digits."""
    for record in records:
        yield int(record["dynamodb"]["SequenceNumber"])


# Prints the keys of each batch; a key in POISON fails as MODE says; SLEEP delays; EVENT
# prints all; CALL calls AWS.
CODE = """
import json, os, time
def handler(event, context):
    records = [(r["dynamodb"]["SequenceNumber"], r["dynamodb"]["Keys"]["pk"]["S"])
               for r in event["Records"]]
    print(json.dumps({"batch": [key for _, key in records]}))
    if os.environ.get("EVENT"):
        print(json.dumps({"event": event}))
    if os.environ.get("CALL"):
        import boto3
        boto3.client("sts").get_caller_identity()
    time.sleep(float(os.environ.get("SLEEP", "0")))
    failed = [number for number, key in records if key in os.environ.get("POISON", "").split(",")]
    if failed and os.environ.get("MODE") == "raise":
        raise RuntimeError("poison")
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}
"""

LOGS = (["logs:PutLogEvents", "logs:CreateLogStream"], ["arn:aws:logs:*:*:*"])
Statement = tuple[Sequence[str], Sequence[str]]


class StreamPipeline:
    """A table's stream in the source account; a function and a mapping in the target's."""

    def __init__(
        self,
        cloud: LocalCloud,
        name: str,
        environment: Mapping[str, str] | None = None,
        permissions: Sequence[Statement] | None = None,
        extra: Sequence[Statement] = (),
    ) -> None:
        self.cloud = cloud
        self.name = name
        self.mapping = ""
        self.stream = TableStream(cloud, name)
        reads = [([*TABLE_STREAM_READS, "dynamodb:ListStreams"], [self.stream.arn])]
        statements = [*(reads if permissions is None else permissions), LOGS, *extra]
        _, self.role = make_function(
            cloud, name, CODE, policy(*statements), Environment={"Variables": environment or {}}
        )

    @property
    def functions(self) -> Any:
        return self.cloud.client("lambda", TARGET)

    def allow(self, *actions: str) -> None:
        """Let the function's role read the stream, by the stream's policy."""
        document = policy((actions or TABLE_STREAM_READS, [self.stream.arn]), principal=self.role)
        self.stream.dynamodb.put_resource_policy(ResourceArn=self.stream.arn, Policy=document)

    def create(self, **options: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.functions.create_event_source_mapping(
            **{
                "EventSourceArn": self.stream.arn,
                "FunctionName": self.name,
                "StartingPosition": "TRIM_HORIZON",
                "FunctionResponseTypes": ["ReportBatchItemFailures"],
                **options,
            }
        )
        self.mapping = answer["UUID"]
        return answer

    def start(self, **options: Any) -> None:
        """Allow and create, as soon as the stream's policy binds the role."""
        self.allow()

        def created() -> bool:
            try:
                return bool(self.create(**options))
            except ClientError as error:
                if "Cannot access stream" not in str(error):
                    raise
                return False

        until(created, "the mapping created")
        self.settle()

    def update(self, **options: Any) -> None:
        self.functions.update_event_source_mapping(UUID=self.mapping, **options)
        self.settle()

    def settle(self) -> None:
        until(lambda: self.state() in ("Enabled", "Disabled"), "the mapping's state")

    def shown(self) -> dict[str, Any]:
        found: dict[str, Any] = self.functions.get_event_source_mapping(UUID=self.mapping)
        return found

    def state(self) -> str:
        return str(self.shown()["State"])

    def result(self) -> str:
        return str(self.shown()["LastProcessingResult"])

    def printed(self, what: str) -> list[Any]:
        try:
            lines = messages(self.cloud, f"/aws/lambda/{self.name}")
        except ClientError:
            return []
        return [json.loads(line)[what] for line in lines if line.startswith(f'{{"{what}"')]

    def batches(self) -> list[list[str]]:
        return self.printed("batch")

    def seen(self) -> list[str]:
        return [key for batch in self.batches() for key in batch]
