"""Principals in the stack file: who may assume roles of the stack."""

from __future__ import annotations

import re
from collections.abc import Sequence

from infra import policy_sizes
from infra.account_config import AccountConfig
from infra.config_validation import ConfigReader

WHOLE_ACCOUNT = "account"
PRINCIPAL = (
    rf"{WHOLE_ACCOUNT}|arn:aws[a-z-]*:iam::[0-9]{{12}}:(root|role/[\w+=,.@/-]+|user/[\w+=,.@/-]+)"
)


def read_principals(
    section: ConfigReader, side: str, account: AccountConfig, *, required: bool = True
) -> tuple[str, ...]:
    """Read the principals of one side. Without the key, none, which is a mistake if required."""
    fix = (
        f"list roles: [arn:aws:iam::ACCOUNT:role/NAME]; or [{WHOLE_ACCOUNT}], which leaves it to "
        "the account's own IAM policies"
    )
    given = section.sequence(side, fix, required=required)
    for n, value in enumerate(given):
        if not (isinstance(value, str) and re.fullmatch(PRINCIPAL, value)):
            section.mistakes.add(
                f"{section.key(side)}[{n}]",
                value,
                f"the ARN of a role, a user or an account root, or {WHOLE_ACCOUNT}",
                fix,
            )
    return tuple(account.root_arn if value == WHOLE_ACCOUNT else str(value) for value in given)


def refuse_long_trust(
    section: ConfigReader,
    source: Sequence[str],
    target: Sequence[str],
    external_id: str | None,
    *,
    mfa: bool = False,
) -> None:
    """Report principals of which a role's trust policy has no room for all."""
    for side, principals in (("source", source), ("target", target)):
        size = policy_sizes.trust_policy_size(principals, external_id, mfa=mfa)
        if size > policy_sizes.TRUST_POLICY_LIMIT:
            section.mistakes.add(
                section.key(side),
                f"{len(principals)} principals",
                f"principals whose trust policy has up to {policy_sizes.TRUST_POLICY_LIMIT} "
                f"characters, with externalId (a quota of IAM); this one has {size}",
                f"name fewer roles, or write {side}: [{WHOLE_ACCOUNT}] and permit the others in "
                "the account's own IAM policies",
            )
