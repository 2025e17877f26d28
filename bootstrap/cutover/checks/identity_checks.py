"""Conditions on the two tables themselves: that they are those of the run, and of which kind."""

from __future__ import annotations

from collections.abc import Mapping

from bootstrap.core.facts import TableFacts
from bootstrap.core.suggestions import Command, suggest
from bootstrap.cutover.checks.check import Check
from bootstrap.cutover.checks.readings import SwitchReadings
from bootstrap.cutover.context import SwitchContext
from bootstrap.journal.records import Buffered, Imported
from replicator.watchdog.readings import Unread

OLD_GLOBAL_TABLES = "2017.11.29"
"""GlobalTableVersion of those whose other replicas no resource policy of this one reaches."""


def identity(context: SwitchContext, readings: SwitchReadings) -> Check:
    """Judge that both tables are those whose ids the run has recorded."""
    name, table = "identity", context.table
    buffered, imported = readings.row.record(Buffered), readings.row.record(Imported)
    known: Mapping[str, tuple[TableFacts | Unread | None, str]] = {
        f"the source table {table.source_table}": (
            readings.source,
            buffered.table_id if buffered else "",
        ),
        f"the target table {table.target_table}": (
            readings.target,
            imported.table_id if imported else "",
        ),
    }
    look = suggest(Command("status"))
    for what, (now, recorded) in known.items():
        if isinstance(now, Unread):
            return Check(name, None, f"{what} could not be read: {now.why}", readings.at, look)
        if now is None:
            return Check(name, False, f"{what} does not exist", readings.at, look)
        if not now.table_id or not recorded:
            whose = "AWS does not state" if recorded else "the journal does not hold"
            return Check(name, None, f"{whose} the id of {what}", readings.at, look)
        if now.table_id != recorded:
            evidence = f"{what} was made again: its id is {now.table_id}, not {recorded}"
            return Check(name, False, evidence, readings.at, look)
        if now.status != "ACTIVE":
            return Check(name, False, f"{what} is {now.status}", readings.at, look)
    return Check(name, True, "both tables have the ids that the journal holds", readings.at)


def source_kind(context: SwitchContext, readings: SwitchReadings) -> Check:
    """Judge that a Deny in the source's policy reaches all of its writers."""
    return _single(
        "source-kind",
        f"the source table {context.table.source_table}",
        readings.source,
        readings.at,
        "or stop its writers yourself, and switch with --writes-stopped",
    )


def target_kind(context: SwitchContext, readings: SwitchReadings) -> Check:
    """Judge the same of the target: a replica of it would take writes that its policy refuses."""
    return _single(
        "target-kind",
        f"the target table {context.table.target_table}",
        readings.target,
        readings.at,
        "and add its replicas after the switch",
    )


def _single(
    name: str, what: str, table: TableFacts | Unread | None, at: float, otherwise: str
) -> Check:
    if isinstance(table, Unread | None):
        why = f": {table.why}" if isinstance(table, Unread) else ""
        return Check(name, None, f"{what} was not read{why}", at, suggest(Command("status")))
    if not table.replicas and table.global_version != OLD_GLOBAL_TABLES:
        return Check(name, True, f"{what} has no replica in another Region", at)
    where = (
        f"with replicas in {', '.join(table.replicas)}" if table.replicas else "of the 2017 kind"
    )
    evidence = f"{what} is a global table {where}, whose writers its own policy does not reach"
    return Check(name, False, evidence, at, suggest(f"remove its other replicas; {otherwise}"))
