"""The customer-managed keys of a replication: who may use them, read off what their accounts say.

What is read is each key's state and its key policy. A policy counts as allowing what one of its
statements allows to the role, or to the role's account, whose own policies the stack writes; its
conditions and its denials are not evaluated, so that what blocks here is certain, and what does not
may still be refused by AWS.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from bootstrap.core.facts import KeyFacts
from bootstrap.core.stack_outputs import TableOutputs
from bootstrap.plan.inspection import Inspection
from bootstrap.plan.preflight import Blocker

EXPORT_READS = ("kms:Decrypt", "kms:DescribeKey")
"""Of the table's key, by whoever calls the export (developer guide, S3DataExport_Requesting)."""
SNAPSHOT_USES = ("kms:Decrypt", "kms:GenerateDataKey")
"""Of the bucket's key, by the callers of export and import (S3 User Guide, UsingKMSEncryption)."""
TABLE_USES = ("kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey")
"""Of the target's key, by the caller of the import (KMS Developer Guide, services-dynamodb)."""


@dataclass(frozen=True)
class User:
    """Who is to use a key, and as which principals its policy may name them."""

    name: str
    role_arn: str
    account_id: str

    @property
    def principals(self) -> frozenset[str]:
        root = f"arn:{self._partition}:iam::{self.account_id}:root"
        return frozenset({"*", self.account_id, root, self.role_arn or root})

    @property
    def _partition(self) -> str:
        return self.role_arn.split(":")[1] if ":" in self.role_arn else "aws"


def key_blockers(observed: Inspection, table: TableOutputs) -> Iterator[Blocker]:
    """What keeps export and import from using the keys that they need."""
    yield from _source_key(observed, table)
    exporter, importer = _users(observed)
    if observed.keys.target is not None:
        yield from _usable(observed.keys.target, "target table", importer, TABLE_USES)
    if observed.keys.snapshot is not None:
        for user in (exporter, importer):
            yield from _usable(observed.keys.snapshot, "snapshot bucket", user, SNAPSHOT_USES)


def _users(observed: Inspection) -> tuple[User, User]:
    keys = observed.keys
    return (
        User("exporter", keys.exporter_arn, keys.source_account),
        User("importer", keys.importer_arn, keys.target_account),
    )


def _source_key(observed: Inspection, table: TableOutputs) -> Iterator[Blocker]:
    source, keys = observed.source, observed.keys
    if source is None or source.key_arn is None or keys.source_is_awss is not False:
        return
    if table.source_key_arn != source.key_arn:
        yield Blocker(
            f"Table {table.source_table} is encrypted with the customer-managed key "
            f"{source.key_arn}, and the exporter is granted the use of "
            f"{table.source_key_arn or 'none'}: the export would be refused.",
            f"set sourceKeyArn: {source.key_arn} for the table in the stack configuration, then: "
            "pulumi up",
        )
    elif keys.source is not None:
        exporter, _ = _users(observed)
        yield from _usable(keys.source, "source table", exporter, EXPORT_READS)
    if not table.target_key_arn:
        yield Blocker(
            f"Table {table.source_table} is encrypted with a customer-managed key, which stays in "
            f"its account, and no key is configured for {table.target_table}.",
            "set targetKeyArn for the table in the stack configuration to the ARN of a key of the "
            "target account and Region (its key aws/dynamodb will do), then: pulumi up",
        )


def _usable(key: KeyFacts, of: str, user: User, actions: Sequence[str]) -> Iterator[Blocker]:
    if key.refused:
        yield Blocker(
            f"The key {key.arn} of the {of} does not let itself be seen by the roles of its "
            f"account ({key.refused}), nor be used by the {user.name}.",
            f"pulumi up --refresh, which lets the {user.name} ask; then let the key policy allow "
            f"{' and '.join(actions)} to {user.role_arn or user.account_id}",
        )
        return
    if key.state != "Enabled":
        yield Blocker(
            f"The key {key.arn} of the {of} is {key.state}.",
            f"aws kms describe-key --key-id {key.arn}, then enable-key or cancel-key-deletion",
        )
    missing = [each for each in actions if not allows(key.policy, user.principals, each)]
    if missing:
        yield Blocker(
            f"The policy of key {key.arn} of the {of} does not allow "
            f"{' and '.join(missing)} to the {user.name}.",
            f"let its key policy allow {' and '.join(missing)} to "
            f"{user.role_arn or user.account_id} (a key of the stack's own: pulumi up --refresh)",
        )


def allows(policy: str, principals: frozenset[str], action: str) -> bool:
    """Whether some statement of a key policy allows an action to one of these principals."""
    try:
        statements = json.loads(policy)["Statement"]
    except (KeyError, TypeError, ValueError):
        return False
    return any(
        each.get("Effect") == "Allow"
        and principals & set(_principals(each.get("Principal")))
        and any(fnmatchcase(action.lower(), str(one).lower()) for one in _all(each.get("Action")))
        for each in _all(statements)
    )


def _principals(value: Any) -> list[str]:
    return [str(each) for each in _all(value.get("AWS") if isinstance(value, dict) else value)]


def _all(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
