"""The statement that lets the consumer read a table's own stream, merged into the stream's policy.

The policy is the user's: their statements stay as they are, in their order, and only the statement
with this project's Sid is put in, replaced or taken out. A stream that is switched on anew has no
policy. Documents are handled as values; no AWS is called here.
"""

from __future__ import annotations

from typing import Any

from bootstrap.core.write_deny import canonical, policy_of, policy_text, statements_of

SID = "ReplicationConsumerReads"
ACTIONS = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
"""The reads of a mapping of another account's stream (DynamoDB Developer Guide, "Resource-based
policy considerations": the actions of a stream's policy)."""


def statement(stream_arn: str, role_arn: str) -> dict[str, Any]:
    """Return the statement that lets this role, and no one else, read the stream."""
    return {
        "Sid": SID,
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
    ours = [each for each in statements_of(policy_of(document)) if each.get("Sid") == SID]
    wanted = statement(stream_arn, role_arn)
    return len(ours) == 1 and bool(canonical(ours[0]) == canonical(wanted))


def has_ours(document: str | None) -> bool:
    """Tell whether a policy has a statement with our Sid.

    Raises:
        PolicyError: the policy cannot be read.
    """
    return any(each.get("Sid") == SID for each in statements_of(policy_of(document)))


def with_reads(document: str | None, stream_arn: str, role_arn: str) -> str:
    """Return the policy with the statement instead of any other with its Sid.

    Raises:
        PolicyError: the policy cannot be read, or would be larger than DynamoDB takes.
    """
    policy = policy_of(document)
    kept = [each for each in statements_of(policy) if each.get("Sid") != SID]
    return policy_text(policy, [*kept, statement(stream_arn, role_arn)])


def without_reads(document: str | None) -> str | None:
    """Return the policy without the statement; None: nothing else is in it.

    Raises:
        PolicyError: as `with_reads`.
    """
    policy = policy_of(document)
    kept = [each for each in statements_of(policy) if each.get("Sid") != SID]
    return policy_text(policy, kept) if kept else None
