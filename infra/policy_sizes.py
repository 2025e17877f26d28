"""IAM's limits on the policies of a role, and the characters that IAM counts."""

from __future__ import annotations

import json
from collections.abc import Sequence

from infra.statements import Statement, policy_of, trust

INLINE_POLICY_LIMIT = 10_240
"""Characters, without white space, of all inline policies of a role together (IAM quota, not
adjustable).
"""

MANAGED_POLICY_LIMIT = 6_144
"""Characters, without white space, of a customer managed policy (IAM quota, not adjustable)."""

ATTACHED_POLICIES_LIMIT = 10
"""Managed policies that are attached to a role (IAM's default quota)."""

TRUST_POLICY_LIMIT = 2_048
"""Characters, without white space, of a role's trust policy (IAM's default quota)."""


def policy_size(statements: Sequence[Statement]) -> int:
    """Return the characters of a policy of these statements."""
    return len(json.dumps(policy_of(statements), separators=(",", ":")))


def characters(policy: str) -> int:
    """Return the characters of a policy's text that IAM counts."""
    return len("".join(policy.split()))


def trust_policy_size(
    principals: Sequence[str], external_id: str | None, *, mfa: bool = False
) -> int:
    """Return the characters of the trust policy of a role that people and pipelines assume."""
    return policy_size([trust(principals, external_id, mfa=mfa)])
