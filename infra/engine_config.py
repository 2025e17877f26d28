"""The configuration that the Pulumi engine hands to the running program."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env

from infra.stack_config import StackConfig, value_of


def load(config: pulumi.Config) -> StackConfig:
    """Read the running stack's configuration.

    Raises:
        ConfigError: naming every mistake at once.
    """
    return StackConfig.parse(values(config))


def values(config: pulumi.Config) -> dict[str, Any]:
    """Return every value of the project, unknown keys included."""
    prefix = f"{config.name}:"
    texts = {**get_config_env(), **CONFIG.get()}
    return {
        key.removeprefix(prefix): value_of(text)
        for key, text in texts.items()
        if key.startswith(prefix)
    }
