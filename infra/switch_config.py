"""The `switch` key of the stack file: the roles that a switch needs, and who may assume them."""

from __future__ import annotations

from dataclasses import dataclass

from infra.account_config import AccountConfig
from infra.config_validation import NOT_GIVEN, ConfigReader
from infra.operators_config import OperatorsConfig
from infra.principals import read_principals, refuse_long_trust


@dataclass(frozen=True)
class SwitchConfig:
    """The principals that may assume the switch role of each account."""

    source: tuple[str, ...]
    """Those of the source account."""
    target: tuple[str, ...]
    """Those of the target account."""
    mfa: bool = False
    """Whether they have to have signed in with a second factor. A session that was itself opened
    by a role has none, whatever its owner did."""


def read_switch(
    top: ConfigReader, operators: OperatorsConfig, source: AccountConfig, target: AccountConfig
) -> SwitchConfig | None:
    """Read and check the key, which is true, false or a mapping. None: no roles."""
    value = top.raw("switch")
    if value is NOT_GIVEN or value is False:
        return None
    if value is True:
        return SwitchConfig(operators.source, operators.target)
    section = top.section(
        "switch",
        "write switch: true; or switch: {source: [role ARN], target: [role ARN], mfa: true}",
        required=False,
    )
    config = SwitchConfig(
        read_principals(section, "source", source, required=False) or operators.source,
        read_principals(section, "target", target, required=False) or operators.target,
        section.flag("mfa", default=SwitchConfig.mfa),
    )
    section.refuse_unknown_keys()
    refuse_long_trust(section, config.source, config.target, operators.external_id, mfa=config.mfa)
    return config
