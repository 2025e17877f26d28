"""The calls that cross accounts, and those that AWS's services make, as the documents show them.

Callers, actions, resources and conditions come from the policies that the program declares. What
else AWS puts into such a request was read, and stands here by caller and service: a call without
its entry, or an entry without its call, is an error.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.resource_names import SUFFIX
from tests.infra.least_privilege import crossings, dry_run_policies
from tests.infra.least_privilege.crossings import Crossing
from tests.infra.least_privilege.declared import Declared
from tests.support.infra.recording_engine import CONFIG

SOURCE, TARGET = CONFIG["source"]["accountId"], CONFIG["target"]["accountId"]
FAR = "eu-central-1"
STACK: Mapping[str, Any] = {
    **CONFIG,
    "target": {**CONFIG["target"], "region": FAR},
    "snapshotKey": True,
    "switch": True,
}
"""With all that a stack can have: nothing else crosses."""
PLACES = {
    SOURCE: "SOURCE",
    TARGET: "TARGET",
    "eu-west-1": "SOURCE-REGION",
    FAR: "TARGET-REGION",
    SUFFIX: "-…",  # Pulumi's own end of a name
}


@dataclass(frozen=True)
class RequestNote:
    """What is known of the requests of a row, beside what its policies say."""

    made: str
    """By what, and from where."""
    allow: str
    """What an organisation's policy has to let through."""


CROSSING: Mapping[tuple[str, str], RequestNote] = {
    ("replicate-TABLE-consumer-role", "kinesis"): RequestNote(
        "Lambda's poller, as the role, from Lambda's own network even where the function is in a "
        "VPC: no `aws:SourceVpce`, no `aws:SourceIp` of yours",
        "SCP of the target: these actions on a stream of SOURCE; a network perimeter for the roles "
        "of functions leaves them out",
    ),
    ("replicate-TABLE-consumer-role", "kms"): RequestNote(
        "Kinesis, for the poller: `kms:ViaService` is `kinesis.SOURCE-REGION.amazonaws.com`, "
        "`kms:CallerAccount` TARGET",
        "RCP of the source: this role on the stream's key. SCP of the target: `kms:Decrypt` on a "
        "key of SOURCE",
    ),
    ("replication-exporter", "s3"): RequestNote(
        "DynamoDB, with the permissions of the role that began the export, from its own network",
        "RCP of the target: this role on the snapshot bucket, without a condition on the network. "
        "SCP of the source: these actions on a bucket of TARGET",
    ),
    ("replication-exporter", "kms"): RequestNote(
        "S3, for the export; `kms:CallerAccount` is SOURCE",
        "RCP of the target: this role on the snapshot bucket's key. SCP of the source: the same "
        "actions on a key of TARGET",
    ),
    ("replicate-TABLE-watchdog-role", "iam"): RequestNote(
        "the function's code: `lambda:SourceFunctionArn` is set; `aws:SourceVpce` where it is in a "
        "VPC with an endpoint for STS",
        "RCP of the source: this role on the observer. SCP of the target: `sts:AssumeRole` on a "
        "role of SOURCE",
    ),
}
"""By the caller's name and the resource's service."""


@dataclass(frozen=True)
class ServiceCall:
    """A call inside one account that a service makes, or that comes from the other's network."""

    policy: str
    """The declared policy that allows it, and the Sid of its statement: they have to be there."""
    sid: str
    who: str
    what: str
    keys: str


