"""Contracts of the Pulumi program: resources, functions, alarms, outputs, configuration."""

from __future__ import annotations

import contextlib
import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from bootstrap.core import errors
from bootstrap.core.stack_outputs import parse as parse_outputs
from infra.stack_config import StackConfig
from tests.contracts.shape import Read, Watched, shape
from tests.support.infra.recording_engine import CONFIG, Deployment, Registered, record

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLE = ROOT / "infra" / "Pulumi.example.yaml"
PROJECT = "dynamodb-replication"

SOURCE_KEY = "arn:aws:kms:eu-west-1:111111111111:key/source"
STREAM_KEY = "arn:aws:kms:eu-west-1:111111111111:key/stream"
KEPT_KEY = "arn:aws:kms:us-east-1:222222222222:key/kept"
TARGET_KEY = "arn:aws:kms:us-east-1:222222222222:key/target"
RICH: Mapping[str, Any] = {
    "iam": {"managedPolicies": False},
    "source": {
        "accountId": "111111111111",
        "region": "eu-west-1",
        "profile": "source",
        "roleArn": "arn:aws:iam::111111111111:role/deploy",
        "stsRegion": "eu-central-1",
    },
    "target": {
        "accountId": "222222222222",
        "region": "us-east-1",
        "profile": "target",
        "stsRegion": "us-east-2",
    },
    "operators": {
        "source": ["arn:aws:iam::111111111111:role/dba"],
        "target": ["account"],
        "externalId": "replication",
        "readItems": True,
    },
    "tables": [
        {
            "source": "orders",
            "target": "orders-replica",
            "ordering": "ledger",
            "streamMode": "PROVISIONED",
            "shards": 4,
            "parallelizationFactor": 2,
            "batchSize": 100,
            "batchWindow": 1,
            "memory": 3008,
            "reservedConcurrency": 20,
            "ledgerRetentionDays": 60,
            "quarantineBurst": 5,
            "startAt": "2026-11-23T10:00:00Z",
            "denyOtherWriters": True,
            "protect": True,
            "sourceKeyArn": SOURCE_KEY,
            "targetKeyArn": TARGET_KEY,
            "streamKeyArn": STREAM_KEY,
            "load": "bulk",
            "adopt": True,
            "performanceTier": "ACCELERATED",
            "maxWriteRequestUnits": 20_000,
        },
        {"source": "Customers_2"},
    ],
    "alarms": {
        "emails": ["team@example.com"],
        "thresholds": {"replicationLagSeconds": 30},
    },
    "retentionHours": 168,
    "logRetentionDays": 365,
    "vpc": {
        "subnetIds": ["subnet-0123456789abcdef0"],
        "securityGroupIds": ["sg-0123456789abcdef0"],
    },
    "buckets": {
        "accessLogs": {"consumer": "access-logs-eu", "target": "access-logs-us"},
        "blockPublicAccess": True,
    },
    "snapshotKey": True,
    "keys": {"source": "create", "consumer": "create", "target": KEPT_KEY},
    "verification": {
        "engine": "glue",
        "workers": 20,
        "workerType": "G.2X",
        "maxHours": 4,
        "package": "build/glue",
    },
    "switch": {"source": ["account"], "target": ["account"], "mfa": True},
    "protect": False,
    "tags": {"team": "payments", "managed-by": None},
}
STREAMS: dict[str, Any] = {
    **CONFIG,
    "tables": [{"source": "orders", "buffer": "streams", "sourceKeyArn": SOURCE_KEY}],
}
TOPICS = {
    place: f"arn:aws:sns:{region}:222222222222:ops"
    for place, region in (
        ("source", "eu-west-1"),
        ("consumer", "eu-west-1"),
        ("target", "us-east-1"),
    )
}


@cache
def deployed(which: str) -> Deployment:
    config = {"rich": RICH, "streams": STREAMS}.get(which) or _example()
    with TemporaryDirectory() as folder:
        return record(config, Path(folder) / "archive", stack="prod")


def _example() -> dict[str, Any]:
    values = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["config"]
    prefix = f"{PROJECT}:"
    return {
        name.removeprefix(prefix): value
        for name, value in values.items()
        if name.startswith(prefix)
    }


def _resources(which: str) -> list[str]:
    found = deployed(which).resources
    by_urn = {(each.type, each.name): each for each in found}

    def chain(each: Registered) -> str:
        kind, name = each.parent_urn.split("::")[2:] if each.parent_urn else ("", "")
        parent = by_urn.get((kind.rpartition("$")[2], name))
        return each.type if parent is None else f"{chain(parent)}${each.type}"

    return [f"{chain(each)}::{each.name}{_provider(each)}" for each in found]


