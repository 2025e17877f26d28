"""The stack as the last `up` left it: the resources in its state, and its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.table_config import TableConfig

DESTINATION = "aws:dynamodb/kinesisStreamingDestination:KinesisStreamingDestination"
KEY = "aws:kms/key:Key"
TABLE_POLICY = "aws:dynamodb/resourcePolicy:ResourcePolicy"


@dataclass(frozen=True)
class HeldResources:
    """The URNs of a state."""

    urns: frozenset[str] = frozenset()

    def has(self, type_: str, name: str) -> bool:
        """Tell whether the state holds a resource of this type and name, whatever its parent."""
        return any(
            urn.rpartition("::")[2] == name and urn.split("::")[2].rpartition("$")[2] == type_
            for urn in self.urns
        )


def last_table(table: TableConfig, before: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a table's entry in the outputs of the last `up`; an empty one if it has none."""
    tables = (found or {} for found in before.get("tables") or ())
    return next((each for each in tables if each.get("sourceTable") == table.source), {})
