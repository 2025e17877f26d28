"""The configuration that the Pulumi engine hands to the running program."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env

from infra.autonaming import AUTONAMING_KEY, read_autonaming
from infra.stack_config import StackConfig, value_of


def load(config: pulumi.Config) -> StackConfig:
    """Read the running stack's configuration.

    Raises:
        ConfigError: naming every mistake at once.
    """
    given = values(config)
    known = {
        "organization": pulumi.get_organization() or "organization",
        "project": pulumi.get_project(),
        "stack": pulumi.get_stack(),
        **{f"config.{key}": value for key, value in given.items() if isinstance(value, str)},
    }
    naming = read_autonaming(_texts().get(AUTONAMING_KEY), known)
    return StackConfig.parse(given).named(naming)


def values(config: pulumi.Config) -> dict[str, Any]:
    """Return every value of the project, unknown keys included."""
    prefix = f"{config.name}:"
    return {
        key.removeprefix(prefix): value_of(text)
        for key, text in _texts().items()
        if key.startswith(prefix)
    }


def _texts() -> dict[str, str]:
    return {**get_config_env(), **CONFIG.get()}
