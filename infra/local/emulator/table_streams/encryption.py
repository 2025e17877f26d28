"""The key of a table, which encrypts its stream too (developer guide, EncryptionAtRest.html)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MANAGED = "alias/aws/dynamodb"


def key_of(table: Mapping[str, Any]) -> str | None:
    """Return the ARN or id of the KMS key of ministack's record of a table; None for AWS's own."""
    description = table.get("SSEDescription") or {}
    enabled = description.get("Status") == "ENABLED"
    return description.get("KMSMasterKeyArn") if enabled else None


def is_managed(key: str | None) -> bool:
    """Say whether this is the AWS managed key of the table's account.

    "Cross-account access using resource-based policies doesn't support encrypted tables with AWS
    managed keys" (developer guide, rbac-considerations.html).
    """
    return key is not None and key.endswith(MANAGED)
