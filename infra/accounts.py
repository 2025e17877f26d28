"""The two accounts as two explicit providers: no resource can land in the wrong one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.account_config import AccountConfig
from infra.stack_config import StackConfig


@dataclass(frozen=True)
class Accounts:
    """The providers of both sides. A resource in another Region of its account says `region=`."""

    source: aws.Provider
    target: aws.Provider

    def of(self, side: str) -> aws.Provider:
        """Return the provider of `source` or `target`."""
        return {"source": self.source, "target": self.target}[side]


def connect(settings: StackConfig) -> Accounts:
    """Make the providers, which refuse credentials of another account."""
    tags = settings.tags.with_own(pulumi.get_project(), pulumi.get_stack())
    return Accounts(
        source=_provider("source", settings.source, tags),
        target=_provider("target", settings.target, tags),
    )


def _provider(name: str, account: AccountConfig, tags: Mapping[str, str]) -> aws.Provider:
    assumed = account.role_arn and aws.ProviderAssumeRoleArgs(
        role_arn=account.role_arn,
        external_id=account.external_id,
        session_name=account.session_name or f"pulumi-{pulumi.get_project()}",
    )
    return aws.Provider(
        name,
        region=account.region,
        profile=account.profile,
        sts_region=account.sts_region,
        # The provider refuses to start with credentials of another account.
        allowed_account_ids=[account.account_id],
        # Args classes, not dicts: a provider sends the keys of a dict untranslated, and AWS's
        # provider then finds no role at all (https://github.com/pulumi/pulumi/issues/18810).
        assume_roles=[assumed] if assumed else None,
        default_tags=aws.ProviderDefaultTagsArgs(tags=tags),
    )
