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
from bootstrap.plan.key_inspection import NO_SUCH_KEY, KeyInspection, is_unread
from bootstrap.plan.replication import Replication
from infra.key_services import LOG_KEY_ACTIONS, TOPIC_KEY_ACTIONS
from infra.shared_actions import SELECT_KEY_ACTIONS

DESCRIBE = "kms:DescribeKey"
EXPORT_READS = ("kms:Decrypt", "kms:DescribeKey")
"""Of the table's key, by the caller of the export (developer guide, S3DataExport_Requesting)."""
BUCKET_USES = ("kms:Decrypt", "kms:GenerateDataKey")
"""Of a bucket's key, by who reads and writes it (S3 User Guide, UsingKMSEncryption); of a table's,
Decrypt alone (KMS Developer Guide, services-dynamodb)."""
TABLE_USES = SELECT_KEY_ACTIONS
"""Of the target's key, by who makes the table: an import's caller, or CreateTable's (KMS Developer
Guide, services-dynamodb)."""
ADOPTED_USES = ("kms:Decrypt", "kms:DescribeKey")
"""Of the key of a table that others made: its items are written, and the key was selected."""
TABLE_READS = ("kms:Decrypt",)
"""Of a table's key, by who reads and writes its items (KMS Developer Guide, services-dynamodb)."""
BUCKET_READS, ENVIRONMENT_READS = ("kms:Decrypt",), ("kms:Decrypt",)
"""Of an object (UsingKMSEncryption); of a function's own environment, by its role."""
STREAM_WRITES, STREAM_READS = ("kms:GenerateDataKey",), ("kms:Decrypt",)
"""Of the stream's key (Kinesis Data Streams Developer Guide, permissions-user-key-KMS)."""
TARGET_PLACE, CONSUMER_PLACE = "ledger and quarantine", "on-failure bucket, functions and logs"


@dataclass(frozen=True)
class KeyUser:
    """A role or a service of AWS that uses a key, and the names by which its policy may name it."""

    name: str
    role_arn: str | None
    """None before the stack is deployed."""
    account_id: str
    partition: str
    service: str = ""
    """A service's principal; empty for a role."""

    @property
    def grantee(self) -> str:
        """The principal to name in a key policy."""
        return self.service or self.role_arn or self.account_id

    @property
    def principals(self) -> frozenset[str]:
        if self.service:
            return frozenset({"*", self.service})
        root = f"arn:{self.partition}:iam::{self.account_id}:root"
        return frozenset({"*", self.account_id, root, self.role_arn or root})


@dataclass(frozen=True)
class KeyUse:
    """A use of a key that a replication needs, and the role that makes it."""

    key: KeyFacts
    of: str
    user: KeyUser
    actions: Sequence[str]
    looker: KeyUser
    """The role of the key's own account, with which `plan` looks at it."""

    @property
    def credentials(self) -> str:
        """The credentials that look at the key, in a sentence."""
        return f"the {self.looker.name}'s role" if self.looker.role_arn else "these credentials"


def key_blockers(inspection: Inspection, replication: Replication) -> Iterator[Blocker]:
    """List what keeps stream, export and import from using the keys that they need."""
    yield from _unconfigured(inspection, replication)
    uses = _uses(inspection, replication)
    # Each user of a key that is off finds the same.
    yield from dict.fromkeys(found for use in uses for found in _unusable(use, replication.up))


def unusable_keys(keys: KeyInspection, replication: Replication) -> Iterator[Blocker]:
    """List what keeps the replication from using the keys of places and of its stream.

    A key that may not be described, or whose policy may not be read, is not known to be unusable.
    """
    uses = [use for use in _lasting_uses(keys, replication) if not is_unread(use.key)]
    yield from dict.fromkeys(found for use in uses for found in _unusable(use, replication.up))


def key_notes(inspection: Inspection, replication: Replication) -> Iterator[str]:
    """List the uses that cannot be judged, because the key's policy may not be read."""
    for use in _uses(inspection, replication):
        if not use.key.refused and use.key.policy is None:
            yield (
                f"The policy of key {use.key.arn} of the {use.of} may not be read with the "
                f"{use.looker.name}'s role (kms:GetKeyPolicy was refused), so it cannot be judged "
                f"whether it allows {' and '.join(use.actions)} to the {use.user.name}, "
                f"{use.user.grantee}. To have it judged, allow kms:GetKeyPolicy to "
                f"{use.looker.grantee} in it."
            )
    yield from _unnamed(inspection, replication)
    for arn in inspection.keys.unjudged:
        yield (
            f"Key {arn} may not be described with these credentials ({DESCRIBE} was refused), so "
            f"it is not judged before the stack has its roles. After {replication.up}, "
            "`bootstrap plan` judges it with them."
        )


