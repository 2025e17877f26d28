"""The `iam` section of the stack file: how the roles of the stack get their rights."""

from __future__ import annotations

from dataclasses import dataclass

from infra.config_validation import ConfigReader


@dataclass(frozen=True)
class IamConfig:
    """A company's rules about policies."""

    managed_policies: bool = False
    """Whether all rights of the stack's roles are in managed policies, for accounts whose rules
    forbid inline ones. False: they are inline, as far as they fit.
    """


def read_iam(top: ConfigReader) -> IamConfig:
    """Read the section."""
    section = top.section("iam", "write iam: {managedPolicies: true}", required=False)
    iam = IamConfig(section.flag("managedPolicies", default=IamConfig.managed_policies))
    section.refuse_unknown_keys()
    return iam
