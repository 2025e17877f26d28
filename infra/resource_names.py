"""Names and descriptions within AWS's limits, whatever a table is called."""

from __future__ import annotations

import re
from hashlib import sha256

SUFFIX = "-0a1b2c3"
"""Pulumi appends a hyphen and seven hexadecimal digits to a name."""
RULE_NAME_LIMIT = 64
"""Characters of an EventBridge rule's name (API reference, PutRule)."""
TARGET_ID_LIMIT = 64
"""Characters of the id of a rule's target (API reference, EventBridge, Target)."""
FUNCTION_DESCRIPTION_LIMIT = 256
"""Characters (API reference, Lambda, CreateFunction)."""


def dashboard_name(project: str, stack: str, source_account: str, role: str) -> str:
    """Return the name of a stack's dashboard, which is not auto-named.

    A dashboard is the account's, across its Regions, and another one of the same name would be
    overwritten. Two teams with a backend each may have project, stack and source account in common,
    so a digest of `role` ends the name: a role of the stack in the dashboard's account, of which
    IAM has no two of one name.

    CloudWatch takes letters, digits, hyphens and underscores (API reference, PutDashboard).
    """
    name = f"{project}-{stack}-{source_account}"
    plain = re.sub(r"[^A-Za-z0-9_-]", "-", name)
    return f"{plain}-{sha256(f'{name} {role}'.encode()).hexdigest()[:7]}"


def fitting(name: str, shorter: str, limit: int) -> str:
    """Return the name if it fits with Pulumi's suffix, otherwise the shorter one.

    A name is part of a resource's URN: one that fits may never change.
    """
    return name if len(name) + len(SUFFIX) <= limit else shorter


def shortened(text: str, limit: int) -> str:
    """Return a text that fits a description, cut at the end where it is too long."""
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
