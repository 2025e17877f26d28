"""A whole life of a stack on the local cloud, with every call written down.

Deployed, bootstrapped, replicating, its quarantine cleared in every way the tool knows: by
operators who are roles of their own and present the external id.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi

from bootstrap.core.durations import SCALE_VARIABLE
from infra import package
from infra.local.cloud import REPOSITORY, SOURCE, TARGET, LocalAccount, LocalCloud
from infra.local.program import run
from infra.local.provider import LocalProvider
from tests.infra.least_privilege.declared import Declared, from_resources
from tests.infra.least_privilege.dry_run_policies import table_arn
from tests.infra.least_privilege.needs import Need, of_recording

EXTERNAL_ID = "replication"
DBA = "dba"
PATIENCE = 240.0
ENOUGH_TO_LOOK_FIRST = 400
"""Changes in a batch of which the consumer looks up whether it has applied them already."""
TOO_LARGE_FOR_LAMBDA = 5 * 1024 * 1024
"""Bytes of a record that makes an event of over 6 MB."""


@dataclass(frozen=True)
class Rehearsal:
    """What the program declared, and what was called."""

    declared: Declared
    needs: tuple[Need, ...]
    """The calls of roles, and nothing else."""
    config: Mapping[str, Any]
    """The program's configuration."""


class NotingProvider(LocalProvider):
    """Creates on the local cloud, and keeps what was declared, with the ARNs it got."""

    def __init__(self, cloud: LocalCloud, stack: str) -> None:
        super().__init__(cloud, stack)
        self.created: list[tuple[str, str, str, dict[str, Any]]] = []

    def new_resource(
        self, args: pulumi.runtime.MockResourceArgs
    ) -> tuple[str | None, dict[str, Any]]:
        id_, values = super().new_resource(args)
        side = (args.provider or "").rpartition("::")[2]
        self.created.append((args.typ, args.name, side, values))
        return id_, values


