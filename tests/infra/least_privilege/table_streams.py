"""What the roles of a table need whose own stream is the buffer.

Of a life with a Kinesis stream, what is done with that stream, its key and its mapping falls away;
what is done with the table's own stream and the mapping that the tool makes takes its place.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bootstrap.core import stream_policy
from infra.table_config import TableConfig
from tests.infra.least_privilege.declared import RESOURCE, Declared, Policy
from tests.infra.least_privilege.dry_run_policies import Elsewhere, table_arn
from tests.infra.least_privilege.needs import Need

KINESIS_PARTS = ("buffer-stream", "buffer-key", "consumer-mapping")
DESTINATION = "dynamodb:DescribeKinesisStreamingDestination"
LABEL, UUID = "2026-11-30T00:00:00.000", "any"


@dataclass(frozen=True)
class Reason:
    """Calls of one role, with the page of AWS or the part of the tool that makes them."""

    who: str
    """As its policy of grants is named; `{prefix}`: the table's."""
    needs: tuple[str, ...]
    why: str


ON_THE_STREAM = (
    Reason(
        "{prefix}-consumer",
        (
            "dynamodb:DescribeStream",
            "dynamodb:GetRecords",
            "dynamodb:GetShardIterator",
            "dynamodb:ListStreams",
        ),
        "AWS Lambda Developer Guide, with-ddb-create-package: what a mapping of a stream reads",
    ),
    Reason(
        "replication-exporter",
        ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"),
        "the tool's own reader proves that a shard is through",
    ),
    Reason(
        "replication-exporter",
        (
            "dynamodb:DeleteResourcePolicy",
            "dynamodb:GetResourcePolicy",
            "dynamodb:PutResourcePolicy",
        ),
        "Amazon DynamoDB Developer Guide, rbac-attach-resource-based-policy: for the consumer",
    ),
)
ON_THE_SOURCE = Reason(
    "replication-exporter",
    ("dynamodb:UpdateTable",),
    "Amazon DynamoDB API Reference, UpdateTable: StreamSpecification",
)
CREATE, LIST = "lambda:CreateEventSourceMapping", "lambda:ListEventSourceMappings"
LOOK = "lambda:GetEventSourceMapping"
"""Of any mapping: the request for one that is gone has no function to allow it by. The second
exception of C8 (docs/promises.md)."""
ON_THE_MAPPING = (
    Reason(
        "replication-importer",
        (
            "lambda:DeleteEventSourceMapping",
            LOOK,
            "lambda:UpdateEventSourceMapping",
        ),
        "`run`, `pause` and `abandon`",
    ),
    Reason("replication-operator-target", (LOOK,), "`status`"),
    Reason("{prefix}-watchdog", (LOOK,), "each round"),
)


def without_kinesis(
    recorded: Iterable[Need], declared: Declared, table: TableConfig
) -> Iterator[Need]:
    """Yield the calls of a life that have nothing to do with its Kinesis stream."""
    parts = [declared.arns[f"{table.prefix}-{part}"] for part in KINESIS_PARTS]
    sees = (f":assumed-role/{table.prefix}-observer", ":assumed-role/replication-operator-source")
    for need in recorded:
        of_kinesis = need.resource in parts or need.action.startswith("kinesis:")
        if not of_kinesis and not (
            need.action == DESTINATION and any(role in need.caller for role in sees)
        ):
            yield need


def needs_of(there: Elsewhere, entry: Mapping[str, Any], other: TableConfig) -> Iterator[Need]:
    """Yield what a table needs. `other`: one whose function and source are not its own."""
    table, declared = TableConfig(entry["source"], ""), there.declared
    source = table_arn(there.config, "source", entry["source"])
    another = table_arn(there.config, "source", other.source)
    function, foreign = (declared.arns[f"{each.prefix}-consumer"] for each in (table, other))
    for reason in ON_THE_STREAM:
        yield from _calls(declared, table, reason, f"{source}/stream/{LABEL}")
        refused = _calls(declared, table, reason, f"{another}/stream/{LABEL}")
        yield from (replace(need, refused=True) for need in refused)
    yield from _calls(declared, table, ON_THE_SOURCE, source)
    yield from (
        replace(need, refused=True) for need in _calls(declared, table, ON_THE_SOURCE, another)
    )
    region, account = function.split(":")[3:5]
    mapping = f"arn:aws:lambda:{region}:{account}:event-source-mapping:{UUID}"
    creates = Reason("replication-importer", (CREATE,), "AWS Lambda API Reference")
    for reason, resource in (*((each, mapping) for each in ON_THE_MAPPING), (creates, "*")):
        for need in _calls(declared, table, reason, resource):
            if need.action == LOOK:
                yield need
                continue
            for arn, refused_ in ((function, False), (foreign, True)):
                keys = (("lambda:FunctionArn", arn),)
                yield replace(need, keys=keys, refused=refused_)
    lists = Reason("replication-importer", (LIST,), "a mapping that was made before a crash")
    yield from _calls(declared, table, lists, "*")


def _calls(declared: Declared, table: TableConfig, reason: Reason, on: str) -> Iterator[Need]:
    role = declared.policy(f"{reason.who.format(prefix=table.prefix)}-grants")
    caller = f"arn:aws:sts::{role.account}:assumed-role/{role.on}/session"
    yield from (Need(caller, action, on, why=reason.why) for action in reason.needs)


def with_stream_policy(there: Elsewhere, entry: Mapping[str, Any]) -> Declared:
    """Add the policy that the tool puts on the table's stream: of the consumer's role alone."""
    table, declared = TableConfig(entry["source"], ""), there.declared
    stream = f"{table_arn(there.config, 'source', entry['source'])}/stream/{LABEL}"
    role = declared.policy(f"{table.prefix}-consumer-grants")
    reads = stream_policy.statement(stream, f"arn:aws:iam::{role.account}:role/{role.on}")
    text = json.dumps({"Version": "2012-10-17", "Statement": [reads]})
    made = Policy("the stream's policy", RESOURCE, stream.split(":")[4], stream, text)
    return replace(declared, policies=(*declared.policies, made))
