"""A deployer's policies, two for each account: what a run showed, and what was read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.pulumi_engine.deployer.unseen import SOURCE, TARGET, UNSEEN

RECORDED = Path(__file__).resolve().parent / "seen.json"
"""Actions by side, as `python -m tests.pulumi_engine.deployer.record` recorded them."""
ACCOUNTS = {SOURCE: "111111111111", TARGET: "222222222222"}
LIMIT = 6_144
"""Characters of a managed policy, without white space (IAM quota)."""
MARK = "Unseen"
"""The end of the Sid of a statement whose actions were read and not seen."""

Policy = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """Resources of one kind: which actions are about them, and their ARNs by `{account}`."""

    sid: str
    actions: re.Pattern[str]
    arns: tuple[str, ...]
    when: Mapping[str, Mapping[str, object]] | None = None


def _place(sid: str, actions: str, *arns: str, **more: Any) -> Place:
    return Place(sid, re.compile(actions), arns, **more)


TABLE, LEDGERS = "arn:aws:dynamodb:*:{account}:table/", ("replicate-*", "replication-*")
NAMED = tuple(f"arn:aws:{{service}}:*:{{account}}:{{kind}}{name}" for name in LEDGERS)


def _named(service: str, kind: str) -> tuple[str, ...]:
    return tuple(arn.replace("{service}", service).replace("{kind}", kind) for arn in NAMED)


MAPPING = "arn:aws:lambda:*:{account}:event-source-mapping:*"
DASHBOARD = "arn:aws:cloudwatch::{account}:dashboard/dynamodb-replication-*"
POLICY = "arn:aws:iam::{account}:policy/"
POLICIES = "iam:(Create|Delete|Get|List|SetDefault|Tag|Untag)Policy"


PLACES: Mapping[str, tuple[Place, ...]] = {
    SOURCE: (
        # The user's own tables: their names are the user's.
        _place("SourceTables", "dynamodb:", f"{TABLE}*"),
        _place("Streams", "kinesis:(?!ListStreams$)", *_named("kinesis", "stream/")[:1]),
        _place(
            "ServiceLinkedRole",
            "iam:CreateServiceLinkedRole",
            "arn:aws:iam::*:role/aws-service-role/kinesisreplication.dynamodb.amazonaws.com/*",
            when={
                "StringLike": {"iam:AWSServiceName": "kinesisreplication.dynamodb.amazonaws.com"}
            },
        ),
    ),
    TARGET: (
        # What an older program put on a replicated table, whose name is the user's.
        _place("TargetTables", "dynamodb:.*ResourcePolicy$", f"{TABLE}*"),
        _place("Tables", "dynamodb:", *(TABLE + name for name in LEDGERS)),
        _place("Program", "s3:.*Object(Tagging)?$", "arn:aws:s3:::replication-*/verify-program/*"),
        _place("Buckets", "s3:", *(f"arn:aws:s3:::{name}" for name in LEDGERS)),
        _place("Mappings", "lambda:(Delete|Get|Update)EventSourceMapping$", MAPPING),
        _place(
            "Functions",
            "lambda:(?!CreateEventSourceMapping$)",
            *_named("lambda", "function:")[:1],
            MAPPING,  # for its tags
        ),
        _place(
            "PassRoles",
            "iam:PassRole",
            "arn:aws:iam::{account}:role/replicate-*",
            "arn:aws:iam::{account}:role/replication-verification-*",
            when={
                "StringEquals": {
                    "iam:PassedToService": ["lambda.amazonaws.com", "glue.amazonaws.com"]
                }
            },
        ),
        _place(
            "LogGroups",
            "logs:(?!DescribeLogGroups$)",
            *_named("logs", "log-group:")[:1],
            "arn:aws:logs:*:{account}:log-group:/aws-glue/jobs/replication-*",
        ),
        _place("Jobs", "glue:.*(Job|Tags?|Resource)$", *_named("glue", "job/")[1:]),
    ),
}
SHARED = (
    _place(
        "AttachPolicies",
        "iam:(Attach|Detach)RolePolicy$",
        *(f"arn:aws:iam::{{account}}:role/{name}" for name in LEDGERS),
        when={"ArnLike": {"iam:PolicyARN": [POLICY + name for name in LEDGERS]}},
    ),
    _place("Policies", POLICIES, *(POLICY + name for name in LEDGERS)),
    _place("Roles", "iam:", *(f"arn:aws:iam::{{account}}:role/{name}" for name in LEDGERS)),
    # A key's name is AWS's. What is done with an alias needs its key as well.
    _place(
        "Keys",
        "kms:(?!(CreateKey|ListAliases)$)",
        "arn:aws:kms:*:{account}:key/*",
        "arn:aws:kms:*:{account}:alias/replication-*",
    ),
    _place("Rules", "events:", *_named("events", "rule/")),
    _place("Topics", "sns:(?!.*ubscri(be|ptionAttributes)$)", *_named("sns", "")),
    _place("Topics", "sns:Subscribe$", *_named("sns", "")),
    _place("Dashboards", "cloudwatch:.*Dashboard", DASHBOARD),
    _place("Alarms", "cloudwatch:(?!DescribeAlarms$)", *_named("cloudwatch", "alarm:")),
    # AWS gives these no resource to name, or knows it only afterwards.
    _place("NoArn", "", "*"),
)


def seen_actions(side: str) -> set[str]:
    """Return what a run called in one account."""
    return set(json.loads(RECORDED.read_text())[side])


def unseen_actions(side: str) -> set[str]:
    """Return what was read to be needed in one account, and no run called."""
    return {action for each in UNSEEN if side in each.sides for action in each.actions}


def seen(side: str) -> Policy:
    """Return the policy of what a run called in the source or the target account."""
    return _policy(_statements(side, seen_actions(side), ""))


def unseen(side: str) -> Policy:
    """Return the policy of what was read and not seen."""
    return _policy(_statements(side, unseen_actions(side), MARK))


def _policy(statements: list[dict[str, Any]]) -> Policy:
    return {"Version": "2012-10-17", "Statement": statements}


def _statements(side: str, actions: Iterable[str], mark: str) -> list[dict[str, Any]]:
    places = (*PLACES[side], *SHARED)
    by_place: dict[str, list[str]] = {}
    for action in sorted(actions):
        sid = next(place.sid for place in places if place.actions.match(action))
        by_place.setdefault(sid, []).append(action)
    found: dict[str, dict[str, Any]] = {}
    for place in places:
        if place.sid in by_place:
            found[place.sid] = {
                "Sid": f"{place.sid}{mark}",
                "Effect": "Allow",
                "Action": by_place[place.sid],
                "Resource": list(place.arns),
                **({"Condition": place.when} if place.when else {}),
            }
    text = json.dumps(list(found.values())).replace("{account}", ACCOUNTS[side])
    statements: list[dict[str, Any]] = json.loads(text)
    return statements


def size(document: Policy) -> int:
    """Return the characters that IAM counts."""
    return len("".join(json.dumps(document).split()))
