"""The rows of the operator's journal that the program looks at: how far a table's run has come."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.load_config import LoadConfig
from infra.load_names import BULK, IMPORT

RUN_ROW = "run"
"""The sort key of a table's row in the journal (`bootstrap/aws/journal_table.py`)."""
AFTER_SWITCH, PROMOTED = "record:after-switch", "record:promoted"
"""Attributes of that row: what was done after a switch's commit, and a promotion. JSON."""
IMPORTED, LOAD_TARGET = "record:import", "record:load-target"
"""Likewise: the import, and the table of a bulk load."""
PRIMARIES = ("SWITCHED", "PROMOTED")
"""States in which the target is the primary (`bootstrap/core/state.py`)."""
NO_ITEM, NO_TABLE = "empty result", "couldn't find resource"
"""The AWS provider's answers where there is no such item (`findTableItem` in its table_item.go),
and no such table."""


class UnknownRunError(Exception):
    """A row that cannot be looked up, with AWS's answer."""


@dataclass(frozen=True)
class RunRow:
    """A table's run, as its journal has it."""

    state: str
    finished: bool = False
    """`switch --finish` has stopped the streaming of the old source's changes."""
    ended: bool = False
    """Nothing of the source is to be applied to the target any more, and the target takes its
    writes without this stack's help."""
    load: LoadConfig | None = None
    """How the load that has begun fills the target. None: none has begun."""

    @property
    def target_is_primary(self) -> bool:
        return self.state in PRIMARIES


def look_up_run(table: str, journal: str, target: aws.Provider) -> RunRow | None:
    """Return the row of a table's run; None where no run ever began.

    Raises:
        UnknownRunError: it cannot be looked up.
    """
    try:
        row = aws.dynamodb.get_table_item(
            table_name=journal,
            key=json.dumps({"pk": {"S": table}, "sk": {"S": RUN_ROW}}),
            projection_expression="#state, #after, #promoted, #imported, #target",
            expression_attribute_names={
                "#state": "state",
                "#after": AFTER_SWITCH,
                "#promoted": PROMOTED,
                "#imported": IMPORTED,
                "#target": LOAD_TARGET,
            },
            opts=pulumi.InvokeOptions(provider=target),
        )
    except Exception as error:  # the SDK raises nothing narrower for a failed look-up
        text = " ".join(str(error).split())
        if NO_ITEM in text:
            return None
        raise UnknownRunError(text) from None
    item = json.loads(row.item)
    state = item["state"]["S"]
    finished = state == "SWITCHED" and bool(_record(item, AFTER_SWITCH).get("finished_at"))
    return RunRow(state, finished, finished or _has_ended(state, item), _load(item))


def _has_ended(state: str, item: Mapping[str, Any]) -> bool:
    if state == "PROMOTED":
        found = _record(item, PROMOTED)
        return float(found.get("closed_at", 0)) > 0 and "target-open" in found.get("done", ())
    return bool(state == "ABANDONED")


def _load(item: Mapping[str, Any]) -> LoadConfig | None:
    if LOAD_TARGET in item:
        return LoadConfig(BULK, adopt=bool(_record(item, LOAD_TARGET).get("adopted")))
    imported = _record(item, IMPORTED)
    # A request that was refused, and an import that failed without a table, leave the export to be
    # loaded another way (`Imported.no_table`).
    begun = imported.get("done") or (imported.get("token") and not imported.get("no_table"))
    return LoadConfig(IMPORT) if begun else None


def _record(item: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(item[name]["S"]) if name in item else {}
    return found
