"""The statement that lets the consumer read a table's own stream, merged into the stream's policy.

The policy is the user's: their statements stay as they are, in their order, and only the statement
with this role's Sid is put in, replaced or taken out. A stream that is switched on anew has no
policy. The Sid names the role: another stack that reads the same stream has a statement of its own.
Documents are handled as values; no AWS is called here.
"""

from __future__ import annotations

import hashlib
from typing import Any

from bootstrap.core.write_deny import canonical, policy_of, policy_text, statements_of

SID = "ReplicationConsumerReads"
"""What the Sid of each consumer's statement begins with."""
ACTIONS = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
"""The reads of a mapping of another account's stream (DynamoDB Developer Guide, "Resource-based
policy considerations": the actions of a stream's policy)."""


def sid_of(role_arn: str) -> str:
    """Return the Sid of a role's statement: letters and digits, as IAM wants them."""
    return SID + hashlib.blake2b(role_arn.encode(), digest_size=6).hexdigest()


def statement(stream_arn: str, role_arn: str) -> dict[str, Any]:
    """Return the statement that lets this role, and no one else, read the stream."""
    return {
        "Sid": sid_of(role_arn),
        "Effect": "Allow",
        "Principal": {"AWS": role_arn},
        "Action": list(ACTIONS),
        "Resource": stream_arn,
    }


def allows(document: str | None, stream_arn: str, role_arn: str) -> bool:
    """Tell whether exactly this statement of ours is in a policy.

    Raises:
        PolicyError: the policy cannot be read.
    """
    sid = sid_of(role_arn)
    ours = [each for each in statements_of(policy_of(document)) if each.get("Sid") == sid]
    wanted = statement(stream_arn, role_arn)
    return len(ours) == 1 and bool(canonical(ours[0]) == canonical(wanted))


def has_ours(document: str | None, role_arn: str) -> bool:
    """Tell whether a policy has a statement with this role's Sid.

    Raises:
        PolicyError: the policy cannot be read.
    """
    return any(each.get("Sid") == sid_of(role_arn) for each in statements_of(policy_of(document)))


def others(document: str | None, role_arn: str) -> tuple[str, ...]:
    """Return the roles of other stacks' consumers that a policy lets read the stream.

    Raises:
        PolicyError: the policy cannot be read.
    """
    return tuple(
        str(each.get("Principal", {}).get("AWS", ""))
        for each in statements_of(policy_of(document))
        if str(each.get("Sid", "")).startswith(SID) and each.get("Sid") != sid_of(role_arn)
    )


def with_reads(document: str | None, stream_arn: str, role_arn: str) -> str:
    """Return the policy with the statement instead of any other with its Sid.

    Raises:
        PolicyError: the policy cannot be read, or would be larger than DynamoDB takes.
    """
    policy = policy_of(document)
    sid = sid_of(role_arn)
    kept = [each for each in statements_of(policy) if each.get("Sid") != sid]
    return policy_text(policy, [*kept, statement(stream_arn, role_arn)])


def without_reads(document: str | None, role_arn: str) -> str | None:
    """Return the policy without the role's statement; None: nothing else is in it.

    Raises:
        PolicyError: as `with_reads`.
    """
    policy = policy_of(document)
    sid = sid_of(role_arn)
    kept = [each for each in statements_of(policy) if each.get("Sid") != sid]
    return policy_text(policy, kept) if kept else None
