"""A reason not to start a run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Blocker:
    """A reason not to start, and what removes it."""

    what: str
    fix: str


def quota_increase(what: str, service: str, region: str, side: str) -> str:
    """Return the commands that raise a quota. Its code is in the list: AWS documents few."""
    return (
        f"raise the quota for {what}: aws service-quotas list-service-quotas --service-code "
        f"{service} --region {region} shows its code, then aws service-quotas "
        f"request-service-quota-increase --service-code {service} --quota-code CODE "
        f"--desired-value NUMBER --region {region}, with the {side} account's credentials"
    )
