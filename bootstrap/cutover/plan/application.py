"""Needs of the application in the target account, of which a switch sets up nothing."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bootstrap.core import write_deny
from bootstrap.core.facts import PolicyRevision, ScaledCapacity, TableFacts
from bootstrap.core.stack_outputs import Outputs, TableOutputs
from bootstrap.core.write_deny import PolicyError
from bootstrap.plan.indexes import index_differences
from replicator.aws_commands import table_option

OWNED_KEY = "DynamoDB's own key"
KEY_RIGHTS = "kms:Decrypt, kms:DescribeKey and kms:GenerateDataKey, through DynamoDB"


@dataclass(frozen=True)
class ApplicationNeed:
    """One thing to change in the application, its account or the target account."""

    name: str
    """Never changes."""
    what: str
    source: str
    """Today, at the source."""
    target: str
    """From the switch on; empty where that is the operator's choice."""
    commands: tuple[str, ...] = ()
    """As typed in a shell, with the target account's credentials."""
    statements: tuple[dict[str, Any], ...] = ()
    """Of the source table's policy, with the target's ARNs in place of the source's."""


def application_needs(
    outputs: Outputs,
    table: TableOutputs,
    source: TableFacts | None,
    target: TableFacts | None,
    policy: PolicyRevision | None,
    scaled: Sequence[ScaledCapacity] | None,
) -> tuple[ApplicationNeed, ...]:
    """List what has to be ready. None: that could not be read.

    `policy`: the source table's; `scaled`: what scales the source's capacity.
    """
    return (
        *_names(outputs, table),
        _principals(outputs, table, policy),
        _key(table, source, target),
        _scaling(outputs, table, scaled),
        *_indexes(outputs, table, source, target),
    )


def _indexes(
    outputs: Outputs, table: TableOutputs, source: TableFacts | None, target: TableFacts | None
) -> list[ApplicationNeed]:
    """Name the indexes that the application has at the source and would miss, or has beside them.

    A table that the run made lacks only vector indexes; one that was adopted may lack any.
    """
    if source is None or target is None:
        return []
    found = index_differences(source, target)
    if not found:
        return []
    look = (
        f"aws dynamodb describe-table {table_option(table.target_table)} "
        f"--region {outputs.target.region}"
    )
    return [
        ApplicationNeed(
            "indexes",
            "the indexes that it queries",
            f"those of {table.source_table}",
            f"{table.target_table} has others: {'; '.join(found)}. A local index comes with its "
            "table alone; others can be made now",
            (look,),
        )
    ]


def _names(outputs: Outputs, table: TableOutputs) -> list[ApplicationNeed]:
    source, target = outputs.source, outputs.target
    pairs = [
        ("account", "the account", source.account_id, target.account_id),
        ("region", "the Region and its endpoint", source.region, target.region),
        ("table", "the table's name", table.source_table, table.target_table),
        ("arn", "the ARN in policies", table.source_table_arn, outputs.target_arn(table)),
    ]
    return [ApplicationNeed(*each) for each in pairs if each[2] != each[3]]


def _principals(
    outputs: Outputs, table: TableOutputs, policy: PolicyRevision | None
) -> ApplicationNeed:
    name, what = "principals", "who may use the table"
    arn = outputs.target_arn(table)
    by_roles = (
        f"roles in account {outputs.target.account_id} whose own policies name {arn}; those of "
        "another account also need a statement in the target table's policy"
    )
    if policy is None:
        source = "the source table's policy could not be read: see that by hand"
        return ApplicationNeed(name, what, source, by_roles)
    statements = _users_statements(policy.document)
    if statements is None:
        return ApplicationNeed(name, what, "the source table's policy is not understood", by_roles)
    if not statements:
        source = "the source table has no policy: the roles' own policies decide"
        return ApplicationNeed(name, what, source, by_roles)
    named = ", ".join(str(each.get("Sid", f"statement {n}")) for n, each in enumerate(statements))
    moved = tuple(_moved(each, table.source_table_arn, arn) for each in statements)
    return ApplicationNeed(
        name,
        what,
        f"the source table's policy has {len(statements)} statements of yours: {named}",
        f"{by_roles}. The target's policy does not get them by itself: put those that still hold",
        statements=moved,
    )


def _users_statements(document: str | None) -> list[dict[str, Any]] | None:
    """Return the policy's statements without this project's; None: they cannot be read."""
    try:
        rest = write_deny.without_deny(document)
    except PolicyError:
        return None
    if rest is None:
        return []
    found = json.loads(rest).get("Statement", [])
    return [found] if isinstance(found, dict) else list(found)


def _moved(value: Any, source_arn: str, arn: str) -> Any:
    """Replace the source table's ARN, also as the beginning of an index's."""
    if isinstance(value, dict):
        return {name: _moved(held, source_arn, arn) for name, held in value.items()}
    if isinstance(value, list):
        return [_moved(held, source_arn, arn) for held in value]
    if value == source_arn or (isinstance(value, str) and value.startswith(f"{source_arn}/")):
        return arn + str(value)[len(source_arn) :]
    return value


def _key(
    table: TableOutputs, source: TableFacts | None, target: TableFacts | None
) -> ApplicationNeed:
    name, what = "key", "the key that encrypts the table"
    before = "not read" if source is None else source.key_arn or OWNED_KEY
    if target is None:
        text = table.target_key_arn or "the target table does not exist yet, or was not read"
    elif target.encryption is None:
        text = f"{OWNED_KEY}: no right is needed"
    elif table.target_key_arn:
        text = f"{table.target_key_arn}: each role needs {KEY_RIGHTS}"
        if target.key_arn not in (None, table.target_key_arn):
            text = (
                f"{target.key_arn}, which the table has; the stack names {table.target_key_arn}. "
                f"Each role needs {KEY_RIGHTS}, of the table's key, unless AWS manages it"
            )
    else:
        text = (
            f"{target.key_arn}, which AWS manages: roles of this account need no right of it, and "
            "those of others cannot use it"
        )
    return ApplicationNeed(name, what, before, text)


def _scaling(
    outputs: Outputs, table: TableOutputs, scaled: Sequence[ScaledCapacity] | None
) -> ApplicationNeed:
    name, what = "autoscaling", "what scales the capacity"
    if scaled is None:
        source = "could not be read: describe-scalable-targets shows it"
        return ApplicationNeed(name, what, source, "not carried over")
    if not scaled:
        return ApplicationNeed(name, what, "nothing", "nothing")
    shown = "; ".join(
        f"{each.resource} {each.dimension}: {each.least} to {each.most}" for each in scaled
    )
    commands = tuple(
        "aws application-autoscaling register-scalable-target --service-namespace dynamodb "
        f"--resource-id {shlex.quote(_resource(each, table))} --scalable-dimension "
        f"{each.dimension} --min-capacity {each.least} --max-capacity {each.most} "
        f"--region {outputs.target.region}"
        for each in scaled
    )
    after = "after the switch, once the target is provisioned: these, and a scaling policy for each"
    return ApplicationNeed(name, what, shown, after, commands)


def _resource(scaled: ScaledCapacity, table: TableOutputs) -> str:
    rest = scaled.resource.removeprefix(f"table/{table.source_table}")
    return f"table/{table.target_table}{rest}"
