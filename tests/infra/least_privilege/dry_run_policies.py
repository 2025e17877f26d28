"""Other configurations: their policies on paper, and the recorded calls as they would be there.

One life on the local cloud is enough. A stack with other Regions, more tables or a switch is
declared by the same program, by an engine that deploys nothing; and each recorded call is read as
the call that the same part of that stack would make, on the part that it was made on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from infra.dry_run import DryRun
from infra.table_config import TableConfig
from tests.infra.least_privilege.declared import Declared, from_resources
from tests.infra.least_privilege.needs import Need

SIDES = ("source", "target")
SESSION = re.compile(r"arn:aws:sts::(\d{12}):assumed-role/([^/]+)/(.+)")


@dataclass(frozen=True)
class Elsewhere:
    """What the program declares for a configuration, and its outputs."""

    declared: Declared
    config: Mapping[str, Any]
    outputs: Mapping[str, Any]


def declare(config: Mapping[str, Any]) -> Elsewhere:
    """Runs the program with this configuration."""
    ran = DryRun.of(config, stack="local")
    created = [(each.type, each.name, each.side, each.values) for each in ran.resources]
    pairs = [
        {side: table_arn(config, side, table[side]) for side in SIDES} for table in config["tables"]
    ]
    keys = {
        pair[side]: table[f"{side}KeyArn"]
        for pair, table in zip(pairs, config["tables"], strict=True)
        for side in SIDES
        if f"{side}KeyArn" in table
    }
    tables = tuple((pair["source"], pair["target"]) for pair in pairs)
    bulk, adopted = (
        frozenset(
            table_arn(config, "target", each["target"]) for each in config["tables"] if of(each)
        )
        for of in (lambda each: each.get("load") == "bulk", lambda each: each.get("adopt", False))
    )
    declared = from_resources(created).replicating(tables, keys).loading(bulk, adopted)
    return Elsewhere(declared, config, ran.outputs)


def table_arn(config: Mapping[str, Any], side: str, name: str) -> str:
    place = config[side]
    return f"arn:aws:dynamodb:{place['region']}:{place['accountId']}:table/{name}"


def moved(
    recorded: Iterable[Need],
    declared: Declared,
    config: Mapping[str, Any],
    there: Elsewhere,
    *,
    only: str = "",
) -> Iterator[Need]:
    """The calls of a stack of one table, as the lanes of another stack make them.

    `only`: the source table of the one lane that makes them.
    """
    recorded = list(recorded)
    [mine] = config["tables"]
    for table in there.config["tables"]:
        if only not in ("", table["source"]):
            continue
        lane = _Lane(
            {**declared.arns, **_tables(config, mine)},
            {**there.declared.arns, **_tables(there.config, table)},
            (TableConfig(mine["source"], "").prefix, TableConfig(table["source"], "").prefix),
            (TableConfig(mine["source"], "").slug, TableConfig(table["source"], "").slug),
            there.config["target"]["region"],
        )
        yield from (lane.moved(need) for need in recorded)


def _tables(config: Mapping[str, Any], table: Mapping[str, str]) -> dict[str, str]:
    """The two tables and their keys, which the program does not create, named as if it did."""
    tables = {f"the {side} table": table_arn(config, side, table[side]) for side in SIDES}
    keys = {f"the {side} key": table[f"{side}KeyArn"] for side in SIDES if f"{side}KeyArn" in table}
    if "streamKeyArn" in table:  # in place of the one that the program creates
        keys[f"{TableConfig(table['source'], '').prefix}-buffer-key"] = table["streamKeyArn"]
    return tables | keys


@dataclass(frozen=True)
class _Lane:
    here: Mapping[str, str]
    """ARNs by resource name."""
    there: Mapping[str, str]
    prefixes: tuple[str, str]
    """How the resources of the table are named, here and there."""
    slugs: tuple[str, str]
    """What its exports are under."""
    target_region: str

    def moved(self, need: Need) -> Need:
        session = SESSION.fullmatch(need.caller)
        assert session, f"{need.caller} is no session of a role"
        account, role, name = session.groups()
        arn = self._arn(f"arn:aws:iam::{account}:role/{role}")
        caller = f"arn:aws:sts::{account}:assumed-role/{arn.rpartition('/')[2]}/{name}"
        return replace(need, caller=caller, resource=self._arn(need.resource))

    def _arn(self, arn: str) -> str:
        """The counterpart of an ARN, or of what lies in it: an object, an export, a stream."""
        within = [
            (name, whole)
            for name, whole in self.here.items()
            if arn == whole or arn.startswith((f"{whole}/", f"{whole}:"))
        ]
        if within:
            name, whole = max(within, key=lambda each: len(each[1]))
            counterpart = self.there[name.replace(*self.prefixes)]
            inside = arn.removeprefix(whole)
            if arn.startswith(f"{whole}/{self.slugs[0]}/"):  # the table's own part of the snapshots
                inside = inside.replace(*self.slugs, 1)
            return counterpart + inside
        if ":log-group:/aws-dynamodb/" in arn:  # imports write it, where the target is
            return ":".join([*arn.split(":")[:3], self.target_region, *arn.split(":")[4:]])
        # What has no ARN, and the operators' own roles, are the same everywhere.
        assert arn == "*" or arn.endswith(":role/dba"), f"whose is {arn}?"
        return arn
