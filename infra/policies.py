"""Policy documents, of which some values are known only once Pulumi has created a resource."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from infra.statements import Statement, policy_of, trust

Text = str | pulumi.Output[str]

KEY_ADMINISTRATION = (
    "kms:CancelKeyDeletion",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateKeyDescription",
)
"""Everything but the use of a key: its administrators need not read what it encrypts."""

ALIAS_ADMINISTRATION = ("kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias")
"""Of a key that has an alias. KMS asks for each on the alias, by IAM, and on the key, whose policy
has to allow it (AWS KMS Developer Guide, alias-access)."""


def document(*statements: Statement) -> pulumi.Output[str]:
    """Return the JSON text of a policy, once the ARNs in it are known."""
    return pulumi.Output.json_dumps(policy_of(statements))


def assumed_by_service(service: str) -> pulumi.Output[str]:
    """Return a trust policy for an AWS service, such as lambda.amazonaws.com in every partition."""
    return document(
        {"Effect": "Allow", "Action": ["sts:AssumeRole"], "Principal": {"Service": service}}
    )


def assumed_by(
    principals: Sequence[str], external_id: str | None, *, mfa: bool = False
) -> pulumi.Output[str]:
    """Return a trust policy for people and pipelines, as `statements.trust` has it."""
    text = document(trust(principals, external_id, mfa=mfa))
    # The word may come from a secret of the configuration: the state keeps it encrypted.
    return pulumi.Output.secret(text) if external_id else text


def deny_to_all_but(
    roles: Sequence[Text], actions: Sequence[str], resources: Sequence[Text]
) -> pulumi.Output[str]:
    """Return a policy that denies these actions to all other principals.

    With `aws:PrincipalArn`, which is the role's ARN for each of its sessions, because NotPrincipal
    would have to name the sessions (IAM User Guide, reference_policies_elements_notprincipal).
    """
    return document(
        {
            "Sid": "OthersDoNotWrite",
            "Effect": "Deny",
            "Principal": "*",
            "Action": list(actions),
            "Resource": list(resources),
            "Condition": {"ArnNotEquals": {"aws:PrincipalArn": list(roles)}},
        }
    )


def tls_only(bucket_arn: Text) -> Statement:
    """Return the statement that refuses plain HTTP. A Deny may be wide: it only takes away."""
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket_arn, pulumi.Output.concat(bucket_arn, "/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
