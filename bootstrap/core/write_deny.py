"""The statement that denies writers on a table, merged into whatever policy the table has.

An explicit Deny in a table's resource policy holds for every principal of every account. The policy
is the user's: their statements stay as they are, in their order, and only the statement with this
project's Sid is put in, replaced or taken out. Documents are handled as values; no AWS is called
here.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from replicator import names

POLICY_BYTES = 20 * 1024
"""A resource policy's limit; DynamoDB counts white space too (Amazon DynamoDB Developer Guide,
"Resource-based policy considerations")."""
VERSION = "2012-10-17"
WRITE_ACTIONS = (
    "dynamodb:BatchWriteItem",
    "dynamodb:DeleteItem",
    "dynamodb:PartiQLDelete",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
)
"""Every action that changes an item. A transaction is authorised by its action on each item."""
BULK_ACTION = "dynamodb:StartBulkPutItems"
"""It changes items too, but the lists of actions that a table's policy may name do not have it, and
AWS refuses a policy with any other: it is denied where AWS takes its name (`bootstrap.run.deny_put`
tries)."""
_SID = names.DENY_SID
_STACKS_SID = "OthersDoNotWrite"
"""Of the Deny that older programs made with Pulumi."""


class PolicyError(ValueError):
    """A policy that cannot take, or lose, the statement. The message says why."""


@dataclass(frozen=True)
class WriteDeny:
    """A Deny of all writing actions, and of nothing else.

    `nonce`: letters and digits, part of the Sid. `begins` and `ends` are in whole seconds since
    1970: the Deny holds after the first and before the second, for every caller at that instant,
    once the policy itself has spread. `excepted`: ARNs of roles that may still write; `only`: ARNs
    of the roles that may not, where everybody else may. `bulk`: it names the bulk load as well;
    False: AWS has refused that.
    """

    nonce: str
    table_arn: str
    begins: int | None = None
    ends: int | None = None
    excepted: Sequence[str] = ()
    only: Sequence[str] = ()
    bulk: bool = True

    @property
    def sid(self) -> str:
        return sid(self.nonce)

    def statement(self) -> dict[str, Any]:
        condition: dict[str, dict[str, Any]] = {}
        if self.begins is not None:
            condition["DateGreaterThan"] = {"aws:CurrentTime": _date(self.begins)}
        if self.ends is not None:
            condition["DateLessThan"] = {"aws:CurrentTime": _date(self.ends)}
        # The role's ARN for each of its sessions ("Condition context keys", IAM User Guide).
        if self.excepted:
            condition["ArnNotEquals"] = {"aws:PrincipalArn": sorted(self.excepted)}
        if self.only:
            condition["ArnEquals"] = {"aws:PrincipalArn": sorted(self.only)}
        statement: dict[str, Any] = {
            "Sid": self.sid,
            "Effect": "Deny",
            "Principal": "*",
            "Action": [*WRITE_ACTIONS, *([BULK_ACTION] if self.bulk else [])],
            "Resource": self.table_arn,
        }
        return statement | ({"Condition": condition} if condition else {})

    def is_written_as(self, statement: Mapping[str, Any]) -> bool:
        """Tell whether a statement is exactly this one, with or without the bulk load."""
        forms = (replace(self, bulk=bulk).statement() for bulk in (False, True))
        return any(canonical(statement) == canonical(form) for form in forms)


def new_nonce() -> str:
    """Make the name of an attempt: letters and digits, for a statement's Sid."""
    return secrets.token_hex(8)


def sid(nonce: str) -> str:
    """Return the Sid of an attempt's statement. IAM allows letters and digits there."""
    if not nonce.isascii() or not nonce.isalnum():
        raise ValueError(f"a nonce of letters and digits is needed, not {nonce!r}")
    return _SID + nonce


def stacks_deny(document: str | None, table_arn: str) -> bool:
    """Tell whether a policy has the Deny that older programs let Pulumi put into it."""
    return any(_is_stacks(each, table_arn) for each in statements_of(policy_of(document)))


def without_stacks_deny(document: str | None, table_arn: str) -> str | None:
    """Return the policy without that Deny; None: nothing else is in it."""
    policy = policy_of(document)
    kept = [each for each in statements_of(policy) if not _is_stacks(each, table_arn)]
    return policy_text(policy, kept) if kept else None


def project_statements(document: str | None) -> dict[str, dict[str, Any]]:
    """Return this project's statements of a policy, by nonce."""
    return {
        statement["Sid"].removeprefix(_SID): statement
        for statement in statements_of(policy_of(document))
        if _is_projects(statement)
    }


def ended(document: str | None, now: float) -> dict[str, dict[str, Any]]:
    """Return those of this project's statements that do not hold any more, by nonce.

    `now`: epoch seconds.
    """

    def has_ended(statement: Mapping[str, Any]) -> bool:
        date = statement.get("Condition", {}).get("DateLessThan", {}).get("aws:CurrentTime")
        return isinstance(date, str) and datetime.fromisoformat(date).timestamp() < now

    return {nonce: each for nonce, each in project_statements(document).items() if has_ended(each)}


