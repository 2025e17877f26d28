"""The put of a Deny on a table's writers, with the bulk load where AWS takes it."""

from __future__ import annotations

from dataclasses import replace

from bootstrap.core.errors import AccountError
from bootstrap.core.facts import PolicyRevision
from bootstrap.core.ports import ResourcePolicies
from bootstrap.core.write_deny import WriteDeny, with_deny

INVALID = "ValidationException"
"""AWS's answer to a policy that names an action which no table's policy may name."""


def put_deny(
    policies: ResourcePolicies, known: PolicyRevision, document: str | None, deny: WriteDeny
) -> bool:
    """Put a Deny into a table's policy; return whether it denies bulk puts as well.

    `known`: the revision that it replaces. `document`: that policy, without what has to go beside.

    The lists of actions that a table's policy may name do not have StartBulkPutItems, and AWS does
    not say if its name is taken. So it is tried, and what is refused with it is put without it:
    no other action is given up for this one.

    Raises:
        PolicyError: the policy cannot take the Deny.
        AccountError: AWS refuses it without the bulk load too.
    """
    try:
        policies.replace(deny.table_arn, known, with_deny(document, deny))
    except AccountError as error:
        if error.code != INVALID or not deny.bulk:
            raise
    else:
        return deny.bulk
    policies.replace(deny.table_arn, known, with_deny(document, replace(deny, bulk=False)))
    return False