def _uses(inspection: Inspection, replication: Replication) -> Iterator[KeyUse]:
    """List the uses of the keys that are known."""
    keys, (exporter, importer) = inspection.keys, _users(replication)
    yield from _lasting_uses(keys, replication)
    if keys.source is not None and _exports_with_key(inspection, replication):
        yield KeyUse(keys.source, "source table", exporter, EXPORT_READS, exporter)
    if keys.target is not None:
        uses = ADOPTED_USES if replication.load.adopt else TABLE_USES
        yield KeyUse(keys.target, "target table", importer, uses, importer)
    if keys.snapshot is not None:
        for user in (exporter, importer):
            yield KeyUse(keys.snapshot, "snapshot bucket", user, BUCKET_USES, importer)


def _lasting_uses(keys: KeyInspection, replication: Replication) -> Iterator[KeyUse]:
    """List the uses that last as long as the replication."""
    exporter, importer = _users(replication)
    if keys.stream is not None:
        for user, actions in _stream_users(replication):
            yield KeyUse(keys.stream, "stream", user, actions, exporter)
    if keys.place_target is not None:
        for user, actions in _target_users(replication):
            yield KeyUse(keys.place_target, TARGET_PLACE, user, actions, importer)
    if keys.place_consumer is not None:
        for user, actions in _consumer_users(replication):
            yield KeyUse(keys.place_consumer, CONSUMER_PLACE, user, actions, importer)
    if keys.place_source is not None:
        for user, actions in _service_users(replication, "source"):
            yield KeyUse(keys.place_source, "alarms' topic", user, actions, exporter)


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


def _stream_users(replication: Replication) -> Iterator[tuple[KeyUser, Sequence[str]]]:
    """List who uses the stream's key. The exporter and the observer put probes."""
    here, partition = replication.source_account, replication.partition
    # Its service-linked role does not exist before an account's first streaming destination.
    yield KeyUser("DynamoDB (its service-linked role)", None, here, partition), STREAM_WRITES
    yield _users(replication)[0], STREAM_WRITES
    yield _consumer(replication), STREAM_READS
    if (observer := _observer(replication)) is not None:
        yield observer, STREAM_WRITES


def _target_users(replication: Replication) -> Iterator[tuple[KeyUser, Sequence[str]]]:
    """List who uses the key of ledger, journal and quarantine. Watchdog and reader read tables."""
    yield _users(replication)[1], BUCKET_USES
    yield _consumer(replication), BUCKET_USES
    for user in (_watchdog(replication), _reader(replication)):
        if user is not None:
            yield user, TABLE_READS
    yield from _service_users(replication, "target")


def _consumer_users(replication: Replication) -> Iterator[tuple[KeyUser, Sequence[str]]]:
    """List who uses the key of the on-failure bucket, and of functions, logs and topic."""
    yield _consumer(replication), BUCKET_USES
    yield _users(replication)[1], BUCKET_READS
    if (watchdog := _watchdog(replication)) is not None:
        yield watchdog, ENVIRONMENT_READS
    yield from _service_users(replication, "consumer")


def _service_users(replication: Replication, place: str) -> Iterator[tuple[KeyUser, Sequence[str]]]:
    account = replication.source_account if place == "source" else replication.target_account
    for service in replication.key_services.get(place, ()):
        name = f"service {service}"
        actions = LOG_KEY_ACTIONS if service.startswith("logs.") else TOPIC_KEY_ACTIONS
        yield KeyUser(name, None, account, replication.partition, service), actions


def _watchdog(replication: Replication) -> KeyUser | None:
    """Return the watchdog; None if the stack's outputs do not name its role."""
    deployed = replication.deployment
    arn = deployed.watchdog_arn if deployed else None
    return _if_named(replication, "watchdog", arn, replication.target_account)


def _observer(replication: Replication) -> KeyUser | None:
    """Return the watchdog's role in the source account; None if the outputs do not name it."""
    deployed = replication.deployment
    arn = deployed.observer_arn if deployed else None
    return _if_named(replication, "watchdog's observer", arn, replication.source_account)


def _reader(replication: Replication) -> KeyUser | None:
    """Return the target account's reader; None if the outputs do not name its role."""
    deployed = replication.deployment
    arn = deployed.reader_arn if deployed else None
    return _if_named(replication, "reader of `status --operator`", arn, replication.target_account)


def _if_named(replication: Replication, name: str, arn: str | None, account: str) -> KeyUser | None:
    """Return a user; None if the stack is deployed, by a program that did not name its role."""
    if replication.deployment is not None and not arn:
        return None
    return KeyUser(name, arn, account, replication.partition)