def _provider(each: Registered) -> str:
    return f" by {each.side}" if each.side else ""


def resources_example() -> list[str]:
    return _resources("example")


def resources_rich() -> list[str]:
    return _resources("rich")


def functions() -> list[str]:
    lines = []
    for each in deployed("rich").of("Function"):
        lines.append(f"{each.name} handler {each.inputs['handler']}")
        variables = each.inputs["environment"]["variables"]
        lines += [f"{each.name} environment {name}" for name in variables]
        module, _, name = str(each.inputs["handler"]).rpartition(".")
        assert callable(getattr(importlib.import_module(module), name))
    return lines


def alarms() -> list[str]:
    lines = []
    for each in deployed("rich").of("MetricAlarm"):
        given = each.inputs
        name = each.name.removeprefix("replicate-orders-alarm-")
        if name == each.name:
            continue  # the second table's, which have the same names
        dimensions = ", ".join(sorted(given["dimensions"]))
        lines.append(f"{name} on {given['namespace']} {given['metricName']} by {dimensions}")
    return lines


def table_stream() -> list[str]:
    """What a stack has of a table whose own stream is the buffer: outputs, variables, alarms."""
    found = deployed("streams")
    lines = [f"output {each}" for each in shape(found.outputs) if each.startswith("tables[]")]
    for each in found.of("Function"):
        variables = each.inputs["environment"]["variables"]
        lines += [f"{each.name} environment {name}" for name in variables]
    for each in found.of("MetricAlarm"):
        given = each.inputs
        name = each.name.removeprefix("replicate-orders-alarm-")
        lines.append(f"alarm {name} on {given['namespace']} {given['metricName']}")
    return [*lines, *(f"resource {each}" for each in _resources("streams"))]


def outputs_made() -> list[str]:
    """Members of the stack's outputs."""
    return shape(deployed("example").outputs, deployed("rich").outputs)


def outputs_read() -> list[str]:
    """Members that the bootstrap requires, reads where they are, and ignores."""
    rich = deployed("rich").outputs
    lines: list[str] = []
    whole = _readable(rich)
    expected = parse_outputs(json.dumps(whole), "contracts")
    for path in _paths(whole):
        with contextlib.suppress(errors.UsageError):
            less = parse_outputs(json.dumps(_without(whole, path)), "contracts")
            how = "ignored" if less == expected else "optional"
            lines.append(f"{_dotted(path)} {how}")
            continue
        lines.append(f"{_dotted(path)} required")
    return list(dict.fromkeys(lines))


def _readable(made: Mapping[str, Any]) -> dict[str, Any]:
    """Outputs with ARNs of AWS's form, where the test engine makes up shorter ones.

    A member that has the value of its default could not be seen to be read, so none has.
    """
    whole: dict[str, Any] = json.loads(json.dumps(made))
    for side in ("source", "target"):
        for name, value in whole[side].items():
            if name.endswith("RoleArn"):
                role = value.rpartition(":")[2]
                whole[side][name] = f"arn:aws:iam::{whole[side]['accountId']}:role/{role}"
    for table in whole["tables"]:
        name = table["streamName"]
        table["streamArn"] = f"arn:aws:kinesis:eu-west-1:111111111111:stream/{name}"
        table["stackOwnsTargetDeny"] = True
        table["alarmLimits"] = dict.fromkeys(table["alarmLimits"], 99)
    return whole


Path_ = tuple[str | int, ...]


def _paths(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    inner: Sequence[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        inner = tuple(value.items())
    elif isinstance(value, list):
        inner = tuple(enumerate(value[:1]))
    for name, each in inner:
        if isinstance(name, str):
            yield (*path, name)
        yield from _paths(each, (*path, name))


def _without(value: Any, path: Path_) -> Any:
    whole = json.loads(json.dumps(value))
    place = whole
    for part in path[:-1]:
        place = place[part]
    del place[path[-1]]
    return whole


def _dotted(path: Path_) -> str:
    return "".join(f".{each}" if isinstance(each, str) else "[]" for each in path).lstrip(".")


def configuration_keys() -> list[str]:
    asked: Read = set()
    given = json.loads(json.dumps(RICH))
    given["alarms"]["emails"] = []
    for alarms_given in ({}, {"topics": TOPICS}):
        StackConfig.parse(Watched({**given, "alarms": {**given["alarms"], **alarms_given}}, asked))
    return list(asked)
