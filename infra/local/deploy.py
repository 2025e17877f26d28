"""`pulumi up` for the local cloud: the real program, a provider on boto3, and no CLI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra import package
from infra.local.program import run
from infra.local.provider import CloudClients, LocalProvider


def deploy(
    cloud: CloudClients, config: Mapping[str, Any], *, stack: str = "local"
) -> dict[str, Any]:
    """Apply the program to `cloud` and return the stack's outputs, within seconds.

    `config` is what a stack file would say. The source tables have to exist. Without
    `lambdaArchive` the archive is built for this interpreter, if it is not there yet; without
    `operators` both accounts are trusted whole. Creates only: to deploy other settings, start
    another cloud.

    Raises:
        ConfigError: the configuration is wrong; every mistake is named.
        PackageError: the archive could not be built, or the given one is stale.
        BindingError: a resource could not be created, or the program asks for something that the
            local cloud does not know.
    """
    # On this machine every caller is the accounts' root.
    config = {"operators": {"source": ["account"], "target": ["account"]}, **config}
    if "lambdaArchive" not in config:
        config = {**config, "lambdaArchive": str(package.build("local").folder)}
    provider = LocalProvider(cloud, stack)
    try:
        return run(provider, config, stack=stack)
    except Exception:
        if provider.failure:
            raise provider.failure from None
        raise
