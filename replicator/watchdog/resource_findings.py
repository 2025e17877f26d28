"""Findings about single resources: each state that AWS names and that is not the usual one."""

from __future__ import annotations

from replicator.watchdog.detectors import Detector, Level
from replicator.watchdog.finding import Finding, blind
from replicator.watchdog.readings import Identity, Unread


def judge_table(detector: Detector, identity: Identity | Unread) -> Finding:
    """Judge a table by its id and its state. The gauge is 1 for a table that is another or that
    cannot be used."""
    if isinstance(identity, Unread):
        return blind(detector, identity)
    table = identity.now
    if table is None:
        level = detector.level if identity.changed else Level.FINE
        return Finding(detector, level, float(identity.changed), "no such table")
    trouble = table.trouble
    if trouble is None:
        level = detector.level if identity.changed else Level.FINE
        shown = table.table_id if table.status == "ACTIVE" else f"{table.table_id}, {table.status}"
        return Finding(detector, level, float(identity.changed), shown)
    if identity.changed:
        # Another table: its state is the lesser problem.
        detail = f"{table.table_id}, {trouble.what}"
        return Finding(detector, detector.level, 1.0, detail)
    if identity.first is None and table.status == "CREATING":
        # The import's, which may be repeated.
        return Finding(detector, Level.FINE, 0.0, f"{table.table_id}, {table.status}")
    return Finding(detector, trouble.level, 1.0, trouble.what, remedy=trouble.remedy)
