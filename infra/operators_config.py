"""The `operators` section of the stack file: who may assume the operators' roles."""

from __future__ import annotations

from dataclasses import dataclass

from infra.account_config import AccountConfig, read_external_id
from infra.config_validation import ConfigReader
from infra.principals import read_principals, refuse_long_trust


@dataclass(frozen=True)
class OperatorsConfig:
    """The principals that may assume the operators' roles in each account.

    There is no default: a role that its owner did not think of should belong to no one.
    """

    source: tuple[str, ...]
    """For the exporter and the reader."""
    target: tuple[str, ...]
    """For the importer and the reader."""
    external_id: str | None = None
    """A shared word that a caller must present. None: not required."""
    read_items: bool = False
    """Whether both roles may read single items, for `verify --read-source`, and the importer scan
    the target, for the keys that `resume` names. False: the exporter sees no item of the source
    (C5)."""


def read_operators(
    top: ConfigReader, source: AccountConfig, target: AccountConfig
) -> OperatorsConfig:
    """Read and check the section."""
    section = top.section(
        "operators", "write operators: {source: [role ARN], target: [role ARN]}", required=False
    )
    operators = OperatorsConfig(
        source=read_principals(section, "source", source),
        target=read_principals(section, "target", target),
        external_id=read_external_id(section),
        read_items=section.flag("readItems", default=OperatorsConfig.read_items),
    )
    section.refuse_unknown_keys()
    refuse_long_trust(section, operators.source, operators.target, operators.external_id)
    return operators