def _unnamed(inspection: Inspection, replication: Replication) -> Iterator[str]:
    """List the given keys that cannot be judged for a role which the outputs do not name."""
    keys = inspection.keys
    stream = keys.stream if replication.stream_key_arn else None
    for user, name, key in (
        (_watchdog(replication), "watchdog", keys.place_target or keys.place_consumer),
        (_observer(replication), "watchdog's observer", stream),
    ):
        if user is None and key:
            yield (
                f"Whether key {key.arn} may be used by the {name} cannot be judged: the stack's "
                f"outputs, of an older program, do not name its role. {replication.up} adds it."
            )


def _consumer(replication: Replication) -> KeyUser:
    arn = replication.deployment.consumer_arn if replication.deployment else None
    return KeyUser("consumer", arn, replication.target_account, replication.partition)


def _exports_with_key(inspection: Inspection, replication: Replication) -> bool:
    """Tell whether the export reads with the customer-managed key that the exporter may use."""
    source = inspection.source.table
    return (
        source is not None
        and inspection.keys.source_is_aws_managed is False
        and source.key_arn == replication.source_key_arn
    )


def _unconfigured(inspection: Inspection, replication: Replication) -> Iterator[Blocker]:
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
    if not (replication.target_key_arn or replication.makes_target_key):
        yield Blocker(
            f"Table {replication.source_table} is encrypted with a customer-managed key, which "
            f"stays in its account, and no key is configured for {replication.target_table}.",
            "set targetKeyArn for the table in the stack configuration to the ARN of a key of the "
            "target account and Region (its key aws/dynamodb will do), or keys.target, then: "
            f"{replication.up}",
        )


def _unusable(use: KeyUse, up: str) -> Iterator[Blocker]:
    """List what keeps a user from a key. `up`: the command that applies the stack file."""
    key, user, actions = use.key, use.user, use.actions
    region = key.arn.split(":")[3] if key.arn.count(":") > 3 else "REGION"
    if key.refused:
        if key.refused == NO_SUCH_KEY:
            fix = f"correct the key in the stack configuration: its account has none; then: {up}"
        else:
            also = [each for each in actions if each != DESCRIBE]
            fix = (
                f"{up}, which permits the {use.looker.name} to describe it; then allow {DESCRIBE} "
                f"to {use.looker.grantee} in the key policy, and {' and '.join(also)} to "
                f"{user.grantee}"
            )
        yield Blocker(
            f"The key {key.arn} of the {use.of} could not be described with {use.credentials} "
            f"({DESCRIBE}: {key.refused}).",
            fix,
        )
        return
    if key.state != "Enabled":
        yield Blocker(
            f"The key {key.arn} of the {use.of} is {key.state}.",
            f"aws kms cancel-key-deletion --key-id {key.arn} --region {region}, if it is pending "
            f"deletion, then aws kms enable-key --key-id {key.arn} --region {region}, with the "
            "credentials of its account",
        )
    policy = key.policy
    if policy is None:  # unknown, not refused: it is in the notes
        return
    missing = [each for each in actions if not allows(policy, user.principals, each)]
    if missing:
        yield Blocker(
            f"The policy of key {key.arn} of the {use.of} does not allow "
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


def policy_for(policy: str, principal_arn: str, *, doubtful: bool) -> str:
    """Return a policy without the statements whose conditions exclude a role.

    A condition on `aws:PrincipalArn` is evaluated. `doubtful`: keep statements with others, too.
    """
    try:
        statements = _all(json.loads(policy)["Statement"])
    except (KeyError, TypeError, ValueError):
        return policy
    wanted = (True, None) if doubtful else (True,)
    return json.dumps({"Statement": [s for s in statements if _holds(s, principal_arn) in wanted]})


def _holds(statement: Any, principal_arn: str) -> bool | None:
    """Tell whether a statement's condition holds for a role; None: it cannot be judged."""
    condition = statement.get("Condition")
    if not condition:
        return True
    held: list[bool | None] = []
    for operator, keys in condition.items():
        for key, patterns in keys.items():
            judged = operator in _LIKE and key.lower() == "aws:principalarn"
            matches = (fnmatchcase(principal_arn, str(each)) for each in _all(patterns))
            held.append(any(matches) if judged else None)
    return False if False in held else None if None in held else True


_LIKE = ("ArnLike", "ArnEquals", "StringLike")


def _principals(value: Any) -> list[str]:
    if not isinstance(value, dict):
        return [str(each) for each in _all(value)]
    return [str(each) for kind in ("AWS", "Service") for each in _all(value.get(kind))]


def _all(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
