"""A stack's configuration file, as far as a plan needs it before the first deployment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bootstrap.core.errors import UsageError
from bootstrap.core.stack_outputs import AccountOutputs, Outputs, TableOutputs

PROJECT = "dynamodb-replication"
FIX = "compare it with infra/Pulumi.example.yaml"


@dataclass(frozen=True)
class Described:
    """A stack that is not there yet: its names, without machinery; and its profiles."""

    outputs: Outputs
    source_profile: str | None
    target_profile: str | None


def read(path: Path) -> Described:
    """Reads `Pulumi.STACK.yaml`.

    Raises:
        UsageError: for a file that cannot be read, or that lacks what a plan needs.
    """
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"The stack file {path} cannot be read: {why}.", fix=FIX) from None
    config = value.get("config") if isinstance(value, dict) else None
    mistakes: list[str] = []
    sides = {side: _side(config, side, mistakes) for side in ("source", "target")}
    tables = _tables(config, sides["source"], mistakes)
    if mistakes:
        lines = "\n".join(f"  {mistake}" for mistake in mistakes)
        raise UsageError(f"{path} describes no stack of this project:\n{lines}", fix=FIX)
    source, target = (
        AccountOutputs(side["accountId"], side["region"], side.get("roleArn", ""))
        for side in sides.values()
    )
    stack = path.stem.removeprefix("Pulumi.")
    return Described(
        outputs=Outputs(PROJECT, stack, source, target, "", "", tuple(tables)),
        source_profile=sides["source"].get("profile"),
        target_profile=sides["target"].get("profile"),
    )


def _member(config: Any, name: str) -> Any:
    return config.get(f"{PROJECT}:{name}") if isinstance(config, Mapping) else None


def _side(config: Any, side: str, mistakes: list[str]) -> dict[str, str]:
    found = _member(config, side)
    if not isinstance(found, Mapping):
        mistakes.append(f"{PROJECT}:{side} is missing")
        return {"accountId": "", "region": ""}
    values = {str(name): str(value) for name, value in found.items() if value is not None}
    for name in ("accountId", "region"):
        if not values.get(name):
            mistakes.append(f"{PROJECT}:{side}.{name} is missing")
            values[name] = ""
    return values


def _tables(config: Any, source: Mapping[str, str], mistakes: list[str]) -> list[TableOutputs]:
    found = _member(config, "tables")
    if not isinstance(found, list) or not found:
        mistakes.append(f"{PROJECT}:tables is missing, or holds no table")
        return []
    tables = []
    for n, each in enumerate(found):
        name = each.get("source") if isinstance(each, Mapping) else None
        if not name:
            mistakes.append(f"{PROJECT}:tables[{n}].source is missing")
            continue
        factor = each.get("parallelizationFactor", 1)
        if not isinstance(factor, int):
            mistakes.append(f"{PROJECT}:tables[{n}].parallelizationFactor is no whole number")
            continue
        keys = (str(each.get("sourceKeyArn") or ""), str(each.get("targetKeyArn") or ""))
        tables.append(_table(str(name), str(each.get("target", name)), source, factor, keys))
    return tables


def _table(
    name: str, target: str, source: Mapping[str, str], factor: int, keys: tuple[str, str]
) -> TableOutputs:
    region, account = source["region"], source["accountId"]
    partition = "aws-cn" if region.startswith("cn-") else "aws"
    return TableOutputs(
        source_table=name,
        source_table_arn=f"arn:{partition}:dynamodb:{region}:{account}:table/{name}",
        target_table=target,
        stream_name="",
        stream_arn="",
        consumer_region=region,
        function_name="",
        mapping_uuid="",
        parallelization_factor=factor,
        ledger_table="",
        ledger_retention_days=30,
        quarantine_bucket="",
        on_failure_bucket="",
        snapshot_prefix=name,
        source_key_arn=keys[0],
        target_key_arn=keys[1],
    )
