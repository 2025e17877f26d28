"""A local cloud with a stack of several tables, each of which serves one case after the other."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.local.cloud import SOURCE, TARGET, LocalCloud
from infra.local.deploy import deploy
from infra.local.workload.server_writes import ServerWrite, read_server_writes
from infra.stack_config import PROJECT
from replicator.buffers import STREAMS
from tests.crash.crash_points import Case
from tests.crash.process_pool import Child, Ended, Nursery
from tests.support.infra.clouds import bulk_client

SCALE = 0.002
"""Of AWS's delays: an export takes 0.2 seconds, and the margins before it half a second."""
SWITCH_SCALE = 0.01
"""Where a table is switched: a policy has six seconds to spread, which a busy machine can keep."""
KEYS = 30
WRITE_SECONDS = 0.12
SETTLE_SECONDS = 30.0
TAGS = {"team": "shop", "cost": "replica"}
TARGET_TAGS = {**TAGS, "project": PROJECT, "stack": "local", "managed-by": "pulumi"}
"""The source's, and the stack's own."""
TTL_ATTRIBUTE = "expires"
WRITE_LOG = "writes.jsonl"
"""The local cloud's own log of writes, in a cloud's directory."""
LOCAL_INDEX = "within-by-value"
"""Of tables that are loaded by bulk put: an import would leave it out."""
BULK = "seconds=0.3"
"""LOCAL_BULK of such a lane, unless it says otherwise."""
RUNNING = ("IN_PROGRESS", "CANCELLING")
RUN = ("--ttl", "now")
"""So that a run sets every setting that the local cloud can keep: tags, class, time to live."""


OWN_STREAM: Mapping[str, Any] = {"buffer": STREAMS}
TWO_SHARDS: Mapping[str, Any] = {"streamMode": "PROVISIONED", "shards": 2}
"""Members of a table of the stack file."""

