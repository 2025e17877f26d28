"""The customer-managed keys of a replication: their state, and the uses their policies allow.

A policy allows a use if one of its statements allows it to the role or to the role's account, whose
own policies the stack writes. Conditions and denials are not evaluated: a blocker here is certain,
and AWS may still refuse a use that passes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from bootstrap.core.facts import KeyFacts
from bootstrap.plan.blocker import Blocker
from bootstrap.plan.inspection import Inspection
from bootstrap.plan.replication import Replication

EXPORT_READS = ("kms:Decrypt", "kms:DescribeKey")
"""Of the table's key, by the caller of the export (developer guide, S3DataExport_Requesting)."""
SNAPSHOT_USES = ("kms:Decrypt", "kms:GenerateDataKey")
"""Of the bucket's key, by the callers of export and import (S3 User Guide, UsingKMSEncryption)."""
TABLE_USES = ("kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey")
"""Of the target's key, by the caller of the import (KMS Developer Guide, services-dynamodb)."""


@dataclass(frozen=True)
class KeyUser:
    """A role that uses a key, and the principals by which the key's policy may name it."""

    name: str
    role_arn: str | None
    """None before the stack is deployed."""
    account_id: str
    partition: str

    @property
    def grantee(self) -> str:
        """The principal to name in a key policy."""
        return self.role_arn or self.account_id

    @property
    def principals(self) -> frozenset[str]:
        root = f"arn:{self.partition}:iam::{self.account_id}:root"
        return frozenset({"*", self.account_id, root, self.role_arn or root})


def key_blockers(inspection: Inspection, replication: Replication) -> Iterator[Blocker]:
    """List what keeps export and import from using the keys that they need."""
    yield from _source_key(inspection, replication)
    exporter, importer = _users(replication)
    if inspection.keys.target is not None:
        yield from _usable(
            inspection.keys.target, "target table", importer, TABLE_USES, replication.up
        )
    if inspection.keys.snapshot is not None:
        for user in (exporter, importer):
            yield from _usable(
                inspection.keys.snapshot, "snapshot bucket", user, SNAPSHOT_USES, replication.up
            )


def _users(replication: Replication) -> tuple[KeyUser, KeyUser]:
    deployed, partition = replication.deployment, replication.partition
    return (
        KeyUser(
            "exporter",
            deployed.exporter_arn if deployed else None,
            replication.source_account,
            partition,
        ),
        KeyUser(
            "importer",
            deployed.importer_arn if deployed else None,
            replication.target_account,
            partition,
        ),
    )


def _source_key(inspection: Inspection, replication: Replication) -> Iterator[Blocker]:
    source, keys = inspection.source.table, inspection.keys
    if source is None or source.key_arn is None or keys.source_is_aws_managed is not False:
        return
    if replication.source_key_arn != source.key_arn:
        yield Blocker(
            f"Table {replication.source_table} is encrypted with the customer-managed key "
            f"{source.key_arn}, and the exporter is granted the use of "
            f"{replication.source_key_arn or 'none'}: the export would be refused.",
            f"set sourceKeyArn: {source.key_arn} for the table in the stack configuration, then: "
            f"{replication.up}",
        )
    elif keys.source is not None:
        exporter, _ = _users(replication)
        yield from _usable(keys.source, "source table", exporter, EXPORT_READS, replication.up)
    if not replication.target_key_arn:
        yield Blocker(
            f"Table {replication.source_table} is encrypted with a customer-managed key, which "
            f"stays in its account, and no key is configured for {replication.target_table}.",
            "set targetKeyArn for the table in the stack configuration to the ARN of a key of the "
            "target account and Region (its key aws/dynamodb will do), then: "
            f"{replication.up}",
        )


def _usable(
    key: KeyFacts, of: str, user: KeyUser, actions: Sequence[str], up: str
) -> Iterator[Blocker]:
    """List what keeps a user from a key. `up`: the command that applies the stack file."""
    region = key.arn.split(":")[3] if key.arn.count(":") > 3 else "REGION"
    if key.refused:
        yield Blocker(
            f"The key {key.arn} of the {of} could not be read with the roles of its account "
            f"({key.refused}), so the {user.name} cannot use it either.",
            f"{up}, which permits the {user.name} to read it; then allow "
            f"{' and '.join(actions)} to {user.grantee} in the key policy",
        )
        return
    if key.state != "Enabled":
        yield Blocker(
            f"The key {key.arn} of the {of} is {key.state}.",
            f"aws kms cancel-key-deletion --key-id {key.arn} --region {region}, if it is pending "
            f"deletion, then aws kms enable-key --key-id {key.arn} --region {region}, with the "
            "credentials of its account",
        )
    missing = [each for each in actions if not allows(key.policy, user.principals, each)]
    if missing:
        yield Blocker(
            f"The policy of key {key.arn} of the {of} does not allow "
            f"{' and '.join(missing)} to the {user.name}.",
            f"allow {' and '.join(missing)} to {user.grantee} in its key policy (a key of the "
            f"stack's own: {up})",
        )


def allows(policy: str, principals: frozenset[str], action: str) -> bool:
    """Return whether a statement of a key policy allows an action to one of these principals."""
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
