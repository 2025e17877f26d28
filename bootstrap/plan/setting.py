"""One setting of a table on both sides, and the list of those that are compared."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class When(StrEnum):
    """The moment at which the target gets a setting."""

    IMPORT = "import"
    LOAD = "load"
    """A bulk load: with the table that is made for it, or before its first item."""
    ADOPTED = "yours"
    """An adopted table has its own: nothing here changes it."""
    SETTINGS = "settings"
    SWITCH = "switch"
    NEVER = "not carried"


COMPARED = {
    "keys": "each key attribute and its type",
    "global secondary indexes": "name, key attributes in order with role and type, projection and "
    "its attributes; an index that is being deleted does not count",
    "local secondary indexes": "the same; a table gets them when it is made, and never again",
    "billing mode": "the mode: on demand while it replicates",
    "encryption": "the kind of key, and the key itself where targetKeyArn names one",
    "table class": "the class",
    "tags": "each tag of the stack and of the source, and its value; further tags of the target do "
    "not count",
    "deletion protection": "on",
    "point-in-time recovery": "on",
    "warm throughput": "at least the writes a second that the plan asked for",
    "index warm throughput": "the same of each index",
    "time to live": "on or off as `run --ttl` says, and the attribute",
    "index throughput": "no on-demand maximum for the writes of an index",
    "on-demand maximums": "no maximum",
}
"""The settings that `parity` compares, with all that it compares of each."""
SHOWN = (
    *("capacity", "autoscaling", "DynamoDB stream", "global table replicas"),
    *("vector indexes", "contributor insights", "resource policy"),
)
"""The settings that `parity` shows and does not compare: the target has its own."""


def compared_table() -> str:
    """Render what `parity` compares as a table of the documents."""
    rows = ["| setting | what is compared |", "| --- | --- |"]
    rows += [f"| {name} | {what} |" for name, what in COMPARED.items()]
    rows += [f"| {name} | shown only |" for name in SHOWN]
    return "\n".join(rows)


@dataclass(frozen=True)
class Setting:
    """One setting on both sides, as text."""

    name: str
    source: str
    target: str
    """What the target is to have while it replicates."""
    when: When
    why: str = ""
    actual: str | None = None
    """What the target has; None before it exists, and where that is not compared."""

    @property
    def drifted(self) -> bool:
        return self.actual is not None and self.actual != self.target