PLAIN: Mapping[str, Any] = {
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
}
WITH_LOCAL_INDEX: Mapping[str, Any] = {
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": kind}
        for name, kind in (("pk", "S"), ("sk", "S"), ("v", "N"))
    ],
    "LocalSecondaryIndexes": [
        {
            "IndexName": LOCAL_INDEX,
            "KeySchema": [
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "v", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}


class Lane:
    """One table and all that replicates it."""

    def __init__(
        self, cloud: LocalCloud, nursery: Nursery, outputs: Path, values: Mapping[str, Any]
    ) -> None:
        self.name: str = values["sourceTable"]
        self.replica: str = values["targetTable"]
        self.values = values
        self.consumer: str = values["consumerRoleArn"]
        self._log_begins = 0
        self.bulk: bool = values.get("load") == "bulk"
        self.own_stream: bool = values.get("buffer") == STREAMS
        self._nursery = nursery
        self._outputs = outputs
        self.write_log = outputs.parent / WRITE_LOG
        self.source = cloud.client("dynamodb", SOURCE)
        self.target = bulk_client(cloud, TARGET)
        self.s3 = cloud.client("s3", TARGET)
        self.functions = cloud.client("lambda", TARGET)
        self.cloudwatch = cloud.client("cloudwatch", TARGET)
        stack = json.loads(outputs.read_text())
        self.journal_table: str = stack["journalTable"]
        self.bucket: str = stack["snapshotBucket"]
        self.roles = (stack["source"]["exporterRoleArn"], stack["target"]["importerRoleArn"])

    # -- processes -------------------------------------------------------------------------------

    def arguments(self, command: str) -> list[str]:
        """Of the bootstrap's command line."""
        profiles = ("--source-profile", "source", "--target-profile", "target")
        options = RUN if command == "run" else ()
        return [command, "--outputs", str(self._outputs), "--table", self.name, *profiles, *options]

    def start(
        self, case: Case | None, command: str = "run", *options: str, elsewhere: bool = False
    ) -> Child:
        """A run whose calls are listed, and that something is done to. `elsewhere`: as a process of
        another machine.
        """
        arguments = [*self.arguments(command), *options]
        return self._nursery.start(arguments, listed=True, case=case, elsewhere=elsewhere)

    def launch(self, case: Case | None) -> Ended:
        """Such a run to its end."""
        return self.start(case).wait()

    def run(self, command: str = "run", *options: str) -> Ended:
        """The command as an operator types it."""
        arguments = [*self.arguments(command), *options]
        return self._nursery.start(arguments, listed=False).wait()

    # -- the world, with root credentials --------------------------------------------------------

    def exports(self) -> set[str]:
        request: dict[str, Any] = {"TableArn": self.values["sourceTableArn"], "MaxResults": 25}
        found: set[str] = set()
        while True:
            answer = self.source.list_exports(**request)
            found |= {each["ExportArn"] for each in answer["ExportSummaries"]}
            if "NextToken" not in answer:
                return found
            request["NextToken"] = answer["NextToken"]

    def imports(self) -> set[str]:
        request: dict[str, Any] = {"PageSize": 25}
        found: set[str] = set()
        while True:
            answer = self.target.list_imports(**request)
            found |= {
                each["ImportArn"]
                for each in answer["ImportSummaryList"]
                if each["TableArn"].endswith(f"table/{self.replica}")
            }
            if "NextToken" not in answer:
                return found
            request["NextToken"] = answer["NextToken"]

    def operations(self) -> list[Mapping[str, Any]]:
        """The bulk operations on the replica, of whichever caller, as they are described."""
        request: dict[str, Any] = {"MaxResults": 25}
        found: list[Mapping[str, Any]] = []
        while True:
            answer = self.target.list_bulk_operations(**request)
            for each in answer["BulkOperationsSummaryList"]:
                arn = each["BulkOperationArn"]
                if f":table/{self.replica}/" in arn:
                    described = self.target.describe_bulk_operation(BulkOperationArn=arn)
                    found.append(described["BulkOperationDescription"])
            if "NextToken" not in answer:
                return found
            request["NextToken"] = answer["NextToken"]

    def running(self) -> list[str]:
        """The bulk operations on the replica that may write."""
        return [
            each["BulkOperationArn"]
            for each in self.operations()
            if each["BulkOperationStatus"] in RUNNING
        ]

    def replica_writes(self) -> list[ServerWrite]:
        """The writes that the replica has taken since the last reset, in their order."""
        return [
            each
            for each in read_server_writes(self.write_log)
            if (each.account, each.table) == (TARGET.account_id, self.replica)
        ][self._log_begins :]

    def key(self, name: str) -> dict[str, Any]:
        """The key of an item of the source."""
        return _key(name, self.bulk)

    def row(self) -> dict[str, Any]:
        """The journal's row of the table; empty if there is none."""
        key = {"pk": {"S": self.name}, "sk": {"S": "run"}}
        answer = self.target.get_item(TableName=self.journal_table, Key=key, ConsistentRead=True)
        return dict(answer.get("Item", {}))

    def journal(self) -> list[dict[str, Any]]:
        """All rows of the table."""
        return list(
            self.target.query(
                TableName=self.journal_table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": self.name}},
            )["Items"]
        )

    def settings(self) -> dict[str, Any]:
        """The ledger's settings row."""
        answer = self.target.get_item(
            TableName=self.values["ledgerTable"], Key={"k": {"B": b"settings"}}, ConsistentRead=True
        )
        return dict(answer.get("Item", {}))

    @property
    def mapping(self) -> str:
        """The consumer's mapping: the stack's, or one that a run made."""
        return str(self.mappings()[0]["UUID"])

    def mappings(self) -> list[Mapping[str, Any]]:
        return list(
            self.functions.list_event_source_mappings(FunctionName=self.values["functionName"])[
                "EventSourceMappings"
            ]
        )

    def tables(self) -> set[str]:
        """The target account's tables that belong to this one."""
        pages = self.target.get_paginator("list_tables").paginate()
        names = {name for page in pages for name in page["TableNames"]}
        return {name for name in names if self.name in name}

    def objects(self, bucket: str, prefix: str) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [each["Key"] for page in pages for each in page.get("Contents", ())]

    def differences(self) -> int:
        """Keys whose items are not equal on both sides."""
        here, there = _scan(self.source, self.name), _scan(self.target, self.replica)
        return sum(here.get(key) != there.get(key) for key in {*here, *there})

    def settled(self) -> int:
        """Waits until both sides are equal; returns how many keys still differ then."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while (left := self.differences()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return left

    # -- between two cases -----------------------------------------------------------------------

    def reset(self) -> None:
        """As it was after the deployment, but for the stream's past and the list of exports."""
        if self.own_stream:
            self._reset_stream()
        else:
            uuid, get = self.values["mappingUuid"], self.functions.get_event_source_mapping
            self.functions.update_event_source_mapping(UUID=uuid, Enabled=False)
            _until(lambda: get(UUID=uuid)["State"] == "Disabled")
        if self.bulk:
            for arn in self.running():
                self.target.cancel_bulk_operation(BulkOperationArn=arn)
            _until(lambda: not self.running())
            self._log_begins += len(self.replica_writes())
        with contextlib.suppress(self.target.exceptions.ResourceNotFoundException):
            self.target.update_table(TableName=self.replica, DeletionProtectionEnabled=False)
            self.target.delete_table(TableName=self.replica)
        _until(lambda: self.replica not in self.tables())
        off = {"PointInTimeRecoveryEnabled": False}
        self.source.update_continuous_backups(
            TableName=self.name, PointInTimeRecoverySpecification=off
        )
        for row in self.journal():
            key = {name: row[name] for name in ("pk", "sk")}
            self.target.delete_item(TableName=self.journal_table, Key=key)
        ledger = self.values["ledgerTable"]
        for entry in _scan(self.target, ledger, "k", raw=True).values():
            self.target.delete_item(TableName=ledger, Key={"k": entry["k"]})
        for name in self.objects(self.bucket, f"{self.values['snapshotPrefix']}/"):
            self.s3.delete_object(Bucket=self.bucket, Key=name)

    def table(self) -> Mapping[str, Any]:
        """The source table as it is described."""
        found: Mapping[str, Any] = self.source.describe_table(TableName=self.name)["Table"]
        return found

    def _reset_stream(self) -> None:
        """Delete the mapping that a run made, and switch the stream off."""
        for each in self.mappings():
            self.functions.delete_event_source_mapping(UUID=each["UUID"])
        _until(lambda: not self.mappings())
        _until(lambda: self.table()["TableStatus"] == "ACTIVE")
        if "StreamSpecification" in self.table():
            self.source.update_table(
                TableName=self.name, StreamSpecification={"StreamEnabled": False}
            )
        _until(lambda: self.table()["TableStatus"] == "ACTIVE")


class Writer(threading.Thread):
    """Changes the source until it is stopped."""

    def __init__(self, lane: Lane) -> None:
        super().__init__(daemon=True)
        self._lane = lane
        self._asked = threading.Event()
        self.written = 0

    def run(self) -> None:
        dynamodb, table = self._lane.source, self._lane.name
        while not self._asked.wait(WRITE_SECONDS):
            self.written += 1
            key = self._lane.key(f"{self.written % (KEYS + 7)}")
            if self.written % 5 == 0:
                dynamodb.delete_item(TableName=table, Key=key)
            else:
                value = {"N": f"{time.time_ns()}"}
                dynamodb.put_item(TableName=table, Item={**key, "v": value})

    def __enter__(self) -> Writer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._asked.set()
        self.join()


@contextmanager
def lanes(
    directory: Path,
    count: int,
    *,
    switch: bool = False,
    bulk: str | None = None,
    own_stream: bool = False,
    mixed: bool = False,
) -> Iterator[list[Lane]]:
    """A cloud of its own with so many tables, deployed and filled. `switch`: with its roles, and a
    log of writes. `bulk`: tables with a local index, loaded by bulk put under this LOCAL_BULK, and
    a log of writes; None: by import. `own_stream`: buffered by the tables' own streams.
    `mixed`: the last table is, and no other.
    """
    directory.mkdir(parents=True, exist_ok=True)
    names = [f"lane{n:02}" for n in range(count)]
    log = directory / WRITE_LOG if switch or bulk else None
    scale = SWITCH_SCALE if switch else SCALE
    with LocalCloud(directory, time_scale=scale, write_log=log, bulk=bulk or "") as cloud:
        source = cloud.client("dynamodb", SOURCE)
        for name in names:
            _make(source, name, bulk is not None)
        sides = {
            side: {"accountId": account.account_id, "region": account.region}
            for side, account in (("source", SOURCE), ("target", TARGET))
        }
        tables = [
            {
                "source": name,
                "target": f"{name}-replica",
                **(OWN_STREAM if own_stream or (mixed and name == names[-1]) else TWO_SHARDS),
                **({"load": "bulk"} if bulk else {}),
            }
            for name in names
        ]
        values = deploy(cloud, {**sides, "tables": tables, "protect": False, "switch": switch})
        _quiet(cloud, watchdogs=not switch)
        outputs = directory / "outputs.json"
        outputs.write_text(json.dumps(values))
        with Nursery(directory / "runs", cloud.environment()) as nursery:
            yield [Lane(cloud, nursery, outputs, each) for each in values["tables"]]


def _make(dynamodb: Any, name: str, bulk: bool) -> None:
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        TableClass="STANDARD_INFREQUENT_ACCESS",
        Tags=[{"Key": key, "Value": value} for key, value in TAGS.items()],
        **(WITH_LOCAL_INDEX if bulk else PLAIN),
    )
    dynamodb.update_time_to_live(
        TableName=name,
        TimeToLiveSpecification={"Enabled": True, "AttributeName": TTL_ATTRIBUTE},
    )
    for n in range(KEYS):
        # Some items are not in the local index.
        value = {} if bulk and n % 6 == 5 else {"v": {"N": "0"}}
        dynamodb.put_item(TableName=name, Item={**_key(f"{n}", bulk), **value})


def _key(name: str, bulk: bool) -> dict[str, Any]:
    return {"pk": {"S": name}, **({"sk": {"S": "of it"}} if bulk else {})}


def _quiet(cloud: LocalCloud, watchdogs: bool) -> None:
    """Alarms off, and `watchdogs`: a dozen tables' worth takes the machine that the runs need.

    A switch rests on what they see.
    """
    events = cloud.client("events", TARGET)
    for rule in events.list_rules()["Rules"] if watchdogs else ():
        events.disable_rule(Name=rule["Name"])
    cloudwatch = cloud.client("cloudwatch", TARGET)
    found = cloudwatch.describe_alarms()
    names = [each["AlarmName"] for each in [*found["MetricAlarms"], *found["CompositeAlarms"]]]
    for start in range(0, len(names), 50):
        cloudwatch.delete_alarms(AlarmNames=names[start : start + 50])


def _scan(
    dynamodb: Any, table: str, key: str = "pk", raw: bool = False
) -> dict[str, Mapping[str, Any]]:
    pages = dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    items = (item for page in pages for item in page["Items"])
    return {str(item[key]) if raw else item[key]["S"]: item for item in items}


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError("The local cloud did not settle.")
        time.sleep(0.05)