SERVICE_CALLS = (
    ServiceCall(
        "replicate-TABLE-observer-grants",
        "PutProbes",
        "the observer's session, in the source account",
        "describes the table and the stream, puts probes, reads metrics",
        "the role is of SOURCE; the network is that of the watchdog in the target account: a "
        "network perimeter of the source has to know it",
    ),
    ServiceCall(
        "replicate-TABLE-buffer-key",
        "AccountWritesThroughKinesis",
        "DynamoDB's service-linked role `AWSServiceRoleForDynamoDBKinesisDataStreamsReplication`, "
        "in the source account",
        "puts change records into the stream, with `kms:GenerateDataKey` through Kinesis",
        "SCPs do not apply to service-linked roles. `iam:CreateServiceLinkedRole` is needed for an "
        "account's first table",
    ),
    ServiceCall(
        "replication-importer-grants",
        "ReadSnapshot",
        "DynamoDB, with the importer's permissions, in the target account",
        "lists and reads the snapshot bucket for the import, decrypts with its key",
        "from DynamoDB's network: no `aws:SourceVpce`",
    ),
    ServiceCall(
        "replication-importer-grants",
        "ImportLog",
        "DynamoDB, with the importer's permissions, in the target account",
        "writes the import's error log to `/aws-dynamodb/imports`",
        "the same",
    ),
    ServiceCall(
        "replication-importer-grants",
        "BulkOutput",
        "DynamoDB, with the importer's permissions, in the target account, for `load: bulk`",
        "reads the snapshot bucket, and writes what it refused to `TABLE/*/bulk-output/` there",
        "the same; that it uses the caller's permissions is assumed",
    ),
    ServiceCall(
        "replication-importer-grants",
        "Verify",
        "DynamoDB, with the importer's permissions, in the target account",
        "writes the target's export for `verify` into the snapshot bucket",
        "the same",
    ),
    ServiceCall(
        "replicate-TABLE-consumer-grants",
        "KeepFailures",
        "Lambda, as the consumer's role, in the target account",
        "puts events that it gives up into the on-failure bucket",
        "from Lambda's network; it sends no encryption header, which an SCP that demands one has "
        "to leave out",
    ),
    ServiceCall(
        "replicate-TABLE-consumer-role",
        "",
        "`lambda.amazonaws.com`, in the target account",
        "assumes the roles of consumer and watchdog",
        "`aws:PrincipalIsAWSService` is true: an RCP on `sts:AssumeRole` has to let services pass",
    ),
    ServiceCall(
        "replicate-TABLE-watchdog-wake",
        "replicate-TABLE-watchdog-wake",
        "`events.amazonaws.com`, in the target account",
        "invokes the watchdog",
        "`aws:SourceArn` is the rule",
    ),
    ServiceCall(
        "replication-alarms-source-rules",
        "RulesPublish",
        "`events.amazonaws.com`, in the account of each switch role",
        "publishes each use of the role to the alarms' topic",
        "`aws:PrincipalIsAWSService` is true",
    ),
    ServiceCall(
        "replication-alarms-target-rules",
        "RulesPublish",
        "`events.amazonaws.com`, in the target account, for `load: bulk`",
        "publishes each bulk put of another caller to the alarms' topic",
        "`aws:PrincipalIsAWSService` is true",
    ),
    ServiceCall(
        "replication-alarms-source-rules",
        "AlarmsPublish",
        "`cloudwatch.amazonaws.com`, in the account of each switch role",
        "publishes alarms to the same topic",
        "`aws:SourceAccount` is the topic's account",
    ),
)


@functools.cache
def declared() -> Declared:
    return dry_run_policies.declare(STACK).declared


@functools.cache
def loading_in_bulk() -> Declared:
    """The same stack, whose table is loaded by bulk puts."""
    tables = [{**table, "load": "bulk"} for table in STACK["tables"]]
    return dry_run_policies.declare({**STACK, "tables": tables}).declared


def crossing_table() -> str:
    """Render one row for each caller and resource of the other account."""
    rows = [
        "| caller | may, in the other account | made by | an organisation has to let through |",
        "| --- | --- | --- | --- |",
    ]
    seen = set()
    for each in sorted(crossings.granted(declared()), key=lambda one: (one.caller, one)):
        name = _plain(each.principal.rpartition("/")[2])
        key = (name.removesuffix("-…"), each.resource.split(":")[2])
        seen.add(key)
        note = CROSSING[key]
        rows.append(
            f"| `{name}`, {_side(each.caller)} | {_may(each)} | {note.made} | {note.allow} |"
        )
    if unused := CROSSING.keys() - seen:
        raise ValueError(f"Nothing crosses as {sorted(unused)}. Try: remove them from CROSSING")
    return "\n".join(rows)


def service_table() -> str:
    """Render one row for each call of a service, or from the other account's network."""
    rows = ["| who | does | condition keys |", "| --- | --- | --- |"]
    for each in SERVICE_CALLS:
        name, sid = (text.replace("TABLE", "orders") for text in (each.policy, each.sid))
        stacks = (declared(), loading_in_bulk())
        statements = [found for stack in stacks for found in stack.policy(name).statements]
        if not any(statement.get("Sid", "") == sid for statement in statements):
            raise ValueError(f"{name} has no statement {sid}. Try: correct SERVICE_CALLS")
        rows.append(f"| {each.who} | {each.what} | {each.keys} |")
    if unnamed := [name for name in _services() if not _is_named(name)]:
        raise ValueError(f"No row names {', '.join(unnamed)}. Try: add it to SERVICE_CALLS")
    return "\n".join(rows)


def _services() -> Iterator[str]:
    """Yield the service principals that any policy of the stack allows something."""
    for policy in declared().policies:
        for statement in policy.statements:
            named = statement.get("Principal")
            if statement["Effect"] == "Allow" and isinstance(named, dict) and "Service" in named:
                yield str(named["Service"])


def _is_named(service: str) -> bool:
    return any(service in each.who for each in SERVICE_CALLS)


def _may(crossing: Crossing) -> str:
    actions = ", ".join(f"`{action}`" for action in crossing.actions)
    when = "".join(f", only where `{key}` is `{_plain(value)}`" for key, value in crossing.when)
    return f"{actions} on {_resource(crossing.resource)}{when}"


def _resource(arn: str) -> str:
    """The ARN as far as it is known before the stack is deployed."""
    return "its key, `arn:aws:kms:…:key/…`" if ":kms:" in arn else f"`{_plain(arn)}`"


def _plain(text: str) -> str:
    for known, name in PLACES.items():
        text = text.replace(known, name)
    return text.replace("-orders-", "-TABLE-")


def _side(account: str) -> str:
    return {SOURCE: "source account", TARGET: "target account"}[account]