def with_deny(document: str | None, deny: WriteDeny) -> str:
    """Return the policy with this Deny instead of any other of this project's statements.

    `document` is the table's policy, None where it has none.

    Raises:
        PolicyError: the policy cannot be read, or would be larger than DynamoDB takes.
    """
    policy = policy_of(document)
    kept = [each for each in statements_of(policy) if not _is_projects(each)]
    return policy_text(policy, [*kept, deny.statement()])


def without_deny(document: str | None) -> str | None:
    """Return the policy without this project's statements.

    None: nothing else is in it, so the policy itself has to be deleted, because DynamoDB takes no
    policy without a statement.
    """
    policy = policy_of(document)
    kept = [each for each in statements_of(policy) if not _is_projects(each)]
    return policy_text(policy, kept) if kept else None


def holds(document: str | None, deny: WriteDeny) -> bool:
    """Tell whether exactly this Deny of ours is in a policy."""
    live = project_statements(document)
    return set(live) == {deny.nonce} and deny.is_written_as(live[deny.nonce])


def names_bulk(document: str | None, nonce: str) -> bool:
    """Tell whether the Deny of this attempt, if a policy holds it, denies bulk puts as well."""
    found = project_statements(document).get(nonce, {})
    return BULK_ACTION in found.get("Action", ())


def canonical(value: Any) -> Any:
    """Return a policy's JSON in one of the forms that mean the same.

    AWS shows a list of one as its only element, and may name everyone by {"AWS": "*"}. The order of
    names and of lists means nothing.
    """
    if isinstance(value, Mapping):
        held = {name: canonical(each) for name, each in sorted(value.items())}
        return "*" if held == {"AWS": "*"} else held
    if isinstance(value, list | tuple):
        several = sorted((canonical(each) for each in value), key=json.dumps)
        return several[0] if len(several) == 1 else several
    return value


def size(document: str) -> int:
    """Return the bytes of a policy as DynamoDB counts them."""
    return len(document.encode())


def policy_of(document: str | None) -> dict[str, Any]:
    """Read a policy; None is one without statements.

    Raises:
        PolicyError: it is no object in JSON.
    """
    if document is None:
        return {"Version": VERSION}
    try:
        policy = json.loads(document)
    except ValueError as error:
        raise PolicyError(f"the table's policy is not JSON: {error}") from None
    if not isinstance(policy, dict):
        raise PolicyError("the table's policy is not an object")
    return policy


def statements_of(policy: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the statements in order. IAM allows a single one without its brackets.

    Raises:
        PolicyError: one is no object.
    """
    found = policy.get("Statement", [])
    statements = [found] if isinstance(found, dict) else found
    if not isinstance(statements, list) or not all(isinstance(each, dict) for each in statements):
        raise PolicyError("the table's policy has statements that are no objects")
    return statements


def _is_projects(statement: Mapping[str, Any]) -> bool:
    """Tell this project's statement by its Sid and its form: a user's Sid may begin like ours."""
    name, actions = statement.get("Sid"), statement.get("Action")
    return (
        isinstance(name, str)
        and name.startswith(_SID)
        and name != _SID
        and statement.get("Effect") == "Deny"
        and isinstance(actions, list)
        and set(actions) - {BULK_ACTION} == set(WRITE_ACTIONS)
    )


def _is_stacks(statement: Mapping[str, Any], table_arn: str) -> bool:
    """Tell the older programs' Deny by its whole form, whatever roles it excepts."""
    condition = statement.get("Condition")
    tests = condition.get("ArnNotEquals") if isinstance(condition, dict) else None
    form = {
        "Sid": _STACKS_SID,
        "Effect": "Deny",
        "Principal": "*",
        "Action": list(WRITE_ACTIONS),
        "Resource": table_arn,
        "Condition": {"ArnNotEquals": tests},
    }
    roles = isinstance(tests, dict) and set(tests) == {"aws:PrincipalArn"}
    return roles and bool(canonical(statement) == canonical(form))


def policy_text(policy: Mapping[str, Any], statements: Sequence[Mapping[str, Any]]) -> str:
    """Return the text of a policy with these statements.

    Raises:
        PolicyError: two have one name, or it would be larger than DynamoDB takes.
    """
    names = [each["Sid"] for each in statements if "Sid" in each]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise PolicyError(f"the table's policy has two statements named {twice}")
    document = json.dumps({**policy, "Statement": list(statements)}, separators=(",", ":"))
    if size(document) > POLICY_BYTES:
        raise PolicyError(
            f"the table's policy would be {size(document):,} bytes, and DynamoDB takes "
            f"{POLICY_BYTES:,}"
        )
    return document


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
