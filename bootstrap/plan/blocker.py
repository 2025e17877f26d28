"""A reason not to start a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bootstrap.core.errors import BlockedError
from bootstrap.core.suggestions import Suggestion


@dataclass(frozen=True)
class Blocker:
    """A reason not to start, and what removes it."""

    what: str
    fix: str


def refuse(blockers: Sequence[Blocker], what: str, fix: str | Suggestion) -> None:
    """Refuse what something blocks. `what` and `fix` are said where several do.

    Raises:
        BlockedError: naming every blocker with its fix.
    """
    if len(blockers) == 1:
        raise BlockedError(blockers[0].what, fix=blockers[0].fix)
    if blockers:
        several = "\n".join(
            f"  {n}. {blocker.what}\n     Try: {blocker.fix}"
            for n, blocker in enumerate(blockers, 1)
        )
        raise BlockedError(f"{what}:\n{several}", fix=fix)


def quota_increase(what: str, service: str, region: str, side: str) -> str:
    """Return the commands that raise a quota. Its code is in the list: AWS documents few."""
    return (
        f"raise the quota for {what}: aws service-quotas list-service-quotas --service-code "
        f"{service} --region {region} shows its code, then aws service-quotas "
        f"request-service-quota-increase --service-code {service} --quota-code CODE "
        f"--desired-value NUMBER --region {region}, with the {side} account's credentials"
    )