@dataclass
class Stage:
    """A running stack, and the operators' command line."""

    cloud: LocalCloud
    directory: Path
    outputs: dict[str, Any] = field(default_factory=dict)

    @property
    def lane(self) -> dict[str, Any]:
        lane: dict[str, Any] = self.outputs["tables"][0]
        return lane

    def bootstrap(
        self, *command: str, allowed: tuple[int, ...] = (0,), scale: str | None = None
    ) -> str:
        """Runs a command of the tool as the operators' own roles; returns what it printed.

        `scale`: the command's own time scale, in place of the cloud's.
        """
        process = self.start(*command, scale=scale)
        try:
            out, err = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
        assert process.returncode in allowed, f"{command}: {process.returncode}\n{out}{err}"
        return out

    def start(self, *command: str, scale: str | None = None) -> subprocess.Popen[str]:
        """Begins a command; as `bootstrap`. Who calls it waits for its end, or kills it."""
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "bootstrap", *command),
                *("--outputs", str(self.directory / "outputs.json")),
                *("--source-profile", DBA + "-source", "--target-profile", DBA + "-target"),
                *("--external-id", EXTERNAL_ID),
            ],
            cwd=REPOSITORY,
            env={
                **self.cloud.environment(),
                "AWS_SHARED_CREDENTIALS_FILE": str(self.directory / "operators"),
                "AWS_CONFIG_FILE": str(self.directory / "operators-config"),
                **({SCALE_VARIABLE: scale} if scale else {}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def rehearse(
    directory: Path,
    config: dict[str, Any],
    recording: Path,
    life: Callable[[Stage], None] | None = None,
) -> Rehearsal:
    """Takes about a minute. `config` is completed by accounts and operators.

    `life`: what becomes of the stack; without, a whole one.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with LocalCloud(directory / "cloud", recording=recording) as cloud:
        stage = Stage(cloud, directory)
        operators = {side: [_operator(stage, side, account)] for side, account in SIDES.items()}
        tables, keys = _tables_with_keys(cloud, config["tables"])
        provider = NotingProvider(cloud, "local")
        values = {
            **{
                side: {"accountId": account.account_id, "region": account.region}
                for side, account in SIDES.items()
            },
            "operators": {**operators, "externalId": EXTERNAL_ID, "readItems": True},
            "lambdaArchive": str(package.build("local").folder),
            **config,
            "tables": tables,
        }
        stage.outputs = run(provider, values, stack="local")
        (directory / "outputs.json").write_text(json.dumps(stage.outputs))
        (life or _live)(stage)
        [(source, target)] = [
            tuple(table_arn(values, side, table[side]) for side in SIDES) for table in tables
        ]
        declared = from_resources(provider.created).replicating(((source, target),), keys)
        return Rehearsal(declared, of_recording(recording), values)


SIDES = {"source": SOURCE, "target": TARGET}


def _operator(stage: Stage, side: str, account: LocalAccount) -> str:
    """A role of the account that may assume roles, and a profile for it; returns its ARN."""
    iam, arn = stage.cloud.client("iam", account), f"arn:aws:iam::{account.account_id}:role/{DBA}"
    root = {"AWS": f"arn:aws:iam::{account.account_id}:root"}
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": root}
    may = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
    iam.create_role(RoleName=DBA, AssumeRolePolicyDocument=_document(trust))
    iam.put_role_policy(RoleName=DBA, PolicyName="assume", PolicyDocument=_document(may))
    sts = stage.cloud.client("sts", account)
    keys = sts.assume_role(RoleArn=arn, RoleSessionName="anna")["Credentials"]
    mine = {
        "aws_access_key_id": keys["AccessKeyId"],
        "aws_secret_access_key": keys["SecretAccessKey"],
        "aws_session_token": keys["SessionToken"],
    }
    with (stage.directory / "operators").open("a") as file:
        lines = [f"{name} = {value}" for name, value in mine.items()]
        file.write("\n".join([f"[{DBA}-{side}]", *lines, "", ""]))
    with (stage.directory / "operators-config").open("a") as file:
        file.write(f"[profile {DBA}-{side}]\nregion = {account.region}\n\n")
    return arn


def _document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _tables_with_keys(
    cloud: LocalCloud, tables: list[dict[str, str]]
) -> tuple[list[dict[str, str]], dict[str, str]]:
    """Source tables under keys of their own, and keys for the targets; with the key of each ARN."""
    settings, keys = [], {}
    for table in tables:
        found = dict(table)
        for side, account in SIDES.items():
            key = cloud.client("kms", account).create_key()["KeyMetadata"]["Arn"]
            found[f"{side}KeyArn"] = key
            place = f"{account.region}:{account.account_id}"
            keys[f"arn:aws:dynamodb:{place}:table/{table[side]}"] = key
        _source_table(cloud, table["source"])
        settings.append(found)
    return settings, keys


def _source_table(cloud: LocalCloud, name: str) -> None:
    dynamodb = cloud.client("dynamodb", SOURCE)
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )
    expiry = {"Enabled": True, "AttributeName": "expires"}
    dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=expiry)
    arn = dynamodb.describe_table(TableName=name)["Table"]["TableArn"]
    dynamodb.tag_resource(ResourceArn=arn, Tags=[{"Key": "team", "Value": "shop"}])
    for n in range(20):
        dynamodb.put_item(TableName=name, Item=_item(f"seed-{n}"))


def _item(key: str) -> dict[str, Any]:
    return {"pk": {"S": key}, "v": {"N": "1"}}


# -- the life ------------------------------------------------------------------------------------


def _live(stage: Stage) -> None:
    stage.bootstrap("plan")
    stage.bootstrap("run", "--ttl", "now")
    _replicate(stage)
    verify(stage)
    _deliver_twice(stage)
    stage.bootstrap("status")
    stage.bootstrap("status", "--json", "--operator")
    stage.bootstrap("run")  # once more, as an operator does: fresh probes
    stage.bootstrap("pause")
    _write_to_the_target(stage)
    stage.bootstrap("resume", allowed=(1,))
    stage.bootstrap("resume", "--overwrite-target")
    _quarantine(stage)
    scheduled(stage)
    stage.bootstrap("explain", "pk=last")
    stage.bootstrap("abandon", "--yes", "--drop-target", "--disable-source-pitr")


def _replicate(stage: Stage) -> None:
    """New items, changed ones, deleted ones."""
    source, target = (stage.cloud.client("dynamodb", account) for account in SIDES.values())
    table = stage.lane["sourceTable"]
    for n in range(30):
        source.put_item(TableName=table, Item=_item(f"new-{n}"))
        source.delete_item(TableName=table, Key={"pk": {"S": f"seed-{n % 10}"}})
    source.put_item(TableName=table, Item=_item("last"))
    until(
        "the last change to arrive",
        lambda: (
            "Item"
            in target.get_item(TableName=stage.lane["targetTable"], Key={"pk": {"S": "last"}})
        ),
    )


def _write_to_the_target(stage: Stage) -> None:
    """As an application does that has moved there."""
    target = stage.cloud.client("dynamodb", TARGET)
    target.put_item(TableName=stage.lane["targetTable"], Item=_item("moved"))


def verify(stage: Stage) -> None:
    """While a key is written, so that there is one to read from the source."""
    over = threading.Event()

    def write() -> None:
        source = stage.cloud.client("dynamodb", SOURCE)
        while not over.wait(0.2):
            item = _item("written") | {"at": {"N": str(time.time_ns())}}
            source.put_item(TableName=stage.lane["sourceTable"], Item=item)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    stage.bootstrap("verify", "--read-source", "--spool", str(stage.directory / "spool"))
    over.set()
    writer.join()


def _deliver_twice(stage: Stage) -> None:
    """Many changes that DynamoDB hands over again, as it may."""
    kinesis = stage.cloud.client("kinesis", SOURCE)
    changes = [_change(stage, "INSERT", f"twice-{n}") for n in range(ENOUGH_TO_LOOK_FIRST)]
    records = [{"Data": json.dumps(each).encode(), "PartitionKey": "x"} for each in changes]
    for _ in range(2):
        kinesis.put_records(StreamName=stage.lane["streamName"], Records=records)
        time.sleep(2)


def _quarantine(stage: Stage) -> None:
    """Everything that can lie in the two buckets, and everything that can be done with it."""
    kinesis = stage.cloud.client("kinesis", SOURCE)
    name = stage.lane["streamName"]
    kinesis.put_record(StreamName=name, Data=b"\xff no change", PartitionKey="x")
    kinesis.put_record(StreamName=name, Data=b"x" * TOO_LARGE_FOR_LAMBDA, PartitionKey="x")
    until("a record that cannot be read", lambda: _objects(stage, "quarantineBucket"))
    until("an event that is too large", lambda: _objects(stage, "onFailureBucket"))

    rejected = _change(stage, "INSERT", "a key of another type")
    for image in ("Keys", "NewImage"):
        rejected["dynamodb"][image] = {"pk": {"N": "1"}}
    kept = [
        _keep(stage, 1, _change(stage, "INSERT", "redriven")),
        _keep(stage, 2, _change(stage, "INSERT", "direct")),
        _keep(stage, 3, _change(stage, "REMOVE", "new-1")),
        _keep(stage, 4, rejected),
    ]
    stage.bootstrap("quarantine", "list")
    stage.bootstrap("quarantine", "show", kept[0])
    stage.bootstrap("quarantine", "redrive", kept[0])
    stage.bootstrap("quarantine", "redrive", "--direct", *kept[1:], allowed=(0, 1))
    events = [f"on-failure/{key}" for key in _objects(stage, "onFailureBucket")]
    stage.bootstrap("quarantine", "show", events[0])
    stage.bootstrap("quarantine", "redrive", "--direct", *events, allowed=(0, 1))
    stage.bootstrap("quarantine", "discard", "--all", "--yes")
    stage.bootstrap("park", "shardId-000000000000", "7")
    stage.bootstrap("park", "--list")
    stage.bootstrap("unpark", "shardId-000000000000", "7")


def scheduled(stage: Stage) -> None:
    """What the stack runs by the clock, twice: the second round looks at the first one's probes."""
    lambda_ = stage.cloud.client("lambda", TARGET)
    names = {function["FunctionName"] for function in lambda_.list_functions()["Functions"]}
    for name in 2 * sorted(names - {stage.lane["functionName"]}):
        answer = lambda_.invoke(FunctionName=name, Payload=b"{}")
        assert "FunctionError" not in answer, f"{name}: {answer['Payload'].read()!r}"


def _change(stage: Stage, event: str, key: str) -> dict[str, Any]:
    images = {"INSERT": ["NewImage"], "MODIFY": ["OldImage", "NewImage"], "REMOVE": ["OldImage"]}
    return {
        "eventName": event,
        "eventID": key,
        "tableName": stage.lane["sourceTable"],
        "dynamodb": {
            "ApproximateCreationDateTime": int(time.time() * 1_000_000),
            "ApproximateCreationDateTimePrecision": "MICROSECOND",
            "Keys": {"pk": {"S": key}},
            **{image: _item(key) for image in images[event]},
        },
    }


def _keep(stage: Stage, number: int, change: dict[str, Any]) -> str:
    """Puts a record into quarantine as the consumer does; returns its key."""
    key = f"open/parked/shardId-000000000000/{number}-0.json"
    body = {
        "reason": "parked",
        "detail": "of the rehearsal",
        "stack": "local",
        "table": stage.lane["sourceTable"],
        "shardId": "shardId-000000000000",
        "sequenceNumber": str(number),
        "subSequence": 0,
        "arrival": time.time(),
        "partitionKey": "x",
        "quarantinedAt": int(time.time() * 1_000_000),
        "aggregated": False,
        "data": base64.b64encode(json.dumps(change).encode()).decode(),
    }
    s3 = stage.cloud.client("s3", TARGET)
    s3.put_object(Bucket=stage.lane["quarantineBucket"], Key=key, Body=json.dumps(body).encode())
    return key


def _objects(stage: Stage, bucket: str) -> list[str]:
    s3 = stage.cloud.client("s3", TARGET)
    listed = s3.list_objects_v2(Bucket=stage.lane[bucket]).get("Contents", [])
    return [entry["Key"] for entry in listed]


def until(what: str, look: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.1)
